//! `keys verify-backup`: the drill.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::opening::{Opened, OpeningArgs};
use super::place::{PlaceArgs, count, full_name, keyring};
use crate::cli::output::{Output, Problem, Report, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::keys::drill::{Drilled, Places, Unreadable, drill, read_repository};
use crate::keys::inventory::{self, Inventory};
use crate::keys::{KeySecret, Standing, StoredKey};
use crate::ui::symbols::Symbols;
use crate::ui::{age, stream};

/// Prove that a backup opens every SealedSecret of a repository.
///
/// Works offline: opens the backup, checks every key pair, and opens each SealedSecret in memory, keeping and showing no value. With --record the
/// result is noted in the cluster, which `keys list` shows and `keys retire` asks for. Where
/// Kustomize renames or moves objects, the names that the repository itself speaks of are tried. Ends with 1 if anything is not
/// recoverable. Run it on a schedule.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops keys verify-backup backup.age --repo . --identity identity.txt")]
pub struct VerifyBackupArgs {
    /// The backup, an age file
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// Folder with the SealedSecrets, usually the work tree of a Git repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    opening: OpeningArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Note on the key Secrets of the cluster that this backup opened everything; it must hold the newest key as well
    #[arg(long)]
    record: bool,
    /// A final namespace and name that objects may have been sealed for; may be given several times
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = crate::cli::seal::parse_final)]
    as_name: Vec<(String, String)>,
    /// Path in the repository to leave out; may be given several times
    #[arg(long, value_name = "PATH")]
    skip: Vec<PathBuf>,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Debug, Serialize)]
struct Verdict {
    /// Digest of the backup's file.
    file: String,
    /// Keys of the cluster on which the drill was noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<usize>,
    recoverable: usize,
    total: usize,
    keys: Vec<Key>,
    items: Vec<Drilled>,
    #[serde(skip)]
    unreadable: Vec<Unreadable>,
}

#[derive(Debug, Serialize)]
struct Key {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Runs the drill.
///
/// # Errors
/// When the backup does not open, or there is nothing to prove.
pub async fn run(args: VerifyBackupArgs, cx: &Context) -> CommandResult {
    let cluster = if args.record { Some(args.place.keys(cx).await?) } else { None };
    let (mut verdict, opened) = tokio::task::block_in_place(|| verify(&args))?;
    let mut problems = problems(&verdict);
    if let Some(cluster) = &cluster {
        problems.extend(newest_missing(cluster, &opened.secrets));
        if problems.is_empty() {
            verdict.recorded = Some(record(cluster, &opened, cx).await?);
        }
    }
    let exit = if problems.is_empty() { Exit::Done } else { Exit::No };
    match args.output {
        Some(output) => print_document(output, &Report::new("BackupReport", problems.is_empty(), verdict, problems))?,
        None => {
            show(&verdict, &problems);
            if args.record {
                stream::say(&verdict.recorded.map_or_else(
                    || "not noted in the cluster, because of what is said above".to_owned(),
                    |keys| format!("noted on {} of the cluster", count(keys, "key")),
                ));
            }
        }
    }
    Ok(exit)
}

/// A backup that lacks the newest key is too old: what is sealed today could not be recovered.
fn newest_missing(cluster: &Inventory, backup: &[KeySecret]) -> Option<Problem> {
    let in_cluster = keyring(cluster.counting());
    let newest = in_cluster.active()?;
    if keyring(backup).keys().iter().any(|key| key.id() == newest.id()) {
        return None;
    }
    let since = newest.certificate().not_before.strftime("%Y-%m-%d");
    Some(Problem {
        code: "newest-key-missing",
        message: format!(
            "the backup is older than the newest key of the cluster ({}, of {since})",
            newest.certificate().fingerprint
        ),
        hint: Some("back up again: kubectl gitops keys backup".to_owned()),
        object: None,
    })
}

/// Notes the drill on each key of the cluster that is in the backup.
async fn record(cluster: &Inventory, opened: &Opened, cx: &Context) -> Result<usize, Failure> {
    let proven = keyring(&opened.secrets);
    let client = cx.client().await?;
    let mut recorded = 0;
    for secret in &cluster.secrets {
        let Ok(key) = secret.read().key else { continue };
        if proven.keys().iter().any(|one| one.id() == key.id()) {
            let noted = inventory::record_drill(&client, secret, age::now(), &opened.fingerprint).await;
            noted.map_err(|error| cx.explain(&error, &format!("note the drill on Secret {}", full_name(secret))))?;
            recorded += 1;
        }
    }
    Ok(recorded)
}

fn verify(args: &VerifyBackupArgs) -> Result<(Verdict, Opened), Failure> {
    let opened = args.opening.open(&args.backup)?;
    let stored: Vec<StoredKey> = opened.secrets.iter().map(KeySecret::read).collect();
    // What is set aside would be restored as such, and open nothing.
    let keys = keyring(opened.secrets.iter().filter(|key| !matches!(Standing::of(&key.metadata), Standing::SetAside(_))));
    let unreadable_repository =
        |error: std::io::Error| Failure::new(format!("cannot read {}", args.repo.display())).with_cause(&error);
    let repository = read_repository(&args.repo, &args.skip).map_err(unreadable_repository)?;
    if repository.sealed.is_empty() && repository.unreadable.is_empty() {
        return Err(Failure::new(format!("there is no SealedSecret in {}", args.repo.display()))
            .with_hint("--repo DIR, the folder that holds them"));
    }
    let places = Places { renamings: repository.renamings.clone(), named: args.as_name.clone() };
    let items = drill(&repository, &keys, &places);
    let verdict = Verdict {
        file: opened.fingerprint.clone(),
        recorded: None,
        recoverable: items.iter().filter(|item| item.opened_as.is_some()).count(),
        total: items.len() + repository.unreadable.len(),
        keys: stored.iter().map(describe).collect(),
        items,
        unreadable: repository.unreadable,
    };
    Ok((verdict, opened))
}

fn describe(key: &StoredKey) -> Key {
    Key {
        name: key.name.clone(),
        fingerprint: key.key.as_ref().ok().map(|key| key.certificate().fingerprint.clone()),
        problem: key.key.as_ref().err().map(ToString::to_string),
    }
}

fn problems(verdict: &Verdict) -> Vec<Problem> {
    let broken = verdict.keys.iter().filter_map(|key| {
        let message = format!("key {} in the backup is broken: {}", key.name, key.problem.as_ref()?);
        Some(Problem { code: "broken-key", message, hint: None, object: Some(format!("secret/{}", key.name)) })
    });
    let lost = verdict.items.iter().filter_map(|item| {
        let problem = item.problem.as_ref()?.replace('\n', "; ");
        let message = format!("{}:{} {}: {problem} (tried {})", item.file, item.line, item.object, tried(&item.tried));
        let hint = "another backup may hold the key; or renamed since? --as-name NAMESPACE/NAME".to_owned();
        Some(Problem { code: "not-recoverable", message, hint: Some(hint), object: Some(item.object.clone()) })
    });
    let unreadable = verdict.unreadable.iter().map(|file| Problem {
        code: "unreadable",
        message: format!(
            "{} speaks of SealedSecrets and cannot be read, so nothing is proven for it: {}",
            file.file, file.problem
        ),
        hint: Some("render it, or leave it out with --skip PATH".to_owned()),
        object: None,
    });
    broken.chain(lost).chain(unreadable).collect()
}

/// Places that are too many to read are counted.
fn tried(places: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown =
        places.iter().take(SHOWN).map(|place| place.replace("*/*", "any").replace("/*", "/any")).collect::<Vec<_>>().join(", ");
    match places.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn show(verdict: &Verdict, problems: &[Problem]) {
    let symbols = Symbols::get();
    for item in verdict.items.iter().filter(|item| item.renamed) {
        let place = item.opened_as.as_deref().unwrap_or_default();
        stream::out(&format!("{} {}:{} {} opens as {place}\n", symbols.done, item.file, item.line, item.object));
    }
    let mut hints = std::collections::BTreeSet::new();
    for problem in problems {
        stream::out(&format!("{} {}\n", symbols.failed, problem.message));
        hints.extend(problem.hint.as_deref());
    }
    stream::out(&format!("{}/{} recoverable\n", verdict.recoverable, verdict.total));
    hints.iter().for_each(|hint| stream::say(&format!("hint: {hint}")));
}
