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
use crate::resource::{GroupKind, Object};
use crate::source::Freshness;
use crate::sync::Comparison;
use crate::sync::load::{LoadError, Loader};
use crate::sync::targets::{self, Place};
use crate::sync::unsupported;

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
    let settings = cx.lens.settings();
    let place = Place {
        instance: &instance,
        namespace: &app.spec.destination.namespace,
        server: project::IN_CLUSTER_SERVER,
        settings: &settings,
    };
    let mut targets = targets::prepare(objects, place, scope);
    found.notices.append(&mut targets.notices);
    for message in unsupported::notices(targets.objects.iter()) {
        found.notice("UnsupportedFeatureWarning", message);
    }
    found.comparison = compare(app, &instance, &project, &targets, &mut found.notices, cx).await;
    found.remarks.extend(failed_scripts(found.comparison.as_ref()));
    found.targets = Some(targets);
    found
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
    let project = cx.projects.find(|project| {
        project.metadata.name.as_deref() == Some(name) && project.metadata.namespace.as_deref() == Some(&cx.control_namespace)
    });
    let Some(project) = project else {
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
    if let Some(field) = wants_signatures(&project) {
        let text = format!("project {name} asks for signed commits (spec.{field}), and signatures are not checked yet");
        found.notice("ComparisonError", text);
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

/// The field by which a project asks that commits are signed. Nothing is synced then: who asks for it must not get what nobody
/// signed.
fn wants_signatures(project: &AppProject) -> Option<&'static str> {
    let is_set = |field: &&str| match project.spec.extra.get(*field) {
        Some(serde_json::Value::Array(keys)) => !keys.is_empty(),
        Some(value) => value.pointer("/git/policies").and_then(serde_json::Value::as_array).is_some_and(|all| !all.is_empty()),
        None => false,
    };
    ["signatureKeys", "sourceIntegrity"].into_iter().find(is_set)
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_project_that_asks_for_signatures_is_not_synced_unchecked() {
        let wants = |spec: &str| {
            let project = format!("{{metadata: {{name: p}}, spec: {spec}}}");
            wants_signatures(&serde_json::from_value(crate::resource::yaml::parse_one(&project).unwrap()).unwrap())
        };
        assert_eq!(wants("{signatureKeys: [{keyID: ABCDEF0123456789}]}"), Some("signatureKeys"));
        assert_eq!(wants("{sourceIntegrity: {git: {policies: [{gpg: {mode: head}}]}}}"), Some("sourceIntegrity"));
        assert_eq!(wants("{signatureKeys: [], sourceIntegrity: {}}"), None);
        assert_eq!(wants("{}"), None);
    }
}
