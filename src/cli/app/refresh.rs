//! `refresh`: asks the controller to compare again, and waits until it did.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::Instant;

use crate::cli::{CommandResult, Context, Exit, Failure, duration};
use crate::resource::annotations;
use crate::ui::{paint, stream, symbols::Symbols};

use super::follow::{Change, Follower, next_before};
use super::{App, AppRef, Selection, select};

/// How long an idle controller may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Compare Applications with their sources again, now.
///
/// Sets the refresh annotation and waits until the controller has taken it away. Deploys nothing by itself.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops refresh web")]
pub struct RefreshArgs {
    #[command(flatten)]
    selection: Selection,
    /// Render again too, instead of using what is cached
    #[arg(long)]
    hard: bool,
    /// Do not wait for the controller
    #[arg(long)]
    r#async: bool,
    /// How long to wait; a negative one means a week
    #[arg(long, value_name = "DURATION", default_value = "30s", allow_negative_numbers = true, value_parser = duration::parse_limit)]
    timeout: Duration,
}

/// Refreshes the chosen Applications.
///
/// # Errors
/// When the API server refuses, or the controller is silent.
pub async fn run(args: RefreshArgs, cx: &Context) -> CommandResult {
    let apps: BTreeSet<AppRef> = args.selection.read_some(cx).await?.iter().map(App::reference).collect();
    for app in &apps {
        request(cx, app, args.hard).await?;
    }
    if args.r#async {
        stream::say(&format!("refresh requested for {}", names(&apps)));
        return Ok(Exit::Done);
    }
    for app in wait_until_answered(cx, apps, args.timeout).await? {
        let revision = app.revision();
        let at = if revision.is_empty() { String::new() } else { format!(" at {revision}") };
        let facts = format!("{} refreshed: {}{at}, {}", app.name(), app.sync(), app.health());
        stream::out(&format!("{} {facts}\n", paint::good(Symbols::get().done)));
    }
    Ok(Exit::Done)
}

fn names(apps: &BTreeSet<AppRef>) -> String {
    apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Asks the controller to compare one Application again.
///
/// # Errors
/// When the API server refuses.
pub async fn request(cx: &Context, app: &AppRef, hard: bool) -> Result<(), Failure> {
    let kind = if hard { "hard" } else { "normal" };
    let patch = json!({ "metadata": { "annotations": { (annotations::REFRESH): kind } } });
    let api = select::api(cx.client().await?, &app.namespace);
    let patched = api.patch_metadata(&app.name, &PatchParams::default(), &Patch::Merge(patch)).await;
    patched
        .map(|_| ())
        .map_err(|error| cx.explain(&error, &format!("annotate application {:?} in {:?}", app.name, app.namespace)))
}

/// Waits until the controller has answered all refreshes; gives back what the Applications are then.
///
/// # Errors
/// When the time is over, with exit code 3; when an Application is deleted meanwhile.
pub async fn wait_until_answered(cx: &Context, mut waiting: BTreeSet<AppRef>, limit: Duration) -> Result<Vec<App>, Failure> {
    let mut follower = Follower::these(cx, waiting.clone()).await?;
    let deadline = Some(Instant::now() + limit);
    let mut answered = Vec::new();
    while !waiting.is_empty() {
        match next_before(&mut follower, cx, deadline).await? {
            None => return Err(silent(cx, &waiting, limit)),
            Some(Change::Gone(app)) if waiting.contains(&app) => {
                return Err(Failure::new(format!("application {app} was deleted")).with_exit(Exit::No));
            }
            Some(Change::Now(app)) if app.app.annotation(annotations::REFRESH).is_none() && waiting.remove(&app.reference()) => {
                answered.push(*app);
            }
            Some(_) => {}
        }
    }
    Ok(answered)
}

fn silent(cx: &Context, waiting: &BTreeSet<AppRef>, limit: Duration) -> Failure {
    Failure::new(format!("the controller has not refreshed {} within {limit:?}", names(waiting)))
        .with_hint(format!("is it running? kubectl get pods -n {}", cx.flags.controller_namespace))
        .with_exit(Exit::TimedOut)
}
