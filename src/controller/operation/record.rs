//! What a step leaves in `status.operationState`. Pure.

use jiff::Timestamp;

use super::Step;
use crate::api::Application;
use crate::api::application::{OperationState, ResourceResult, SyncOperation};
use crate::controller::assessment::Assessment;
use crate::controller::status::{rfc3339, with_history};
use crate::sync::retry;

/// Records which revisions of which sources the operation works with.
pub(super) fn with_result(app: &Application, state: &OperationState, sync: &SyncOperation, found: &Assessment) -> OperationState {
    let mut state = state.clone();
    let result = state.sync_result.get_or_insert_default();
    let multi = app.is_multi_source() || !sync.sources.is_empty();
    if multi {
        result.revisions.clone_from(&found.revisions);
        result.sources.clone_from(&found.sources);
    } else {
        result.revision = found.revisions.first().cloned().unwrap_or_default();
        result.source = found.sources.first().cloned();
    }
    result.managed_namespace_metadata =
        app.spec.sync_policy.as_ref().and_then(|policy| policy.managed_namespace_metadata.clone());
    state
}

pub(super) fn with_state(app: &Application, state: OperationState) -> Application {
    let mut next = app.clone();
    next.status.get_or_insert_default().operation_state = Some(state);
    next
}

/// Adds results; a new one for the same object and phase replaces the old one.
pub(super) fn with_results(app: &Application, state: &OperationState, new: Vec<ResourceResult>) -> Application {
    let mut state = state.clone();
    let resources = &mut state.sync_result.get_or_insert_default().resources;
    for result in new {
        let same = |old: &&mut ResourceResult| {
            (&old.group, &old.kind, &old.namespace, &old.name, &old.sync_phase)
                == (&result.group, &result.kind, &result.namespace, &result.name, &result.sync_phase)
        };
        match resources.iter_mut().find(same) {
            Some(old) => *old = result,
            None => resources.push(result),
        }
    }
    with_state(app, state)
}

/// Ends an attempt: with a retry when one is left, else the operation.
pub(super) fn ended(app: &Application, state: &OperationState, phase: &str, message: &str, now: Timestamp) -> Step {
    let failed = phase != "Succeeded" && state.phase != "Terminating";
    if failed && retry::allows_retry(state.operation.retry.as_ref(), state.retry_count) {
        return retried(app, state, phase, message, now);
    }
    ended_without_retry(app, state, phase, message, now)
}

fn retried(app: &Application, state: &OperationState, phase: &str, message: &str, now: Timestamp) -> Step {
    let attempt = state.retry_count + 1;
    let wait = match retry::wait(state.operation.retry.as_ref(), attempt) {
        Ok(wait) => wait,
        Err(error) => return ended_without_retry(app, state, phase, &format!("{message}; {error}"), now),
    };
    let at = now.checked_add(wait).unwrap_or(now).strftime("%-I:%M%p").to_string();
    let mut next = state.clone();
    next.message = format!("{message}. Retrying attempt #{attempt} at {at}.");
    next.finished_at = Some(rfc3339(now));
    next.retry_count = attempt;
    Step { app: with_state(app, next), found: None, again_in: Some(wait), event: None }
}

pub(super) fn ended_without_retry(app: &Application, state: &OperationState, phase: &str, message: &str, now: Timestamp) -> Step {
    let mut state = state.clone();
    state.phase = phase.to_owned();
    state.message = if state.retry_count > 0 && phase != "Succeeded" {
        format!("{message} (retried {} times).", state.retry_count)
    } else {
        message.to_owned()
    };
    state.finished_at = Some(rfc3339(now));
    let sync = state.operation.sync.clone().unwrap_or_default();
    let mut next = app.clone();
    next.operation = None;
    if phase == "Succeeded" && !sync.dry_run && sync.resources.is_empty() {
        next.status.get_or_insert_default().history = with_history(app, &state, &rfc3339(now));
    }
    let note = if phase == "Succeeded" {
        let revision = state.sync_result.as_ref().map(|result| result.revision.clone()).unwrap_or_default();
        format!("Sync operation to {revision} succeeded")
    } else {
        format!("Sync operation failed: {}", state.message)
    };
    next.status.get_or_insert_default().operation_state = Some(state);
    Step { app: next, found: None, again_in: None, event: Some((phase != "Succeeded", "OperationCompleted", note)) }
}
