//! Whether an Application syncs by itself now. Pure.
//!
//! Source: Argo CD 3.5 auto-sync decision (reference section 3.5).

use std::time::Duration;

use jiff::Timestamp;

use crate::api::Application;
use crate::api::application::{
    ApplicationSource, Operation, OperationInitiator, OperationState, SyncOperation, SyncOperationResource,
};
use crate::sync::comparison::{Comparison, Item, SyncCode};
use crate::sync::retry;

/// Longest self-heal delay.
const SELF_HEAL_CAP: Duration = Duration::from_secs(300);

/// What automation does now.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing.
    Nothing,
    /// Nothing, and the Application says why: the text of a `SyncError`.
    Refuse(String),
    /// Start this operation.
    Start(Box<Operation>),
    /// Look again after this time.
    Later(Duration),
}

/// Decides whether to start an automated sync.
///
/// `revisions` are the resolved ones that the comparison was made with, by index of the sources.
#[must_use]
pub fn decide(app: &Application, comparison: &Comparison, revisions: &[String], now: Timestamp) -> Decision {
    let Some(automated) = app.automated() else { return Decision::Nothing };
    let idle = app.operation.is_none() && app.metadata.deletion_timestamp.is_none();
    if !idle || code(app, comparison) != SyncCode::OutOfSync {
        return Decision::Nothing;
    }
    let open = || comparison.out_of_sync().filter(|item| !is_going_away(item));
    // Metadata of the namespace alone is brought about only together with pruning, as in Argo CD.
    let nothing_open = open().next().is_none() && !namespace_metadata_changed(app);
    if nothing_open || (!automated.prune && open().all(Item::requires_pruning)) {
        return Decision::Nothing;
    }
    let mut operation = new_operation(app, revisions, automated.prune);
    if let Some(last) =
        app.status.as_ref().and_then(|status| status.operation_state.as_ref()).filter(|last| attempted(app, last, revisions))
    {
        if last.phase != "Succeeded" {
            let shown = revisions.join(", ");
            return Decision::Refuse(format!("Failed last sync attempt to [{shown}]: {}", last.message));
        }
        if !automated.self_heal {
            return Decision::Nothing;
        }
        if let Some(wait) = self_heal(&mut operation, last, comparison, now) {
            return Decision::Later(wait);
        }
    }
    if automated.prune
        && !automated.allow_empty
        && comparison.items.values().filter(|item| item.counts()).all(Item::requires_pruning)
    {
        let shown = revisions.join(", ");
        return Decision::Refuse(format!("Skipping sync attempt to [{shown}]: auto-sync will wipe out all resources"));
    }
    Decision::Start(Box::new(operation))
}

/// Sync status of an Application: that of its objects, and OutOfSync also when the metadata of its namespace was changed.
#[must_use]
pub fn code(app: &Application, comparison: &Comparison) -> SyncCode {
    match comparison.code() {
        SyncCode::Synced if namespace_metadata_changed(app) => SyncCode::OutOfSync,
        code => code,
    }
}

/// True when the last sync had other metadata for the namespace than the specification has now.
fn namespace_metadata_changed(app: &Application) -> bool {
    let wanted = app.spec.sync_policy.as_ref().and_then(|policy| policy.managed_namespace_metadata.as_ref());
    let last = app.status.as_ref().and_then(|status| status.operation_state.as_ref()?.sync_result.as_ref());
    wanted.zip(last).is_some_and(|(wanted, last)| last.managed_namespace_metadata.as_ref() != Some(wanted))
}

fn new_operation(app: &Application, revisions: &[String], prune: bool) -> Operation {
    let policy = app.spec.sync_policy.as_ref();
    let multi = app.is_multi_source();
    Operation {
        sync: Some(SyncOperation {
            revision: if multi { String::new() } else { revisions.first().cloned().unwrap_or_default() },
            revisions: if multi { revisions.to_vec() } else { Vec::new() },
            source: if multi { None } else { app.spec.source.clone() },
            sources: if multi { app.spec.sources.clone() } else { Vec::new() },
            prune,
            sync_options: policy.map(|policy| policy.sync_options.clone()).unwrap_or_default(),
            ..SyncOperation::default()
        }),
        initiated_by: Some(OperationInitiator { automated: true, ..OperationInitiator::default() }),
        retry: Some(policy.and_then(|policy| policy.retry.clone()).unwrap_or_else(retry::automated_default)),
        ..Operation::default()
    }
}

/// A pruned object that waits for its dependents: another sync could not hasten it.
fn is_going_away(item: &Item) -> bool {
    item.requires_pruning() && item.live.as_ref().is_some_and(|live| live.being_deleted)
}

/// True when the last operation tried the same revisions of the same sources.
fn attempted(app: &Application, last: &OperationState, revisions: &[String]) -> bool {
    let Some(result) = &last.sync_result else { return last.finished_at.is_some() };
    let (tried_revisions, tried_sources): (Vec<&String>, Vec<&ApplicationSource>) = if app.is_multi_source() {
        (result.revisions.iter().collect(), result.sources.iter().collect())
    } else {
        (vec![&result.revision], result.source.iter().collect())
    };
    tried_revisions.iter().copied().eq(revisions.iter()) && tried_sources.iter().copied().eq(app.sources())
}

/// Turns the operation into a self-heal: only what is out of sync, with the attempt counted. Gives the time to wait, if any.
fn self_heal(operation: &mut Operation, last: &OperationState, comparison: &Comparison, now: Timestamp) -> Option<Duration> {
    let previous = last.operation.sync.as_ref().map_or(0, |sync| sync.self_heal_attempts_count);
    if let Some(wait) = remaining_backoff(previous, last.finished_at.as_deref(), now) {
        return Some(wait);
    }
    if let Some(sync) = operation.sync.as_mut() {
        sync.self_heal_attempts_count = previous + 1;
        sync.resources = comparison
            .out_of_sync()
            .map(|item| SyncOperationResource {
                group: item.key.group.clone(),
                kind: item.key.kind.clone(),
                name: item.key.name.clone(),
                namespace: String::new(),
            })
            .collect();
    }
    None
}

/// 0, 2, 6, 18, 54, 162, then 300 seconds, counted from the end of the last operation.
fn remaining_backoff(attempts: i64, finished_at: Option<&str>, now: Timestamp) -> Option<Duration> {
    if attempts <= 0 {
        return None;
    }
    let exponent = u32::try_from(attempts - 1).unwrap_or(u32::MAX).min(5);
    let delay = Duration::from_secs(2 * 3_u64.pow(exponent)).min(SELF_HEAL_CAP);
    let finished: Timestamp = finished_at?.parse().ok()?;
    let elapsed = Duration::try_from(now.duration_since(finished)).unwrap_or_default();
    delay.checked_sub(elapsed).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap_or(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn self_heal_waits_grow_by_three_to_the_cap() {
        let now = at("2026-01-01T00:00:00Z");
        let waits: Vec<u64> =
            (0..8).map(|n| remaining_backoff(n, Some("2026-01-01T00:00:00Z"), now).map_or(0, |wait| wait.as_secs())).collect();
        assert_eq!(waits, [0, 2, 6, 18, 54, 162, 300, 300]);
    }

    /// T88.
    #[test]
    fn changed_metadata_of_the_namespace_is_out_of_sync_and_synced_only_with_pruning() {
        let mut app = Application::default();
        let metadata = |value: &str| crate::api::application::ManagedNamespaceMetadata {
            labels: [("team".to_owned(), value.to_owned())].into(),
            ..Default::default()
        };
        let last = crate::api::application::SyncOperationResult {
            managed_namespace_metadata: Some(metadata("old")),
            ..Default::default()
        };
        let policy = app.spec.sync_policy.get_or_insert_default();
        policy.managed_namespace_metadata = Some(metadata("old"));
        policy.automated = Some(crate::api::application::SyncPolicyAutomated { allow_empty: true, ..Default::default() });
        app.status.get_or_insert_default().operation_state =
            Some(OperationState { phase: "Succeeded".into(), sync_result: Some(last), ..OperationState::default() });
        let none = Comparison::default();
        assert_eq!(code(&app, &none), SyncCode::Synced);
        app.spec.sync_policy.get_or_insert_default().managed_namespace_metadata = Some(metadata("new"));
        assert_eq!(code(&app, &none), SyncCode::OutOfSync);
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(decide(&app, &none, &["new".into()], now), Decision::Nothing, "prune is off");
        if let Some(automated) = app.spec.sync_policy.as_mut().and_then(|policy| policy.automated.as_mut()) {
            automated.prune = true;
        }
        assert!(matches!(decide(&app, &none, &["new".into()], now), Decision::Start(_)));
    }

    #[test]
    fn elapsed_time_counts() {
        let wait = remaining_backoff(2, Some("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:04Z"));
        assert_eq!(wait, Some(Duration::from_secs(2)));
        assert_eq!(remaining_backoff(2, Some("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:06Z")), None);
    }
}
