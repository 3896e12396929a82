use std::time::Duration;

use super::*;
use crate::api::application::{OperationInitiator, RetryStrategy, SyncOperationResult};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

fn running(retry_limit: i64) -> (Application, OperationState) {
    let operation = Operation {
        sync: Some(SyncOperation::default()),
        retry: Some(RetryStrategy { limit: retry_limit, ..RetryStrategy::default() }),
        ..Operation::default()
    };
    let app = Application { operation: Some(operation.clone()), ..Application::default() };
    let step = started(&app, &operation, at("2026-01-01T00:00:00Z"));
    let state = step.app.status.clone().unwrap_or_default().operation_state.unwrap_or_default();
    (step.app, state)
}

fn state_of(step: &Step) -> OperationState {
    step.app.status.clone().unwrap_or_default().operation_state.unwrap_or_default()
}

#[test]
fn success_clears_the_operation_and_writes_history() {
    let (app, mut state) = running(0);
    state.sync_result = Some(SyncOperationResult { revision: "abc".into(), ..SyncOperationResult::default() });
    let step = ended(&app, &state, "Succeeded", "done", at("2026-01-01T00:00:09Z"));
    assert!(step.app.operation.is_none());
    assert_eq!(step.app.status.as_ref().map(|status| status.history.len()), Some(1));
    assert_eq!(state_of(&step).finished_at.as_deref(), Some("2026-01-01T00:00:09Z"));
}

#[test]
fn a_failure_with_a_retry_left_stays_running_and_waits() {
    let (app, state) = running(1);
    let step = ended(&app, &state, "Failed", "no", at("2026-01-01T00:00:00Z"));
    let waiting = state_of(&step);
    assert_eq!((waiting.phase.as_str(), waiting.retry_count), ("Running", 1));
    assert_eq!(waiting.message, "no. Retrying attempt #1 at 12:00AM.");
    assert!(step.app.operation.is_some());
    let early = waiting_for_retry(&step.app, &waiting, "2026-01-01T00:00:00Z", at("2026-01-01T00:00:04Z"));
    assert_eq!(early.again_in, Some(Duration::from_secs(6)));
    let due = waiting_for_retry(&step.app, &waiting, "2026-01-01T00:00:00Z", at("2026-01-01T00:00:10Z"));
    assert_eq!(state_of(&due).finished_at, None);
    let last = ended(&due.app, &state_of(&due), "Failed", "no", at("2026-01-01T00:01:00Z"));
    assert_eq!(state_of(&last).message, "no (retried 1 times).");
    assert!(last.app.operation.is_none());
}

#[test]
fn an_automated_operation_that_waits_gives_way_to_a_newer_revision() {
    let (mut app, mut state) = running(1);
    let source = crate::api::application::ApplicationSource { repo_url: "r".into(), ..Default::default() };
    app.spec.source = Some(source.clone());
    state.sync_result =
        Some(SyncOperationResult { revision: "old".into(), source: Some(source), ..SyncOperationResult::default() });
    let newer = ["new".to_owned()];
    assert_eq!(superseded_by(&app, &state, &newer), None, "somebody asked for this very sync");
    state.operation.initiated_by = Some(OperationInitiator { automated: true, ..OperationInitiator::default() });
    assert_eq!(superseded_by(&app, &state, &newer), Some("new".into()));
    assert_eq!(superseded_by(&app, &state, &["old".to_owned()]), None);
    assert_eq!(superseded_by(&app, &state, &[String::new()]), None, "an unreachable repository says nothing");
}

#[test]
fn a_selective_sync_writes_no_history() {
    let (app, mut state) = running(0);
    state.sync_result = Some(SyncOperationResult::default());
    if let Some(sync) = state.operation.sync.as_mut() {
        sync.resources.push(crate::api::application::SyncOperationResource::default());
    }
    let step = ended(&app, &state, "Succeeded", "done", at("2026-01-01T00:00:00Z"));
    assert_eq!(step.app.status.map(|status| status.history.len()), Some(0));
}
