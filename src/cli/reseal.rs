//! `reseal`: the SealedSecrets of a repository under the newest key, with as few changed bytes as possible.

mod offline;
mod online;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use self::offline::Offline;
use super::output::{Output, Problem, Report, print_document};
use super::secrets::files::{self, Mode};
use super::secrets::git;
use super::secrets::recovery::RecoveryArgs;
use super::secrets::sealed::{self, Found};
use super::{CommandResult, Context, Exit, Failure};
use crate::ui::stream;
use crate::ui::symbols::Symbols;

/// Seal again for the newest key, in place.
///
/// With a backup (--key) it works offline and changes only items that are not under the target key yet. Without one the controller
/// does it, and no plaintext leaves the cluster. Comments, order and everything else in the files stay. A file is changed as
/// a whole or not at all. Resealing does not undo a leak: whoever has an old key can still read the history of the repository.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops reseal secrets/ --key backup.age --identity identity.txt --dry-run")]
pub struct ResealArgs {
    /// Files or folders with SealedSecrets
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    recovery: RecoveryArgs,
    /// Certificate to seal for, with --key; without it that of the newest key in the backup
    #[arg(long, value_name = "FILE", requires = "keys")]
    cert: Option<PathBuf>,
    /// Leave objects alone whose keys are all newer than this key (its fingerprint) or date (YYYY-MM-DD); needs --key
    #[arg(long, value_name = "KEY|DATE", requires = "keys")]
    only_older_than: Option<String>,
    /// A final namespace and name that objects may have been sealed for; may be given several times
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = super::seal::parse_final)]
    as_name: Vec<(String, String)>,
    /// Change nothing, and end with 1 if something would change
    #[arg(long)]
    check: bool,
    /// Change nothing, and show what would change
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    /// Commit the changed files
    #[arg(long, conflicts_with_all = ["check", "dry_run"])]
    commit: bool,
    /// Change files that hold uncommitted work as well
    #[arg(long)]
    allow_dirty: bool,
    /// Name of the Service of the controller
    #[arg(long, value_name = "NAME", env = "SEALED_SECRETS_CONTROLLER_NAME", hide_env_values = true, default_value = crate::keys::store::SERVICE)]
    controller_name: String,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

/// What became of one file.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileOutcome {
    file: String,
    /// Objects with new ciphertext.
    resealed: Vec<String>,
    /// Objects that are as they should be.
    kept: usize,
    #[serde(skip)]
    text: Option<String>,
    #[serde(skip)]
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct Summary {
    resealed: usize,
    kept: usize,
    failed: usize,
    files: Vec<FileOutcome>,
}

/// Reseals.
///
/// # Errors
/// When nothing could be begun. What fails for single files is reported, and ends with 2.
pub async fn run(args: ResealArgs, cx: &Context) -> CommandResult {
    let files = files::manifests(&args.paths)?;
    let outcomes = if args.recovery.is_given() {
        let engine = Offline::prepare(&args)?;
        let task = tokio::task::spawn_blocking(move || offline::all(&files, &engine));
        task.await.map_err(|error| Failure::new("interrupted").with_cause(&error))?
    } else {
        online::all(&files, &args, cx).await?
    };
    let summary = Summary {
        resealed: outcomes.iter().map(|file| file.resealed.len()).sum(),
        kept: outcomes.iter().map(|file| file.kept).sum(),
        failed: outcomes.iter().map(|file| file.problems.len()).sum(),
        files: outcomes,
    };
    if summary.resealed + summary.kept + summary.failed == 0 {
        return Err(Failure::new("there is no SealedSecret in the given paths"));
    }
    if !args.check && !args.dry_run {
        write(&summary, &args)?;
    }
    finish(summary, &args)
}

fn write(summary: &Summary, args: &ResealArgs) -> Result<(), Failure> {
    let changed: Vec<(PathBuf, &str)> =
        summary.files.iter().filter_map(|file| Some((PathBuf::from(&file.file), file.text.as_deref()?))).collect();
    let paths: Vec<PathBuf> = changed.iter().map(|(path, _)| path.clone()).collect();
    if !args.allow_dirty {
        git::refuse_dirty(&paths)?;
    }
    for (path, text) in &changed {
        files::replace(path, text.as_bytes(), Mode::Public)?;
    }
    let Some(first) = paths.first().filter(|_| args.commit) else { return Ok(()) };
    let folder =
        git::top(first.parent().unwrap_or(Path::new("."))).ok_or_else(|| Failure::new("--commit needs a Git repository"))?;
    let absolute = paths.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()).into_os_string());
    let message = format!("Reseal {} SealedSecrets for the newest key", summary.resealed);
    let before = ["commit", "--quiet", "-m", &message, "--"].map(std::ffi::OsString::from);
    git::run(&folder, before.into_iter().chain(absolute)).map(drop)
}

fn finish(summary: Summary, args: &ResealArgs) -> CommandResult {
    let exit = match (summary.failed, summary.resealed) {
        (0, resealed) if resealed > 0 && args.check => Exit::No,
        (0, _) => Exit::Done,
        _ => Exit::CouldNotRun,
    };
    if let Some(output) = args.output {
        let mut summary = summary;
        let problems = summary.files.iter_mut().flat_map(|file| std::mem::take(&mut file.problems)).collect();
        print_document(output, &Report::new("ResealReport", exit == Exit::Done, summary, problems))?;
        return Ok(exit);
    }
    let symbols = Symbols::get();
    for file in &summary.files {
        if !file.resealed.is_empty() && file.problems.is_empty() {
            stream::out(&format!("{} {}  {}\n", symbols.done, file.file, file.resealed.join(", ")));
        }
        for problem in &file.problems {
            stream::say(&format!("{} {}", symbols.failed, problem.message));
            problem.hint.iter().for_each(|hint| stream::say(&format!("  hint: {hint}")));
        }
    }
    let verb = if args.check || args.dry_run { "would reseal" } else { "resealed" };
    let failed = if summary.failed > 0 { format!(", failed {}", summary.failed) } else { String::new() };
    stream::out(&format!("{verb} {}, already newest {}{failed}\n", summary.resealed, summary.kept));
    Ok(exit)
}

/// The SealedSecrets of one file with the JSON that they stand for.
struct Content {
    file: String,
    text: String,
    documents: Vec<crate::resource::yaml::Document>,
    found: Vec<Found>,
}

impl Content {
    /// Reads a file. One that cannot be read matters only if it may hold SealedSecrets; `None` is a file without any.
    fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let file = files::describe(path);
        let bytes = files::read_bytes(path)?;
        if !String::from_utf8_lossy(&bytes).replace('\0', "").contains("SealedSecret") {
            return Ok(None);
        }
        let text = files::text_of(&file, &bytes)?.to_string();
        let documents = sealed::documents(&file, &text)?;
        let found = sealed::find(&file, &documents)?;
        Ok(Some(Self { file, text, documents, found }).filter(|content| !content.found.is_empty()))
    }

    fn json(&self, found: &Found) -> Value {
        self.documents[found.document].value.pointer(&found.pointer).cloned().unwrap_or_default()
    }

    /// Puts the new objects into the text: all of them, or nothing if one failed.
    fn conclude(self, results: Vec<Result<Option<Value>, Failure>>) -> FileOutcome {
        let mut outcome = FileOutcome { file: self.file.clone(), ..FileOutcome::default() };
        let mut changes = Vec::new();
        for (found, result) in self.found.iter().zip(results) {
            match result {
                Ok(Some(value)) => changes.push((found, value)),
                Ok(None) => outcome.kept += 1,
                Err(failure) => {
                    outcome.problems.push(problem(&format!("{}:{} {}: ", self.file, found.line, found.name()), failure))
                }
            }
        }
        if !outcome.problems.is_empty() || changes.is_empty() {
            return outcome;
        }
        match sealed::change(&self.file, &self.text, &self.documents, &changes) {
            Ok(text) => {
                outcome.resealed = changes.iter().map(|(found, _)| found.name()).collect();
                outcome.text = Some(text);
            }
            Err(failure) => outcome.problems.push(problem("", failure)),
        }
        outcome
    }
}

fn problem(place: &str, failure: Failure) -> Problem {
    let causes = failure.causes.iter().map(|cause| format!(": {cause}")).collect::<String>();
    let message = format!("{place}{}{causes}", failure.what.replace('\n', "; "));
    Problem { code: "not-resealed", message, hint: failure.hint, object: None }
}

fn unreadable(path: &Path, failure: Failure) -> FileOutcome {
    FileOutcome { file: files::describe(path), problems: vec![problem("", failure)], ..FileOutcome::default() }
}
