//! `history`: the successful syncs that the Application remembers.

use clap::Args;
use serde::Serialize;

use crate::api::application::RevisionHistory;
use crate::cli::output::{Output, Report, print_document};
use crate::cli::{CommandResult, Context, Exit};
use crate::ui::table::Table;
use crate::ui::{age, stream};

use super::model::{path_or_chart, revisions};
use super::{AppRef, select};

/// Show the successful syncs of an Application, the newest last.
///
/// Reads only. How many are kept is spec.revisionHistoryLimit.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops history web")]
pub struct HistoryArgs {
    /// The Application, as NAME or NAMESPACE/NAME
    name: String,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Serialize)]
struct History {
    app: String,
    items: Vec<RevisionHistory>,
}

/// Shows the history.
///
/// # Errors
/// When the Application does not exist or the API server refuses.
pub async fn run(args: HistoryArgs, cx: &Context) -> CommandResult {
    let app = select::get(cx, &AppRef::parse(&args.name, cx)?).await?;
    let items = app.status().map(|status| status.history.clone()).unwrap_or_default();
    if let Some(output) = args.output {
        print_document(output, &Report::new("HistoryReport", true, History { app: app.full_name(), items }, Vec::new()))?;
    } else if items.is_empty() {
        stream::say(&format!("{} has not been synced yet.", app.name()));
    } else {
        stream::out(&table(&items).render(stream::width(), true));
    }
    Ok(Exit::Done)
}

fn table(items: &[RevisionHistory]) -> Table {
    let mut table = Table::new(&["ID", "DATE", "REVISION", "BY", "DURATION", "SOURCE"]);
    for item in items {
        let by = item.initiated_by.as_ref().map(|who| if who.automated { "auto-sync".to_owned() } else { who.username.clone() });
        let seconds = item.deploy_started_at.as_deref().and_then(|start| age::seconds_between(start, &item.deployed_at));
        table.row(vec![
            item.id.to_string(),
            item.deployed_at.clone(),
            revisions(&item.revision, &item.revisions),
            by.unwrap_or_default(),
            seconds.map(age::human).unwrap_or_default(),
            sources(item),
        ]);
    }
    table
}

fn sources(item: &RevisionHistory) -> String {
    let all = item.sources.iter().chain(item.source.as_ref().filter(|_| item.sources.is_empty()));
    all.map(|source| format!("{} {}", source.repo_url, path_or_chart(source)).trim_end().to_owned())
        .collect::<Vec<_>>()
        .join(", ")
}
