//! Reads what a decision about an Application needs: project, revisions, manifests, live state; and compares.

use std::collections::{BTreeMap, BTreeSet};

use super::assessment::Assessment;
use super::context::Context;
use crate::advice::{Advice, one_line};
use crate::api::application::ApplicationSource;
use crate::api::{AppProject, Application};
use crate::cluster::{self, Verdicts};
use crate::diff;
use crate::project;
use crate::resource::tracking::instance_name;
use crate::resource::{GroupKind, Object, ResourceKey};
use crate::source::Freshness;
use crate::sync::comparison::SyncCode;
use crate::sync::hooks::Role;
use crate::sync::load::{LoadError, Loader};
use crate::sync::{Comparison, Item, Targets, targets, unsupported};

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
    let Some(project) = check_spec(app, &mut found, cx) else { return found };
    let Some(objects) = load_targets(app, &mut found, revisions, cx).await else { return found };
    let kinds: BTreeSet<GroupKind> = objects.iter().map(Object::group_kind).collect();
    if let Err(error) = cx.discovery.ensure(&kinds).await {
        found.notice("ComparisonError", format!("Failed to look up the kinds of the cluster: {}", one_line(&error, &error)));
        return found;
    }
    let instance = instance_of(app, cx);
    let scope = |kind: &GroupKind| cx.discovery.known(kind).map(|info| info.namespaced);
    let mut targets = targets::prepare(objects, &instance, &app.spec.destination.namespace, scope);
    found.notices.append(&mut targets.notices);
    for ignored in diff::unsupported(&app.spec.ignore_differences) {
        found.notice("UnsupportedFeatureWarning", format!("{} has no effect yet", ignored.field));
    }
    for message in unsupported::notices(&requested_options(app), targets.objects.iter()) {
        found.notice("UnsupportedFeatureWarning", message);
    }
    found.comparison = compare(app, &instance, &project, &targets, &mut found.notices, cx).await;
    found.targets = Some(targets);
    found
}

/// Sync options of the Application and of the operation that it is asked for.
fn requested_options(app: &Application) -> Vec<String> {
    let policy = app.spec.sync_policy.iter().flat_map(|policy| &policy.sync_options);
    let operation = app.operation.iter().filter_map(|operation| operation.sync.as_ref()).flat_map(|sync| &sync.sync_options);
    policy.chain(operation).cloned().collect()
}

/// Checks what can be checked without fetching anything.
fn check_spec(app: &Application, found: &mut Assessment, cx: &Context) -> Option<AppProject> {
    let name = app.project();
    let project = cx.projects.find(|project| {
        project.metadata.name.as_deref() == Some(name) && project.metadata.namespace.as_deref() == Some(&cx.control_namespace)
    });
    let Some(project) = project else {
        found.notice("InvalidSpecError", format!("Application referencing project {name} which does not exist"));
        return None;
    };
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
    (found.notices.len() == before).then(|| (*project).clone())
}

async fn load_targets(app: &Application, found: &mut Assessment, revisions: &Revisions, cx: &Context) -> Option<Vec<Object>> {
    let mut objects = Vec::new();
    let mut complete = true;
    let instance = instance_of(app, cx);
    let loader = Loader { app, instance: &instance, repositories: &cx.repositories, renderer: &cx.renderer };
    for index in 0..found.sources.len() {
        let source = found.sources[index].clone();
        let (revision, freshness) = revisions.of(index, &source);
        match loader.load(&source, revision, freshness).await {
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

/// Loads live state and compares; `None` when something could not be loaded.
async fn compare(
    app: &Application,
    instance: &str,
    project: &AppProject,
    targets: &Targets,
    notices: &mut Vec<super::assessment::Notice>,
    cx: &Context,
) -> Option<Comparison> {
    let keys = targets.keys();
    let kinds = managed_kinds(app, targets, cx).await;
    let failures = cx.cache.manage(instance, &kinds, &keys).await;
    for failure in &failures {
        let text = format!("Failed to load live state of {}: {}", failure.kind, one_line(&failure.error, &failure.error));
        notices.push(("ComparisonError", text));
    }
    if !failures.is_empty() {
        return None;
    }
    let live = cx.cache.live(instance, &keys);
    let known = cx.take_verdicts(instance);
    let mut verdicts = Verdicts::new();
    let mut items = BTreeMap::new();
    let mut complete = true;
    for key in keys.iter().chain(live.keys().filter(|key| !keys.contains(*key))) {
        let (target, live) = (targets.objects.get(key), live.get(key));
        let namespaced = !key.namespace.is_empty();
        let permitted = project::check_kind(project, &key.group, &key.kind, &key.name, namespaced);
        // What the project does not permit is neither compared nor pruned.
        if target.is_none() && permitted.is_err() {
            continue;
        }
        let mut item = Item::new(key.clone(), target.cloned(), live.cloned());
        if let (Some(target), Some(live)) = (target, live) {
            shared_by(live, instance, key, notices);
            // Hooks are run, not kept in sync.
            if item.role != Role::Ordinary {
                items.insert(key.clone(), item);
                continue;
            }
            let Some(info) = kinds.get(&key.group_kind()) else { continue };
            let ignore = diff::rules_for(key, &app.spec.ignore_differences);
            match cluster::compare(&cx.writer, info, target, live, &ignore, known.get(key).copied()).await {
                Ok(difference) => {
                    item.code = if difference.memo.differs { SyncCode::OutOfSync } else { SyncCode::Synced };
                    verdicts.insert(key.clone(), difference.memo);
                }
                Err(error) => {
                    complete = false;
                    item.code = SyncCode::Unknown;
                    let hint = error.hint().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
                    let text = diff::redact(&format!("Failed to compare {key}: {error}{hint}"), target);
                    notices.push(("ComparisonError", text));
                }
            }
        }
        if permitted.is_err() {
            item.code = SyncCode::Unknown;
        }
        items.insert(key.clone(), item);
    }
    cx.keep_verdicts(instance, verdicts);
    complete.then_some(Comparison { items })
}

fn shared_by(live: &cluster::LiveObject, instance: &str, key: &ResourceKey, notices: &mut Vec<super::assessment::Notice>) {
    if let Some(other) = live.instance().filter(|other| *other != instance && live.is_own()) {
        let text = format!("{}/{} is part of applications {instance} and {other}", key.kind, key.name);
        notices.push(("SharedResourceWarning", text));
    }
}

/// Kinds to watch: those of the targets, and those of which the Application managed objects before, so that the last object
/// of a kind is still found after it left the target state.
async fn managed_kinds(app: &Application, targets: &Targets, cx: &Context) -> BTreeMap<GroupKind, cluster::KindInfo> {
    let mut wanted = targets.kinds();
    if let Some(status) = &app.status {
        wanted.extend(status.resources.iter().map(|one| GroupKind::new(one.group.clone(), one.kind.clone())));
        let results = status.operation_state.iter().filter_map(|state| state.sync_result.as_ref());
        let synced = results.flat_map(|result| &result.resources).filter(|one| one.kind != "Namespace");
        wanted.extend(synced.map(|one| GroupKind::new(one.group.clone(), one.kind.clone())));
    }
    // A kind that is gone for good must not ask the API server again and again; targets were looked up before.
    wanted
        .into_iter()
        .filter_map(|kind| cx.discovery.known(&kind).map(|info| (kind, info)))
        .filter(|(_, info)| info.watchable)
        .collect()
}
