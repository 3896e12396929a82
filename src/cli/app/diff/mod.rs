//! `diff`: what a sync would change, object by object and field by field.

mod compare;
mod predict;

use clap::{ArgAction, Args};
use serde::Serialize;

use crate::cli::output::{Output, Report, print_document};
use crate::cli::{CommandResult, Context, Exit};
use crate::ui::diff_view::{self, AppDiff, AppReport};
use crate::ui::stream;

pub(in crate::cli) use self::compare::{Compared, Comparer};
use super::Selection;

/// Show what a sync would change, field by field.
///
/// Renders the sources on this machine and asks the API server, by dry-run, what applying them would change. Writes nothing.
/// Values of Secrets are never shown, only which keys change. Ends with 1 when something differs.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops diff web")]
pub struct DiffArgs {
    #[command(flatten)]
    selection: Selection,
    /// Commit, tag, branch or version to compare with, instead of the target revision
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
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
    let apps = args.selection.read_some(cx).await?;
    let comparer = Comparer::new(cx).await?;
    let mut diffs = Vec::new();
    for app in &apps {
        diffs.push(comparer.compare(app, args.revision.as_deref()).await?);
    }
    let differs = diffs.iter().any(|diff| !diff.objects.is_empty());
    match args.output {
        Some(output) => {
            let apps = diffs.iter().map(diff_view::report).collect();
            print_document(output, &Report::new("DiffReport", !differs, Body { apps }, Vec::new()))?;
        }
        None => diffs.into_iter().for_each(|diff| args.print(diff)),
    }
    Ok(if differs && args.exit_code { Exit::No } else { Exit::Done })
}

impl DiffArgs {
    /// That nothing differs is talk: stdout stays empty, as with `diff`.
    fn print(&self, diff: AppDiff) {
        if diff.objects.is_empty() {
            stream::say(diff_view::human(&diff).trim_end());
        } else {
            stream::out(&self.show(diff));
        }
    }

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
