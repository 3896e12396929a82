//! Between two attempts of an operation, and when a newer revision makes it pointless.

use std::time::Duration;

use jiff::Timestamp;

use super::Step;
use super::record::ended_without_retry;
use crate::api::Application;
use crate::api::application::{OperationState, SyncOperationResult};
use crate::controller::context::Context;
use crate::controller::status::operation_sources;
use crate::resource::annotations::SUPERSEDE;
use crate::source::Freshness;
use crate::sync::retry;

/// What the target revisions of the sources mean as of the last poll; empty strings where that is not known.
pub(super) async fn resolved_targets(app: &Application, cx: &Context) -> Vec<String> {
    let mut resolved = Vec::new();
    for source in app.sources() {
        let target = source.target_revision_or_head();
        let revision = cx.repositories.resolve_source(source, app.project(), target, Freshness::Polled).await;
        resolved.push(revision.unwrap_or_default());
    }
    resolved
}

/// The newer revision that makes an automated operation, which waits, pointless: the commit that mends it must not wait for what
/// cannot succeed. An annotation of the Application may say that it has to.
///
/// Different from Argo CD, where the retries of the old revision come first.
pub(super) fn superseded_by(app: &Application, state: &OperationState, resolved: &[String]) -> Option<String> {
    let automated = state.operation.initiated_by.as_ref().is_some_and(|who| who.automated);
    let result = state.sync_result.as_ref()?;
    let opted_out = app.annotation(SUPERSEDE) == Some("false");
    if !automated || opted_out || !operation_sources(app, state).iter().eq(app.sources()) {
        return None;
    }
    let tried = if result.revisions.is_empty() { vec![result.revision.clone()] } else { result.revisions.clone() };
    let newer = resolved.iter().zip(&tried).find(|(resolved, tried)| !resolved.is_empty() && resolved != tried);
    newer.map(|(resolved, _)| resolved.clone())
}

/// A failed attempt waits; when its time has come, results are cleared so that everything is tried again.
pub(super) fn waiting_for_retry(app: &Application, state: &OperationState, finished_at: &str, now: Timestamp) -> Step {
    let wait = match retry::wait(state.operation.retry.as_ref(), state.retry_count) {
        Ok(wait) => wait,
        Err(error) => return ended_without_retry(app, state, "Error", &error.to_string(), now),
    };
    let elapsed =
        finished_at.parse::<Timestamp>().map_or(wait, |at| Duration::try_from(now.duration_since(at)).unwrap_or_default());
    if let Some(remaining) = wait.checked_sub(elapsed).filter(|remaining| !remaining.is_zero()) {
        return Step { app: app.clone(), found: None, again_in: Some(remaining), event: None };
    }
    let mut next = app.clone();
    if let Some(state) = next.status.as_mut().and_then(|status| status.operation_state.as_mut()) {
        state.finished_at = None;
        let refresh = state.operation.retry.as_ref().is_some_and(|retry| retry.refresh);
        state.sync_result = if refresh {
            None
        } else {
            state.sync_result.take().map(|result| SyncOperationResult { resources: Vec::new(), ..result })
        };
    }
    Step { app: next, found: None, again_in: None, event: None }
}
