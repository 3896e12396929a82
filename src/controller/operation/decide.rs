//! The decision of a step, and what it has to know. Only [`namespace_to_create`] asks anybody anything.

use crate::advice::one_line;
use crate::api::Application;
use crate::api::application::{OperationState, ResourceResult, SyncOperation};
use crate::controller::context::Context;
use crate::controller::inputs::{Revisions, why_not_permitted};
use crate::resource::annotations::SYNC_OPTIONS;
use crate::resource::{GroupKind, Object, ResourceKey};
use crate::source::Freshness;
use crate::sync::plan::{self, Plan, Standing};
use crate::sync::tasks::{self, Action};
use crate::sync::{Comparison, Policy, Task, targets};

pub(super) fn results_of(state: &OperationState) -> &[ResourceResult] {
    state.sync_result.as_ref().map_or(&[], |result| result.resources.as_slice())
}

/// The whole decision of a step; nothing in here asks anybody anything.
pub(super) fn decide(
    app: &Application,
    comparison: &Comparison,
    policy: &Policy,
    results: &[ResourceResult],
    cx: &Context,
) -> Plan {
    let tasks = tasks::tasks(comparison, policy);
    if results.is_empty()
        && let Some(plan) = plan::validate(&tasks, |task| why_invalid(app, task, &tasks, policy, cx))
    {
        return plan;
    }
    plan::plan(&tasks, results, |task| {
        let watched = cx.discovery.known(&task.key.group_kind()).is_some_and(|info| info.watchable);
        if policy.dry_run || !watched { HEALTHY } else { standing(task, comparison) }
    })
}

const HEALTHY: Standing = Standing::Present { health: None, being_deleted: false };

/// What is not looked at, like a namespace that was created for the application, counts as being there.
fn standing(task: &Task, comparison: &Comparison) -> Standing {
    let Some(item) = comparison.items.get(&task.key) else {
        return if matches!(task.action, Action::Prune { .. }) { Standing::Gone } else { HEALTHY };
    };
    item.live.as_ref().map_or(Standing::Gone, |live| Standing::Present {
        health: live.health.as_ref().map(|health| health.status),
        being_deleted: live.being_deleted,
    })
}

fn why_invalid(app: &Application, task: &Task, tasks: &[Task], policy: &Policy, cx: &Context) -> Option<String> {
    let key = &task.key;
    let Some(info) = cx.discovery.known(&key.group_kind()) else {
        let declared = tasks
            .iter()
            .any(|other| matches!(&other.action, Action::Apply { object, .. } if declares(object, &key.group_kind())));
        let allowed = policy.allow_missing_kinds
            || matches!(&task.action, Action::Apply { object, .. } if object.has_option(SYNC_OPTIONS, "SkipDryRunOnMissingResource=true"));
        return (!declared && !allowed).then(|| {
            format!(
                "the server could not find the requested resource: kind {} of {} is not installed in the destination cluster (hint: install its CustomResourceDefinition, or add it to this application)",
                key.group_kind(),
                key.name
            )
        });
    };
    if let Action::Apply { object, .. } = &task.action
        && object.name().is_empty()
    {
        return Some(format!("{} has no metadata.name: only hooks may use generateName", key.group_kind()));
    }
    // The namespace that CreateNamespace=true asks for belongs to the destination, which is permitted already.
    let created = policy.namespace.as_ref().is_some_and(|namespace| namespace.key() == *key);
    if created { None } else { why_not_permitted(app, key, info.namespaced, cx) }
}

fn declares(crd: &Object, kind: &GroupKind) -> bool {
    crate::sync::targets::scopes_of_crds(std::slice::from_ref(crd)).contains_key(kind)
}

/// The namespace to create first: wanted by `CreateNamespace=true`, not among the targets, and missing or with metadata.
pub(super) async fn namespace_to_create(
    app: &Application,
    sync: &SyncOperation,
    comparison: &Comparison,
    cx: &Context,
) -> Result<Option<Object>, String> {
    let is_target = |key: &ResourceKey| comparison.items.get(key).is_some_and(|item| item.target.is_some());
    let Some(namespace) = targets::managed_namespace(app, &sync.sync_options, is_target) else { return Ok(None) };
    let key = namespace.key();
    let failed = |error: crate::cluster::ClusterError| format!("the namespace failed to apply: {}", one_line(&error, &error));
    cx.discovery.ensure([&key.group_kind()]).await.map_err(failed)?;
    let Some(kind) = cx.discovery.known(&key.group_kind()) else { return Ok(None) };
    let exists = cx.writer.get(&kind, &key).await.map_err(failed)?.is_some();
    Ok((!exists || targets::has_namespace_metadata(app)).then_some(namespace))
}

/// A revision that was resolved once stays for the whole operation.
pub(super) fn revisions_of(state: &OperationState, sync: &SyncOperation) -> Revisions {
    let pinned = |single: &str, all: &[String]| if all.is_empty() { vec![single.to_owned()] } else { all.to_vec() };
    let recorded = state.sync_result.as_ref().map(|result| pinned(&result.revision, &result.revisions)).unwrap_or_default();
    if recorded.iter().any(|revision| !revision.is_empty()) {
        return Revisions::Pinned(recorded);
    }
    let asked = pinned(&sync.revision, &sync.revisions);
    if asked.iter().any(|revision| !revision.is_empty()) { Revisions::Pinned(asked) } else { Revisions::Target(Freshness::Now) }
}
