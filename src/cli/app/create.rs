//! `app create`.

use clap::Args;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use super::change::Change;
use super::{App, AppRef, select};
use crate::api::Application;
use crate::cli::output::{Output, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::project;
use crate::ui::{paint, stream, symbols::Symbols};

/// Who owns the fields that commands write.
pub(super) const FIELD_MANAGER: &str = "kubectl-gitops";

/// Create an Application.
///
/// With --dry-run=client it is only printed, for Git. One that exists with the same spec is left alone; with another spec it is an
/// error unless --upsert is given.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kubectl gitops app create web --repo https://git.example/shop.git --path apps/web --dest-namespace web --dry-run=client"
)]
pub struct CreateArgs {
    /// The Application, as NAME or NAMESPACE/NAME
    name: String,
    #[command(flatten)]
    change: Change,
    /// Replace the spec of an Application that exists
    #[arg(long)]
    upsert: bool,
    /// Only print it (client), or let the API server check it (server)
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "server",
          value_parser = DryRun::parse)]
    dry_run: Option<DryRun>,
    /// Output format: json, yaml or name
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_object)]
    output: Option<Output>,
}

/// How far a command goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum DryRun {
    #[default]
    No,
    Client,
    Server,
}

impl DryRun {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::No),
            "client" => Ok(Self::Client),
            "server" => Ok(Self::Server),
            _ => Err("offered are: none, client, server".into()),
        }
    }
}

/// Creates.
///
/// # Errors
/// When the flags make no valid Application, or the API server refuses.
pub async fn run(args: CreateArgs, cx: &Context) -> CommandResult {
    let reference = AppRef::parse(&args.name, cx)?;
    let mut app = Application::default();
    app.metadata.name = Some(reference.name.clone());
    app.metadata.namespace = Some(reference.namespace.clone());
    args.change.apply(&mut app, None)?;
    Change::fill_in(&mut app);
    check(&app)?;
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": { "name": reference.name, "namespace": reference.namespace },
        "spec": app.spec,
    });
    let mode = args.dry_run.unwrap_or_default();
    if mode == DryRun::Client {
        print(&object, args.output.unwrap_or(Output::Yaml))?;
        return Ok(Exit::Done);
    }
    let (done, object) = write(cx, &reference, object, args.upsert, mode == DryRun::Server).await?;
    match args.output {
        Some(output) => print(&object, output)?,
        None => tell(&reference, done, mode),
    }
    Ok(Exit::Done)
}

/// Checks what can be checked without fetching anything.
pub(super) fn check(app: &Application) -> Result<(), Failure> {
    let sources: Vec<_> = app.sources().into_iter().cloned().collect();
    if sources.iter().any(|source| source.repo_url.is_empty()) || sources.is_empty() {
        return Err(
            Failure::new(format!("application {:?} has no repository", app.name())).with_hint("add --repo URL --path PATH")
        );
    }
    let destination = project::resolve_destination(&app.spec.destination).err();
    match project::source_problems(app, &sources).into_iter().chain(destination).next() {
        Some(problem) => Err(Failure::new(problem)),
        None => Ok(()),
    }
}

pub(super) fn print(object: &Value, output: Output) -> Result<(), Failure> {
    if output == Output::Name {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        stream::out(&format!("application.argoproj.io/{name}\n"));
        return Ok(());
    }
    print_document(output, object)
}

pub(super) fn tell(app: &AppRef, done: &str, mode: DryRun) {
    let note = if mode == DryRun::Server { " (dry run)" } else { "" };
    stream::out(&format!("{} application {app} {done}{note}\n", paint::good(Symbols::get().done)));
}

async fn write(cx: &Context, app: &AppRef, object: Value, upsert: bool, dry_run: bool) -> Result<(&'static str, Value), Failure> {
    let api = select::api(cx.client().await?, &app.namespace);
    let explain =
        |error: kube::Error, verb: &str| cx.explain(&error, &format!("{verb} application {:?} in {:?}", app.name, app.namespace));
    let cannot_write = |error: serde_json::Error| Failure::new("cannot write the Application").with_cause(&error);
    let existing = api.get_opt(&app.name).await.map_err(|error| explain(error, "read"))?;
    let Some(existing) = existing else {
        let parameters = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.into()) };
        let wanted: DynamicObject = serde_json::from_value(object).map_err(cannot_write)?;
        let made = api.create(&parameters, &wanted).await.map_err(|error| explain(error, "create"))?;
        return Ok(("created", App::from(made).raw));
    };
    if same_spec(&existing.data["spec"], &object["spec"]) {
        return Ok(("unchanged", App::from(existing).raw));
    }
    if !upsert {
        return Err(Failure::new(format!("application {app} exists with another spec"))
            .with_hint("--upsert replaces it; kubectl gitops app set changes some fields"));
    }
    let spec = object["spec"].clone();
    Ok(("replaced", replace_spec(cx, App::from(existing), dry_run, |_| Ok(spec.clone())).await?))
}

/// Replaces the spec of an Application, which is decided again when somebody else changed it meanwhile.
pub(super) async fn replace_spec(
    cx: &Context,
    mut app: App,
    dry_run: bool,
    spec_for: impl Fn(&App) -> Result<Value, Failure>,
) -> Result<Value, Failure> {
    const ATTEMPTS: usize = 10;
    let reference = app.reference();
    let api = select::api(cx.client().await?, &reference.namespace);
    let parameters = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.into()) };
    for _ in 0..ATTEMPTS {
        let mut object = app.raw.clone();
        object["spec"] = spec_for(&app)?;
        // It carries the version that was read, so it replaces nothing that nobody has seen.
        let object: DynamicObject =
            serde_json::from_value(object).map_err(|error| Failure::new("cannot write the Application").with_cause(&error))?;
        match api.replace(&reference.name, &parameters, &object).await {
            Ok(changed) => return Ok(App::from(changed).raw),
            Err(kube::Error::Api(status)) if status.code == 409 => app = select::get(cx, &reference).await?,
            Err(error) => return Err(cx.explain(&error, &format!("change application {reference}"))),
        }
    }
    Err(Failure::new(format!("{reference} changes too fast to be changed")).with_hint("try again"))
}

/// Compares what both mean: absent and empty fields are the same.
fn same_spec(live: &Value, wanted: &Value) -> bool {
    let read = |value: &Value| serde_json::from_value::<crate::api::application::ApplicationSpec>(value.clone()).ok();
    read(live).is_some_and(|live| Some(live) == read(wanted))
}
