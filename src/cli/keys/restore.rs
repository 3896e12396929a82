//! `keys restore`.

use std::path::PathBuf;

use clap::Args;
use kube::Client;
use serde::Serialize;

use super::opening::{Opened, OpeningArgs};
use super::place::{PlaceArgs, count, short};
use crate::cli::output::{Output, Problem, Report, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::keys::inventory;
use crate::keys::restore::{Action, Step, plan};
use crate::keys::{KeySecret, Standing};
use crate::ui::symbols::Symbols;
use crate::ui::{problem, stream};

/// Put the keys of a backup back into the cluster.
///
/// Adds what is missing, to the controller's namespace, and changes nothing that is there: a key that is present under any name
/// counts. Every key pair is checked before anything is written, and read back afterwards. A running controller uses the
/// keys at once. Takes encrypted backups, and what `kubectl get secrets -o yaml` writes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops keys restore backup.age --identity identity.txt --dry-run")]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    #[command(flatten)]
    opening: OpeningArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Only say what would be done; the API server checks it
    #[arg(long)]
    dry_run: bool,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Restored {
    dry_run: bool,
    keys: Vec<Outcome>,
}

#[derive(Debug, Serialize)]
struct Outcome {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    /// `added`, `present`, `set-aside`, `broken` or `failed`.
    result: &'static str,
    /// `namespace/name` in the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip)]
    text: String,
}

/// Restores.
///
/// # Errors
/// When the backup does not open, holds no usable key, or a key cannot be added.
pub async fn run(args: RestoreArgs, cx: &Context) -> CommandResult {
    let Opened { secrets, encrypted, .. } = tokio::task::block_in_place(|| args.opening.open(&args.backup))?;
    if !encrypted {
        stream::say(&format!(
            "warning: {} is not encrypted: whoever reads it can open every SealedSecret",
            args.backup.display()
        ));
    }
    refuse_without_keys(&args, &secrets)?;
    let client = cx.client().await?;
    let present = args.place.inventory(cx).await?;
    let steps = plan(&secrets, &present.secrets, &cx.flags.controller_namespace);
    let mut outcomes: Vec<Outcome> = Vec::new();
    for step in steps {
        let outcome = act(&client, step, args.dry_run, cx).await;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // A missing right stops the first key; what comes later is told beside what was done.
            Err(failure) if outcomes.iter().all(|outcome| outcome.result != "added") => return Err(*failure.1),
            Err(failure) => {
                let text = std::iter::once(failure.1.what).chain(failure.1.causes).collect::<Vec<_>>().join(": ");
                Outcome { result: "failed", text, ..failure.0 }
            }
        };
        if args.output.is_none() {
            show(&outcome);
        }
        outcomes.push(outcome);
    }
    let mut problems: Vec<Problem> = outcomes.iter().filter_map(as_problem).collect();
    if !args.dry_run {
        problems.extend(read_back(&args.place, &outcomes, cx).await?);
    }
    finish(&args, outcomes, problems)
}

fn refuse_without_keys(args: &RestoreArgs, secrets: &[KeySecret]) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for secret in secrets {
        match secret.read().key {
            Ok(_) => return Ok(()),
            Err(problem) => problems.push(format!("{}: {problem}", secret.name())),
        }
    }
    let mut failure = Failure::new(format!("there is no usable key in {}; nothing was changed", args.backup.display()));
    failure.causes = problems;
    Err(failure.with_hint("another backup; `kubectl gitops keys verify-backup` says whether one is good"))
}

type Failed = Box<(Outcome, Box<Failure>)>;

async fn act(client: &Client, step: Step, dry_run: bool, cx: &Context) -> Result<Outcome, Failed> {
    let outcome = Outcome { name: step.name, fingerprint: step.fingerprint, result: "broken", at: None, text: String::new() };
    Ok(match step.action {
        Action::Broken(problem) => Outcome { text: format!("is broken and left out: {problem}"), ..outcome },
        Action::Present { at, standing: Standing::SetAside(label) } => {
            let text = format!("is there as {at}, but set aside (label {label:?}), and stays so");
            Outcome { result: "set-aside", at: Some(at), text, ..outcome }
        }
        Action::Present { at, .. } => {
            Outcome { result: "present", text: format!("is there already as {at}"), at: Some(at), ..outcome }
        }
        Action::Add { secret, renamed } => match inventory::add(client, &secret, dry_run).await {
            Ok(added) => Outcome { result: "added", ..describe(outcome, &secret, &added, renamed, dry_run) },
            Err(error) => {
                let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
                let failure = cx.explain(&error, &format!("add sealing key {} to {namespace:?}", outcome.name));
                return Err(Box::new((outcome, Box::new(failure))));
            }
        },
    })
}

fn describe(outcome: Outcome, asked: &KeySecret, added: &KeySecret, renamed: bool, dry_run: bool) -> Outcome {
    let namespace = asked.metadata.namespace.as_deref().unwrap_or_default();
    // A dry run makes up a name that nobody will see again.
    let at = (!(renamed && dry_run)).then(|| format!("{namespace}/{}", added.name()));
    let would = if dry_run { "would be added" } else { "added" };
    let place = at.clone().map_or_else(|| format!("to {namespace} under a new name"), |at| format!("as {at}"));
    let because = if renamed { ", because another Secret has its name" } else { "" };
    let aside = match Standing::of(&asked.metadata) {
        Standing::SetAside(label) => format!(", set aside as in the backup (label {label:?})"),
        _ => String::new(),
    };
    Outcome { text: format!("{would} {place}{because}{aside}"), at, ..outcome }
}

fn show(outcome: &Outcome) {
    let symbols = Symbols::get();
    let symbol = if matches!(outcome.result, "broken" | "failed") { symbols.failed } else { symbols.done };
    let fingerprint = outcome.fingerprint.as_deref().map(|text| format!(" {}", short(text))).unwrap_or_default();
    stream::out(&format!("{symbol} {}{fingerprint} {}\n", outcome.name, outcome.text));
}

fn as_problem(outcome: &Outcome) -> Option<Problem> {
    let code = match outcome.result {
        "broken" => "broken-key",
        "failed" => "not-added",
        _ => return None,
    };
    let message = format!("{} {}", outcome.name, outcome.text);
    Some(Problem { code, message, hint: None, object: Some(format!("secret/{}", outcome.name)) })
}

/// What the API server holds now is what counts.
async fn read_back(place: &PlaceArgs, outcomes: &[Outcome], cx: &Context) -> Result<Vec<Problem>, Failure> {
    let now = place.inventory(cx).await?;
    let fingerprints: Vec<String> =
        now.secrets.iter().filter_map(|secret| Some(secret.read().key.ok()?.certificate().fingerprint.clone())).collect();
    let lost = outcomes.iter().filter(|outcome| outcome.result == "added");
    let lost = lost.filter(|outcome| outcome.fingerprint.as_ref().is_some_and(|one| !fingerprints.contains(one)));
    let problem = |outcome: &Outcome| Problem {
        code: "not-read-back",
        message: format!("{} was added, but does not read back", outcome.name),
        hint: Some("does something else delete or change Secrets there?".to_owned()),
        object: outcome.at.clone(),
    };
    Ok(lost.map(problem).collect())
}

fn finish(args: &RestoreArgs, outcomes: Vec<Outcome>, problems: Vec<Problem>) -> CommandResult {
    let number = |result: &str| outcomes.iter().filter(|outcome| outcome.result == result).count();
    let added = number("added");
    let there = number("present") + number("set-aside");
    let done = match (args.dry_run, added) {
        (true, _) => "would be added",
        (false, 0) => "added",
        (false, _) => "added and read back",
    };
    let summary = format!("{} {done}, {there} there already", count(added, "key"));
    let exit = if problems.is_empty() { Exit::Done } else { Exit::CouldNotRun };
    if let Some(output) = args.output {
        let body = Restored { dry_run: args.dry_run, keys: outcomes };
        print_document(output, &Report::new("RestoreKeysReport", problems.is_empty(), body, problems))?;
        return Ok(exit);
    }
    for lost in problems.iter().filter(|problem| problem.code == "not-read-back") {
        stream::say(&problem::note(&lost.message, lost.hint.as_deref()));
    }
    let failed = number("broken") + number("failed");
    let failed = if failed == 0 { String::new() } else { format!(", {failed} not") };
    stream::out(&format!("{summary}{failed}\n"));
    if added > 0 && !args.dry_run {
        stream::say("next: kubectl gitops keys list, and back up again if there was a key before");
    }
    Ok(exit)
}
