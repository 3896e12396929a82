//! `diff`: what a sync would change, object by object and field by field.

mod compare;
mod predict;
mod revisions;
mod worktree;

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};
use serde::Serialize;

use crate::cli::output::{Output, Report, print_document};
use crate::cli::secrets::git;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::ui::diff_markdown::markdown;
use crate::ui::diff_view::{self, AppDiff, AppReport};
use crate::ui::stream;

pub(in crate::cli) use self::compare::{Compared, Comparer};
pub(in crate::cli::app) use self::worktree::redirect;
use super::Selection;

/// Show what a sync would change, field by field.
///
/// Renders the sources on this machine and asks the API server, by dry-run, what applying them would change. Writes nothing. Without a
/// name, in a Git work tree, it compares the files as they are with the cluster, for the Applications that use them. With --revisions
/// it compares two revisions with each other and needs no cluster. Values of Secrets are never shown, only which keys change. Ends with
/// 1 when something differs.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops diff web\n  kubectl gitops diff --revisions main..HEAD --offline -o markdown")]
pub struct DiffArgs {
    #[command(flatten)]
    selection: Selection,
    /// Commit, tag, branch or version to compare with, instead of the target revision
    #[arg(long, value_name = "REVISION", conflicts_with_all = ["local", "revisions"])]
    revision: Option<String>,
    /// Compare the files of this folder of a work tree, instead of the source
    #[arg(long, value_name = "DIR", conflicts_with = "revisions")]
    local: Option<PathBuf>,
    /// Compare two revisions of this repository: A..B, A...B since they parted, or A with the files. Names are folders then
    #[arg(long, value_name = "A..B")]
    revisions: Option<String>,
    /// Ask no cluster; only with --revisions, which never does
    #[arg(long, requires = "revisions")]
    offline: bool,
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
    /// Output format: json, yaml or markdown
    #[arg(short, long, value_name = "FORMAT", value_parser = Format::parse)]
    output: Option<Format>,
}

/// How differences are printed for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Document(Output),
    /// For a comment on a pull request.
    Markdown,
}

impl Format {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "markdown" => Ok(Self::Markdown),
            other => Output::parse_report(other).map(Self::Document).map_err(|offered| format!("{offered}, markdown")),
        }
    }
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
    let diffs = match &args.revisions {
        Some(range) => revisions::compare(range, &args.selection.names).await?,
        None => args.with_cluster(cx).await?,
    };
    let differs = diffs.iter().any(|diff| !diff.objects.is_empty());
    match args.output {
        Some(Format::Document(output)) => {
            let apps = diffs.iter().map(diff_view::report).collect();
            print_document(output, &Report::new("DiffReport", !differs, Body { apps }, Vec::new()))?;
        }
        Some(Format::Markdown) => stream::out(&markdown(&diffs)),
        None => diffs.into_iter().for_each(|diff| args.print(diff)),
    }
    Ok(if differs && args.exit_code { Exit::No } else { Exit::Done })
}

impl DiffArgs {
    async fn with_cluster(&self, cx: &Context) -> Result<Vec<AppDiff>, Failure> {
        // What is borrowed must live until everything is compared.
        let (apps, _borrowed) = match &self.local {
            Some(folder) => {
                let (apps, borrowed) = worktree::local(self.selection.read_some(cx).await?, folder)?;
                (apps, Some(borrowed))
            }
            None if self.selection.is_empty() && git::top(Path::new(".")).is_some() => {
                let (apps, borrowed) = worktree::apps_here(Path::new("."), cx).await?;
                (apps, Some(borrowed))
            }
            None => (self.selection.read_some(cx).await?, None),
        };
        let comparer = Comparer::new(cx).await?;
        let mut diffs = Vec::new();
        for app in &apps {
            diffs.push(comparer.compare(app, self.revision.as_deref()).await?);
        }
        Ok(diffs)
    }

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
