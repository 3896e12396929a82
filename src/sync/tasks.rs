//! Everything that a sync has to do, in order. Pure.
//!
//! Source: Argo CD 3.5 sync engine (reference sections 6.2 to 6.8).

use std::collections::{BTreeMap, BTreeSet};

use crate::diff;
use crate::resource::annotations::SYNC_OPTIONS;
use crate::resource::{GroupKind, Object, ResourceKey, order};
use crate::sync::comparison::{Comparison, Item, SyncCode};
use crate::sync::confirmation;
use crate::sync::hooks::{self, DeletePolicies, Hook, LiveHook, Phase, Role};
use crate::sync::policy::Policy;

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
    /// Present when the object is a hook.
    pub hook: Option<Hook>,
    /// True while a person has to approve it.
    pub held: bool,
}

impl Task {
    /// Phase and wave: what is done together.
    #[must_use]
    pub const fn step(&self) -> (Phase, i64) {
        (self.phase, self.wave)
    }

    /// True when something is deleted, or would be if it were asked for.
    #[must_use]
    pub const fn is_prune(&self) -> bool {
        matches!(self.action, Action::Prune { .. } | Action::Keep { .. })
    }
}

/// What to do to an object.
#[derive(Debug, Clone)]
pub enum Action {
    /// Bring the target about.
    Apply {
        /// The target.
        object: Object,
        /// True when the comparison knows that applying would change nothing.
        unchanged: bool,
        /// How it is written.
        way: Way,
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

/// How a target is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Way {
    /// Replace the whole object instead of applying the fields of the target.
    pub replace: bool,
    /// Delete and re-create: always together with `replace`, else when the API server refuses the change.
    pub force: bool,
    /// Server-side apply was asked for: what the schema does not declare is an error, instead of being left out.
    pub strict: bool,
}

/// Lists everything that the sync has to do, in order: phase, wave, kind, name, namespace.
#[must_use]
pub fn tasks(comparison: &Comparison, policy: &Policy) -> Vec<Task> {
    let ordinary = comparison.items.values().filter_map(|item| ordinary_task(item, policy));
    let hooks = comparison.items.values().flat_map(|item| hook_tasks(item, comparison, policy));
    let mut tasks: Vec<Task> = ordinary.chain(hooks).collect();
    tasks.extend(policy.namespace.as_ref().map(namespace_task));
    reverse_prune_waves(&mut tasks);
    delay_prunes(&mut tasks, comparison, policy);
    if over_budget(&tasks, comparison, policy).is_some() {
        hold_prunes(&mut tasks);
    }
    pull_up_dependencies(&mut tasks);
    tasks.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    tasks
}

fn sort_key(task: &Task) -> (Phase, i64, usize, &str, &str, &str, &str) {
    let key = &task.key;
    (task.phase, task.wave, order::rank(&key.kind), &key.kind, &key.name, &key.namespace, &key.group)
}

fn namespace_task(namespace: &Object) -> Task {
    Task {
        key: namespace.key(),
        version: namespace.version().to_owned(),
        phase: Phase::PreSync,
        wave: 0,
        action: Action::Apply { object: namespace.clone(), unchanged: false, way: Way::default() },
        hook: None,
        held: false,
    }
}

fn ordinary_task(item: &Item, policy: &Policy) -> Option<Task> {
    if item.role != Role::Ordinary || item.is_foreign_copy() || !is_selected(item, policy) {
        return None;
    }
    let (version, action, held) = match &item.target {
        Some(target) => {
            if policy.out_of_sync_only && item.live.is_some() && item.code == SyncCode::Synced {
                return None;
            }
            let unchanged = item.code == SyncCode::Synced && item.applied_by_us;
            let live = if unchanged { None } else { item.live.as_ref().map(|live| live.object()) };
            let way = way(target, live.as_ref(), policy);
            let object = match &live {
                Some(live) if policy.respect_ignored => diff::with_ignored_of(target, live, &item.rules),
                Some(_) | None => target.clone(),
            };
            (target.version().to_owned(), Action::Apply { object, unchanged, way }, false)
        }
        // What is being deleted already is not deleted again.
        None if !item.requires_pruning() || item.live.as_ref().is_some_and(|live| live.being_deleted) => return None,
        None => {
            let live = item.live_object.as_ref()?;
            // A dry run deletes nothing, so there is nothing to approve.
            let approved = policy.deletion_approved || policy.dry_run;
            let held = !approved && confirmation::guards_prune(live, policy.confirm_prunes);
            (live.version().to_owned(), prune_action(live, policy), held)
        }
    };
    Some(Task { key: item.key.clone(), version, phase: Phase::Sync, wave: item.wave(), action, hook: None, held })
}

/// One task for each phase that a hook names. A failure hook cannot follow a dry run: nothing was done that could be mended.
fn hook_tasks(item: &Item, comparison: &Comparison, policy: &Policy) -> Vec<Task> {
    let (Role::Hook(types), Some(target), false) = (&item.role, &item.target, policy.skip_hooks) else { return Vec::new() };
    let phases = Phase::ALL.into_iter().filter(|phase| types.contains(&phase.as_str()));
    phases
        .filter(|phase| !(policy.dry_run && *phase == Phase::SyncFail))
        .map(|phase| hook_task(target, phase, comparison, policy))
        .collect()
}

fn hook_task(target: &Object, phase: Phase, comparison: &Comparison, policy: &Policy) -> Task {
    let object = policy.attempt.prepare(target, phase);
    let key = object.key();
    let seen = comparison.items.get(&key).filter(|_| !policy.dry_run);
    let live = seen.and_then(|item| {
        let health = item.live.as_ref()?.health.as_ref();
        Some(LiveHook::new(item.live_object.as_ref()?, health, &policy.attempt.mark(phase)))
    });
    let way = way(target, seen.and_then(|item| item.live_object.as_ref()), policy);
    Task {
        key,
        version: target.version().to_owned(),
        phase,
        wave: hooks::wave(target),
        hook: Some(Hook { policies: DeletePolicies::of(target), live }),
        action: Action::Apply { object, unchanged: false, way },
        held: false,
    }
}

/// Target and live object may both ask for another way of writing.
fn way(target: &Object, live: Option<&Object>, policy: &Policy) -> Way {
    let says =
        |option: &str| target.has_option(SYNC_OPTIONS, option) || live.is_some_and(|one| one.has_option(SYNC_OPTIONS, option));
    // An object's own wish beats that of the application.
    let server_side = |option: &str| target.has_option(SYNC_OPTIONS, option);
    Way {
        replace: policy.replace || says("Replace=true"),
        force: policy.force || says("Force=true"),
        strict: !server_side("ServerSideApply=false") && (policy.server_side || server_side("ServerSideApply=true")),
    }
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

fn is_selected(item: &Item, policy: &Policy) -> bool {
    let key = &item.key;
    policy.only.is_empty()
        || policy.only.iter().any(|one| {
            one.group == key.group
                && one.kind == key.kind
                && one.name == key.name
                && (one.namespace.is_empty() || one.namespace == key.namespace)
        })
}

/// What was applied last is pruned first: the distinct prune waves are swapped end for end.
fn reverse_prune_waves(tasks: &mut [Task]) {
    let waves: BTreeSet<i64> = tasks.iter().filter(|task| task.is_prune()).map(|task| task.wave).collect();
    let swapped: BTreeMap<i64, i64> = waves.iter().copied().zip(waves.iter().rev().copied()).collect();
    for task in tasks.iter_mut().filter(|task| task.is_prune()) {
        task.wave = swapped[&task.wave];
    }
}

fn delay_prunes(tasks: &mut [Task], comparison: &Comparison, policy: &Policy) {
    let last = tasks.iter().filter(|task| task.phase == Phase::Sync).map(|task| task.wave).max().unwrap_or_default();
    let wave = last.max(0) + 1;
    for task in tasks.iter_mut().filter(|task| task.is_prune()) {
        let annotated = comparison.items.get(&task.key).is_some_and(|item| item.has_option("PruneLast=true"));
        if policy.prune_last || annotated {
            task.wave = wave;
        }
    }
}

/// What of the deletion budget the prunes would pass; `None` when they stay within, or a person has approved them.
#[must_use]
pub fn over_budget(tasks: &[Task], comparison: &Comparison, policy: &Policy) -> Option<String> {
    if policy.deletion_approved || policy.dry_run {
        return None;
    }
    let doomed = tasks.iter().filter(|task| matches!(task.action, Action::Prune { .. })).map(|task| &task.key);
    let all = comparison.items.values().filter(|item| item.live.is_some() && item.counts()).count();
    policy.budget.passed(doomed, all)
}

/// Everything else is applied first: only the deletions wait for their approval.
fn hold_prunes(tasks: &mut [Task]) {
    let last = tasks.iter().filter(|task| task.phase == Phase::Sync).map(|task| task.wave).max().unwrap_or_default();
    for task in tasks.iter_mut().filter(|task| matches!(task.action, Action::Prune { .. })) {
        task.wave = last.saturating_add(1);
        task.held = true;
    }
}

/// A namespace or CRD that something earlier needs takes over that task's phase and wave.
fn pull_up_dependencies(tasks: &mut [Task]) {
    let mut earliest_in_namespace: BTreeMap<String, (Phase, i64)> = BTreeMap::new();
    let mut earliest_of_kind: BTreeMap<GroupKind, (Phase, i64)> = BTreeMap::new();
    for task in tasks.iter().filter(|task| !task.is_prune()) {
        let at = task.step();
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
        if let Some(at) = needed.copied().filter(|at| *at < task.step()) {
            (task.phase, task.wave) = at;
        }
    }
}

#[cfg(test)]
mod tests;
