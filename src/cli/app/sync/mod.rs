//! `sync`: requests the operation on the Application and shows what the controller does.

mod filter;
mod report;
mod request;
mod screen;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{ArgAction, Args};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Api, Patch, PatchParams, PostParams};
use tokio::time::Instant;

use crate::api::application::Info;
use crate::cli::output::{Output, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure, duration};
use crate::ui::{age, stream};

use super::follow::{Change, Follower};
use super::{App, AppRef, Selection, refresh, select, windows};
use filter::ResourceFilter;
use report::Outcome;
use request::{Strategy, SyncRequest};
pub(super) use request::{patch as request_patch, refuse_when_busy};
use screen::Screen;

/// Sync Applications: make the cluster what the source says.
///
/// Requests the operation on the Application and shows what the controller does until it ends. Ctrl-C stops only the
/// watching. Options and retries of the spec are used as they are; objects that left the source stay unless --prune is given.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops sync web --prune")]
pub struct SyncArgs {
    #[command(flatten)]
    selection: Selection,
    /// Commit, tag, branch or version to sync to, instead of the target revision
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Delete objects that left the source
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "false", hide_default_value = true, hide_possible_values = true)]
    prune: bool,
    /// Only check, in the controller and the API server: none or server
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "server",
          value_parser = parse_dry_run)]
    dry_run: Option<bool>,
    /// Only this object, as GROUP:KIND:NAME or GROUP:KIND:NAMESPACE/NAME; a ! in front leaves it out
    #[arg(long = "resource", value_name = "OBJECT")]
    resources: Vec<ResourceFilter>,
    /// Only objects that are OutOfSync
    #[arg(long)]
    apply_out_of_sync_only: bool,
    /// Delete and recreate objects that cannot be patched
    #[arg(long)]
    force: bool,
    /// Replace objects instead of patching them
    #[arg(long)]
    replace: bool,
    /// Use server-side apply
    #[arg(long)]
    server_side: bool,
    /// Whether hooks run; hook unless --resource is given
    #[arg(long, value_name = "STRATEGY", hide_possible_values = true)]
    strategy: Option<Strategy>,
    /// Retries after a failure, instead of those of the spec
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    retry_limit: Option<i64>,
    /// A note that is kept with the operation, as NAME=VALUE
    #[arg(long = "info", value_name = "NAME=VALUE", value_parser = parse_info)]
    info: Vec<Info>,
    /// Do not wait for the end
    #[arg(long)]
    r#async: bool,
    /// How long to watch; a negative one means a week. The operation goes on in any case
    #[arg(long, value_name = "DURATION", default_value = "5m", allow_negative_numbers = true, value_parser = duration::parse_limit)]
    timeout: Duration,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

fn parse_dry_run(text: &str) -> Result<bool, String> {
    match text {
        "none" => Ok(false),
        "server" => Ok(true),
        "client" => Err("client is not there yet; use server".into()),
        _ => Err("offered are: none, server".into()),
    }
}

fn parse_info(text: &str) -> Result<Info, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Info { name: name.into(), value: value.into() }),
        _ => Err("write NAME=VALUE".into()),
    }
}

impl SyncArgs {
    fn request(&self) -> SyncRequest {
        let options = [
            (self.apply_out_of_sync_only, "ApplyOutOfSyncOnly=true"),
            (self.replace, "Replace=true"),
            (self.server_side, "ServerSideApply=true"),
        ];
        SyncRequest {
            revision: self.revision.clone(),
            prune: self.prune,
            dry_run: self.dry_run.unwrap_or(false),
            force: self.force,
            strategy: self.strategy,
            options: options.into_iter().filter(|(set, _)| *set).map(|(_, option)| option.to_owned()).collect(),
            resources: self.resources.clone(),
            retry_limit: self.retry_limit,
            info: self.info.clone(),
        }
    }
}

/// Syncs the chosen Applications.
///
/// # Errors
/// When an operation could not be started. What was started before goes on and is named.
pub async fn run(args: SyncArgs, cx: &Context) -> CommandResult {
    let apps = args.selection.read_some(cx).await?;
    let initiator = initiator(cx).await;
    let request = args.request();
    let mut started = BTreeMap::new();
    for app in apps {
        let reference = app.reference();
        if let Some(project) = windows::project_of(cx, &app.app).await {
            windows::check(&project, &app.app, age::now()).map_err(|failure| name_started(failure, &started))?;
        }
        match start(cx, app, &request, &initiator).await {
            Ok(now) => started.insert(reference, now),
            Err(failure) => return Err(name_started(failure, &started)),
        };
    }
    if args.r#async {
        started
            .keys()
            .for_each(|app| stream::say(&format!("sync requested for {app}; kubectl gitops wait {app} --for operation")));
        return Ok(Exit::Done);
    }
    watch_and_finish(cx, started, args.timeout, args.dry_run == Some(true), args.output).await
}

/// Watches started operations to their end and tells the result.
///
/// # Errors
/// When the Applications cannot be watched.
pub(super) async fn watch_and_finish(
    cx: &Context,
    started: BTreeMap<AppRef, App>,
    timeout: Duration,
    dry_run: bool,
    output: Option<Output>,
) -> CommandResult {
    let outcomes = watch(cx, started, timeout, dry_run).await?;
    finish(&outcomes, output)
}

fn name_started(failure: Failure, started: &BTreeMap<AppRef, App>) -> Failure {
    if started.is_empty() {
        return failure;
    }
    let names = started.keys().map(|app| app.name.as_str()).collect::<Vec<_>>().join(" ");
    Failure { what: format!("{} (already started: {names})", failure.what), ..failure }
}

/// Requests the operation; when somebody else changed the Application meanwhile, decides again on what it is now.
async fn start(cx: &Context, mut app: App, request: &SyncRequest, initiator: &str) -> Result<App, Failure> {
    const ATTEMPTS: usize = 10;
    let reference = app.reference();
    let api = select::api(cx.client().await?, &reference.namespace);
    for _ in 0..ATTEMPTS {
        if let Some(reason) = &app.unreadable {
            return Err(Failure::new(format!("{}: {reason}", app.name())));
        }
        let operation = request::operation(&app.app, request, initiator)?;
        let patch = request::patch(&app.app, &operation);
        match api.patch(&reference.name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(object) => return Ok(App::from(object)),
            Err(kube::Error::Api(status)) if status.code == 409 => app = select::get(cx, &reference).await?,
            Err(error) => {
                return Err(
                    cx.explain(&error, &format!("start a sync of application {:?} in {:?}", reference.name, reference.namespace))
                );
            }
        }
    }
    Err(Failure::new(format!("{reference} changes too fast to start a sync")).with_hint("try again"))
}

/// Who asks: what the API server calls us, else the kubeconfig.
pub(super) async fn initiator(cx: &Context) -> String {
    let Ok(client) = cx.client().await else { return cx.user_name() };
    let review = Api::<SelfSubjectReview>::all(client).create(&PostParams::default(), &SelfSubjectReview::default()).await;
    let name = review.ok().and_then(|review| review.status?.user_info?.username);
    name.unwrap_or_else(|| cx.user_name())
}

/// Watches the started operations to their end, or to the end of the time.
async fn watch(cx: &Context, started: BTreeMap<AppRef, App>, timeout: Duration, dry_run: bool) -> Result<Vec<Outcome>, Failure> {
    let names = started.keys().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    cx.when_interrupted(Some(format!("still running: kubectl gitops wait {names} --for operation")));
    let mut follower = Follower::these(cx, started.keys().cloned()).await?;
    let deadline = Instant::now() + timeout;
    let mut screen = Screen::new(&started, deadline, cx);
    let mut open = started;
    let mut outcomes = Vec::new();
    while !open.is_empty() {
        tokio::select! {
            change = follower.next(cx) => match change? {
                Change::Now(app) => {
                    screen.saw(&app);
                    let reference = app.reference();
                    if is_finished(&app) && open.remove(&reference).is_some() {
                        let app = refreshed(cx, *app, dry_run).await;
                        outcomes.push(Outcome::of_finished(app));
                    } else if open.contains_key(&reference) {
                        open.insert(reference, *app);
                    }
                }
                Change::Gone(reference) => {
                    if let Some(app) = open.remove(&reference) {
                        outcomes.push(Outcome::of_deleted(app));
                    }
                }
            },
            () = screen.tick() => screen.draw(),
            () = tokio::time::sleep_until(deadline) => break,
        }
    }
    screen.close();
    cx.when_interrupted(None);
    outcomes.extend(open.into_values().map(Outcome::of_unfinished));
    Ok(outcomes)
}

/// The request carried no operation state, so a finished one is that of our operation or of a later one.
fn is_finished(app: &App) -> bool {
    let phase = app.operation_state().map(|state| state.phase.as_str());
    app.app.operation.is_none() && matches!(phase, Some("Succeeded" | "Failed" | "Error"))
}

/// Status and health lag behind the end of the operation; one refresh makes the last line true. It is no reason to fail.
async fn refreshed(cx: &Context, app: App, dry_run: bool) -> App {
    const PATIENCE: Duration = Duration::from_secs(10);
    if dry_run {
        return app;
    }
    let reference = app.reference();
    if refresh::request(cx, &reference, false).await.is_err() {
        return app;
    }
    let mut answered = refresh::wait_until_answered(cx, [reference].into(), PATIENCE).await.unwrap_or_default();
    match answered.pop() {
        // Another operation may have begun; what is told is about ours.
        Some(now) if is_finished(&now) => now,
        _ => app,
    }
}

fn finish(outcomes: &[Outcome], output: Option<Output>) -> CommandResult {
    match output {
        Some(output) => {
            for report in outcomes.iter().map(Outcome::report) {
                if outcomes.len() > 1 && output == Output::Yaml {
                    stream::out("---\n");
                }
                print_document(output, &report)?;
            }
        }
        None => outcomes.iter().for_each(|outcome| outcome.tell(age::now())),
    }
    Ok(outcomes.iter().map(Outcome::exit).max_by_key(|exit| *exit as u8).unwrap_or(Exit::Done))
}
