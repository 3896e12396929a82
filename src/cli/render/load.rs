//! From the command line to rendered sources.

use std::path::Path;
use std::sync::Arc;

use kube::Client;

use super::RenderArgs;
use crate::advice::Advice;
use crate::api::Application;
use crate::api::application::ApplicationSource;
use crate::cli::app::workshop::{self, Workshop};
use crate::cli::app::{AppRef, get};
use crate::cli::{Context, Failure};
use crate::cluster::{Capabilities, Discovery};
use crate::render::{AppIdentity, Explained, Reference, References, Request, Tools};
use crate::resource::tracking::instance_name;
use crate::resource::{Object, yaml};
use crate::source::{self, Freshness, Worktree};
use crate::ui::{problem, stream};

/// One rendered source.
pub(super) struct Part {
    /// Where it came from, for people.
    pub origin: String,
    /// The commit; empty for uncommitted files.
    pub revision: String,
    pub explained: Explained,
}

/// All sources of what was asked for.
pub(super) struct Answer {
    /// Its name.
    pub name: String,
    pub parts: Vec<Part>,
}

pub(super) async fn load(args: &RenderArgs, cx: &Context) -> Result<Answer, Failure> {
    let folder = Path::new(&args.target);
    if args.file.is_some() || folder.is_dir() || looks_like_path(&args.target) {
        return from_folder(folder, args, cx).await;
    }
    let app = get(cx, &AppRef::parse(&args.target, cx)?).await?;
    if let Some(reason) = &app.unreadable {
        return Err(Failure::new(format!("cannot render {}: {reason}", app.name())));
    }
    from_application(&app.app, args, cx).await
}

/// Paths that cannot be names; without a folder there the error is about a folder.
fn looks_like_path(target: &str) -> bool {
    target == "." || target == ".." || ["./", "../", "/", "~"].iter().any(|prefix| target.starts_with(prefix))
}

async fn from_folder(folder: &Path, args: &RenderArgs, cx: &Context) -> Result<Answer, Failure> {
    if args.revision.is_some() {
        return Err(Failure::new("--revision is about an Application, and a folder is rendered as it is")
            .with_hint("git worktree add DIR REVISION, and render that folder"));
    }
    let owned = folder.to_owned();
    let worktree = tokio::task::spawn_blocking(move || Worktree::read(&owned))
        .await
        .map_err(|error| Failure::new("reading the folder was broken off").with_cause(&error))??;
    let app = match &args.file {
        Some(file) => application(file)?,
        None => of_folder(&worktree, cx),
    };
    let sources: Vec<ApplicationSource> = app.sources().into_iter().cloned().collect();
    if sources.is_empty() {
        return Err(Failure::new(format!("application {:?} has no source", app.name())));
    }
    let workshop = Workshop::new(args.tools())?;
    let cluster = Arc::new(Capabilities {
        version: args.kube_version.clone().unwrap_or_default(),
        api_versions: args.api_versions.clone(),
    });
    let references = references(&sources, &app, &worktree);
    let mut parts = Vec::new();
    for mut source in sources {
        args.options.apply(&mut source);
        if is_local(&source, &app, &worktree) {
            // One that others only refer to.
            if source.path.is_empty() {
                continue;
            }
            let identity = identity(&app, &cluster, cx);
            let charts = Some(workshop.repositories.charts());
            let request = Request { source: &source, tree: &worktree.tree, app: &identity, references: &references, charts };
            let explained = workshop.renderer.explain(request).await.map_err(|error| failed(&app, error))?;
            let origin = format!("{} in {}", source.path, worktree.root.display());
            parts.push(Part { origin, revision: String::new(), explained });
        } else {
            let revision = source.target_revision_or_head().to_owned();
            parts.extend(remote(&workshop, &app, &source, &revision, &cluster, cx).await?);
        }
    }
    Ok(Answer { name: app.name().to_owned(), parts })
}

async fn from_application(app: &Application, args: &RenderArgs, cx: &Context) -> Result<Answer, Failure> {
    if args.revision.is_some() && app.is_multi_source() {
        return Err(Failure::new(format!("{} has several sources; one --revision cannot name a revision of each", app.name()))
            .with_hint("set spec.sources[].targetRevision"));
    }
    let client = cx.client().await?;
    let workshop = Workshop::new(Tools::from_config_map(&workshop::settings(cx, &client).await))?;
    let cluster = capabilities(client, cx).await?;
    let mut parts = Vec::new();
    for source in app.sources() {
        let mut source = source.clone();
        args.options.apply(&mut source);
        let revision = args.revision.as_deref().unwrap_or_else(|| source.target_revision_or_head()).to_owned();
        parts.extend(remote(&workshop, app, &source, &revision, &cluster, cx).await?);
    }
    Ok(Answer { name: app.name().to_owned(), parts })
}

/// A source that has to be fetched; nothing for one that others only refer to.
async fn remote(
    workshop: &Workshop,
    app: &Application,
    source: &ApplicationSource,
    revision: &str,
    cluster: &Arc<Capabilities>,
    cx: &Context,
) -> Result<Option<Part>, Failure> {
    let instance = instance_name(app.namespace(), app.name(), &cx.flags.controller_namespace);
    let loader = workshop.loader(app, &instance, cluster);
    let asked = |_: usize, _: &ApplicationSource| (revision.to_owned(), Freshness::Now);
    let loaded = loader.load(std::slice::from_ref(source), asked).await.pop();
    let Some(loaded) = loaded.transpose().map_err(|error| failed(app, error.error))? else { return Ok(None) };
    let Some(explained) = loaded.explained else { return Ok(None) };
    let origin = format!("{} of {}", crate::cli::app::path_or_chart(source), source.repo_url);
    Ok(Some(Part { origin, revision: loaded.revision, explained }))
}

/// What the cluster serves, which charts may ask for.
async fn capabilities(client: Client, cx: &Context) -> Result<Arc<Capabilities>, Failure> {
    let discovery = Discovery::new(client);
    discovery.capabilities().await.map_err(|error| cx.explain_cluster(&error, "look up the kinds of the cluster"))
}

fn failed(app: &Application, error: crate::render::RenderError) -> Failure {
    let hint = error.hint();
    Failure { hint, ..Failure::new(format!("cannot render the source of {}", app.name())).with_cause(&error) }
}

/// The Application of a file, which may hold other objects as well.
fn application(file: &Path) -> Result<Application, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| Failure::new(format!("cannot read {shown}")).with_cause(&error))?;
    let documents = yaml::parse_stream(&text).map_err(|error| Failure::new(format!("cannot read {shown}")).with_cause(&error))?;
    let objects = documents.into_iter().filter_map(|document| Object::from_value(document.value).ok());
    let mut apps: Vec<Object> =
        objects.filter(|object| object.kind() == "Application" && object.group() == "argoproj.io").collect();
    match (apps.pop(), apps.is_empty()) {
        (Some(app), true) => serde_json::from_value(app.into_value())
            .map_err(|error| Failure::new(format!("{shown}: the Application cannot be read")).with_cause(&error)),
        (None, _) => Err(Failure::new(format!("{shown} holds no Application"))),
        (Some(_), false) => Err(Failure::new(format!("{shown} holds several Applications")).with_hint("give one of them")),
    }
}

/// The Application that a folder alone would be: named for it.
fn of_folder(worktree: &Worktree, cx: &Context) -> Application {
    let named = worktree.root.join(&worktree.path);
    let name = named.components().next_back().and_then(|part| part.as_os_str().to_str()).unwrap_or("app").to_owned();
    let mut app = Application::default();
    app.metadata.name = Some(name);
    app.metadata.namespace = Some(cx.flags.controller_namespace.clone());
    app.spec.destination.namespace = cx.flags.namespace.clone().unwrap_or_default();
    let repo_url = worktree.remotes().into_iter().next().unwrap_or_else(|| format!("file://{}", worktree.root.display()));
    app.spec.source = Some(ApplicationSource { repo_url, path: worktree.path.clone(), ..ApplicationSource::default() });
    app
}

/// A source lies in the work tree when that is a clone of its repository; the only one does in any case.
fn is_local(source: &ApplicationSource, app: &Application, worktree: &Worktree) -> bool {
    source.chart.is_empty()
        && (app.sources().len() == 1 || worktree.remotes().iter().any(|remote| source::same_repository(remote, &source.repo_url)))
}

/// The sources in the work tree that others may refer to.
fn references(sources: &[ApplicationSource], app: &Application, worktree: &Worktree) -> References {
    let named = sources.iter().filter(|source| !source.ref_name.is_empty() && is_local(source, app, worktree));
    let reference =
        |source: &ApplicationSource| Reference { url: source.repo_url.clone(), is_git: true, tree: Ok(worktree.tree.clone()) };
    named.map(|source| (source.ref_name.clone(), reference(source))).collect()
}

fn identity(app: &Application, cluster: &Arc<Capabilities>, cx: &Context) -> AppIdentity {
    let namespace = if app.namespace().is_empty() { &cx.flags.controller_namespace } else { app.namespace() };
    AppIdentity {
        app_name: app.name().to_owned(),
        instance_name: instance_name(namespace, app.name(), &cx.flags.controller_namespace),
        project: app.project().to_owned(),
        destination_namespace: app.spec.destination.namespace.clone(),
        cluster: cluster.clone(),
    }
}

/// Tells what has no effect, once for each.
pub(super) fn tell_warnings(parts: &[Part]) {
    let mut told: Vec<&String> = Vec::new();
    for warning in parts.iter().flat_map(|part| &part.explained.rendered.warnings) {
        if !told.contains(&warning) {
            stream::say(&problem::note(warning, None));
            told.push(warning);
        }
    }
}

/// The objects of all parts, in order.
pub(super) fn objects(parts: &[Part]) -> Vec<Object> {
    parts.iter().map(|part| Arc::clone(&part.explained.rendered)).flat_map(|rendered| rendered.objects.clone()).collect()
}
