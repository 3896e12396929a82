//! `verify`: the gate for pull requests, and the hook before a commit.

mod certificate;
mod format;
mod input;
mod open;
mod scan;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use self::scan::{Finding, Level, Scan};
use super::output::{Output, Report, print_document};
use super::secrets::files;
use super::secrets::recovery::RecoveryArgs;
use super::{CommandResult, Context, Exit, Failure};
use crate::keys::remote::Controller;
use crate::ui::stream;
use crate::ui::symbols::Symbols;

/// Check that a repository holds no plain Secret and that its SealedSecrets are sound.
///
/// Without a key it finds Secrets in the clear (in lists, in kustomize generators, by name in Helm values), damaged items, duplicates, and
/// objects that a kustomization renames after sealing; that they open is not proven, and it says so. --key opens each one in memory;
/// --online asks the controller. What cannot be checked is never a pass. Ends with 1 if something is wrong, and with 2 if there was nothing to check.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kubectl gitops verify . --key backup.age --identity identity.txt\n\nAs a hook (.git/hooks/pre-commit):\n  kubectl gitops verify --staged"
)]
pub struct VerifyArgs {
    /// Files or folders
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Check what is staged for the next commit; nothing staged is fine
    #[arg(long, conflicts_with_all = ["diff", "history"])]
    staged: bool,
    /// Check the files that a range of commits changed, for example main...HEAD
    #[arg(long, value_name = "A...B", conflicts_with = "history")]
    diff: Option<String>,
    /// Search all commits of all branches for Secrets in the clear
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    recovery: RecoveryArgs,
    /// Certificate that everything should be sealed with. Items for a key of another size are found; more the format does not tell
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keys", "online", "history"])]
    cert: Option<PathBuf>,
    /// Ask the controller whether each SealedSecret opens
    #[arg(long, conflicts_with = "keys")]
    online: bool,
    /// A final namespace and name that objects may have been sealed for; may be given several times
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = super::seal::parse_final)]
    as_name: Vec<(String, String)>,
    /// Name of the Service of the controller
    #[arg(long, value_name = "NAME", env = "SEALED_SECRETS_CONTROLLER_NAME", hide_env_values = true, default_value = crate::keys::store::SERVICE)]
    controller_name: String,
    /// Count warnings as errors
    #[arg(long)]
    strict: bool,
    /// How to print what was found
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// A report.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// Annotations of a GitHub workflow.
    Github,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    checked: usize,
    sealed_secrets: usize,
    level: &'static str,
    findings: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    file: String,
    line: usize,
    severity: &'static str,
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

/// Verifies.
///
/// # Errors
/// When something could not be checked at all; that is never a pass.
pub async fn run(args: VerifyArgs, cx: &Context) -> CommandResult {
    let contents = input::read(&args)?;
    if args.staged && contents.is_empty() {
        stream::say("no manifest is staged, so nothing was verified");
        return Ok(Exit::Done);
    }
    let mut scan = Scan::default();
    for content in &contents {
        match files::text_of("it", &content.bytes) {
            Ok(text) => scan.add_file(&content.file, &text),
            Err(failure) => scan.not_text(&content.file, failure.what),
        }
    }
    if args.history {
        // Old versions are no present objects; only what was in the clear matters.
        scan.findings.retain(|one| one.code == "plain-secret");
    } else {
        scan.conclude();
    }
    let level = if args.history { "static" } else { prove(&args, &mut scan, cx).await? };
    if scan.checked == 0 && scan.findings.is_empty() {
        // Most commits have nothing to do with Secrets; a range without any manifest is more likely a wrong one.
        if args.staged || (args.diff.is_some() && !contents.is_empty()) {
            let whose = if args.staged { "the staged" } else { "the changed" };
            stream::say(&format!("there is no Secret and no SealedSecret in {whose} manifests, so nothing was verified"));
            return Ok(Exit::Done);
        }
        return Err(Failure::new("there is no Secret and no SealedSecret to verify").with_hint("kubectl gitops verify PATH"));
    }
    if args.strict {
        scan.findings.iter_mut().for_each(|one| one.level = Level::Error);
    }
    show(&args, scan, level)
}

/// Opens the SealedSecrets by the way that was asked for, and says which it was.
async fn prove(args: &VerifyArgs, scan: &mut Scan, cx: &Context) -> Result<&'static str, Failure> {
    if args.recovery.is_given() {
        let found = open::check(args, &scan.sealed)?;
        scan.findings.extend(found);
        return Ok("key");
    }
    if let Some(file) = &args.cert {
        let certificate = super::keys::certificate::from_file(file)?;
        let found = certificate::check(&scan.sealed, &certificate, crate::ui::age::now());
        scan.findings.extend(found);
        return Ok("cert");
    }
    if args.online {
        prove_online(args, scan, cx).await?;
        return Ok("online");
    }
    Ok("static")
}

async fn prove_online(args: &VerifyArgs, scan: &mut Scan, cx: &Context) -> Result<(), Failure> {
    let client = cx.client().await?;
    let controller = Controller::find(&client, &cx.flags.controller_namespace, &args.controller_name).await;
    let controller = controller.map_err(|error| cx.explain(&error, "find the sealing controller"))?;
    for one in &scan.sealed {
        let body =
            serde_json::to_string(&one.sealed).map_err(|error| Failure::new("cannot write the object").with_cause(&error))?;
        let opens = controller.opens(body).await.map_err(|error| cx.explain(&error, "verify a SealedSecret"))?;
        if !opens {
            scan.findings.push(open::not_opened(one, "the controller cannot open it"));
        }
    }
    Ok(())
}

fn show(args: &VerifyArgs, scan: Scan, level: &'static str) -> CommandResult {
    let errors = scan.findings.iter().filter(|one| one.level == Level::Error).count();
    let exit = if errors == 0 { Exit::Done } else { Exit::No };
    match args.format {
        Format::Text => text(&scan, errors),
        Format::Sarif => print_document(Output::Json, &format::sarif(&scan.findings))?,
        Format::Github => stream::out(&format::github(&scan.findings)),
        Format::Json => {
            let (checked, sealed_secrets) = (scan.checked, scan.sealed.len());
            let findings = scan.findings.into_iter().map(Shown::from).collect();
            let verdict = Verdict { checked, sealed_secrets, level, findings };
            print_document(Output::Json, &Report::new("VerifyReport", errors == 0, verdict, Vec::new()))?;
            return Ok(exit);
        }
    }
    let proven = match level {
        "key" => "each was tried with the backup",
        "online" => "each was shown to the controller",
        "cert" => "the key's size was compared; that they open is not provable with a certificate (--key BACKUP or --online)",
        _ => "whether they open was not proven (--key BACKUP or --online)",
    };
    let sealed = scan.sealed.len();
    stream::say(&format!("checked {} objects, {sealed} of them SealedSecrets; {proven}", scan.checked));
    Ok(exit)
}

fn text(scan: &Scan, errors: usize) {
    let symbols = Symbols::get();
    for one in &scan.findings {
        let symbol = if one.level == Level::Error { symbols.failed } else { symbols.attention };
        stream::out(&format!("{}:{} {symbol} {}: {}\n", one.file, one.line, one.code, one.message));
        one.hint.iter().for_each(|hint| stream::out(&format!("    hint: {hint}\n")));
    }
    if errors == 0 {
        stream::out(&format!("{} nothing wrong was found\n", symbols.done));
    }
}

impl From<Finding> for Shown {
    fn from(one: Finding) -> Self {
        let severity = if one.level == Level::Error { "error" } else { "warning" };
        Self { file: one.file, line: one.line, severity, code: one.code, message: one.message, hint: one.hint }
    }
}
