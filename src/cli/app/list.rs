//! `app list`.

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;

use crate::cli::output::{Output, list_of, print_document, print_in_stream};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::ui::table::Table;
use crate::ui::{age, stream};

use super::follow::{Change, Follower};
use super::model::path_or_chart;
use super::{App, AppRef, Selection, each_page};

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
    /// Go on and print what changes
    #[arg(short, long)]
    watch: bool,
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
    if args.comes_by_pages() {
        return print_pages(&args, cx).await;
    }
    let mut apps = args.selection.read(cx).await?;
    apps.retain(|app| args.wants(app));
    if args.watch && args.output.is_some_and(Output::is_machine) {
        apps.iter().try_for_each(|app| args.print_one(app))?;
    } else {
        args.print(&apps, cx)?;
    }
    if args.watch {
        return watch(&args, &apps, cx).await;
    }
    Ok(Exit::Done)
}

/// Prints each page as it comes: of a thousand Applications the first are read before the last are there.
async fn print_pages(args: &ListArgs, cx: &Context) -> CommandResult {
    let (all, wide) = (args.selection.all_namespaces, args.output == Some(Output::Wide));
    let mut first: Option<Table> = None;
    each_page(cx, all, args.selection.selector.as_deref(), |mut apps| {
        apps.retain(|app| args.wants(app));
        match &first {
            _ if args.output == Some(Output::Name) => {
                apps.iter().for_each(|app| stream::out(&format!("application.argoproj.io/{}\n", app.name())));
            }
            None if apps.is_empty() => {}
            None => {
                let table = table(&apps, wide, all, age::now());
                stream::out(&table.render(stream::width(), !args.no_headers));
                first = Some(table);
            }
            Some(table) => {
                let row = |app: &App| table.later_row(&cells(app, wide, all, age::now()), stream::width());
                stream::out(&apps.iter().map(row).collect::<String>());
            }
        }
    })
    .await?;
    if first.is_none() && args.output != Some(Output::Name) {
        stream::say(&args.nothing_found(cx));
    }
    Ok(Exit::Done)
}

/// Prints every change, until Ctrl-C or a closed pipe.
async fn watch(args: &ListArgs, apps: &[App], cx: &Context) -> CommandResult {
    let namespace = cx.application_namespace();
    let selection = &args.selection;
    let mut follower = if selection.names.is_empty() {
        let namespace = (!selection.all_namespaces).then_some(namespace.as_str());
        Follower::everything(cx, namespace, selection.selector.as_deref()).await?
    } else {
        Follower::these(cx, apps.iter().map(App::reference)).await?
    };
    let wide = args.output == Some(Output::Wide);
    let table = table(apps, wide, selection.all_namespaces, age::now());
    // The first events repeat the list.
    let mut shown: BTreeMap<AppRef, Option<String>> =
        apps.iter().map(|app| (app.reference(), app.app.metadata.resource_version.clone())).collect();
    loop {
        let app = match follower.next(cx).await? {
            Change::Now(app) if args.wants(&app) => app,
            Change::Now(_) => continue,
            Change::Gone(app) => {
                shown.remove(&app);
                stream::say(&format!("{app} was deleted"));
                continue;
            }
        };
        let version = app.app.metadata.resource_version.clone();
        if shown.insert(app.reference(), version.clone()) == Some(version) {
            continue;
        }
        if args.output.is_some_and(Output::is_machine) {
            args.print_one(&app)?;
        } else {
            stream::out(&table.later_row(&cells(&app, wide, selection.all_namespaces, age::now()), stream::width()));
        }
    }
}

impl ListArgs {
    /// A document must be whole, and what is watched is remembered.
    fn comes_by_pages(&self) -> bool {
        let is_document = matches!(self.output, Some(Output::Json | Output::Yaml));
        self.selection.names.is_empty() && !self.watch && !is_document
    }

    fn wants(&self, app: &App) -> bool {
        let repo = |wanted: &String| app.app.sources().iter().any(|source| same_repo(&source.repo_url, wanted));
        let destination = &app.app.spec.destination;
        self.repo.as_ref().is_none_or(repo)
            && self.destination.as_ref().is_none_or(|wanted| *wanted == destination.name || *wanted == destination.server)
            && self.selection.project.as_deref().is_none_or(|project| app.app.project() == project)
            && (!self.out_of_sync || app.sync() != "Synced")
    }

    /// One Application in a stream of them.
    fn print_one(&self, app: &App) -> Result<(), Failure> {
        match self.output.unwrap_or_default() {
            Output::Name => stream::out(&format!("application.argoproj.io/{}\n", app.name())),
            output => print_in_stream(output, &app.raw)?,
        }
        Ok(())
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
    apps.iter().for_each(|app| table.row(cells(app, wide, full_names, now)));
    table
}

fn cells(app: &App, wide: bool, full_names: bool, now: Timestamp) -> Vec<String> {
    let name = if full_names { app.full_name() } else { app.name().to_owned() };
    let mut cells = vec![name, app.app.project().into(), app.sync().into(), app.health().into(), app.revision(), app.age(now)];
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
    cells
}
