//! `app get`.

use std::fmt::Write;

use clap::Args;
use jiff::Timestamp;

use crate::api::AppProject;
use crate::api::application::{ApplicationSource, OperationState};
use crate::cli::output::{Output, print_document};
use crate::cli::{CommandResult, Context, Exit};
use crate::resource::GroupKind;
use crate::ui::table::Table;
use crate::ui::{age, paint, stream, text};

use super::model::{path_or_chart, revisions};
use super::{App, AppRef, refresh, select, windows};

/// Show one Application: where it comes from, where it goes, what state it is in.
///
/// Reads only, unless --refresh or --hard-refresh is given. -o json and -o yaml print the object as the API server holds it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops app get web")]
pub struct GetArgs {
    /// The Application, as NAME or NAMESPACE/NAME
    name: String,
    /// Show what the last operation did to each object
    #[arg(long)]
    show_operation: bool,
    /// Let the controller compare again first
    #[arg(long)]
    refresh: bool,
    /// Let the controller render and compare again first
    #[arg(long)]
    hard_refresh: bool,
    /// Output format: wide, json, yaml or name
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_object)]
    output: Option<Output>,
}

/// Shows one Application.
///
/// # Errors
/// When it does not exist or the API server refuses.
pub async fn run(args: GetArgs, cx: &Context) -> CommandResult {
    let reference = AppRef::parse(&args.name, cx)?;
    let mut app = select::get(cx, &reference).await?;
    if args.refresh || args.hard_refresh {
        refresh::request(cx, &reference, args.hard_refresh).await?;
        let answered = refresh::wait_until_answered(cx, [reference].into(), refresh::PATIENCE).await?;
        app = answered.into_iter().next().unwrap_or(app);
    }
    let output = args.output.unwrap_or_default();
    match output {
        Output::Json | Output::Yaml => print_document(output, &app.raw)?,
        Output::Name => stream::out(&format!("application.argoproj.io/{}\n", app.name())),
        Output::Human | Output::Wide => {
            let project = windows::project_of(cx, &app.app).await;
            stream::out(&describe(&app, project.as_ref(), args.show_operation, age::now()));
        }
    }
    Ok(Exit::Done)
}

fn describe(app: &App, project: Option<&AppProject>, show_operation: bool, now: Timestamp) -> String {
    let mut page = String::new();
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(page, "{name:<13}{value}");
        }
    };
    let destination = &app.app.spec.destination;
    fact("Name:", text::clean(&app.full_name()));
    fact("Project:", text::clean(app.app.project()));
    fact("Destination:", text::clean(&format!("{}, namespace {}", app.cluster(), or_dash(&destination.namespace))));
    for source in app.app.sources() {
        fact("Source:", text::clean(&describe_source(source)));
    }
    fact("Auto-sync:", app.auto_sync());
    if let Some((verdict, assigned)) = project.and_then(|project| windows::describe(project, &app.app, now)) {
        fact("Sync window:", text::clean(&verdict));
        fact("Windows:", text::clean(&assigned));
    }
    fact("Sync:", [paint::status(app.sync()), at(&app.revision())].concat());
    let health_message = app.status().and_then(|status| status.health.as_ref()).map(|health| text::clean(&health.message));
    fact(
        "Health:",
        [paint::status(app.health()), health_message.map(|text| format!("  {text}")).unwrap_or_default()]
            .concat()
            .trim_end()
            .into(),
    );
    if let Some(state) = app.operation_state() {
        fact("Operation:", describe_operation(state, now));
    } else if app.app.operation.is_some() {
        fact("Operation:", "requested, not started".into());
    }
    if let Some(reason) = &app.unreadable {
        fact("Problem:", text::clean(reason));
    }
    page + &conditions(app, now) + &resources(app) + &if show_operation { results(app) } else { String::new() }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn at(revision: &str) -> String {
    if revision.is_empty() { String::new() } else { text::clean(&format!(" at {revision}")) }
}

fn describe_source(source: &ApplicationSource) -> String {
    let what = if source.chart.is_empty() { "path" } else { "chart" };
    let name = path_or_chart(source);
    let inside = if name.is_empty() { String::new() } else { format!(", {what} {name}") };
    format!("{}{inside}, target {}", source.repo_url, source.target_revision_or_head())
}

fn describe_operation(state: &OperationState, now: Timestamp) -> String {
    let revision =
        state.sync_result.as_ref().map(|result| at(&revisions(&result.revision, &result.revisions))).unwrap_or_default();
    let when = match &state.finished_at {
        Some(finished) => format!("{} ago", age::since(Some(finished), now)),
        None => format!("since {}", age::since(Some(&state.started_at), now)),
    };
    let by = state.operation.initiated_by.as_ref().map(|who| if who.automated { "auto-sync" } else { who.username.as_str() });
    let by = by.filter(|who| !who.is_empty()).map(|who| format!(", by {who}")).unwrap_or_default();
    let message = if state.message.is_empty() { String::new() } else { format!(": {}", state.message) };
    [paint::status(&state.phase), text::clean(&format!("{revision}, {when}{by}{message}"))].concat()
}

fn conditions(app: &App, now: Timestamp) -> String {
    let mut table = Table::new(&["CONDITION", "SINCE", "MESSAGE"]);
    for condition in app.status().map(|status| status.conditions.as_slice()).unwrap_or_default() {
        let since = age::since(condition.last_transition_time.as_deref(), now);
        table.row(vec![condition.type_.clone(), since, condition.message.clone()]);
    }
    section(&table)
}

fn resources(app: &App) -> String {
    let mut table = Table::new(&["KIND", "NAMESPACE", "NAME", "SYNC", "HEALTH", "WAVE", "MESSAGE"]);
    for one in app.status().map(|status| status.resources.as_slice()).unwrap_or_default() {
        let health = one.health.clone().unwrap_or_default();
        let message = if one.requires_pruning { "left the source; needs --prune".to_owned() } else { health.message };
        let sync = if one.hook { "hook".to_owned() } else { one.status.clone() };
        let kind = GroupKind::new(one.group.clone(), one.kind.clone()).to_string();
        table.row(vec![kind, one.namespace.clone(), one.name.clone(), sync, health.status, one.sync_wave.to_string(), message]);
    }
    section(&table)
}

fn results(app: &App) -> String {
    let mut table = Table::new(&["PHASE", "KIND", "NAMESPACE", "NAME", "RESULT", "MESSAGE"]);
    let result = app.operation_state().and_then(|state| state.sync_result.as_ref());
    for one in result.map(|result| result.resources.as_slice()).unwrap_or_default() {
        let kind = GroupKind::new(one.group.clone(), one.kind.clone()).to_string();
        let status = if one.status.is_empty() { one.hook_phase.clone() } else { one.status.clone() };
        table.row(vec![one.sync_phase.clone(), kind, one.namespace.clone(), one.name.clone(), status, one.message.clone()]);
    }
    section(&table)
}

fn section(table: &Table) -> String {
    if table.is_empty() { String::new() } else { format!("\n{}", table.render(stream::width(), true)) }
}
