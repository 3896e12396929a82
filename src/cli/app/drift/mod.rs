//! `drift`: which fields of the live objects are not as the synced revision says, and who wrote them.

mod audit;
mod find;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use serde::Serialize;

use crate::cli::output::{Output, Report, print_document};
use crate::cli::{CommandResult, Context, Exit, duration};
use crate::ui::{age, stream};

pub(super) use self::find::{Drifted, drift};

use super::diff::Comparer;
use super::{App, Selection};

/// Show who changed what in the cluster: every field that is not as Git says, with its writer.
///
/// Compares with the revision that was synced last, so that new commits are no drift. Writes nothing. The cluster records programs, not
/// people: with --audit-log the user is looked up. Values of Secrets are never shown. Ends with 1 when something has drifted.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops drift web --since 24h")]
pub struct DriftArgs {
    #[command(flatten)]
    selection: Selection,
    /// Only what was written since, for example 24h; what has no time is shown too
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    since: Option<Duration>,
    /// Only what this program wrote, for example kubectl-edit
    #[arg(long, value_name = "MANAGER")]
    by: Option<String>,
    /// Revision to compare with, instead of the one that was synced last
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Audit log of the API server as JSON lines, to name the user of each change
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,
    /// Whether drift ends the command with 1
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "true", hide_possible_values = true)]
    exit_code: bool,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Serialize)]
struct Body {
    items: Vec<Drifted>,
}

/// Shows the drift of the chosen Applications.
///
/// # Errors
/// When a source cannot be rendered or the cluster cannot be asked.
pub async fn run(args: DriftArgs, cx: &Context) -> CommandResult {
    let apps = args.selection.read_some(cx).await?;
    let users = args.audit_log.as_deref().map(audit::read).transpose()?.unwrap_or_default();
    let comparer = Comparer::new(cx).await?;
    let now = age::now();
    let mut items = Vec::new();
    for app in &apps {
        let revision = args.revision.clone().or_else(|| synced_revision(app));
        let compared = comparer.compare_whole(app, revision.as_deref()).await?;
        let mut found = find::drift(&app.full_name(), &compared);
        found.iter_mut().for_each(|one| one.user = users.who(one));
        found.retain(|one| args.wants(one, now));
        if args.output.is_none() {
            stream::out(&report::show(&app.full_name(), &compared.diff.revision, &found, now));
        }
        items.extend(found);
    }
    let drifted = items.iter().any(|one| !one.expected);
    match args.output {
        Some(output) => print_document(output, &Report::new("DriftReport", !drifted, Body { items }, Vec::new()))?,
        None if drifted => stream::say("next: kubectl gitops sync NAME undoes it, kubectl gitops adopt NAME brings it to Git"),
        None => {}
    }
    Ok(if drifted && args.exit_code { Exit::No } else { Exit::Done })
}

impl DriftArgs {
    fn wants(&self, one: &Drifted, now: jiff::Timestamp) -> bool {
        let recent = |limit: Duration| {
            let written = one.time.parse::<jiff::Timestamp>().ok();
            written.is_none_or(|written| now.duration_since(written).unsigned_abs() <= limit)
        };
        self.since.is_none_or(recent) && self.by.as_ref().is_none_or(|by| one.manager == *by)
    }
}

/// The revision of the last successful sync. Applications with several sources are compared with what each asks for.
pub(super) fn synced_revision(app: &App) -> Option<String> {
    let last = app.status()?.history.last()?;
    (!app.app.is_multi_source() && !last.revision.is_empty()).then(|| last.revision.clone())
}
