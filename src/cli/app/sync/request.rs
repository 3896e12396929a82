//! From the flags of `sync` and the Application to the operation that is requested. Pure.
//!
//! The controller acts on the operation alone, so options and retries of the spec are copied into it.
//! Source: Argo CD 3.5 (reference sections 2.1 and 2.2).

use serde_json::{Value, json};

use crate::api::Application;
use crate::api::application::{
    Info, Operation, OperationInitiator, RetryStrategy, SyncOperation, SyncOperationResource, SyncStrategy, SyncStrategyOptions,
};
use crate::cli::Failure;

use super::filter::{self, ResourceFilter};

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct SyncRequest {
    /// Revision to sync to instead of the target revision.
    pub revision: Option<String>,
    /// Delete objects that left the source.
    pub prune: bool,
    /// Let the controller check without changing anything.
    pub dry_run: bool,
    /// Delete and recreate what cannot be patched.
    pub force: bool,
    /// `apply` or `hook`.
    pub strategy: Option<Strategy>,
    /// `Key=value` options that replace those of the spec with the same key.
    pub options: Vec<String>,
    /// Only these objects.
    pub resources: Vec<ResourceFilter>,
    /// Retries instead of those of the spec.
    pub retry_limit: Option<i64>,
    /// Information for people.
    pub info: Vec<Info>,
}

/// How to sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Strategy {
    /// Apply only, without hooks
    Apply,
    /// Apply with hooks
    Hook,
}

/// The operation to request, or why it must not be requested.
///
/// # Errors
/// When the Application is being deleted, another operation is there already, or the flags do not fit the Application.
pub fn operation(app: &Application, request: &SyncRequest, initiator: &str) -> Result<Operation, Failure> {
    refuse_when_busy(app)?;
    refuse_foreign_revision(app, request)?;
    let policy = app.spec.sync_policy.as_ref();
    Ok(Operation {
        sync: Some(SyncOperation {
            revision: request.revision.clone().unwrap_or_default(),
            source: if app.is_multi_source() { None } else { app.spec.source.clone() },
            sources: app.spec.sources.clone(),
            revisions: app.spec.sources.iter().map(|source| source.target_revision_or_head().to_owned()).collect(),
            prune: request.prune,
            dry_run: request.dry_run,
            sync_options: merge_options(
                policy.map(|policy| policy.sync_options.as_slice()).unwrap_or_default(),
                &request.options,
            ),
            sync_strategy: strategy(request),
            resources: resources(app, request)?,
            ..SyncOperation::default()
        }),
        initiated_by: Some(OperationInitiator { username: initiator.to_owned(), automated: false }),
        info: request.info.clone(),
        retry: retry(policy.and_then(|policy| policy.retry.clone()), request.retry_limit),
        ..Operation::default()
    })
}

/// The patch that requests the operation; it applies only to the object as it was read.
#[must_use]
pub fn patch(app: &Application, operation: &Operation) -> Value {
    let mut patch = json!({
        "metadata": { "resourceVersion": app.metadata.resource_version },
        "operation": operation,
    });
    // What an earlier operation left must not be taken for the result of this one.
    if app.status.as_ref().is_some_and(|status| status.operation_state.is_some()) {
        patch["status"] = json!({ "operationState": null });
    }
    patch
}

/// Refuses when the Application is being deleted or another operation is there already.
///
/// # Errors
/// Names what is in the way.
pub fn refuse_when_busy(app: &Application) -> Result<(), Failure> {
    let name = app.name();
    if app.metadata.deletion_timestamp.is_some() {
        return Err(Failure::new(format!("application {name:?} is being deleted"))
            .with_hint(format!("kubectl gitops wait {name} --for deleted")));
    }
    let state = app.status.as_ref().and_then(|status| status.operation_state.as_ref());
    let running = state.filter(|state| matches!(state.phase.as_str(), "Running" | "Terminating"));
    // A state that still says Running without an operation is what is left of one that somebody took away.
    if app.operation.is_none() {
        return Ok(());
    }
    let started = running.map(|state| format!(" (started {})", state.started_at)).unwrap_or_default();
    Err(Failure::new(format!("{name}: another operation is running{started}"))
        .with_hint(format!("kubectl gitops wait {name} --for operation")))
}

/// A revision that automated sync would undo at once, or that several sources cannot share.
fn refuse_foreign_revision(app: &Application, request: &SyncRequest) -> Result<(), Failure> {
    let Some(revision) = &request.revision else { return Ok(()) };
    let name = app.name();
    if app.is_multi_source() {
        return Err(Failure::new(format!("{name} has several sources; one --revision cannot name a revision of each"))
            .with_hint("set spec.sources[].targetRevision"));
    }
    let target = app.spec.source.as_ref().map_or("HEAD", |source| source.target_revision_or_head());
    if app.automated().is_some() && revision != target && !request.dry_run {
        return Err(Failure::new(format!("{name} syncs automatically to {target}, which would undo a sync to {revision}"))
            .with_hint("set spec.source.targetRevision, or turn spec.syncPolicy.automated off first"));
    }
    Ok(())
}

fn merge_options(spec: &[String], flags: &[String]) -> Vec<String> {
    let key = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
    let replaced = |option: &&String| !flags.iter().any(|flag| key(flag) == key(option));
    spec.iter().filter(replaced).chain(flags).cloned().collect()
}

fn strategy(request: &SyncRequest) -> Option<SyncStrategy> {
    let options = Some(SyncStrategyOptions { force: request.force });
    match request.strategy {
        Some(Strategy::Apply) => Some(SyncStrategy { apply: options, hook: None }),
        Some(Strategy::Hook) => Some(SyncStrategy { apply: None, hook: options }),
        None => request.force.then_some(SyncStrategy { apply: None, hook: options }),
    }
}

fn retry(spec: Option<RetryStrategy>, limit: Option<i64>) -> Option<RetryStrategy> {
    match limit {
        Some(limit) => Some(RetryStrategy { limit, ..spec.unwrap_or_default() }),
        None => spec,
    }
}

fn resources(app: &Application, request: &SyncRequest) -> Result<Vec<SyncOperationResource>, Failure> {
    if request.resources.is_empty() {
        return Ok(Vec::new());
    }
    let known = app.status.as_ref().map(|status| status.resources.as_slice()).unwrap_or_default();
    let chosen = filter::choose(&request.resources, known);
    if chosen.is_empty() {
        let name = app.name();
        return Err(Failure::new(format!("{name} has no object that matches --resource"))
            .with_hint(format!("kubectl gitops app get {name}")));
    }
    Ok(chosen)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn app(extra: Value) -> Application {
        let mut app = json!({ "metadata": { "name": "web", "namespace": "argocd", "resourceVersion": "7" },
            "spec": { "project": "shop", "destination": { "namespace": "web" },
                "source": { "repoURL": "https://git/web", "path": "apps/web", "targetRevision": "main" },
                "syncPolicy": { "syncOptions": ["CreateNamespace=true", "ServerSideApply=false"], "retry": { "limit": 3 } } } });
        for (key, value) in extra.as_object().unwrap() {
            if key == "spec" {
                for (field, value) in value.as_object().unwrap() {
                    app["spec"][field] = value.clone();
                }
            } else {
                app[key] = value.clone();
            }
        }
        serde_json::from_value(app).unwrap()
    }

    #[test]
    fn options_and_retries_of_the_spec_are_copied() {
        let request = SyncRequest { options: vec!["ServerSideApply=true".into()], prune: true, ..SyncRequest::default() };
        let operation = serde_json::to_value(operation(&app(json!({})), &request, "ann").unwrap()).unwrap();
        let expected = json!({ "initiatedBy": { "username": "ann" }, "retry": { "limit": 3 }, "sync": { "prune": true,
            "source": { "repoURL": "https://git/web", "path": "apps/web", "targetRevision": "main" },
            "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"] } });
        assert_eq!(operation, expected);
    }

    #[test]
    fn several_sources_are_copied_as_several() {
        let sources = json!({ "spec": { "sources": [{ "repoURL": "a", "targetRevision": "1.0" }, { "repoURL": "b" }] } });
        let sync = operation(&app(sources), &SyncRequest::default(), "").unwrap().sync.unwrap();
        assert!(sync.source.is_none());
        assert_eq!((sync.sources.len(), sync.revisions), (2, vec!["1.0".to_owned(), "HEAD".to_owned()]));
    }

    #[test]
    fn nothing_starts_over_something_that_runs() {
        let running = json!({ "operation": { "sync": {} }, "status": { "operationState": { "phase": "Running", "startedAt": "2026-11-25T06:00:00Z", "operation": {} } } });
        let deleted = json!({ "metadata": { "name": "web", "deletionTimestamp": "2026-11-25T06:00:00Z" } });
        for (case, what) in [
            (json!({ "operation": { "sync": {} } }), "web: another operation is running"),
            (running, "web: another operation is running (started 2026-11-25T06:00:00Z)"),
            (deleted, "application \"web\" is being deleted"),
        ] {
            assert_eq!(operation(&app(case), &SyncRequest::default(), "").unwrap_err().what, what);
        }
    }

    #[test]
    fn what_is_left_of_an_operation_that_was_taken_away_is_no_obstacle() {
        let left = json!({ "status": { "operationState": { "phase": "Running", "startedAt": "", "operation": {} } } });
        assert!(operation(&app(left), &SyncRequest::default(), "").is_ok());
    }

    #[test]
    fn automated_sync_refuses_another_revision_unless_it_is_a_dry_run() {
        let automated = app(json!({ "spec": { "syncPolicy": { "automated": {} } } }));
        let mut request = SyncRequest { revision: Some("v1".into()), ..SyncRequest::default() };
        assert!(operation(&automated, &request, "").unwrap_err().what.contains("would undo a sync to v1"));
        request.dry_run = true;
        assert_eq!(operation(&automated, &request, "").unwrap().sync.unwrap().revision, "v1");
    }

    #[test]
    fn force_needs_a_strategy_to_live_in() {
        let request = SyncRequest { force: true, ..SyncRequest::default() };
        let strategy = operation(&app(json!({})), &request, "").unwrap().sync.unwrap().sync_strategy.unwrap();
        assert_eq!(serde_json::to_value(strategy).unwrap(), json!({ "hook": { "force": true } }));
    }

    #[test]
    fn the_patch_applies_only_to_what_was_read_and_clears_the_old_result() {
        let fresh = app(json!({}));
        let start = patch(&fresh, &operation(&fresh, &SyncRequest::default(), "").unwrap());
        assert_eq!((start["metadata"]["resourceVersion"].as_str(), start.get("status")), (Some("7"), None));
        let done = app(json!({ "status": { "operationState": { "phase": "Succeeded", "startedAt": "", "operation": {} } } }));
        let again = patch(&done, &operation(&done, &SyncRequest::default(), "").unwrap());
        assert_eq!(again["status"], json!({ "operationState": null }));
    }
}
