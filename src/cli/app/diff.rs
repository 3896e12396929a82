//! `diff`: what a sync would change, object by object and field by field.

use clap::{ArgAction, Args};
use serde::Serialize;

use crate::cli::output::{Output, Report, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::ui::diff_view::{self, AppDiff, AppReport};
use crate::ui::stream;

use super::{App, Selection};

/// Show what a sync would change, field by field.
///
/// Reads only. Values of Secrets are never shown, only which keys change. Ends with 1 when something differs.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops diff web")]
pub struct DiffArgs {
    #[command(flatten)]
    selection: Selection,
    /// Commit, tag, branch or version to compare with, instead of the target revision
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
    /// Show a unified diff of the YAML, with this many lines around each change
    #[arg(short = 'U', long, value_name = "LINES", num_args = 0..=1, require_equals = true, default_missing_value = "3")]
    unified: Option<usize>,
    /// Show only which objects differ
    #[arg(long)]
    summary: bool,
    /// Whether a difference ends the command with 1
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "true", hide_possible_values = true)]
    exit_code: bool,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Serialize)]
struct Body {
    apps: Vec<AppReport>,
}

/// Shows the differences of the chosen Applications.
///
/// # Errors
/// When a source cannot be rendered or the cluster cannot be asked.
pub async fn run(args: DiffArgs, cx: &Context) -> CommandResult {
    let mut diffs = Vec::new();
    for app in args.selection.read_some(cx).await? {
        diffs.push(compare(&app, &args, cx).await?);
    }
    let differs = diffs.iter().any(|diff| !diff.objects.is_empty());
    match args.output {
        Some(output) => {
            let apps = diffs.iter().map(diff_view::report).collect();
            print_document(output, &Report::new("DiffReport", !differs, Body { apps }, Vec::new()))?;
        }
        None => diffs.into_iter().for_each(|diff| stream::out(&args.show(diff))),
    }
    Ok(if differs && args.exit_code { Exit::No } else { Exit::Done })
}

impl DiffArgs {
    fn show(&self, mut diff: AppDiff) -> String {
        if let Some(lines) = self.unified {
            return diff_view::unified(&diff, lines);
        }
        if self.summary {
            diff.objects.iter_mut().for_each(|object| object.fields.clear());
        }
        diff_view::human(&diff)
    }
}

/// Renders the source as the controller would, and compares it with the live objects.
#[expect(clippy::unused_async, reason = "rendering and reading live objects are connected here")]
async fn compare(app: &App, _args: &DiffArgs, _cx: &Context) -> Result<AppDiff, Failure> {
    let name = app.name();
    Err(Failure::new(format!("cannot compare {name}: `diff` does not render sources yet"))
        .with_hint(format!("which objects are OutOfSync shows: kubectl gitops app get {name}")))
}
