//! Reads what a decision about an Application needs: project, revisions, manifests; and has them compared.

use std::collections::BTreeSet;

use super::assessment::{Assessment, Notice};
use super::compare::compare;
use super::context::Context;
use crate::advice::one_line;
use crate::api::application::ApplicationSource;
use crate::api::{AppProject, Application};
use crate::cluster::LiveObject;
use crate::project;
use crate::resource::tracking::instance_name;
use crate::resource::{GroupKind, Object, ResourceKey};
use crate::source::Freshness;
use crate::sync::load::{LoadError, Loader};
use crate::sync::targets::{self, Place};
use crate::sync::{Comparison, Targets};

/// Which revisions to look at.
#[derive(Debug, Clone)]
pub enum Revisions {
    /// Resolve the sources' target revisions.
    Target(Freshness),
    /// These, by index of the sources; an empty string means the target revision.
    Pinned(Vec<String>),
}

impl Revisions {
    /// The revision to look at of one source, and whether the remote has to be asked for it.
    fn of<'a>(&'a self, index: usize, source: &'a ApplicationSource) -> (&'a str, Freshness) {
        let target = source.target_revision_or_head();
        match self {
            Self::Target(freshness) => (target, *freshness),
            Self::Pinned(all) => {
                let pinned = all.get(index).filter(|revision| !revision.is_empty());
                (pinned.map_or(target, String::as_str), Freshness::Now)
            }
        }
    }
}

/// Instance name of an Application.
#[must_use]
pub fn instance_of(app: &Application, cx: &Context) -> String {
    instance_name(app.namespace(), app.name(), &cx.control_namespace)
}

/// Looks at an Application: renders its sources, loads its live state and compares.
///
/// Never fails: what went wrong is in the notices, and then nothing is known (no comparison), so nothing can be pruned.
pub async fn assess(app: &Application, sources: Vec<ApplicationSource>, revisions: &Revisions, cx: &Context) -> Assessment {
    let mut found = Assessment { sources, ..Assessment::default() };
    let Some((project, targets)) = render(app, &mut found, revisions, cx).await else { return found };
    found.comparison = compare(app, &instance_of(app, cx), &project, &targets, &mut found.notices, cx).await;
    found.remarks.extend(failed_scripts(found.comparison.as_ref()));
    found.targets = Some(targets);
    found
}

/// What an Application wants to be in the cluster, as of the target revisions.
///
/// # Errors
/// With what stands in the way.
pub async fn targets_of(app: &Application, cx: &Context) -> Result<Targets, String> {
    let sources = app.sources().into_iter().cloned().collect();
    let mut found = Assessment { sources, ..Assessment::default() };
    let rendered = render(app, &mut found, &Revisions::Target(Freshness::Polled), cx).await;
    rendered.map(|(_, targets)| targets).ok_or_else(|| found.blocking().unwrap_or_default())
}

/// Renders the sources and prepares what they say; `None` when something stands in the way, which is in the notices then.
async fn render(app: &Application, found: &mut Assessment, revisions: &Revisions, cx: &Context) -> Option<(AppProject, Targets)> {
    let project = check_spec(app, found, cx)?;
    let objects = load_targets(app, found, revisions, cx).await?;
    let kinds: BTreeSet<GroupKind> = objects.iter().map(Object::group_kind).collect();
    if let Err(error) = cx.discovery.ensure(&kinds).await {
        found.notice("ComparisonError", format!("Failed to look up the kinds of the cluster: {}", one_line(&error, &error)));
        return None;
    }
    let settings = cx.lens.settings();
    let place = Place {
        instance: &instance_of(app, cx),
        namespace: &app.spec.destination.namespace,
        server: project::IN_CLUSTER_SERVER,
        settings: &settings,
    };
    let mut targets = targets::prepare(objects, place, |kind| cx.discovery.known(kind).map(|info| info.namespaced));
    found.notices.append(&mut targets.notices);
    Some((project, targets))
}

/// Why the project does not permit an object, if it does not.
pub fn why_not_permitted(app: &Application, key: &ResourceKey, namespaced: bool, cx: &Context) -> Option<String> {
    let project = cx.project_of(app)?;
    if let Err(project::Denied(message)) = project::check_kind(&project, &key.group, &key.kind, &key.name, namespaced) {
        return Some(message);
    }
    if namespaced && key.namespace != app.spec.destination.namespace {
        let mut destination = app.spec.destination.clone();
        destination.namespace.clone_from(&key.namespace);
        project::IN_CLUSTER_SERVER.clone_into(&mut destination.server);
        project::IN_CLUSTER_NAME.clone_into(&mut destination.name);
        if project::check_destination(&project, &destination).is_err() {
            return Some(format!("namespace {} is not permitted in project '{}'", key.namespace, app.project()));
        }
    }
    None
}

/// One remark for each kind whose health script fails.
fn failed_scripts(comparison: Option<&Comparison>) -> Vec<Notice> {
    let mut kinds = BTreeSet::new();
    let live = comparison.into_iter().flat_map(|comparison| comparison.items.values()).filter_map(|item| item.live.as_ref());
    let failed = live.filter(|live| live.script_failed && kinds.insert(live.key.group_kind()));
    let message = |live: &LiveObject| live.health.as_ref().map(|health| health.message.clone()).unwrap_or_default();
    failed.map(|live| ("ComparisonError", format!("Failed to assess the health of {}: {}", live.key, message(live)))).collect()
}

/// Checks what can be checked without fetching anything.
fn check_spec(app: &Application, found: &mut Assessment, cx: &Context) -> Option<AppProject> {
    let name = app.project();
    let Some(project) = cx.project_of(app) else {
        found.notice("InvalidSpecError", format!("Application referencing project {name} which does not exist"));
        return None;
    };
    let project = with_registered(&project, cx);
    let before = found.notices.len();
    if !project::permits_namespace(&project, app.namespace(), &cx.control_namespace) {
        let text =
            format!("application '{}' in namespace '{}' is not permitted to use project '{name}'", app.name(), app.namespace());
        found.notice("UnknownError", text);
    }
    for message in project::source_problems(app, &found.sources) {
        found.notice("InvalidSpecError", message);
    }
    let denied: Vec<_> = found.sources.iter().filter_map(|source| project::check_source(&project, source).err()).collect();
    for project::Denied(message) in denied {
        found.notice("InvalidSpecError", message);
    }
    match project::resolve_destination(&app.spec.destination) {
        Ok(destination) => {
            if let Err(project::Denied(message)) = project::check_destination(&project, &destination) {
                found.notice("InvalidSpecError", message);
            }
        }
        Err(message) => found.notice("InvalidSpecError", message),
    }
    (found.notices.len() == before).then_some(project)
}

/// The project, with the repositories that are registered for it alone: it may use them though its `sourceRepos` do not say so.
///
/// Source: Argo CD 3.5 (fleet reference 2.2).
fn with_registered(project: &AppProject, cx: &Context) -> AppProject {
    let mut project = project.clone();
    let catalogue = cx.repositories.catalogue();
    let name = project.metadata.name.clone().unwrap_or_default();
    project.spec.source_repos.extend(catalogue.urls_of_project(&name).map(str::to_owned));
    project
}

async fn load_targets(app: &Application, found: &mut Assessment, revisions: &Revisions, cx: &Context) -> Option<Vec<Object>> {
    let mut objects = Vec::new();
    let mut complete = true;
    let instance = instance_of(app, cx);
    let cluster = match cx.discovery.capabilities().await {
        Ok(cluster) => cluster,
        Err(error) => {
            found.notice("ComparisonError", format!("Failed to look up the kinds of the cluster: {}", one_line(&error, &error)));
            return None;
        }
    };
    let loader = Loader { app, instance: &instance, repositories: &cx.repositories, renderer: &cx.renderer, cluster: &cluster };
    let asked = |index: usize, source: &ApplicationSource| {
        let (revision, freshness) = revisions.of(index, source);
        (revision.to_owned(), freshness)
    };
    for loaded in loader.load(&found.sources, asked).await {
        match loaded {
            Ok(loaded) => {
                found.revisions.push(loaded.revision);
                found.source_types.push(loaded.source_type);
                for warning in loaded.warnings {
                    found.notice("UnsupportedFeatureWarning", warning);
                }
                objects.extend(loaded.objects);
            }
            Err(LoadError { revision, error }) => {
                complete = false;
                found.revisions.push(revision);
                found.source_types.push(String::new());
                found.notice("ComparisonError", format!("Failed to load target state: {}", one_line(&error, &error)));
            }
        }
    }
    complete.then_some(objects)
}
