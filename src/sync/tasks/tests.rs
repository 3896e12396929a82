//! What has to be done, and in which order.

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
    let found = comparison([both, early, fail, object("ConfigMap", "web", &json!({}))].map(|one| item(Some(one), None)).into());
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
fn deletions_beyond_the_budget_wait_after_everything_else() {
    let mark = |name: &str| json!({ TRACKING_ID: format!("web:/ConfigMap:prod/{name}") });
    let old = |name: &str| item(None, Some(object("ConfigMap", name, &mark(name))));
    let new = item(Some(object("ConfigMap", "new", &json!({ SYNC_WAVE: "3" }))), None);
    let found = comparison(vec![old("a"), old("b"), new]);
    let planned = |budget: &str, approved: bool| {
        let budget = crate::sync::budget::Budget::read(budget).unwrap_or_default();
        let policy = Policy { prune: true, budget, deletion_approved: approved, ..Policy::default() };
        tasks(&found, &policy).iter().map(|task| (task.key.name.clone(), task.wave, task.held)).collect::<Vec<_>>()
    };
    let held = [("new".to_owned(), 3, false), ("a".to_owned(), 4, true), ("b".to_owned(), 4, true)];
    assert_eq!(planned("1", false), held);
    assert!(planned("2", false).iter().all(|(_, _, held)| !held));
    assert!(planned("1", true).iter().all(|(_, _, held)| !held));
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

/// T64.
#[test]
fn in_sync_objects_are_left_out_on_demand_and_hooks_are_not() {
    let hook = item(Some(object("Pod", "hook", &json!({ HOOK: "PreSync" }))), None);
    let settled = Item {
        code: SyncCode::Synced,
        ..item(Some(object("ConfigMap", "a", &json!({}))), Some(object("ConfigMap", "a", &json!({}))))
    };
    let found = comparison(vec![hook, settled]);
    let policy = Policy { out_of_sync_only: true, ..Policy::default() };
    assert_eq!(shown(&tasks(&found, &policy)), ["PreSync 0 hook"]);
    assert_eq!(shown(&tasks(&found, &Policy::default())), ["PreSync 0 hook", "Sync 0 a"]);
}
