//! `status`: the state of everything at a glance.

use std::collections::BTreeMap;

use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams};
use serde::Serialize;

use crate::api::SealedSecret;
use crate::cli::output::{Output, Problem, Report, print_document};
use crate::cli::version::CONTROLLER;
use crate::cli::{CommandResult, Context, Exit};
use crate::keys::{inventory, unbacked};
use crate::ui::table::Table;
use crate::ui::{age, paint, problem, stream};

use super::{App, select};

/// Show how many Applications are in which state, and the ones that need a look.
///
/// Reads only. With --exit-code it ends with 1 when anything needs a look.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops status -A")]
pub struct StatusArgs {
    /// Applications in all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Applications whose labels match, for example team=shop
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// End with 1 when anything needs a look
    #[arg(long)]
    exit_code: bool,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

#[derive(Debug, Serialize)]
struct Summary {
    apps: Apps,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<Sealed>,
}

#[derive(Debug, Serialize)]
struct Apps {
    total: usize,
    /// Numbers by `Sync/Health`.
    states: BTreeMap<String, usize>,
    #[serde(rename = "failedOperations")]
    failed_operations: usize,
}

#[derive(Debug, Serialize)]
struct Sealed {
    total: usize,
    unreadable: usize,
}

/// Shows the status.
///
/// # Errors
/// When the Applications cannot be listed. What else cannot be read becomes a note.
pub async fn run(args: StatusArgs, cx: &Context) -> CommandResult {
    let apps = select::list(cx, args.all_namespaces, args.selector.as_deref()).await?;
    let mut problems: Vec<Problem> = controller_problem(cx, &apps).await.into_iter().collect();
    let sealed = sealed(cx, &mut problems).await;
    problems.extend(keys_in_no_backup(cx).await);
    let unwell: Vec<&App> = apps.iter().filter(|app| !app.is_well()).collect();
    let summary = Summary { apps: count(&apps), sealed };
    let fine = unwell.is_empty() && problems.iter().all(|problem| problem.code == "cannot-tell");
    match args.output {
        Some(output) => {
            problems.extend(unwell.iter().map(|app| needs_a_look(app)));
            print_document(output, &Report::new("StatusReport", fine, summary, problems))?;
        }
        None => {
            stream::out(&describe(&summary, &unwell, args.all_namespaces));
            problems.iter().for_each(|one| stream::say(&problem::note(&one.message, one.hint.as_deref())));
        }
    }
    Ok(if args.exit_code && !fine { Exit::No } else { Exit::Done })
}

fn count(apps: &[App]) -> Apps {
    let mut states = BTreeMap::new();
    for app in apps {
        *states.entry(format!("{}/{}", app.sync(), app.health())).or_default() += 1;
    }
    Apps { total: apps.len(), states, failed_operations: apps.iter().filter(|app| app.operation_failed()).count() }
}

fn needs_a_look(app: &App) -> Problem {
    let message = format!("{} {}", app.sync(), app.health());
    let message = if app.message().is_empty() { message } else { format!("{message}: {}", app.message()) };
    let hint = Some(format!("kubectl gitops app get {}", app.full_name()));
    Problem { code: "app-unwell", message, hint, object: Some(app.full_name()) }
}

fn describe(summary: &Summary, unwell: &[&App], full_names: bool) -> String {
    let mut by_number: Vec<_> = summary.apps.states.iter().collect();
    by_number.sort_by_key(|(state, number)| (std::cmp::Reverse(**number), (*state).clone()));
    let states: String = by_number.iter().map(|(state, number)| format!("  {number} {state}")).collect();
    let mut text = format!("Apps {}{states}\n", paint::bold(summary.apps.total));
    if summary.apps.failed_operations > 0 {
        text.push_str(&format!("Failed syncs {}\n", paint::bad(summary.apps.failed_operations)));
    }
    if let Some(sealed) = summary.sealed.as_ref().filter(|sealed| sealed.total > 0) {
        text.push_str(&format!("SealedSecrets {}  {} unreadable\n", paint::bold(sealed.total), sealed.unreadable));
    }
    let mut table = Table::new(&["NAME", "SYNC", "HEALTH", "REVISION", "MESSAGE"]);
    for app in unwell {
        let name = if full_names { app.full_name() } else { app.name().to_owned() };
        table.row(vec![name, app.sync().into(), app.health().into(), app.revision(), app.message()]);
    }
    if !table.is_empty() {
        text.push('\n');
        text.push_str(&table.render(stream::width(), true));
    }
    text
}

/// Whether the controller runs. Its Deployment is the only honest sign: in steady state it writes nothing.
async fn controller_problem(cx: &Context, apps: &[App]) -> Option<Problem> {
    let namespace = &cx.flags.controller_namespace;
    let client = cx.client().await.ok()?;
    let since = apps.iter().filter_map(|app| app.status()?.reconciled_at.as_deref()).max();
    let stale = since
        .map(|time| format!("; the status may be stale since {} ago", age::since(Some(time), age::now())))
        .unwrap_or_default();
    let problem = |code, message: String| {
        let hint = Some(format!("kubectl get pods -n {namespace}"));
        Some(Problem { code, message, hint, object: Some(format!("{namespace}/{CONTROLLER}")) })
    };
    match Api::<Deployment>::namespaced(client, namespace).get_opt(CONTROLLER).await {
        Ok(Some(deployment)) if is_available(&deployment) => None,
        Ok(Some(_)) => problem("controller-not-ready", format!("the controller {namespace}/{CONTROLLER} is not ready{stale}")),
        Ok(None) => problem("controller-not-found", format!("there is no controller {namespace}/{CONTROLLER}{stale}")),
        Err(_) => problem(
            "cannot-tell",
            format!("cannot tell whether the controller runs: no right to read deployments in {namespace:?}"),
        ),
    }
}

fn is_available(deployment: &Deployment) -> bool {
    deployment.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0) > 0
}

/// Counts SealedSecrets, in all namespaces where that is allowed; they are left out where it is not or they do not exist.
async fn sealed(cx: &Context, problems: &mut Vec<Problem>) -> Option<Sealed> {
    let client = cx.client().await.ok()?;
    let all = Api::<SealedSecret>::all(client).list(&ListParams::default()).await.ok()?;
    let failed = |one: &&SealedSecret| {
        let conditions = one.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions.iter().any(|condition| condition.type_ == "Synced" && condition.status == "False")
    };
    let unreadable: Vec<&SealedSecret> = all.items.iter().filter(failed).collect();
    problems.extend(unreadable.iter().map(|one| sealed_problem(one)));
    Some(Sealed { total: all.items.len(), unreadable: unreadable.len() })
}

/// Keys that are in no backup, where the user may see what is noted on them; no key is fetched for that.
async fn keys_in_no_backup(cx: &Context) -> Vec<Problem> {
    let Ok(client) = cx.client().await else { return Vec::new() };
    let mut problems = Vec::new();
    for namespace in inventory::key_namespaces(&cx.flags.controller_namespace) {
        let Ok(notes) = inventory::list_notes(&client, &namespace).await else { continue };
        problems.extend(unbacked(notes.iter().map(|note| &note.metadata)).into_iter().map(|name| Problem {
            code: "key-not-backed-up",
            message: format!("sealing key {namespace}/{name} is in no backup: what is sealed for it is lost with the cluster"),
            hint: Some("kubectl gitops keys backup --to backup.age --recipient age1...".to_owned()),
            object: Some(format!("{namespace}/{name}")),
        }));
    }
    problems
}

fn sealed_problem(secret: &SealedSecret) -> Problem {
    let metadata = &secret.metadata;
    let name = format!("{}/{}", metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default());
    let reason = secret.status.iter().flat_map(|status| &status.conditions).find_map(|condition| condition.message.clone());
    let message = format!("SealedSecret {name} cannot be opened: {}", reason.unwrap_or_else(|| "no reason given".into()));
    Problem { code: "sealed-unreadable", message, hint: None, object: Some(name) }
}
