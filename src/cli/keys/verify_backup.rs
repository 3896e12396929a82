//! `keys verify-backup`: the drill.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::lock::{PassphraseArgs, unlock};
use crate::cli::output::{Output, Problem, Report, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::keys::StoredKey;
use crate::keys::backup::{MAX_BACKUP_BYTES, Unlock, decrypt, from_list};
use crate::keys::drill::{Drilled, Places, Unreadable, drill, read_repository};
use crate::sealing::Keyring;
use crate::ui::stream;
use crate::ui::symbols::Symbols;

/// Prove that a backup opens every SealedSecret of a repository.
///
/// Works offline: opens the backup, checks every key pair, and opens each SealedSecret in memory, keeping and showing no value. Where
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
    /// age identity file that opens the backup
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["passphrase", "passphrase_file"])]
    identity: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
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
pub async fn run(args: VerifyBackupArgs, _: &Context) -> CommandResult {
    let unlock = unlock(args.identity.as_deref(), &args.passphrase)?;
    let output = args.output;
    let task = tokio::task::spawn_blocking(move || verify(&args, unlock));
    let verdict = task.await.map_err(|error| Failure::new("the drill was interrupted").with_cause(&error))??;
    let problems = problems(&verdict);
    let exit = if problems.is_empty() { Exit::Done } else { Exit::No };
    match output {
        Some(output) => print_document(output, &Report::new("BackupReport", problems.is_empty(), verdict, problems))?,
        None => show(&verdict, &problems),
    }
    Ok(exit)
}

fn verify(args: &VerifyBackupArgs, unlock: Unlock) -> Result<Verdict, Failure> {
    let text = decrypt(&read_backup(&args.backup)?, unlock)?;
    let stored: Vec<StoredKey> = from_list(&text)?.iter().map(crate::keys::KeySecret::read).collect();
    drop(text);
    let keys = Keyring::new(stored.iter().filter_map(|key| key.key.as_ref().ok()).cloned());
    let unreadable_repository =
        |error: std::io::Error| Failure::new(format!("cannot read {}", args.repo.display())).with_cause(&error);
    let repository = read_repository(&args.repo, &args.skip).map_err(unreadable_repository)?;
    if repository.sealed.is_empty() && repository.unreadable.is_empty() {
        return Err(Failure::new(format!("there is no SealedSecret in {}", args.repo.display()))
            .with_hint("--repo DIR, the folder that holds them"));
    }
    let places = Places { renamings: repository.renamings.clone(), named: args.as_name.clone() };
    let items = drill(&repository, &keys, &places);
    Ok(Verdict {
        recoverable: items.iter().filter(|item| item.opened_as.is_some()).count(),
        total: items.len() + repository.unreadable.len(),
        keys: stored.iter().map(describe).collect(),
        items,
        unreadable: repository.unreadable,
    })
}

fn read_backup(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot read {}", path.display())).with_cause(&error);
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_BACKUP_BYTES {
        return Err(Failure::new(format!("{} is too large to be a backup of keys", path.display())));
    }
    std::fs::read(path).map_err(failed)
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
