//! `app list`.

use clap::Args;
use jiff::Timestamp;

use crate::cli::output::{Output, list_of, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::ui::table::Table;
use crate::ui::{age, stream};

use super::model::path_or_chart;
use super::{App, Selection};

/// List Applications, worst first.
///
/// Reads only. Without -A the namespace is -n, then GITOPS_NAMESPACE, then the control namespace.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops app list -A --out-of-sync")]
pub struct ListArgs {
    #[command(flatten)]
    selection: Selection,
    /// Only Applications with a source in this repository
    #[arg(short, long, value_name = "URL")]
    repo: Option<String>,
    /// Only Applications that go to this cluster, by name or address
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    destination: Option<String>,
    /// Only Applications that are not Synced
    #[arg(long)]
    out_of_sync: bool,
    /// Print the table without headings
    #[arg(long)]
    no_headers: bool,
    /// Output format: wide, json, yaml or name
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_object)]
    output: Option<Output>,
}

/// Lists Applications.
///
/// # Errors
/// When the API server refuses.
pub async fn run(args: ListArgs, cx: &Context) -> CommandResult {
    let mut apps = args.selection.read(cx).await?;
    apps.retain(|app| args.wants(app));
    args.print(&apps, cx)?;
    Ok(Exit::Done)
}

impl ListArgs {
    fn wants(&self, app: &App) -> bool {
        let repo = |wanted: &String| app.app.sources().iter().any(|source| same_repo(&source.repo_url, wanted));
        let destination = &app.app.spec.destination;
        self.repo.as_ref().is_none_or(repo)
            && self.destination.as_ref().is_none_or(|wanted| *wanted == destination.name || *wanted == destination.server)
            && (!self.out_of_sync || app.sync() != "Synced")
    }

    fn print(&self, apps: &[App], cx: &Context) -> Result<(), Failure> {
        let output = self.output.unwrap_or_default();
        match output {
            Output::Json | Output::Yaml => print_document(output, &list_of(apps.iter().map(|app| app.raw.clone()).collect())),
            Output::Name => {
                apps.iter().for_each(|app| stream::out(&format!("application.argoproj.io/{}\n", app.name())));
                Ok(())
            }
            Output::Human | Output::Wide if apps.is_empty() => {
                stream::say(&self.nothing_found(cx));
                Ok(())
            }
            Output::Human | Output::Wide => {
                let table = table(apps, output == Output::Wide, self.selection.all_namespaces, age::now());
                stream::out(&table.render(stream::width(), !self.no_headers));
                Ok(())
            }
        }
    }

    fn nothing_found(&self, cx: &Context) -> String {
        if self.selection.all_namespaces {
            "No applications found in any namespace.".into()
        } else {
            format!("No applications found in {} namespace.", cx.application_namespace())
        }
    }
}

fn same_repo(one: &str, other: &str) -> bool {
    let bare = |url: &str| url.trim_end_matches('/').trim_end_matches(".git").to_ascii_lowercase();
    bare(one) == bare(other)
}

/// The table of Applications. Over all namespaces the names carry theirs, so that they can be pasted into other commands.
fn table(apps: &[App], wide: bool, full_names: bool, now: Timestamp) -> Table {
    let mut headings = vec!["NAME", "PROJECT", "SYNC", "HEALTH", "REVISION", "AGE"];
    if wide {
        headings.extend(["CLUSTER", "NAMESPACE", "REPO", "PATH", "TARGET", "AUTO"]);
    }
    headings.push("MESSAGE");
    let mut table = Table::new(&headings);
    for app in apps {
        let name = if full_names { app.full_name() } else { app.name().to_owned() };
        let mut cells =
            vec![name, app.app.project().into(), app.sync().into(), app.health().into(), app.revision(), app.age(now)];
        if wide {
            cells.extend([
                app.cluster().to_owned(),
                app.app.spec.destination.namespace.clone(),
                app.sources(|source| source.repo_url.clone()),
                app.sources(path_or_chart),
                app.sources(|source| source.target_revision_or_head().to_owned()),
                app.auto_sync(),
            ]);
        }
        cells.push(app.message());
        table.row(cells);
    }
    table
}
