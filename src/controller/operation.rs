//! One operation, one step at a time; everything it knows is in `status.operationState`.
//!
//! Source: Argo CD 3.5 operation protocol (reference sections 2.1 to 2.5 and 6.12).

mod attempt;
mod decide;
mod record;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use self::attempt::{resolved_targets, superseded_by, waiting_for_retry};
use self::decide::{decide, namespace_to_create, results_of, revisions_of};
use self::record::{ended, ended_without_retry, with_result, with_results, with_state};
use super::assessment::Assessment;
use super::context::Context;
use super::identity;
use super::inputs::assess;
use super::status::{operation_sources, rfc3339};
use super::windows;
use crate::api::Application;
use crate::api::application::{Operation, OperationState, SyncOperation};
use crate::cluster::Propagation;
use crate::resource::annotations::CLIENT_SIDE_MIGRATION_MANAGER;
use crate::sync::budget::{Budget, InvalidBudget, how_to_approve};
use crate::sync::execute::{Adoption, Executor};
use crate::sync::hooks::HookPhase;
use crate::sync::plan::{self, Plan};
use crate::sync::results::is_running_hook;
use crate::sync::{Comparison, Policy, tasks};

/// How long an operation that waits for live state sleeps at most; a change wakes it earlier.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long the cache gets to hear of what was tidied up.
const AFTER_CLEANING: Duration = Duration::from_millis(100);
/// How long the cache gets to see an object that the API server has.
const CACHE_LAG: Duration = Duration::from_secs(1);
/// How a terminated operation ends.
const TERMINATED: &str = "Operation terminated";

/// What one step of an operation did to the Application.
pub struct Step {
    /// The Application after the step; to be written before the next one.
    pub app: Application,
    /// What was found on the way, when the step looked at the sources.
    pub found: Option<Assessment>,
    /// When to come back; `None` for at once.
    pub again_in: Option<Duration>,
    /// An Event to write once the Application is written: warning, reason, note.
    pub event: Option<(bool, &'static str, String)>,
}

/// True while an operation runs, waits for a retry or is being terminated.
#[must_use]
pub fn in_progress(state: &OperationState) -> bool {
    matches!(state.phase.as_str(), "Running" | "Terminating")
}

/// Does the next step of the requested operation; `None` when none is requested.
pub async fn step(app: &Application, cx: &Context, now: Timestamp) -> Option<Step> {
    let operation = app.operation.as_ref()?;
    let state = app.status.as_ref().and_then(|status| status.operation_state.as_ref()).filter(|state| in_progress(state));
    let Some(state) = state else { return Some(started(app, operation, now)) };
    let Some(sync) = &state.operation.sync else {
        return Some(ended(app, state, "Error", "Invalid operation request: no operation specified", now));
    };
    if state.phase == "Terminating" {
        return Some(terminate(app, state, sync, cx, now).await);
    }
    if let Some(finished_at) = &state.finished_at {
        let newer = resolved_targets(app, cx).await;
        return Some(match superseded_by(app, state, &newer) {
            Some(revision) => ended_without_retry(app, state, "Failed", &format!("superseded by {revision}"), now),
            None => waiting_for_retry(app, state, finished_at, now),
        });
    }
    Some(sync_step(app, state, sync, cx, now).await)
}

/// State of an operation that begins now.
#[must_use]
pub fn first_state(operation: &Operation, now: Timestamp) -> OperationState {
    OperationState {
        operation: operation.clone(),
        phase: "Running".into(),
        started_at: rfc3339(now),
        ..OperationState::default()
    }
}

/// What the Event about the begin of an operation says, in Argo CD's words.
#[must_use]
pub fn start_note(operation: &Operation) -> String {
    let who = operation.initiated_by.clone().unwrap_or_default();
    let revision = operation.sync.as_ref().map_or("", |sync| sync.revision.as_str());
    if who.automated {
        return format!("Initiated automated sync to '{revision}'");
    }
    let by = if who.username.is_empty() { String::new() } else { format!("{} ", who.username) };
    format!("{by}initiated sync to {}", if revision.is_empty() { "the target revision" } else { revision })
}

fn started(app: &Application, operation: &Operation, now: Timestamp) -> Step {
    let event = Some((false, "OperationStarted", start_note(operation)));
    Step { app: with_state(app, first_state(operation, now)), found: None, again_in: None, event }
}

async fn sync_step(app: &Application, state: &OperationState, sync: &SyncOperation, cx: &Context, now: Timestamp) -> Step {
    if let Some(held) = windows::holds_operation(app, state, cx, now) {
        let mut waiting = state.clone();
        waiting.message = held.message;
        return Step { app: with_state(app, waiting), found: None, again_in: Some(held.look_again_in), event: None };
    }
    let executor = match executor(app, sync, cx) {
        Ok(executor) => executor,
        Err(message) => return ended(app, state, "Error", &message, now),
    };
    let sources = operation_sources(app, state);
    let found = assess(app, sources, &revisions_of(state, sync), cx).await;
    let state = with_result(app, state, sync, &found);
    if let Some(message) = found.shared().filter(|_| has_option(sync, "FailOnSharedResource=true")) {
        return Step { found: Some(found), ..ended(app, &state, "Failed", &message, now) };
    }
    let (Some(comparison), None) = (&found.comparison, found.blocking()) else {
        let message = found.blocking().unwrap_or_else(|| "the target state could not be compared".into());
        return Step { found: Some(found), ..ended(app, &state, "Error", &message, now) };
    };
    let results = results_of(&state);
    let mut policy = Policy::of(app, &state);
    let (budget, problem) = Budget::of(app, &cx.lens.settings().deletion_budget);
    policy.budget = budget;
    // The namespace comes first; once there are results it has been seen to.
    if results.is_empty() {
        match namespace_to_create(app, sync, comparison, cx).await {
            Ok(namespace) => policy.namespace = namespace,
            Err(message) => return ended(app, &state, "Failed", &message, now),
        }
    }
    let next = explain_hold(decide(app, comparison, &policy, results, cx), app, comparison, &policy, problem.as_ref());
    let step = act(app, &state, &executor, next, now).await;
    if let Some(step) = give_way(app, &step, cx, now).await {
        return Step { found: Some(found), ..step };
    }
    Step { found: Some(found), ..step }
}

/// A deletion that waits because of the budget says so, and how to let it go on.
fn explain_hold(
    next: Plan,
    app: &Application,
    comparison: &Comparison,
    policy: &Policy,
    problem: Option<&InvalidBudget>,
) -> Plan {
    let Plan::Wait { message } = next else { return next };
    let passed = tasks::over_budget(&tasks::tasks(comparison, policy), comparison, policy);
    let Some(passed) = passed.filter(|_| message.starts_with("waiting for pruning confirmation")) else {
        return Plan::Wait { message };
    };
    let problem = problem.map(|problem| format!("; {problem}")).unwrap_or_default();
    Plan::Wait { message: format!("{message}: {passed}{problem} (hint: approve with {})", how_to_approve(app)) }
}

/// An automated operation that waits for live state gives way to a newer revision, at the next moment at which no hook runs:
/// what it waits for may never come, and the commit that mends it must not wait as well.
///
/// Different from Argo CD, where a sync that waits for a health that never comes has to be terminated by hand.
async fn give_way(app: &Application, step: &Step, cx: &Context, now: Timestamp) -> Option<Step> {
    let state = step.app.status.as_ref()?.operation_state.as_ref()?;
    let waits = step.again_in == Some(LONGEST_WAIT) && state.finished_at.is_none();
    if !waits || results_of(state).iter().any(is_running_hook) {
        return None;
    }
    let revision = superseded_by(app, state, &resolved_targets(app, cx).await)?;
    let message = format!("superseded by {revision} while {}", state.message);
    Some(ended_without_retry(app, state, "Failed", &message, now))
}

/// Does what was decided and says what the Application looks like then.
async fn act(app: &Application, state: &OperationState, executor: &Executor, next: Plan, now: Timestamp) -> Step {
    let step = |app, again_in| Step { app, found: None, again_in, event: None };
    match next {
        Plan::Run { tasks } => {
            let new = executor.execute(&tasks).await;
            step(with_results(app, state, new), None)
        }
        Plan::Record { results } => match executor.without_false_alarms(results).await {
            none if none.is_empty() => step(with_state(app, state.clone()), Some(CACHE_LAG)),
            results => step(with_results(app, state, results), None),
        },
        Plan::Clean { cleanups } => match executor.clean(&cleanups).await {
            // The watch tells when the objects are gone; a moment later it may already have.
            Ok(()) => step(with_state(app, state.clone()), Some(AFTER_CLEANING)),
            Err(message) => ended(app, state, "Error", &message, now),
        },
        Plan::Wait { message } => {
            let mut waiting = state.clone();
            waiting.message = message;
            step(with_state(app, waiting), Some(LONGEST_WAIT))
        }
        Plan::Finish { succeeded, message, results } => {
            let mut state = state.clone();
            if let Some(result) = state.sync_result.as_mut() {
                result.resources.extend(results);
            }
            let phase = if succeeded { "Succeeded" } else { "Failed" };
            ended(app, &state, phase, &message, now)
        }
    }
}

/// Stops an operation: hooks that run are deleted, everything else stays as it is.
///
/// What was created but not recorded is found by comparing; when that is not possible, the record has to do.
async fn terminate(app: &Application, state: &OperationState, sync: &SyncOperation, cx: &Context, now: Timestamp) -> Step {
    // Between two attempts nothing runs.
    if state.finished_at.is_some() {
        return ended(app, state, "Failed", TERMINATED, now);
    }
    let found = assess(app, operation_sources(app, state), &revisions_of(state, sync), cx).await;
    let policy = Policy::of(app, state);
    let tasks = found.comparison.as_ref().map(|comparison| tasks::tasks(comparison, &policy)).unwrap_or_default();
    let cleanups = plan::unfinished_hooks(&tasks, results_of(state));
    let cleaned = match executor(app, sync, cx) {
        Ok(executor) => executor.clean(&cleanups).await,
        Err(message) => Err(message),
    };
    if let Err(message) = cleaned {
        return ended(app, state, "Error", &format!("Operation termination had errors: {message}"), now);
    }
    let mut state = state.clone();
    let results = state.sync_result.iter_mut().flat_map(|result| &mut result.resources);
    for hook in results.filter(|result| is_running_hook(result)) {
        HookPhase::Failed.as_str().clone_into(&mut hook.hook_phase);
        TERMINATED.clone_into(&mut hook.message);
    }
    ended(app, &state, "Failed", TERMINATED, now)
}

fn executor(app: &Application, sync: &SyncOperation, cx: &Context) -> Result<Executor, String> {
    Ok(Executor {
        writer: identity::writer(app, cx)?,
        discovery: cx.discovery.clone(),
        cache: cx.cache.clone(),
        lens: cx.lens.clone(),
        propagation: Propagation::from_options(&sync.sync_options),
        dry_run: sync.dry_run,
        adoption: Adoption {
            off: has_option(sync, "ClientSideApplyMigration=false"),
            manager: app.annotation(CLIENT_SIDE_MIGRATION_MANAGER).map(str::to_owned),
        },
    })
}

fn has_option(sync: &SyncOperation, option: &str) -> bool {
    sync.sync_options.iter().any(|one| one == option)
}
