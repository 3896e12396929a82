//! Decides the next step of a sync from the comparison and the results so far. Pure.
//!
//! Source: Argo CD 3.5 sync engine (reference sections 6.2 to 6.7).

use std::collections::{BTreeMap, BTreeSet};

use crate::api::application::{ResourceResult, SyncOperation, SyncOperationResource};
use crate::health::HealthCode;
use crate::resource::annotations::SYNC_OPTIONS;
use crate::resource::{GroupKind, Object, ResourceKey, order};
use crate::sync::comparison::{Comparison, Item, SyncCode};
use crate::sync::confirmation;
use crate::sync::hooks::{Phase, Role};

/// What the operation asks for, as far as planning reads it.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Delete what left the target state.
    pub prune: bool,
    /// `PruneLast=true` for the whole application.
    pub prune_last: bool,
    /// `Prune=false` for the whole application.
    pub never_prune: bool,
    /// `Prune=confirm` for the whole application.
    pub confirm_prunes: bool,
    /// A person has approved deletions since the operation began.
    pub deletion_approved: bool,
    /// `ApplyOutOfSyncOnly=true`.
    pub out_of_sync_only: bool,
    /// `SkipDryRunOnMissingResource=true` for the whole application.
    pub allow_missing_kinds: bool,
    /// The namespace to create first, when it is missing.
    pub namespace: Option<Object>,
    /// Only these objects; empty means all.
    pub only: Vec<SyncOperationResource>,
    /// Hooks are left out: strategy `apply`, or a selective sync.
    pub skip_hooks: bool,
}

impl Policy {
    /// Reads the policy of a requested sync. Only the operation's own sync options count, never the spec's.
    #[must_use]
    pub fn of(sync: &SyncOperation) -> Self {
        let option = |text: &str| sync.sync_options.iter().any(|one| one == text);
        let apply_strategy = sync.sync_strategy.as_ref().is_some_and(|strategy| strategy.apply.is_some());
        Self {
            prune: sync.prune,
            prune_last: option("PruneLast=true"),
            never_prune: option("Prune=false"),
            confirm_prunes: option("Prune=confirm"),
            deletion_approved: false,
            out_of_sync_only: option("ApplyOutOfSyncOnly=true"),
            allow_missing_kinds: option("SkipDryRunOnMissingResource=true"),
            namespace: None,
            only: sync.resources.clone(),
            skip_hooks: apply_strategy || !sync.resources.is_empty(),
        }
    }
}

/// One thing to do to one object.
#[derive(Debug, Clone)]
pub struct Task {
    /// Identity of the object.
    pub key: ResourceKey,
    /// API version, for results.
    pub version: String,
    /// Phase of the sync.
    pub phase: Phase,
    /// Wave within the phase.
    pub wave: i64,
    /// What to do.
    pub action: Action,
    /// True while a person has to approve it.
    pub held: bool,
}

/// What to do to an object.
#[derive(Debug, Clone)]
pub enum Action {
    /// Apply the target.
    Apply {
        /// The target.
        object: Object,
        /// True when the comparison knows that applying would change nothing.
        unchanged: bool,
    },
    /// Delete the live object.
    Prune {
        /// Uid of the object that was compared, so that no other is deleted.
        uid: String,
    },
    /// Leave the live object although it left the target state.
    Keep {
        /// Why, as in the result.
        message: &'static str,
    },
}

/// The next step.
#[derive(Debug, Clone)]
pub enum Plan {
    /// Do these tasks of one phase and wave.
    Run {
        /// The tasks, in order.
        tasks: Vec<Task>,
    },
    /// Nothing can be done until live state changes.
    Wait {
        /// What is waited for, for people.
        message: String,
    },
    /// The operation is over.
    Finish {
        /// True when it succeeded.
        succeeded: bool,
        /// How it ended, for people.
        message: String,
        /// Results that explain a failure before anything was done.
        results: Vec<ResourceResult>,
    },
}

/// How an applied or pruned object stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there, or its kind is not looked at.
    Present {
        /// Health, if the kind has one.
        health: Option<HealthCode>,
        /// True while it is being deleted.
        being_deleted: bool,
    },
    /// It is not there.
    Gone,
}

/// Lists everything that the sync has to do, in order: phase, wave, kind, name, namespace.
#[must_use]
pub fn tasks(comparison: &Comparison, policy: &Policy) -> Vec<Task> {
    let mut tasks: Vec<Task> = comparison.items.values().filter_map(|item| task_for(item, policy)).collect();
    if let Some(namespace) = &policy.namespace {
        tasks.push(Task {
            key: namespace.key(),
            version: namespace.version().to_owned(),
            phase: Phase::PreSync,
            wave: 0,
            action: Action::Apply { object: namespace.clone(), unchanged: false },
            held: false,
        });
    }
    reverse_prune_waves(&mut tasks);
    delay_prunes(&mut tasks, comparison, policy);
    pull_up_dependencies(&mut tasks);
    tasks.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    tasks
}

fn sort_key(task: &Task) -> (Phase, i64, usize, &str, &str, &str, &str) {
    let key = &task.key;
    (task.phase, task.wave, order::rank(&key.kind), &key.kind, &key.name, &key.namespace, &key.group)
}

fn task_for(item: &Item, policy: &Policy) -> Option<Task> {
    if item.role != Role::Ordinary || item.is_foreign_copy() || !is_selected(&item.key, &policy.only) {
        return None;
    }
    let mut held = false;
    let (version, action) = match &item.target {
        Some(target) => {
            if policy.out_of_sync_only && item.live.is_some() && item.code == SyncCode::Synced {
                return None;
            }
            let unchanged = item.code == SyncCode::Synced && item.applied_by_us;
            (target.version().to_owned(), Action::Apply { object: target.clone(), unchanged })
        }
        // What is being deleted already is not deleted again.
        None if !item.requires_pruning() || item.live.as_ref().is_some_and(|live| live.being_deleted) => return None,
        None => {
            let live = item.live_object.as_ref()?;
            held = !policy.deletion_approved && confirmation::guards_prune(live, policy.confirm_prunes);
            (live.version().to_owned(), prune_action(live, policy))
        }
    };
    Some(Task { key: item.key.clone(), version, phase: Phase::Sync, wave: item.wave(), action, held })
}

/// An annotation on the live object beats the application's option.
fn prune_action(live: &Object, policy: &Policy) -> Action {
    let says = |option: &str| live.has_option(SYNC_OPTIONS, option);
    let forbidden = says("Prune=false") || (policy.never_prune && !says("Prune=true") && !says("Prune=confirm"));
    if !policy.prune {
        Action::Keep { message: "ignored (requires pruning)" }
    } else if forbidden {
        Action::Keep { message: "ignored (no prune)" }
    } else {
        Action::Prune { uid: live.uid().to_owned() }
    }
}

fn is_selected(key: &ResourceKey, only: &[SyncOperationResource]) -> bool {
    only.is_empty()
        || only.iter().any(|one| {
            one.group == key.group
                && one.kind == key.kind
                && one.name == key.name
                && (one.namespace.is_empty() || one.namespace == key.namespace)
        })
}

const fn is_prune(task: &Task) -> bool {
    matches!(task.action, Action::Prune { .. } | Action::Keep { .. })
}

/// What was applied last is pruned first: the distinct prune waves are swapped end for end.
fn reverse_prune_waves(tasks: &mut [Task]) {
    let waves: BTreeSet<i64> = tasks.iter().filter(|task| is_prune(task)).map(|task| task.wave).collect();
    let swapped: BTreeMap<i64, i64> = waves.iter().copied().zip(waves.iter().rev().copied()).collect();
    for task in tasks.iter_mut().filter(|task| is_prune(task)) {
        task.wave = swapped[&task.wave];
    }
}

fn delay_prunes(tasks: &mut [Task], comparison: &Comparison, policy: &Policy) {
    let last = tasks.iter().filter(|task| task.phase == Phase::Sync).map(|task| task.wave).max().unwrap_or_default();
    let wave = last.max(0) + 1;
    for task in tasks.iter_mut().filter(|task| is_prune(task)) {
        let annotated = comparison.items.get(&task.key).is_some_and(|item| item.has_option("PruneLast=true"));
        if policy.prune_last || annotated {
            task.wave = wave;
        }
    }
}

/// A namespace or CRD that something earlier needs takes over that task's phase and wave.
fn pull_up_dependencies(tasks: &mut [Task]) {
    let mut earliest_in_namespace: BTreeMap<String, (Phase, i64)> = BTreeMap::new();
    let mut earliest_of_kind: BTreeMap<GroupKind, (Phase, i64)> = BTreeMap::new();
    for task in tasks.iter().filter(|task| !is_prune(task)) {
        let at = (task.phase, task.wave);
        let namespace = earliest_in_namespace.entry(task.key.namespace.clone()).or_insert(at);
        *namespace = at.min(*namespace);
        let kind = earliest_of_kind.entry(task.key.group_kind()).or_insert(at);
        *kind = at.min(*kind);
    }
    for task in tasks.iter_mut() {
        let Action::Apply { object, .. } = &task.action else { continue };
        let needed = match (task.key.group.as_str(), task.key.kind.as_str()) {
            ("", "Namespace") => earliest_in_namespace.get(&task.key.name),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                let declared = super::targets::scopes_of_crds(std::slice::from_ref(object)).into_keys().next();
                declared.and_then(|kind| earliest_of_kind.get(&kind))
            }
            _ => None,
        };
        if let Some(at) = needed.copied().filter(|at| *at < (task.phase, task.wave)) {
            (task.phase, task.wave) = at;
        }
    }
}

/// Checks all tasks before anything is applied. `why_invalid` says why a task can never work.
///
/// Returns a failed [`Plan::Finish`], or `None` when all are fine.
pub fn validate(tasks: &[Task], why_invalid: impl Fn(&Task) -> Option<String>) -> Option<Plan> {
    let mut results = Vec::new();
    let mut messages = BTreeSet::new();
    for task in tasks {
        if let Some(message) = why_invalid(task) {
            messages.insert(message.clone());
            results.push(result_of(task, "SyncFailed", message, "Failed"));
        }
    }
    if messages.is_empty() {
        return None;
    }
    let joined: Vec<String> = messages.into_iter().collect();
    let message = format!("one or more synchronization tasks are not valid: {}", joined.join("; "));
    Some(Plan::Finish { succeeded: false, message, results })
}

/// Decides the next step.
///
/// Same inputs, same plan. A step starts only when everything applied in earlier steps is healthy and everything pruned is
/// gone; with a single step the operation succeeds right after it.
pub fn plan(tasks: &[Task], results: &[ResourceResult], standing: impl Fn(&Task) -> Standing) -> Plan {
    if let Some(plan) = failure(results) {
        return plan;
    }
    let result = |task: &Task| results.iter().find(|result| is_result_of(result, task));
    let Some(next) = tasks.iter().find(|task| result(task).is_none()) else {
        let message = "successfully synced (all tasks run)".to_owned();
        return Plan::Finish { succeeded: true, message, results: Vec::new() };
    };
    let at = (next.phase, next.wave);
    let earlier: Vec<&Task> = tasks.iter().filter(|task| (task.phase, task.wave) < at).collect();
    match still_open(&earlier, &standing) {
        Open::Nothing => {}
        Open::Failed(message) => return Plan::Finish { succeeded: false, message, results: Vec::new() },
        Open::Waiting(message) => return Plan::Wait { message },
    }
    let step: Vec<&Task> = tasks.iter().filter(|task| (task.phase, task.wave) == at && result(task).is_none()).collect();
    // One unapproved deletion holds everything of its step, creations included, as in Argo CD.
    let held: Vec<&Task> = step.iter().copied().filter(|task| task.held).collect();
    match waiting_for("pruning confirmation", &held) {
        Some(message) => Plan::Wait { message },
        None => Plan::Run { tasks: step.into_iter().cloned().collect() },
    }
}

fn failure(results: &[ResourceResult]) -> Option<Plan> {
    let reasons: BTreeSet<&str> =
        results.iter().filter(|result| result.status == "SyncFailed").map(|result| result.message.as_str()).collect();
    if reasons.is_empty() {
        return None;
    }
    let reasons: Vec<&str> = reasons.into_iter().collect();
    let message = format!("one or more objects failed to apply, reason: {}", reasons.join("; "));
    Some(Plan::Finish { succeeded: false, message, results: Vec::new() })
}

enum Open {
    Nothing,
    Waiting(String),
    Failed(String),
}

fn still_open(earlier: &[&Task], standing: &impl Fn(&Task) -> Standing) -> Open {
    let mut unhealthy = Vec::new();
    let mut deleting = Vec::new();
    for task in earlier {
        match (&task.action, standing(task)) {
            (Action::Keep { .. }, _) | (Action::Prune { .. }, Standing::Gone) => {}
            (Action::Prune { .. }, Standing::Present { being_deleted, .. }) => {
                if being_deleted {
                    deleting.push(*task);
                }
            }
            (Action::Apply { .. }, Standing::Gone) => {
                let message = format!("Resource {} is missing, it might have been deleted", shown(&task.key));
                return Open::Failed(format!("one or more synchronization tasks completed unsuccessfully, reason: {message}"));
            }
            (Action::Apply { .. }, Standing::Present { health, .. }) => match health {
                None | Some(HealthCode::Healthy) => {}
                Some(HealthCode::Degraded) => {
                    return Open::Failed(format!(
                        "one or more synchronization tasks completed unsuccessfully, reason: {} is Degraded",
                        shown(&task.key)
                    ));
                }
                Some(_) => unhealthy.push(*task),
            },
        }
    }
    if let Some(message) = waiting_for("healthy state", &unhealthy).or_else(|| waiting_for("deletion", &deleting)) {
        return Open::Waiting(message);
    }
    Open::Nothing
}

fn waiting_for(what: &str, tasks: &[&Task]) -> Option<String> {
    let (first, rest) = tasks.split_first()?;
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more resources", rest.len()) };
    Some(format!("waiting for {what} of {}{more}", shown(&first.key)))
}

/// `group/Kind/name`; the core group prints as an empty first segment, as in Argo CD.
fn shown(key: &ResourceKey) -> String {
    format!("{}/{}/{}", key.group, key.kind, key.name)
}

fn is_result_of(result: &ResourceResult, task: &Task) -> bool {
    let key = &task.key;
    result.kind == key.kind
        && result.name == key.name
        && result.namespace == key.namespace
        && result.group == key.group
        && result.sync_phase == task.phase.as_str()
}

/// Makes the result of a task.
#[must_use]
pub fn result_of(task: &Task, status: &str, message: String, hook_phase: &str) -> ResourceResult {
    let images = match &task.action {
        Action::Apply { object, .. } => crate::resource::images::images(object),
        Action::Prune { .. } | Action::Keep { .. } => Vec::new(),
    };
    ResourceResult {
        group: task.key.group.clone(),
        version: task.version.clone(),
        kind: task.key.kind.clone(),
        namespace: task.key.namespace.clone(),
        name: task.key.name.clone(),
        status: status.to_owned(),
        message,
        hook_type: String::new(),
        hook_phase: hook_phase.to_owned(),
        sync_phase: task.phase.as_str().to_owned(),
        images,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(kind: &str, name: &str, wave: i64, action: Action) -> Task {
        let key = ResourceKey::new(if kind == "Deployment" { "apps" } else { "" }, kind, "prod", name);
        Task { key, version: "v1".into(), phase: Phase::Sync, wave, action, held: false }
    }

    fn apply(kind: &str, name: &str, wave: i64) -> Task {
        let value = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
        let object = Object::from_value(value).unwrap_or_default();
        task(kind, name, wave, Action::Apply { object, unchanged: false })
    }

    fn prune(name: &str, wave: i64) -> Task {
        task("ConfigMap", name, wave, Action::Prune { uid: "u".into() })
    }

    fn names(plan: &Plan) -> Vec<String> {
        match plan {
            Plan::Run { tasks } => tasks.iter().map(|task| task.key.name.clone()).collect(),
            other => vec![format!("{other:?}")],
        }
    }

    const fn healthy(_: &Task) -> Standing {
        Standing::Present { health: Some(HealthCode::Healthy), being_deleted: false }
    }

    fn done(tasks: &[&Task]) -> Vec<ResourceResult> {
        tasks.iter().map(|task| result_of(task, "Synced", "ok".into(), "Running")).collect()
    }

    fn message(plan: Plan) -> String {
        match plan {
            Plan::Wait { message } | Plan::Finish { message, .. } => message,
            Plan::Run { .. } => "runs".into(),
        }
    }

    #[test]
    fn one_wave_at_a_time_and_the_next_waits_for_health() {
        let tasks = [apply("ConfigMap", "a", 0), apply("Deployment", "b", 0), apply("ConfigMap", "c", 1)];
        assert_eq!(names(&plan(&tasks, &[], healthy)), ["a", "b"]);
        let results = done(&[&tasks[0], &tasks[1]]);
        let progressing = |task: &Task| Standing::Present {
            health: (task.key.kind == "Deployment").then_some(HealthCode::Progressing),
            being_deleted: false,
        };
        assert_eq!(message(plan(&tasks, &results, progressing)), "waiting for healthy state of apps/Deployment/b");
        assert_eq!(names(&plan(&tasks, &results, healthy)), ["c"]);
    }

    #[test]
    fn a_single_wave_succeeds_whatever_the_health() {
        let tasks = [apply("Deployment", "a", 0)];
        let degraded = |_: &Task| Standing::Present { health: Some(HealthCode::Degraded), being_deleted: false };
        assert_eq!(message(plan(&tasks, &done(&[&tasks[0]]), degraded)), "successfully synced (all tasks run)");
    }

    #[test]
    fn a_degraded_or_vanished_object_of_an_earlier_wave_fails_the_sync() {
        let tasks = [apply("Deployment", "a", 0), apply("ConfigMap", "b", 1)];
        let results = done(&[&tasks[0]]);
        let degraded = |_: &Task| Standing::Present { health: Some(HealthCode::Degraded), being_deleted: false };
        assert!(message(plan(&tasks, &results, degraded)).ends_with("apps/Deployment/a is Degraded"));
        let gone = message(plan(&tasks, &results, |_| Standing::Gone));
        assert!(gone.ends_with("Resource apps/Deployment/a is missing, it might have been deleted"), "{gone}");
    }

    #[test]
    fn a_failed_object_ends_the_sync_before_the_next_wave() {
        let tasks = [apply("ConfigMap", "a", 0), apply("ConfigMap", "b", 1)];
        let results = [result_of(&tasks[0], "SyncFailed", "no".into(), "Failed")];
        assert_eq!(message(plan(&tasks, &results, healthy)), "one or more objects failed to apply, reason: no");
    }

    #[test]
    fn prune_waves_run_backwards() {
        let mut tasks = vec![prune("first", 0), prune("middle", 1), prune("last", 5)];
        reverse_prune_waves(&mut tasks);
        let waves: Vec<i64> = tasks.iter().map(|task| task.wave).collect();
        assert_eq!(waves, [5, 1, 0]);
    }

    #[test]
    fn an_unapproved_prune_holds_its_whole_step() {
        let held = |held| Task { held, ..prune("old", 0) };
        let results = [];
        let plan_with = |flag| plan(&[apply("ConfigMap", "a", 0), held(flag)], &results, healthy);
        assert_eq!(message(plan_with(true)), "waiting for pruning confirmation of /ConfigMap/old");
        assert_eq!(names(&plan_with(false)), ["a", "old"]);
    }

    #[test]
    fn prune_last_comes_after_every_wave() {
        let mut tasks = vec![apply("ConfigMap", "a", 3), prune("old", 0)];
        let policy = Policy { prune: true, prune_last: true, ..Policy::default() };
        delay_prunes(&mut tasks, &Comparison::default(), &policy);
        assert_eq!(tasks[1].wave, 4);
    }

    #[test]
    fn a_namespace_is_pulled_up_to_its_first_user() {
        let mut namespace = apply("Namespace", "prod", 7);
        namespace.key.namespace = String::new();
        let mut tasks = vec![apply("ConfigMap", "a", -2), namespace];
        pull_up_dependencies(&mut tasks);
        assert_eq!(tasks[1].wave, -2);
    }

    #[test]
    fn invalid_tasks_stop_everything_and_are_named_once() {
        let tasks = [apply("ConfigMap", "a", 0), apply("ConfigMap", "b", 0)];
        let plan = validate(&tasks, |_| Some("not permitted".into())).map(message);
        assert_eq!(plan, Some("one or more synchronization tasks are not valid: not permitted".into()));
        assert!(validate(&tasks, |_| None).is_none());
    }
}
