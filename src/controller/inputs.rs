//! Reads what a decision about an Application needs: project, revisions, manifests, live state; and compares.

use std::collections::{BTreeMap, BTreeSet};

use super::assessment::Assessment;
use super::context::Context;
use crate::advice::{Advice, one_line};
use crate::api::application::{ApplicationDestination, ApplicationSource};
use crate::api::{AppProject, Application};
use crate::cluster::{self, Verdicts};
use crate::diff;
use crate::project::{self, IN_CLUSTER_NAME, IN_CLUSTER_SERVER};
use crate::render::{AppIdentity, Request};
use crate::resource::tracking::instance_name;
use crate::resource::{GroupKind, Object, ResourceKey};
use crate::source::{Commit, Freshness};
use crate::sync::comparison::SyncCode;
use crate::sync::hooks::{self, Role};
use crate::sync::{Comparison, Item, Targets, targets, unsupported};

/// Which revisions to look at.
#[derive(Debug, Clone)]
pub enum Revisions {
    /// Resolve the sources' target revisions.
    Target(Freshness),
    /// These, by index of the sources; an empty string means the target revision.
    Pinned(Vec<String>),
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
    for message in source_problems(app, &found.sources) {
        found.notice("InvalidSpecError", message);
    }
    let denied: Vec<_> = found.sources.iter().filter_map(|source| project::check_source(&project, source).err()).collect();
    for project::Denied(message) in denied {
        found.notice("InvalidSpecError", message);
    }
    match resolve_destination(&app.spec.destination) {
        Ok(destination) => {
            if let Err(project::Denied(message)) = project::check_destination(&project, &destination) {
                found.notice("InvalidSpecError", message);
            }
        }
        Err(message) => found.notice("InvalidSpecError", message),
    }
    (found.notices.len() == before).then(|| (*project).clone())
}

/// Source: Argo CD 3.5 validation (reference section 1.14).
fn source_problems(app: &Application, sources: &[ApplicationSource]) -> Vec<String> {
    if sources.is_empty() {
        return vec!["spec.source.repoURL and either spec.source.path or spec.source.chart are required".into()];
    }
    let multi = app.is_multi_source();
    let mut problems = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let field = if multi { format!("spec.sources[{index}]") } else { "spec.source".to_owned() };
        let located = !source.path.is_empty() || !source.chart.is_empty() || (multi && !source.ref_name.is_empty());
        if source.repo_url.is_empty() || !located {
            let reference = if multi { ", or ref" } else { "" };
            problems.push(format!("{field}.repoURL and either path or chart{reference} are required"));
        }
        if !source.chart.is_empty() && source.target_revision.is_empty() {
            problems.push(format!("{field}.targetRevision is required if the source is a chart"));
        }
    }
    problems
}

/// Fills in the other half of a destination, name or server. Only the local cluster is known yet.
fn resolve_destination(destination: &ApplicationDestination) -> Result<ApplicationDestination, String> {
    let server = destination.server.trim_end_matches('/');
    let resolved = |destination: &ApplicationDestination| ApplicationDestination {
        server: IN_CLUSTER_SERVER.into(),
        name: IN_CLUSTER_NAME.into(),
        namespace: destination.namespace.clone(),
    };
    match (server, destination.name.as_str()) {
        ("", "") => {
            Err("application destination needs a server or a name: set spec.destination.server or spec.destination.name".into())
        }
        (server, "") if server == IN_CLUSTER_SERVER => Ok(resolved(destination)),
        (server, "") => Err(format!(
            "cluster '{server}' has not been configured: set spec.destination.server to {IN_CLUSTER_SERVER} (other clusters are not supported yet)"
        )),
        ("", IN_CLUSTER_NAME) => Ok(resolved(destination)),
        ("", name) => Err(format!(
            "unable to find destination server: there are no clusters with this name: {name} (known: {IN_CLUSTER_NAME})"
        )),
        (server, name) => Err(format!("application destination can't have both name and server defined: {name} {server}")),
    }
}

async fn load_targets(app: &Application, found: &mut Assessment, revisions: &Revisions, cx: &Context) -> Option<Vec<Object>> {
    let mut objects = Vec::new();
    let mut complete = true;
    for index in 0..found.sources.len() {
        let source = found.sources[index].clone();
        match load_source(app, &source, index, revisions, cx).await {
            Ok(loaded) => {
                found.revisions.push(loaded.revision);
                found.source_types.push(loaded.source_type);
                for warning in loaded.warnings {
                    found.notice("UnsupportedFeatureWarning", warning);
                }
                objects.extend(loaded.objects);
            }
            Err((revision, message)) => {
                complete = false;
                found.revisions.push(revision);
                found.source_types.push(String::new());
                found.notice("ComparisonError", format!("Failed to load target state: {message}"));
            }
        }
    }
    complete.then_some(objects)
}

struct Loaded {
    revision: String,
    source_type: String,
    objects: Vec<Object>,
    warnings: Vec<String>,
}

/// The error carries the revision as far as it is known.
async fn load_source(
    app: &Application,
    source: &ApplicationSource,
    index: usize,
    revisions: &Revisions,
    cx: &Context,
) -> Result<Loaded, (String, String)> {
    if !source.chart.is_empty() || source.repo_url.starts_with("oci://") {
        return Err((String::new(), "Helm repositories and OCI artifacts are not supported yet: use a Git repository".into()));
    }
    let pinned = match revisions {
        Revisions::Pinned(all) => all.get(index).filter(|revision| !revision.is_empty()),
        Revisions::Target(_) => None,
    };
    let freshness = match revisions {
        Revisions::Target(freshness) => *freshness,
        Revisions::Pinned(_) => Freshness::Now,
    };
    let wanted = pinned.map_or_else(|| source.target_revision_or_head(), String::as_str);
    let unresolved = |error: crate::source::SourceError| (String::new(), one_line(&error, &error));
    let commit = cx.repositories.resolve(&source.repo_url, wanted, freshness).await.map_err(unresolved)?;
    let revision = commit.to_string();
    if source.path.is_empty() {
        return Ok(Loaded { revision, source_type: String::new(), objects: Vec::new(), warnings: Vec::new() });
    }
    render(app, source, &commit, cx).await.map_err(|message| (revision, message))
}

async fn render(app: &Application, source: &ApplicationSource, commit: &Commit, cx: &Context) -> Result<Loaded, String> {
    let tree = cx.repositories.tree(&source.repo_url, commit).await.map_err(|error| one_line(&error, &error))?;
    let identity = AppIdentity {
        app_name: app.name().to_owned(),
        instance_name: instance_of(app, cx),
        project: app.project().to_owned(),
        destination_namespace: app.spec.destination.namespace.clone(),
    };
    let request = Request { source, tree: &tree, app: &identity };
    let rendered = cx.renderer.render(request).await.map_err(|error| one_line(&error, &error))?;
    Ok(Loaded {
        revision: commit.to_string(),
        source_type: rendered.source_type.to_string(),
        objects: rendered.objects.clone(),
        warnings: rendered.warnings.clone(),
    })
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
        let declared = target.map(hooks::role);
        // Of most objects the target says all that matters, and parsing every live one would cost.
        let parsed = if matches!(declared, None | Some(Role::Hook(_))) { live.map(|live| live.object()) } else { None };
        let mut item = Item {
            key: key.clone(),
            target: target.cloned(),
            live: live.cloned(),
            role: declared.or_else(|| parsed.as_ref().map(hooks::role)).unwrap_or(Role::Ordinary),
            live_object: parsed,
            code: SyncCode::OutOfSync,
            applied_by_us: live.is_some_and(|live| live.applied_by_us),
        };
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
                    notices.push(("ComparisonError", format!("Failed to compare {key}: {error}{hint}")));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(server: &str, name: &str) -> ApplicationDestination {
        ApplicationDestination { server: server.into(), name: name.into(), namespace: "n".into() }
    }

    #[test]
    fn the_local_cluster_is_known_by_server_and_by_name() {
        for known in [
            destination("https://kubernetes.default.svc", ""),
            destination("https://kubernetes.default.svc/", ""),
            destination("", "in-cluster"),
        ] {
            let resolved = resolve_destination(&known);
            assert_eq!(resolved.map(|one| (one.server, one.name)), Ok((IN_CLUSTER_SERVER.into(), IN_CLUSTER_NAME.into())));
        }
    }

    #[test]
    fn other_destinations_say_what_to_change() {
        let text = |server: &str, name: &str| resolve_destination(&destination(server, name)).err().unwrap_or_default();
        assert!(text("", "").contains("spec.destination.server"));
        assert!(text("https://1.2.3.4", "").contains("cluster 'https://1.2.3.4' has not been configured"));
        assert!(text("", "prod").contains("there are no clusters with this name: prod"));
        assert_eq!(
            text("https://kubernetes.default.svc", "in-cluster"),
            "application destination can't have both name and server defined: in-cluster https://kubernetes.default.svc"
        );
    }
}
