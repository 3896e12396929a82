//! `keys list`.

use std::cmp::Reverse;

use clap::Args;
use serde::Serialize;

use super::place::{PlaceArgs, keyring};
use super::sealed;
use crate::cli::output::{Output, Problem, Report, print_document};
use crate::cli::{CommandResult, Context, Exit};
use crate::keys::usage::{Usage, needing};
use crate::keys::{Custody, KeySecret, Proof, Standing, unbacked};
use crate::sealing::{KeyId, Keyring};
use crate::ui::table::Table;
use crate::ui::{age, stream};

/// List the sealing keys: what needs them, and whether they are safe.
///
/// Reads the key Secrets in the controller's namespace, so it needs the right to; shows no key material. How many SealedSecrets need a
/// key is found out by opening them in memory, because their format does not say it. The last backup and the last drill are what
/// `keys backup` and `keys verify-backup --record` noted.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops keys list")]
pub struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
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
    namespace: String,
    /// `active`, `opens`, `broken`, or the label's value when that sets it aside.
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
    /// SealedSecrets of the cluster that need it; absent when that could not be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<Proof>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drill: Option<Proof>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Lists them.
///
/// # Errors
/// When the Secrets may not be read.
pub async fn run(args: ListArgs, cx: &Context) -> CommandResult {
    let inventory = args.place.inventory(cx).await?;
    let (usages, note) = usages(&inventory.secrets, cx).await;
    let keys = describe(&inventory.secrets, &keyring(inventory.counting()), usages.as_deref());
    let unsafe_keys = unbacked(inventory.secrets.iter().map(|secret| &secret.metadata)).len();
    let mut problems: Vec<Problem> = keys.keys.iter().filter_map(problem).collect();
    if let Some(output) = args.output {
        let ok = problems.is_empty();
        problems.extend(note);
        print_document(output, &Report::new("KeysReport", ok, keys, problems))?;
        return Ok(Exit::Done);
    }
    if keys.keys.is_empty() {
        stream::say(&format!("No sealing keys found in {} namespace.", cx.flags.controller_namespace));
        return Ok(Exit::Done);
    }
    stream::out(&table(&keys, &cx.flags.controller_namespace).render(stream::width(), true));
    problems.iter().for_each(|problem| stream::say(&problem.message));
    if let Some(note) = note {
        stream::say(&format!("note: {}", note.message));
    }
    if unsafe_keys > 0 {
        stream::say("next: kubectl gitops keys backup --to backup.age --recipient age1...");
    } else if keys.keys.iter().any(|key| key.state == "active" && key.drill.is_none()) {
        stream::say("next: kubectl gitops keys verify-backup backup.age --repo DIR --record");
    }
    Ok(Exit::Done)
}

/// What each SealedSecret needs, of all keys, also those out of use; or why that is not known.
async fn usages(secrets: &[KeySecret], cx: &Context) -> (Option<Vec<Usage>>, Option<Problem>) {
    let found = match sealed::list(cx).await {
        Ok(objects) => sealed::usage(objects, keyring(secrets)).await,
        Err(failure) => Err(failure),
    };
    match found {
        Ok(usages) => (Some(usages), None),
        Err(failure) => {
            let message = format!("how many SealedSecrets need a key is not known: {}", failure.what);
            (None, Some(Problem { code: "cannot-tell", message, hint: failure.hint, object: None }))
        }
    }
}

/// Newest first, the broken ones last.
fn describe(secrets: &[KeySecret], counting: &Keyring, usages: Option<&[Usage]>) -> Keys {
    let active = counting.active().map(|key| key.id());
    let mut keys: Vec<_> = secrets
        .iter()
        .map(|secret| {
            let begins = secret.read().key.ok().map(|key| key.certificate().not_before);
            (Reverse(begins), describe_one(secret, active, usages))
        })
        .collect();
    keys.sort_by_key(|(begins, _)| *begins);
    Keys { keys: keys.into_iter().map(|(_, key)| key).collect() }
}

fn describe_one(secret: &KeySecret, active: Option<&KeyId>, usages: Option<&[Usage]>) -> Key {
    let stored = secret.read();
    let usable = stored.key.as_ref().ok();
    let custody = Custody::of(&secret.metadata);
    let state = match (usable, Standing::of(&secret.metadata)) {
        (None, _) => "broken".to_owned(),
        (_, Standing::SetAside(label)) => label,
        (Some(key), _) if Some(key.id()) == active => "active".to_owned(),
        _ => "opens".to_owned(),
    };
    Key {
        state,
        namespace: secret.metadata.namespace.clone().unwrap_or_default(),
        created: stored.created.map(|time| time.to_string()),
        fingerprint: usable.map(|key| key.certificate().fingerprint.clone()),
        not_after: usable.map(|key| key.certificate().not_after.to_string()),
        objects: usable.zip(usages).map(|(key, usages)| needing(usages, key.id()).count()),
        backup: custody.backup,
        drill: custody.drill,
        problem: stored.key.as_ref().err().map(ToString::to_string),
        name: stored.name,
    }
}

fn problem(key: &Key) -> Option<Problem> {
    let message = format!("Secret {} is skipped: {}", key.name, key.problem.as_ref()?);
    let hint = Some("restore it from a backup, or take its label away".to_owned());
    Some(Problem { code: "broken-key", message, hint, object: Some(format!("secret/{}", key.name)) })
}

fn table(keys: &Keys, control_namespace: &str) -> Table {
    let now = age::now();
    let ago = |proof: Option<&Proof>| proof.map_or_else(|| "never".to_owned(), |proof| age::since(Some(&proof.at), now) + " ago");
    let mut table = Table::new(&["KEY", "CREATED", "STATE", "SEALED-OBJECTS", "BACKED-UP", "DRILL"]);
    for key in &keys.keys {
        let name = if key.namespace == control_namespace { key.name.clone() } else { format!("{}/{}", key.namespace, key.name) };
        table.row(vec![
            name,
            age::since(key.created.as_deref(), now) + " ago",
            key.state.clone(),
            key.objects.map_or_else(|| "<unknown>".to_owned(), |number| number.to_string()),
            ago(key.backup.as_ref()),
            ago(key.drill.as_ref()),
        ]);
    }
    table
}
