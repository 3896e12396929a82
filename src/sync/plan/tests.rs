//! The rules of planning, case by case.

use super::*;
use crate::sync::testing::{apply, hook, prune};

fn names(plan: &Plan) -> Vec<String> {
    match plan {
        Plan::Run { tasks } => tasks.iter().map(|task| task.key.name.clone()).collect(),
        other => vec![format!("{other:?}")],
    }
}

const fn healthy(_: &Task) -> Standing {
    Standing::Present { health: Some(HealthCode::Healthy), being_deleted: false }
}

const fn degraded(_: &Task) -> Standing {
    Standing::Present { health: Some(HealthCode::Degraded), being_deleted: false }
}

fn done(tasks: &[&Task]) -> Vec<ResourceResult> {
    tasks.iter().map(|task| result_of(task, "Synced", "ok".into(), HookPhase::Running)).collect()
}

fn over(task: &Task, phase: HookPhase) -> ResourceResult {
    result_of(task, "Synced", "ok".into(), phase)
}

fn message(plan: Plan) -> String {
    match plan {
        Plan::Wait { message } | Plan::Finish { message, .. } => message,
        other => format!("{other:?}"),
    }
}

fn recorded(plan: Plan) -> Vec<ResourceResult> {
    match plan {
        Plan::Record { results } => results,
        other => vec![ResourceResult { message: format!("{other:?}"), ..ResourceResult::default() }],
    }
}

fn cleaned(plan: Plan) -> Vec<(String, bool)> {
    match plan {
        Plan::Clean { cleanups } => cleanups.into_iter().map(|one| (one.key.name, one.delete)).collect(),
        other => vec![(format!("{other:?}"), false)],
    }
}

/// A hook of this run whose result is recorded and which nothing holds any more.
fn live(health: HealthCode) -> LiveHook {
    LiveHook {
        uid: "u".into(),
        of_this_run: true,
        held: false,
        being_deleted: false,
        health: Some(health),
        message: String::new(),
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
    assert_eq!(message(plan(&tasks, &done(&[&tasks[0]]), degraded)), "successfully synced (all tasks run)");
}

#[test]
fn a_degraded_or_vanished_object_of_an_earlier_wave_fails_the_sync_for_good() {
    let tasks = [apply("Deployment", "a", 0), apply("ConfigMap", "b", 1)];
    let results = done(&[&tasks[0]]);
    let news = recorded(plan(&tasks, &results, degraded));
    assert_eq!((news[0].hook_phase.as_str(), news[0].message.as_str()), ("Failed", "apps/Deployment/a is Degraded"));
    // What is recorded counts, even if the object recovers.
    let text = message(plan(&tasks, &news, healthy));
    let expected = "one or more synchronization tasks completed unsuccessfully, reason: apps/Deployment/a is Degraded";
    assert_eq!(text, expected);
    let gone = recorded(plan(&tasks, &results, |_| Standing::Gone));
    assert_eq!(gone[0].message, "Resource apps/Deployment/a is missing, it might have been deleted");
    assert_eq!(gone[0].hook_phase, "Error");
}

#[test]
fn a_failed_object_ends_the_sync_before_the_next_wave() {
    let tasks = [apply("ConfigMap", "a", 0), apply("ConfigMap", "b", 1)];
    let results = [result_of(&tasks[0], "SyncFailed", "no".into(), HookPhase::Failed)];
    assert_eq!(message(plan(&tasks, &results, healthy)), "one or more objects failed to apply, reason: no");
}

#[test]
fn an_unapproved_prune_holds_its_whole_step() {
    let tasks = |held| [apply("ConfigMap", "a", 0), Task { held, ..prune("old", 0) }];
    assert_eq!(message(plan(&tasks(true), &[], healthy)), "waiting for pruning confirmation of /ConfigMap/old");
    assert_eq!(names(&plan(&tasks(false), &[], healthy)), ["a", "old"]);
}

#[test]
fn invalid_tasks_stop_everything_and_are_named_once() {
    let tasks = [apply("ConfigMap", "a", 0), apply("ConfigMap", "b", 0)];
    let plan = validate(&tasks, |_| Some("not permitted".into())).map(message);
    assert_eq!(plan, Some("one or more synchronization tasks are not valid: not permitted".into()));
    assert!(validate(&tasks, |_| None).is_none());
}

#[test]
fn the_sync_phase_waits_for_the_hook_and_postsync_for_healthy_objects() {
    let running = hook(Phase::PreSync, "migrate", Some(live(HealthCode::Progressing)));
    let web = apply("Deployment", "web", 0);
    let smoke = hook(Phase::PostSync, "smoke", None);
    let tasks = [running.clone(), web.clone(), smoke.clone()];
    let started = [over(&running, HookPhase::Running)];
    assert_eq!(message(plan(&tasks, &started, healthy)), "waiting for completion of hook batch/Job/migrate");

    let tasks = [hook(Phase::PreSync, "migrate", Some(live(HealthCode::Healthy))), web.clone(), smoke];
    let news = recorded(plan(&tasks, &started, healthy));
    assert_eq!((news[0].hook_phase.as_str(), news[0].hook_type.as_str()), ("Succeeded", "PreSync"));
    assert_eq!(names(&plan(&tasks, &news, healthy)), ["web"]);

    let results = [over(&tasks[0], HookPhase::Succeeded), over(&web, HookPhase::Running)];
    let progressing = |_: &Task| Standing::Present { health: Some(HealthCode::Progressing), being_deleted: false };
    assert_eq!(message(plan(&tasks, &results, progressing)), "waiting for healthy state of apps/Deployment/web");
    assert_eq!(names(&plan(&tasks, &results, healthy)), ["smoke"]);
}

#[test]
fn a_hook_that_was_created_but_not_recorded_is_not_created_again() {
    let tasks = [hook(Phase::PreSync, "migrate", Some(live(HealthCode::Progressing)))];
    let news = recorded(plan(&tasks, &[], healthy));
    assert_eq!((news[0].status.as_str(), news[0].hook_phase.as_str()), ("Synced", "Running"));
    assert_eq!(news[0].message, "job.batch/migrate created");
}

#[test]
fn a_hook_is_released_once_its_result_is_recorded_and_not_before() {
    let held = LiveHook { held: true, ..live(HealthCode::Healthy) };
    let tasks = [hook(Phase::PreSync, "migrate", Some(held)), apply("ConfigMap", "a", 0)];
    let news = recorded(plan(&tasks, &[over(&tasks[0], HookPhase::Running)], healthy));
    assert_eq!(cleaned(plan(&tasks, &news, healthy)), [("migrate".to_owned(), false)]);
}

#[test]
fn a_vanished_hook_is_decided_from_the_record() {
    let tasks = [hook(Phase::PreSync, "migrate", None)];
    let news = recorded(plan(&tasks, &[over(&tasks[0], HookPhase::Running)], healthy));
    assert_eq!(news[0].hook_phase, "Error");
    let text = message(plan(&tasks, &news, healthy));
    assert!(text.ends_with("reason: Resource batch/Job/migrate is missing, it might have been deleted"), "{text}");
    // One that was over before it vanished keeps its result.
    let tasks = [hook(Phase::PreSync, "migrate", None), apply("ConfigMap", "a", 0)];
    assert_eq!(names(&plan(&tasks, &[over(&tasks[0], HookPhase::Succeeded)], healthy)), ["a"]);
}

#[test]
fn a_hook_ends_with_what_its_health_says() {
    let ended = |hook_live: LiveHook| {
        let tasks = [hook(Phase::PreSync, "migrate", Some(hook_live))];
        let news = recorded(plan(&tasks, &[over(&tasks[0], HookPhase::Running)], healthy));
        (news[0].hook_phase.clone(), news[0].message.clone())
    };
    let says = |health, message: &str| ended(LiveHook { message: message.into(), ..live(health) });
    assert_eq!(says(HealthCode::Degraded, "backoff limit"), ("Failed".into(), "backoff limit".into()));
    assert_eq!(says(HealthCode::Degraded, ""), ("Failed".into(), "the hook failed".into()));
    assert_eq!(says(HealthCode::Healthy, ""), ("Succeeded".into(), "ok".into()));
    let replaced = LiveHook { of_this_run: false, ..live(HealthCode::Healthy) };
    assert_eq!(ended(replaced), ("Failed".into(), "another object has taken its place".into()));
}

#[test]
fn what_an_earlier_run_left_goes_before_its_hook_is_created() {
    let stale = LiveHook { of_this_run: false, ..live(HealthCode::Healthy) };
    let tasks = [apply("ConfigMap", "a", 0), hook(Phase::Sync, "b", Some(stale.clone())), prune("old", 0)];
    assert_eq!(names(&plan(&tasks, &[], healthy)), ["old"], "prunes come first");
    let results = [over(&tasks[2], HookPhase::Succeeded)];
    assert_eq!(cleaned(plan(&tasks, &results, healthy)), [("b".to_owned(), true)]);
    let going = LiveHook { being_deleted: true, ..stale.clone() };
    let tasks = [apply("ConfigMap", "a", 0), hook(Phase::Sync, "b", Some(going)), prune("old", 0)];
    assert_eq!(message(plan(&tasks, &results, healthy)), "waiting for deletion of batch/Job/b");
    // Without the policy it is applied over.
    let mut kept = hook(Phase::Sync, "b", Some(stale));
    if let Some(hook) = kept.hook.as_mut() {
        hook.policies.before_creation = false;
    }
    assert_eq!(names(&plan(&[kept], &[], healthy)), ["b"]);
}

#[test]
fn a_single_step_with_hooks_waits_for_the_hooks_only() {
    let tasks = [apply("Deployment", "web", 0), hook(Phase::Sync, "job", Some(live(HealthCode::Progressing)))];
    let results = done(&[&tasks[0], &tasks[1]]);
    assert_eq!(message(plan(&tasks, &results, degraded)), "waiting for completion of hook batch/Job/job");
    let tasks = [tasks[0].clone(), hook(Phase::Sync, "job", Some(live(HealthCode::Healthy)))];
    let results = [over(&tasks[0], HookPhase::Running), over(&tasks[1], HookPhase::Succeeded)];
    assert_eq!(message(plan(&tasks, &results, degraded)), "successfully synced (no more tasks)");
}

#[test]
fn a_failure_runs_the_failure_hooks_and_waits_for_them() {
    let migrate = hook(Phase::PreSync, "migrate", Some(live(HealthCode::Degraded)));
    let tasks = |health| [migrate.clone(), apply("ConfigMap", "a", 0), hook(Phase::SyncFail, "page", health)];
    let failed = over(&migrate, HookPhase::Failed);
    let all = tasks(None);
    assert_eq!(names(&plan(&all, std::slice::from_ref(&failed), healthy)), ["page"]);
    let all = tasks(Some(live(HealthCode::Progressing)));
    let text = message(plan(&all, &[failed.clone(), over(&all[2], HookPhase::Running)], healthy));
    assert_eq!(text, "waiting for completion of hook batch/Job/page");
    let end = "one or more synchronization tasks completed unsuccessfully, reason: batch/Job/migrate: ok";
    let text = |phase| message(plan(&all, &[failed.clone(), over(&all[2], phase)], healthy));
    assert_eq!(text(HookPhase::Succeeded), end);
    assert_eq!(text(HookPhase::Failed), format!("{end}; one or more SyncFail hooks failed"));
}

#[test]
fn without_a_failure_no_failure_hook_runs() {
    let tasks = [apply("ConfigMap", "a", 0), hook(Phase::SyncFail, "page", None)];
    assert_eq!(message(plan(&tasks, &done(&[&tasks[0]]), healthy)), "successfully synced (all tasks run)");
}

#[test]
fn hooks_go_by_their_policies_when_the_whole_operation_has_ended() {
    let with = |succeeded, failed| {
        let mut task = hook(Phase::PreSync, "migrate", Some(live(HealthCode::Healthy)));
        if let Some(hook) = task.hook.as_mut() {
            hook.policies = crate::sync::hooks::DeletePolicies { before_creation: false, succeeded, failed };
        }
        [task, apply("ConfigMap", "a", 0)]
    };
    let end = |tasks: &[Task], status: &str, phase| {
        let last = result_of(&tasks[1], status, "x".into(), phase);
        plan(tasks, &[over(&tasks[0], HookPhase::Succeeded), last], healthy)
    };
    let deleted = [("migrate".to_owned(), true)];
    assert_eq!(cleaned(end(&with(true, false), "Synced", HookPhase::Running)), deleted);
    assert!(message(end(&with(true, false), "SyncFailed", HookPhase::Failed)).starts_with("one or more objects failed"));
    // A hook that succeeded itself goes as well when the operation fails.
    assert_eq!(cleaned(end(&with(false, true), "SyncFailed", HookPhase::Failed)), deleted);
    assert_eq!(message(end(&with(false, true), "Synced", HookPhase::Running)), "successfully synced (all tasks run)");
}

#[test]
fn termination_deletes_what_runs_recorded_or_not() {
    let unrecorded = hook(Phase::PreSync, "a", Some(live(HealthCode::Progressing)));
    let finished = hook(Phase::PreSync, "b", Some(live(HealthCode::Healthy)));
    let unknown = hook(Phase::PreSync, "c", None);
    let results = [over(&finished, HookPhase::Succeeded), over(&unknown, HookPhase::Running)];
    let cleanups = unfinished_hooks(&[unrecorded, finished, unknown], &results);
    let shown: Vec<_> = cleanups.iter().map(|one| (one.key.name.as_str(), one.uid.as_deref(), one.delete)).collect();
    assert_eq!(shown, [("a", Some("u"), true), ("c", None, true)]);
}
