//! `keys list`.

use clap::Args;
use serde::Serialize;

use crate::cli::output::{Output, Problem, Report, print_document};
use crate::cli::{CommandResult, Context, Exit};
use crate::keys::{KeySecret, StoredKey, store};
use crate::sealing::Keyring;
use crate::ui::table::Table;
use crate::ui::{age, stream};

/// List the sealing keys and when they were last backed up.
///
/// Reads the key Secrets in the controller's namespace, so it needs the right to; shows no key material.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops keys list")]
pub struct ListArgs {
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Debug, Serialize)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    name: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_backup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Lists them.
///
/// # Errors
/// When the Secrets may not be read.
pub async fn run(args: ListArgs, cx: &Context) -> CommandResult {
    let client = cx.client().await?;
    let namespace = &cx.flags.controller_namespace;
    let secrets = store::list_keys(&client, namespace).await;
    let secrets = secrets.map_err(|error| cx.explain(&error, &format!("list sealing keys in {namespace:?}")))?;
    let keys = describe(secrets.iter().map(KeySecret::read).collect());
    let problems: Vec<Problem> = keys.keys.iter().filter_map(problem).collect();
    if let Some(output) = args.output {
        print_document(output, &Report::new("KeysReport", problems.is_empty(), keys, problems))?;
        return Ok(Exit::Done);
    }
    if keys.keys.is_empty() {
        stream::say(&format!("No sealing keys found in {namespace} namespace."));
        return Ok(Exit::Done);
    }
    stream::out(&table(&keys).render(stream::width(), true));
    problems.iter().for_each(|problem| stream::say(&problem.message));
    if keys.keys.iter().any(|key| key.state != "broken" && key.last_backup.is_none()) {
        stream::say("next: kubectl gitops keys backup --to backup.age --recipient age1...");
    }
    Ok(Exit::Done)
}

/// Newest first, the broken ones last.
fn describe(stored: Vec<StoredKey>) -> Keys {
    let usable = Keyring::new(stored.iter().filter_map(|key| key.key.as_ref().ok()).cloned());
    let active = usable.active().map(|key| key.certificate().fingerprint.clone());
    let rank = |key: &StoredKey| std::cmp::Reverse(key.key.as_ref().ok().map(|key| key.certificate().not_before));
    let mut stored = stored;
    stored.sort_by_key(rank);
    Keys { keys: stored.iter().map(|key| describe_one(key, active.as_deref())).collect() }
}

fn describe_one(stored: &StoredKey, active: Option<&str>) -> Key {
    let certificate = stored.key.as_ref().ok().map(|key| key.certificate());
    let fingerprint = certificate.map(|certificate| certificate.fingerprint.clone());
    Key {
        name: stored.name.clone(),
        state: match &fingerprint {
            None => "broken",
            Some(fingerprint) if Some(fingerprint.as_str()) == active => "active",
            Some(_) => "opens",
        },
        created: stored.created.map(|time| time.to_string()),
        not_after: certificate.map(|certificate| certificate.not_after.to_string()),
        last_backup: stored.last_backup.clone(),
        problem: stored.key.as_ref().err().map(ToString::to_string),
        fingerprint,
    }
}

fn problem(key: &Key) -> Option<Problem> {
    let message = format!("Secret {} is skipped: {}", key.name, key.problem.as_ref()?);
    let hint = Some("restore it from a backup, or take its label away".to_owned());
    Some(Problem { code: "broken-key", message, hint, object: Some(format!("secret/{}", key.name)) })
}

fn table(keys: &Keys) -> Table {
    let now = age::now();
    let mut table = Table::new(&["KEY", "STATE", "AGE", "BACKED-UP", "FINGERPRINT"]);
    for key in &keys.keys {
        let backed_up = key.last_backup.as_deref().map_or_else(|| "never".to_owned(), |at| age::since(Some(at), now) + " ago");
        let fingerprint = key.fingerprint.clone().unwrap_or_default();
        table.row(vec![key.name.clone(), key.state.to_owned(), age::since(key.created.as_deref(), now), backed_up, fingerprint]);
    }
    table
}
