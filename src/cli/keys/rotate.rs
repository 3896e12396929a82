//! `keys rotate`.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use kube::Client;
use serde::Serialize;
use tokio::time::Instant;

use super::new_key::Making;
use super::place::{PlaceArgs, full_name, keyring, short};
use super::sealed;
use crate::cli::output::{Output, Problem, Report, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure, duration};
use crate::keys::inventory::{self, Inventory};
use crate::keys::{KeyOrder, KeyPolicy, KeySecret, Published, store};
use crate::sealing::{Certificate, KeyId, Keyring, SealingKey};
use crate::ui::symbols::Symbols;
use crate::ui::table::Table;
use crate::ui::{age, problem, stream};

/// How often the controller is asked for its certificate.
const POLL: Duration = Duration::from_millis(500);

/// Make a new sealing key and wait until Secrets are sealed for it.
///
/// The key is made here and stored with your own rights, of the size, validity, name and labels that the controller publishes beside
/// its certificate, and never while the controller makes one itself; the controller notices it and publishes its certificate. Old
/// keys stay and keep opening what was sealed for them. With --compromised it lists the SealedSecrets whose values somebody with the old keys
/// knows: a new key does not change that.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops keys rotate")]
pub struct RotateArgs {
    /// A key has leaked: say which values must be changed, and in which order
    #[arg(long)]
    compromised: bool,
    /// Only say what would be done; the API server checks the right to do it
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for the controller
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration::parse_limit)]
    timeout: Duration,
    #[command(flatten)]
    place: PlaceArgs,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rotation {
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<NewKey>,
    published: bool,
    /// SealedSecrets whose values somebody with the old keys knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    affected: Option<Vec<Affected>>,
}

#[derive(Debug, Serialize)]
struct NewKey {
    name: String,
    namespace: String,
    fingerprint: String,
}

#[derive(Debug, Serialize)]
struct Affected {
    object: String,
    /// `namespace/name` of the keys that open it.
    keys: Vec<String>,
}

/// Rotates.
///
/// # Errors
/// When a key cannot be made or stored, or the cluster cannot be asked for what must be known before.
pub async fn run(args: RotateArgs, cx: &Context) -> CommandResult {
    let client = cx.client().await?;
    let inventory = args.place.inventory(cx).await?;
    let old = keyring(inventory.counting());
    let follows = old.active().map(|key| key.id().clone());
    let namespace = home(&inventory, &old, cx);
    // Everything that could fail for want of a right fails before there is a new key.
    let policy = policy(published(&client, cx).await?);
    let now = age::now();
    if policy.order == KeyOrder::CertNotBefore {
        refuse_behind(old.active().map(AsRef::as_ref), now)?;
    }
    let affected = if args.compromised { Some(affected(&inventory, old, cx).await?) } else { None };
    let mut rotation = Rotation { dry_run: args.dry_run, key: None, published: false, affected };
    let making = Making { client: &client, place: &args.place, namespace: &namespace, policy: &policy, follows };
    if args.dry_run {
        let allowed = inventory::check_add(&client, &namespace).await;
        allowed.map_err(|error| cx.explain(&error, &format!("store a sealing key in {namespace:?}")))?;
        making.check_claim(cx).await?;
        return finish(&args, rotation, &namespace, cx);
    }
    let (stored, key) = making.make(now, args.timeout, cx).await?;
    cx.when_interrupted(Some(format!(
        "the new key is stored as Secret {}; the controller uses it when it sees it",
        full_name(&stored)
    )));
    let fingerprint = key.certificate.fingerprint.clone();
    rotation.key = Some(NewKey { name: stored.name().to_owned(), namespace: namespace.clone(), fingerprint });
    rotation.published = wait(&client, &key.certificate, args.timeout, cx).await?;
    finish(&args, rotation, &namespace, cx)
}

/// What the controller publishes about the keys that it makes; the defaults where none has published anything yet.
fn policy(published: Published) -> KeyPolicy {
    published.policy.unwrap_or_else(|| {
        stream::say("note: the controller does not say how it makes keys: a new one gets the defaults");
        KeyPolicy::default()
    })
}

/// The newest certificate is the active one, so a new one must begin later than all others.
fn refuse_behind(active: Option<&SealingKey>, now: Timestamp) -> Result<(), Failure> {
    match active {
        Some(key) if key.certificate().not_before.as_second() >= now.as_second() => Err(Failure::new(format!(
            "the active key begins at {}, so a key of now would not become active",
            key.certificate().not_before
        ))
        .with_hint("is the clock of this machine right? otherwise wait until then")),
        _ => Ok(()),
    }
}

/// Where the active key is, the controller looks; without one, it looks in its own namespace.
fn home(inventory: &Inventory, old: &Keyring, cx: &Context) -> String {
    let holds_active =
        |secret: &&KeySecret| secret.read().key.is_ok_and(|key| old.active().is_some_and(|active| active.id() == key.id()));
    let namespace = inventory.counting().find(holds_active).and_then(|secret| secret.metadata.namespace.clone());
    namespace.unwrap_or_else(|| cx.flags.controller_namespace.clone())
}

async fn published(client: &Client, cx: &Context) -> Result<Published, Failure> {
    let published = store::published(client, &cx.flags.controller_namespace).await;
    published.map_err(|error| cx.explain(&error, "read the published sealing certificate"))
}

async fn affected(inventory: &Inventory, old: Keyring, cx: &Context) -> Result<Vec<Affected>, Failure> {
    let names: BTreeMap<KeyId, String> =
        inventory.counting().filter_map(|secret| Some((secret.read().key.ok()?.id().clone(), full_name(secret)))).collect();
    let usages = sealed::usage(sealed::list(cx).await?, old).await?;
    let mut affected: Vec<Affected> = usages
        .into_iter()
        .filter(|usage| !usage.keys.is_empty())
        .map(|usage| Affected {
            object: usage.object,
            keys: usage.keys.iter().filter_map(|key| names.get(key).cloned()).collect(),
        })
        .collect();
    affected.sort_by(|one, other| one.object.cmp(&other.object));
    Ok(affected)
}

/// Whether the controller published the certificate in time.
async fn wait(client: &Client, certificate: &Certificate, limit: Duration, cx: &Context) -> Result<bool, Failure> {
    let until = Instant::now() + limit;
    loop {
        let seen = published(client, cx).await?.certificate.and_then(|pem| Certificate::from_pem(&pem).ok());
        if seen.is_some_and(|seen| seen.fingerprint == certificate.fingerprint) {
            return Ok(true);
        }
        if Instant::now() + POLL > until {
            return Ok(false);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn finish(args: &RotateArgs, rotation: Rotation, namespace: &str, cx: &Context) -> CommandResult {
    cx.when_interrupted(None);
    let late = rotation.key.is_some() && !rotation.published;
    let problem = late.then(|| Problem {
        code: "not-published",
        message: format!(
            "the new key is stored, but the controller in {:?} has not published its certificate within {}",
            cx.flags.controller_namespace,
            age::human(i64::try_from(args.timeout.as_secs()).unwrap_or(i64::MAX))
        ),
        hint: Some(format!(
            "kubectl get pods -n {}; the controller uses the key as soon as it sees it",
            cx.flags.controller_namespace
        )),
        object: None,
    });
    let exit = if late { Exit::TimedOut } else { Exit::Done };
    if let Some(output) = args.output {
        print_document(output, &Report::new("RotationReport", !late, rotation, problem.into_iter().collect()))?;
        return Ok(exit);
    }
    show(&rotation, namespace);
    if let Some(affected) = &rotation.affected {
        show_affected(affected);
    }
    problem.iter().for_each(|one| stream::say(&problem::note(&one.message, one.hint.as_deref())));
    say_next(&rotation);
    Ok(exit)
}

fn show(rotation: &Rotation, namespace: &str) {
    let done = Symbols::get().done;
    match &rotation.key {
        None => stream::out(&format!("a new key would be stored in {namespace}\n")),
        Some(key) => stream::out(&format!("{done} new key {}/{} {}\n", key.namespace, key.name, short(&key.fingerprint))),
    }
    if rotation.published {
        stream::out(&format!("{done} its certificate is published: Secrets are sealed for it from now on\n"));
    }
}

fn show_affected(affected: &[Affected]) {
    if affected.is_empty() {
        stream::out("no SealedSecret of the cluster opens with the old keys\n");
        return;
    }
    stream::out("SealedSecrets whose values must be changed:\n");
    let mut table = Table::new(&["SEALEDSECRET", "KEYS"]);
    for one in affected {
        table.row(vec![one.object.clone(), one.keys.join(",")]);
    }
    stream::out(&table.render(stream::width(), true));
}

fn say_next(rotation: &Rotation) {
    let steps: &[&str] = if rotation.affected.is_some() {
        &[
            "the old keys still open everything that was sealed for them, in the cluster and in Git's history; do this, in this order:",
            "1. change each value at its service, also those that are only in Git's history: whoever has the key knows them",
            "2. seal the new values for the new key, commit and sync: kubectl gitops seal",
            "3. back up and prove: kubectl gitops keys backup, kubectl gitops keys verify-backup --record",
            "4. take the old keys out of use when nothing needs them: kubectl gitops keys retire KEY --repo DIR",
        ]
    } else {
        &[
            "the old keys keep opening what was sealed for them; next:",
            "1. back up: kubectl gitops keys backup --to keys.age --recipient age1...",
            "2. prove it: kubectl gitops keys verify-backup keys.age --repo DIR --record",
            "3. seal again what Git holds: kubectl gitops reseal DIR",
        ]
    };
    steps.iter().for_each(|step| stream::say(step));
}
