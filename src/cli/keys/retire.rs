//! `keys retire`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::choose::choose;
use super::place::{PlaceArgs, count, full_name, keyring, short};
use super::sealed;
use crate::cli::output::{Output, Problem, Report, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::keys::drill::{Repository, read_repository};
use crate::keys::inventory;
use crate::keys::usage::{Usage, in_repository, needing};
use crate::keys::{ACTIVE_LABEL, Custody, KeySecret, LEGACY_NAME, RETIRED, Standing};
use crate::sealing::{KeyId, Keyring};
use crate::ui::{confirm, stream};

/// Objects that are named before the rest is counted.
const SHOWN: usize = 20;

/// Take an old key out of use, when nothing needs it any more.
///
/// Looks with the private keys whether any SealedSecret of the cluster, or of --repo, opens only with this key, and whether a backup
/// that holds it was proven; if so, or if not, it refuses and says why. The key is relabelled, not deleted: the controller stops
/// using it, and the label brings it back.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops keys retire sealed-secrets-key4gj4d --repo .")]
pub struct RetireArgs {
    /// Name of the key's Secret, or the beginning of its fingerprint
    #[arg(value_name = "KEY")]
    key: String,
    /// Folder whose SealedSecrets must not need the key either, usually the work tree of a Git repository
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// Path in the repository to leave out; may be given several times
    #[arg(long, value_name = "PATH", requires = "repo")]
    skip: Vec<PathBuf>,
    /// Only say what would be done; the API server checks it
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long, alias = "assumeYes")]
    yes: bool,
    #[command(flatten)]
    place: PlaceArgs,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Retirement {
    key: String,
    fingerprint: String,
    dry_run: bool,
    retired: bool,
    /// SealedSecrets that were looked at.
    checked: usize,
}

/// Retires.
///
/// # Errors
/// When it cannot be found out whether the key is needed, or the key may not be retired at all.
pub async fn run(args: RetireArgs, cx: &Context) -> CommandResult {
    let inventory = args.place.keys(cx).await?;
    let secret = choose(&inventory.secrets, &args.key)?;
    let keys = keyring(inventory.counting());
    let (id, fingerprint) = may_go(secret, &keys)?;
    let repository = repository(&args)?;
    let mut usages = sealed::usage(sealed::list(cx).await?, keys.clone()).await?;
    let in_cluster = usages.len();
    if let Some(repository) = &repository {
        usages.extend(tokio::task::block_in_place(|| in_repository(repository, &keys)));
    }
    let mut problems: Vec<Problem> = unproven(secret).into_iter().collect();
    problems.extend(needing(&usages, &id).map(|usage| needed(usage, secret)));
    problems.extend(usages[in_cluster..].iter().filter(|usage| usage.unopened > 0).map(undecided));
    problems.extend(
        repository.iter().flat_map(|repository| &repository.unreadable).map(|file| unreadable(&file.file, &file.problem)),
    );
    if args.output.is_none() {
        note_broken(&usages[..in_cluster]);
    }
    let mut retirement =
        Retirement { key: full_name(secret), fingerprint, dry_run: args.dry_run, retired: false, checked: usages.len() };
    if problems.is_empty() {
        if !agreed(&args, &retirement)? {
            return Ok(Exit::No);
        }
        relabel(secret, args.dry_run, cx).await?;
        retirement.retired = !args.dry_run;
    }
    finish(&args, secret, retirement, problems)
}

/// Whether this key may be retired at all.
fn may_go(secret: &KeySecret, keys: &Keyring) -> Result<(KeyId, String), Failure> {
    let name = full_name(secret);
    if let Standing::SetAside(label) = Standing::of(&secret.metadata) {
        return Err(Failure::new(format!("{name} is out of use already (label {label:?})")).with_hint("kubectl gitops keys list"));
    }
    let key = secret.read().key.map_err(|problem| {
        Failure::new(format!("{name} is broken, so it cannot be told what needs it: {problem}"))
            .with_hint("the controller skips it; restore the key, or remove the Secret")
    })?;
    if keys.active().is_some_and(|active| active.id() == key.id()) {
        return Err(Failure::new(format!("{name} is the active key: Secrets are sealed for it now"))
            .with_hint("make a newer one first: kubectl gitops keys rotate"));
    }
    if secret.name() == LEGACY_NAME {
        return Err(Failure::new(format!("{name} counts as a key by its name, whatever its label says"))
            .with_hint(format!("when it is backed up and nothing needs it: kubectl delete secret {LEGACY_NAME}")));
    }
    Ok((key.id().clone(), key.certificate().fingerprint.clone()))
}

fn repository(args: &RetireArgs) -> Result<Option<Repository>, Failure> {
    let Some(folder) = &args.repo else { return Ok(None) };
    let read = read_repository(folder, &args.skip);
    read.map(Some).map_err(|error| Failure::new(format!("cannot read {}", folder.display())).with_cause(&error))
}

fn unproven(secret: &KeySecret) -> Option<Problem> {
    let custody = Custody::of(&secret.metadata);
    let name = full_name(secret);
    let (code, message, hint) = match (&custody.drill, &custody.backup) {
        (Some(_), _) => return None,
        (None, None) => {
            ("not-backed-up", format!("{name} is in no backup"), "kubectl gitops keys backup, then keys verify-backup --record")
        }
        (None, Some(backup)) => (
            "backup-not-proven",
            format!("{name} was backed up at {}, but that backup was never proven", backup.at),
            "kubectl gitops keys verify-backup BACKUP --repo DIR --record",
        ),
    };
    Some(Problem { code, message, hint: Some(hint.to_owned()), object: Some(name) })
}

fn needed(usage: &Usage, secret: &KeySecret) -> Problem {
    Problem {
        code: "key-needed",
        message: format!("{} needs {}", usage.object, full_name(secret)),
        hint: Some("seal it again for the active key: kubectl gitops reseal DIR, then commit and sync".to_owned()),
        object: Some(usage.object.clone()),
    }
}

fn undecided(usage: &Usage) -> Problem {
    Problem {
        code: "cannot-tell",
        message: format!("{} opens with no key here, so it cannot be told whether it needs this one", usage.object),
        hint: Some("mend it, or leave it out with --skip PATH".to_owned()),
        object: Some(usage.object.clone()),
    }
}

fn unreadable(file: &str, problem: &str) -> Problem {
    Problem {
        code: "unreadable",
        message: format!("{file} speaks of SealedSecrets and cannot be read: {problem}"),
        hint: Some("render it, or leave it out with --skip PATH".to_owned()),
        object: None,
    }
}

/// What opens with no key today is no reason to keep this one, but somebody should know.
fn note_broken(usages: &[Usage]) {
    for usage in usages.iter().filter(|usage| usage.unopened > 0) {
        stream::say(&format!("note: SealedSecret {} opens with no key today, so it was not counted", usage.object));
    }
}

fn agreed(args: &RetireArgs, retirement: &Retirement) -> Result<bool, Failure> {
    if args.yes || args.dry_run {
        return Ok(true);
    }
    if !confirm::can_ask() {
        return Err(Failure::new(format!("refusing to retire {} without --yes", retirement.key))
            .with_hint("--dry-run shows what would be done"));
    }
    let question = format!(
        "None of {} needs {} {}. Take it out of use?",
        count(retirement.checked, "SealedSecret"),
        retirement.key,
        short(&retirement.fingerprint)
    );
    confirm::ask(&question).map_err(|error| Failure::new("cannot read the answer").with_cause(&error))
}

async fn relabel(secret: &KeySecret, dry_run: bool, cx: &Context) -> Result<(), Failure> {
    let client = cx.client().await?;
    let relabelled = inventory::relabel(&client, secret, RETIRED, dry_run).await;
    relabelled.map_err(|error| cx.explain(&error, &format!("relabel Secret {}", full_name(secret))))
}

fn finish(args: &RetireArgs, secret: &KeySecret, retirement: Retirement, problems: Vec<Problem>) -> CommandResult {
    let exit = if problems.is_empty() { Exit::Done } else { Exit::No };
    if let Some(output) = args.output {
        print_document(output, &Report::new("RetireReport", problems.is_empty(), retirement, problems))?;
        return Ok(exit);
    }
    if !problems.is_empty() {
        show_refusal(&retirement, &problems);
        return Ok(exit);
    }
    let checked = count(retirement.checked, "SealedSecret");
    let done = if args.dry_run { "would be retired" } else { "retired" };
    stream::out(&format!("{} {} {done}; none of {checked} needs it\n", retirement.key, short(&retirement.fingerprint)));
    if !args.dry_run {
        let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
        stream::say(&format!("undo: kubectl label secret {} -n {namespace} {ACTIVE_LABEL}=active --overwrite", secret.name()));
    }
    Ok(exit)
}

fn show_refusal(retirement: &Retirement, problems: &[Problem]) {
    stream::out(&format!("{} {} stays in use:\n", retirement.key, short(&retirement.fingerprint)));
    for problem in problems.iter().take(SHOWN) {
        stream::out(&format!("  {}\n", problem.message));
    }
    if let Some(more) = problems.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        stream::out(&format!("  and {more} more; -o json shows all\n"));
    }
    let mut hints: Vec<&str> = problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
    hints.dedup();
    hints.iter().for_each(|hint| stream::say(&format!("hint: {hint}")));
}
