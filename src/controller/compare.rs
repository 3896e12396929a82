//! Puts the target state of an Application beside its live state and says of each object whether they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assessment::Notice;
use super::context::Context;
use crate::advice::{Advice, one_line};
use crate::api::application::ApplicationDestination;
use crate::api::{AppProject, Application};
use crate::cluster::{self, ClusterError, Difference, KindInfo, LiveObject, Memo, Verdicts};
use crate::diff::{self, Rules};
use crate::project::{self, IN_CLUSTER_NAME, IN_CLUSTER_SERVER};
use crate::resource::{GroupKind, ResourceKey};
use crate::sync::comparison::SyncCode;
use crate::sync::hooks::Role;
use crate::sync::{Comparison, Item, Targets};

/// Loads live state and compares; `None` when something could not be loaded, since nothing may be pruned then.
pub async fn compare(
    app: &Application,
    instance: &str,
    project: &AppProject,
    targets: &Targets,
    notices: &mut Vec<Notice>,
    cx: &Context,
) -> Option<Comparison> {
    let keys = targets.keys();
    let kinds = managed_kinds(app, targets, cx);
    let failures = cx.cache.manage(instance, &kinds, &keys).await;
    if !failures.is_empty() {
        notices.extend(failures.iter().map(|failure| {
            let cause = one_line(&failure.error, &failure.error);
            ("ComparisonError", format!("Failed to load live state of {}: {cause}", failure.kind))
        }));
        return None;
    }
    let live = cx.cache.live(instance, &keys);
    let mut items = side_by_side(targets, &live, project, &app.spec.destination);
    notices.extend(items.values().filter_map(|item| shared_with(item, instance)));

    let known = cx.take_verdicts(instance);
    let mut verdicts = Verdicts::new();
    let mut complete = true;
    for (key, item) in items.iter_mut().filter(|(_, item)| is_compared(item)) {
        match verdict(app, item, &kinds, known.get(key).copied(), cx).await {
            Ok(Difference { memo, rules, .. }) => {
                if item.code != SyncCode::Unknown {
                    item.code = if memo.differs { SyncCode::OutOfSync } else { SyncCode::Synced };
                }
                item.rules = rules;
                verdicts.insert(key.clone(), memo);
            }
            Err(error) => {
                complete = false;
                item.code = SyncCode::Unknown;
                notices.push(("ComparisonError", failure_text(item, &error)));
            }
        }
    }
    cx.keep_verdicts(instance, verdicts);
    complete.then_some(Comparison { items })
}

/// Kinds to watch: those of the targets, and those of which the Application managed objects before, so that the last object
/// of a kind is still found after it left the target state.
fn managed_kinds(app: &Application, targets: &Targets, cx: &Context) -> BTreeMap<GroupKind, KindInfo> {
    let settings = cx.lens.settings();
    let mut wanted: BTreeSet<GroupKind> = targets.kinds();
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
        .filter(|(kind, info)| info.watchable && !settings.kinds.excludes(kind, IN_CLUSTER_SERVER))
        .collect()
}

/// Pairs targets with live objects. Live objects that the project does not permit are left out, by kind or by namespace: they are
/// neither compared nor pruned, so that a mark in a foreign namespace neither deletes anything nor stops a sync. Targets that it
/// does not permit are `Unknown`. Pure.
fn side_by_side(
    targets: &Targets,
    live: &BTreeMap<ResourceKey, Arc<LiveObject>>,
    project: &AppProject,
    destination: &ApplicationDestination,
) -> BTreeMap<ResourceKey, Item> {
    let keys: BTreeSet<&ResourceKey> = targets.objects.keys().chain(live.keys()).collect();
    let pair = |key: &ResourceKey| {
        let permitted = project::check_kind(project, &key.group, &key.kind, &key.name, !key.namespace.is_empty()).is_ok();
        let target = targets.objects.get(key).cloned();
        if target.is_none() && !(permitted && in_fence(key, project, destination)) {
            return None;
        }
        let mut item = Item::new(key.clone(), target, live.get(key).cloned());
        if !permitted {
            item.code = SyncCode::Unknown;
        }
        Some((key.clone(), item))
    };
    keys.into_iter().filter_map(pair).collect()
}

/// Whether an object is cluster-scoped, or in a namespace that the Application may deploy to.
fn in_fence(key: &ResourceKey, project: &AppProject, destination: &ApplicationDestination) -> bool {
    let there = ApplicationDestination {
        server: IN_CLUSTER_SERVER.into(),
        name: IN_CLUSTER_NAME.into(),
        namespace: key.namespace.clone(),
    };
    key.namespace.is_empty() || key.namespace == destination.namespace || project::check_destination(project, &there).is_ok()
}

/// Hooks are run, not kept in sync; what is missing on one side needs no comparison.
fn is_compared(item: &Item) -> bool {
    item.target.is_some() && item.live.is_some() && item.role == Role::Ordinary
}

async fn verdict(
    app: &Application,
    item: &Item,
    kinds: &BTreeMap<GroupKind, KindInfo>,
    known: Option<Memo>,
    cx: &Context,
) -> Result<Difference, ClusterError> {
    let kind = item.key.group_kind();
    let (Some(target), Some(live), Some(info)) = (&item.target, &item.live, kinds.get(&kind)) else {
        return Err(ClusterError::UnknownKind { kind: kind.to_string() });
    };
    let refused = |message| ClusterError::Refused { message, code: 422 };
    let settings = cx.lens.settings();
    if let Some(problem) = settings.customisations.problem_of(&kind) {
        return Err(refused(problem.to_string()));
    }
    let rules = Rules::of(&item.key, &app.spec.ignore_differences, &settings.customisations);
    rules.check().map_err(|error| refused(error.to_string()))?;
    // What is remembered does not say who owns which field, and a sync that respects them has to know.
    let known = known.filter(|_| !(respects_ignored(app) && rules.asks_for_owners()));
    cluster::compare(&cx.writer, info, target, live, &rules, known).await
}

/// True when the sync that is asked for leaves ignored fields alone.
fn respects_ignored(app: &Application) -> bool {
    let sync = app.operation.as_ref().and_then(|operation| operation.sync.as_ref());
    sync.is_some_and(|sync| sync.sync_options.iter().any(|option| option == "RespectIgnoreDifferences=true"))
}

fn failure_text(item: &Item, error: &ClusterError) -> String {
    let hint = error.hint().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
    let text = format!("Failed to compare {}: {error}{hint}", item.key);
    item.target.as_ref().map_or(text.clone(), |target| diff::redact(&text, target))
}

/// Tells of a target that another Application manages.
fn shared_with(item: &Item, instance: &str) -> Option<Notice> {
    let live = item.live.as_ref().filter(|live| item.target.is_some() && live.is_own())?;
    let other = live.instance().filter(|other| *other != instance)?;
    let text = format!("{}/{} is part of applications {instance} and {other}", item.key.kind, item.key.name);
    Some(("SharedResourceWarning", text))
}
