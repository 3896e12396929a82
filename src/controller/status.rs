//! Turns what was found into the status of an Application. Pure; the only place that decides what is written.
//!
//! Source: Argo CD 3.5 status (reference sections 2.5 to 2.7).

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::assessment::{Assessment, JUDGED, Notice};
use crate::api::Application;
use crate::api::application::{
    ApplicationCondition, ApplicationSource, ApplicationStatus, ApplicationSummary, ComparedTo, HealthStatus, OperationState,
    ResourceStatus, RevisionHistory, SyncStatus,
};
use crate::health::HealthCode;
use crate::resource::images::images;
use crate::sync::automation;
use crate::sync::comparison::{Item, SyncCode};
use crate::sync::confirmation::guards_deletion;
use crate::sync::hooks::Role;

/// Entries that `status.history` keeps when the spec does not say.
const DEFAULT_HISTORY_LIMIT: usize = 10;

/// An instant as Kubernetes writes it: UTC, whole seconds.
#[must_use]
pub fn rfc3339(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns the status after a look at the Application. Equal to the old one when nothing changed.
///
/// `reconciledAt` moves only when something else does, or when `refreshed` (somebody asked): so polling writes nothing.
#[must_use]
pub fn observed(
    app: &Application,
    found: &Assessment,
    control_namespace: &str,
    refreshed: bool,
    now: Timestamp,
) -> ApplicationStatus {
    let old = app.status.clone().unwrap_or_default();
    let mut status = old.clone();
    status.sync = Some(sync_status(app, found));
    status.health = Some(health_status(old.health.as_ref(), found, now));
    status.resources = found.comparison.as_ref().map_or_else(
        || unknown_resources(&old.resources),
        |comparison| comparison.items.values().filter_map(|item| resource_status(app, item)).collect(),
    );
    let notices = [found.notices.as_slice(), found.remarks.as_slice()].concat();
    status.conditions = with_conditions(&old.conditions, JUDGED, &notices, now);
    status.resource_health_source = None;
    status.controller_namespace = Some(control_namespace.to_owned());
    status.summary = found.targets.as_ref().map_or(old.summary.clone(), |targets| {
        let all: BTreeSet<String> = targets.objects.values().flat_map(images).collect();
        let is_app_of_apps = targets.objects.keys().any(|key| key.group == "argoproj.io" && key.kind == "Application");
        Some(ApplicationSummary { images: all.into_iter().collect(), is_app_of_apps, ..ApplicationSummary::default() })
    });
    if app.is_multi_source() {
        (status.source_type, status.source_types) = (None, found.source_types.clone());
    } else {
        let known = found.source_types.first().filter(|known| !known.is_empty()).cloned();
        (status.source_type, status.source_types) = (known.or(old.source_type.clone()), Vec::new());
    }
    if refreshed || status != old || old.reconciled_at.is_none() {
        status.reconciled_at = Some(rfc3339(now));
    }
    status
}

fn sync_status(app: &Application, found: &Assessment) -> SyncStatus {
    let code = match &found.comparison {
        Some(comparison) if found.blocking().is_none() => automation::code(app, comparison),
        _ => SyncCode::Unknown,
    };
    let multi = app.is_multi_source();
    SyncStatus {
        status: code.as_str().to_owned(),
        revision: if multi { String::new() } else { found.revisions.first().cloned().unwrap_or_default() },
        revisions: if multi { found.revisions.clone() } else { Vec::new() },
        compared_to: ComparedTo {
            source: if multi { None } else { app.spec.source.clone() },
            sources: if multi { app.spec.sources.clone() } else { Vec::new() },
            destination: app.spec.destination.clone(),
            ignore_differences: app.spec.ignore_differences.clone(),
        },
    }
}

fn health_status(old: Option<&HealthStatus>, found: &Assessment, now: Timestamp) -> HealthStatus {
    let code = found.comparison.as_ref().map_or(HealthCode::Unknown, super::super::sync::Comparison::health);
    let status = code.as_str().to_owned();
    match old {
        Some(old) if old.status == status => old.clone(),
        _ => HealthStatus { status, message: String::new(), last_transition_time: Some(rfc3339(now)) },
    }
}

fn resource_status(app: &Application, item: &Item) -> Option<ResourceStatus> {
    let counts = item.counts();
    if item.target.is_some() && item.role == Role::Left {
        return None;
    }
    let health = item.live.as_ref().map_or_else(
        || counts.then(|| HealthStatus { status: HealthCode::Missing.as_str().into(), ..HealthStatus::default() }),
        |live| {
            live.health.as_ref().map(|health| HealthStatus {
                status: health.status.as_str().into(),
                message: health.message.clone(),
                last_transition_time: None,
            })
        },
    );
    let version = item.target.as_ref().or(item.live_object.as_ref()).map(|object| object.version().to_owned());
    let confirm = [&item.target, &item.live_object].into_iter().flatten().any(|object| guards_deletion(object, app));
    Some(ResourceStatus {
        group: item.key.group.clone(),
        version: version.unwrap_or_default(),
        kind: item.key.kind.clone(),
        namespace: item.key.namespace.clone(),
        name: item.key.name.clone(),
        status: if counts { item.code.as_str().to_owned() } else { String::new() },
        health,
        hook: matches!(item.role, Role::Hook(_)),
        requires_pruning: item.requires_pruning(),
        requires_deletion_confirmation: confirm,
        sync_wave: item.wave(),
    })
}

/// What was known stays listed, so that an error hides nothing, but nothing of it is certain any more.
fn unknown_resources(old: &[ResourceStatus]) -> Vec<ResourceStatus> {
    old.iter()
        .cloned()
        .map(|mut resource| {
            if !resource.status.is_empty() {
                resource.status = SyncCode::Unknown.as_str().to_owned();
            }
            resource
        })
        .collect()
}

/// Replaces all conditions of the judged types, keeps the others; a condition that stays keeps its time.
#[must_use]
pub fn with_conditions(
    old: &[ApplicationCondition],
    judged: &[&str],
    notices: &[Notice],
    now: Timestamp,
) -> Vec<ApplicationCondition> {
    let mut conditions: Vec<ApplicationCondition> =
        old.iter().filter(|condition| !judged.contains(&condition.type_.as_str())).cloned().collect();
    for (kind, message) in notices {
        let known = old.iter().find(|condition| condition.type_ == *kind && condition.message == *message);
        let condition = known.cloned().unwrap_or_else(|| ApplicationCondition {
            type_: (*kind).to_owned(),
            message: message.clone(),
            last_transition_time: Some(rfc3339(now)),
        });
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
    }
    conditions.sort_by(|a, b| (&a.type_, &a.message).cmp(&(&b.type_, &b.message)));
    conditions
}

/// Adds a successful sync to the history and drops the oldest entries beyond the limit.
#[must_use]
pub fn with_history(app: &Application, state: &OperationState, deployed_at: &str) -> Vec<RevisionHistory> {
    let mut history = app.status.as_ref().map(|status| status.history.clone()).unwrap_or_default();
    let Some(result) = &state.sync_result else { return history };
    history.push(RevisionHistory {
        id: history.last().map_or(0, |last| last.id + 1),
        revision: result.revision.clone(),
        revisions: result.revisions.clone(),
        source: result.source.clone(),
        sources: result.sources.clone(),
        deployed_at: deployed_at.to_owned(),
        deploy_started_at: Some(state.started_at.clone()),
        initiated_by: Some(state.operation.initiated_by.clone().unwrap_or_default()),
    });
    let limit = app.spec.revision_history_limit.map_or(DEFAULT_HISTORY_LIMIT, |limit| usize::try_from(limit).unwrap_or(0));
    let surplus = history.len().saturating_sub(limit);
    history.drain(..surplus);
    history
}

/// Sources that an operation works with: its own, or the spec's.
#[must_use]
pub fn operation_sources(app: &Application, state: &OperationState) -> Vec<ApplicationSource> {
    let sync = state.operation.sync.as_ref();
    let overriding: Vec<ApplicationSource> = match sync {
        Some(sync) if !sync.sources.is_empty() => sync.sources.clone(),
        Some(sync) => sync.source.iter().cloned().collect(),
        None => Vec::new(),
    };
    if overriding.is_empty() { app.sources().into_iter().cloned().collect() } else { overriding }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap_or(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_second_look_that_finds_the_same_changes_nothing() {
        let mut app = Application::default();
        let found = Assessment { revisions: vec!["abc".into()], ..Assessment::default() };
        app.status = Some(observed(&app, &found, "argocd", false, at("2026-01-01T00:00:00Z")));
        let again = observed(&app, &found, "argocd", false, at("2026-01-01T01:00:00Z"));
        assert_eq!(Some(again), app.status);
        let asked = observed(&app, &found, "argocd", true, at("2026-01-01T01:00:00Z"));
        assert_eq!(asked.reconciled_at.as_deref(), Some("2026-01-01T01:00:00Z"));
    }

    #[test]
    fn a_condition_that_stays_keeps_its_time_and_foreign_types_stay() {
        let condition = |kind: &str, message: &str, time: &str| ApplicationCondition {
            type_: kind.into(),
            message: message.into(),
            last_transition_time: Some(time.into()),
        };
        let old = [condition("ComparisonError", "a", "then"), condition("SyncError", "s", "then")];
        let notices = [("ComparisonError", "a".to_owned()), ("InvalidSpecError", "b".to_owned())];
        let now = at("2026-01-01T00:00:00Z");
        let new = with_conditions(&old, JUDGED, &notices, now);
        let shown: Vec<_> = new.iter().map(|one| (one.type_.as_str(), one.last_transition_time.as_deref())).collect();
        let expected =
            [("ComparisonError", Some("then")), ("InvalidSpecError", Some("2026-01-01T00:00:00Z")), ("SyncError", Some("then"))];
        assert_eq!(shown, expected);
    }

    #[test]
    fn history_counts_up_and_keeps_the_limit() {
        let mut app = Application::default();
        app.spec.revision_history_limit = Some(2);
        let state = OperationState {
            sync_result: Some(crate::api::application::SyncOperationResult::default()),
            ..OperationState::default()
        };
        for _ in 0..4 {
            let history = with_history(&app, &state, "t");
            app.status.get_or_insert_default().history = history;
        }
        let ids: Vec<i64> = app.status.unwrap_or_default().history.iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [2, 3]);
    }
}
