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
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::LiveObject;
    use crate::resource::annotations::{HOOK, SYNC_WAVE, TRACKING_ID};
    use crate::sync::hooks::Attempt;
    use crate::sync::testing::{apply, prune};

    fn object(kind: &str, name: &str, annotations: &Value) -> Object {
        let metadata = json!({ "name": name, "namespace": "prod", "uid": "u", "annotations": annotations });
        Object::from_value(json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata })).unwrap_or_default()
    }

    fn item(target: Option<Object>, live: Option<Object>) -> Item {
        let one = target.as_ref().or(live.as_ref()).cloned().unwrap_or_default();
        Item {
            key: one.key(),
            role: hooks::role(&one),
            target,
            live: live.clone().map(|live| Arc::new(LiveObject::from_object(live))),
            live_object: live,
            code: SyncCode::OutOfSync,
            applied_by_us: false,
            rules: diff::Rules::default(),
        }
    }

    fn comparison(items: Vec<Item>) -> Comparison {
        Comparison { items: items.into_iter().map(|item| (item.key.clone(), item)).collect() }
    }

    fn shown(tasks: &[Task]) -> Vec<String> {
        tasks.iter().map(|task| format!("{} {} {}", task.phase.as_str(), task.wave, task.key.name)).collect()
    }

    #[test]
    fn a_hook_has_one_task_for_each_phase_it_names() {
        let both = object("Pod", "both", &json!({ HOOK: "PostSync,PreSync,PreDelete" }));
        let early = object("Pod", "early", &json!({ HOOK: "PreSync", SYNC_WAVE: "-1" }));
        let fail = object("Pod", "fail", &json!({ HOOK: "SyncFail" }));
        let found =
            comparison([both, early, fail, object("ConfigMap", "web", &json!({}))].map(|one| item(Some(one), None)).into());
        let all = tasks(&found, &Policy::default());
        let expected = ["PreSync -1 early", "PreSync 0 both", "Sync 0 web", "PostSync 0 both", "SyncFail 0 fail"];
        assert_eq!(shown(&all), expected);
        let dry = Policy { dry_run: true, ..Policy::default() };
        assert_eq!(shown(&tasks(&found, &dry)), expected[..4]);
        let without = Policy { skip_hooks: true, ..Policy::default() };
        assert_eq!(shown(&tasks(&found, &without)), ["Sync 0 web"]);
    }

    #[test]
    fn a_hook_of_this_attempt_is_told_from_one_that_is_left_from_before() {
        let hook = object("Pod", "migrate", &json!({ HOOK: "PreSync" }));
        let policy =
            Policy { attempt: Attempt { started_at: "2026-01-01T00:00:00Z".into(), ..Attempt::default() }, ..Policy::default() };
        let live_of = |live: Object| {
            let all = tasks(&comparison(vec![item(Some(hook.clone()), Some(live))]), &policy);
            all[0].hook.clone().and_then(|hook| hook.live).map(|live| (live.of_this_run, live.held))
        };
        assert_eq!(live_of(policy.attempt.prepare(&hook, Phase::PreSync)), Some((true, true)));
        assert_eq!(live_of(policy.attempt.prepare(&hook, Phase::Sync)), Some((false, true)));
        assert_eq!(live_of(hook.clone()), Some((false, false)));
    }

    #[test]
    fn hooks_that_left_the_target_state_are_not_pruned() {
        let mark = json!({ HOOK: "PreSync", TRACKING_ID: "web:/Pod:prod/old" });
        let found = comparison(vec![item(None, Some(object("Pod", "old", &mark)))]);
        assert!(tasks(&found, &Policy { prune: true, ..Policy::default() }).is_empty());
    }

    #[test]
    fn target_live_and_operation_may_ask_to_replace_or_force() {
        let options = |text: &str| object("ConfigMap", "a", &json!({ SYNC_OPTIONS: text }));
        let way_of = |target: &str, live: &str, policy: &Policy| match &tasks(
            &comparison(vec![item(Some(options(target)), Some(options(live)))]),
            policy,
        )[0]
        .action
        {
            Action::Apply { way, .. } => (way.replace, way.force),
            Action::Prune { .. } | Action::Keep { .. } => (false, false),
        };
        let none = Policy::default();
        assert_eq!(way_of("", "", &none), (false, false));
        assert_eq!(way_of("Replace=true", "Force=true", &none), (true, true));
        assert_eq!(way_of("", "", &Policy { replace: true, ..Policy::default() }), (true, false));
        assert_eq!(way_of("", "", &Policy { force: true, ..Policy::default() }), (false, true));
    }

    #[test]
    fn a_guarded_prune_is_held_until_it_is_approved_whether_or_not_the_operation_prunes() {
        let mark = |options: &str| json!({ SYNC_OPTIONS: options, TRACKING_ID: "web:/ConfigMap:prod/old" });
        let held = |options: &str, policy: &Policy| {
            let found = comparison(vec![item(None, Some(object("ConfigMap", "old", &mark(options))))]);
            tasks(&found, policy)[0].held
        };
        assert!(held("Prune=confirm", &Policy::default()));
        assert!(held("", &Policy { prune: true, confirm_prunes: true, ..Policy::default() }));
        assert!(!held("Prune=true", &Policy { prune: true, confirm_prunes: true, ..Policy::default() }));
        assert!(!held("Prune=confirm", &Policy { deletion_approved: true, ..Policy::default() }));
    }

    #[test]
    fn prune_waves_run_backwards() {
        let mut tasks = vec![prune("first", 0), prune("middle", 1), prune("last", 5)];
        reverse_prune_waves(&mut tasks);
        let waves: Vec<i64> = tasks.iter().map(|task| task.wave).collect();
        assert_eq!(waves, [5, 1, 0]);
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
}
