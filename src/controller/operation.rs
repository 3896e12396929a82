//! One operation, one step at a time; everything it knows is in `status.operationState`.
//!
//! Source: Argo CD 3.5 operation protocol (reference sections 2.1 to 2.5 and 6.12).

use std::time::Duration;

use jiff::Timestamp;

use super::assessment::Assessment;
use super::context::Context;
use super::inputs::{Revisions, assess};
use super::status::{operation_sources, rfc3339, with_history};
use crate::advice::one_line;
use crate::api::Application;
use crate::api::application::{Operation, OperationState, ResourceResult, SyncOperation, SyncOperationResult};
use crate::cluster::Propagation;
use crate::project;
use crate::resource::annotations::{CLIENT_SIDE_MIGRATION_MANAGER, SYNC_OPTIONS};
use crate::resource::{GroupKind, Object, ResourceKey};
use crate::source::Freshness;
use crate::sync::execute::{Adoption, Executor};
use crate::sync::hooks::HookPhase;
use crate::sync::plan::{self, Plan, Standing};
use crate::sync::results::is_running_hook;
use crate::sync::tasks::{self, Action};
use crate::sync::{Comparison, Policy, Task, retry, targets};

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

/// What the target revisions of the sources mean as of the last poll; empty strings where that is not known.
async fn resolved_targets(app: &Application, cx: &Context) -> Vec<String> {
    let mut resolved = Vec::new();
    for source in app.sources() {
        let target = source.target_revision_or_head();
        let revision = cx.repositories.resolve_source(source, app.project(), target, Freshness::Polled).await;
        resolved.push(revision.unwrap_or_default());
    }
    resolved
}

/// The newer revision that makes an automated operation, which waits for its next attempt, pointless: the commit that mends it
/// must not wait for retries that cannot succeed.
///
/// Different from Argo CD, where the retries of the old revision come first.
fn superseded_by(app: &Application, state: &OperationState, resolved: &[String]) -> Option<String> {
    let automated = state.operation.initiated_by.as_ref().is_some_and(|who| who.automated);
    let result = state.sync_result.as_ref()?;
    if !automated || !operation_sources(app, state).iter().eq(app.sources()) {
        return None;
    }
    let tried = if result.revisions.is_empty() { vec![result.revision.clone()] } else { result.revisions.clone() };
    let newer = resolved.iter().zip(&tried).find(|(resolved, tried)| !resolved.is_empty() && resolved != tried);
    newer.map(|(resolved, _)| resolved.clone())
}

/// A failed attempt waits; when its time has come, results are cleared so that everything is tried again.
fn waiting_for_retry(app: &Application, state: &OperationState, finished_at: &str, now: Timestamp) -> Step {
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

async fn sync_step(app: &Application, state: &OperationState, sync: &SyncOperation, cx: &Context, now: Timestamp) -> Step {
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
    // The namespace comes first; once there are results it has been seen to.
    if results.is_empty() {
        match namespace_to_create(app, sync, comparison, cx).await {
            Ok(namespace) => policy.namespace = namespace,
            Err(message) => return ended(app, &state, "Failed", &message, now),
        }
    }
    let next = decide(app, comparison, &policy, results, cx);
    let step = act(app, &state, sync, next, cx, now).await;
    Step { found: Some(found), ..step }
}

/// Does what was decided and says what the Application looks like then.
async fn act(app: &Application, state: &OperationState, sync: &SyncOperation, next: Plan, cx: &Context, now: Timestamp) -> Step {
    let step = |app, again_in| Step { app, found: None, again_in, event: None };
    match next {
        Plan::Run { tasks } => {
            let new = executor(app, sync, cx).execute(&tasks).await;
            step(with_results(app, state, new), None)
        }
        Plan::Record { results } => match executor(app, sync, cx).without_false_alarms(results).await {
            none if none.is_empty() => step(with_state(app, state.clone()), Some(CACHE_LAG)),
            results => step(with_results(app, state, results), None),
        },
        Plan::Clean { cleanups } => match executor(app, sync, cx).clean(&cleanups).await {
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
    if let Err(message) = executor(app, sync, cx).clean(&cleanups).await {
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

fn executor(app: &Application, sync: &SyncOperation, cx: &Context) -> Executor {
    Executor {
        writer: cx.writer.clone(),
        discovery: cx.discovery.clone(),
        cache: cx.cache.clone(),
        lens: cx.lens.clone(),
        propagation: Propagation::from_options(&sync.sync_options),
        dry_run: sync.dry_run,
        adoption: Adoption {
            off: has_option(sync, "ClientSideApplyMigration=false"),
            manager: app.annotation(CLIENT_SIDE_MIGRATION_MANAGER).map(str::to_owned),
        },
    }
}

fn has_option(sync: &SyncOperation, option: &str) -> bool {
    sync.sync_options.iter().any(|one| one == option)
}

fn results_of(state: &OperationState) -> &[ResourceResult] {
    state.sync_result.as_ref().map_or(&[], |result| result.resources.as_slice())
}

/// The whole decision of a step; nothing in here asks anybody anything.
fn decide(app: &Application, comparison: &Comparison, policy: &Policy, results: &[ResourceResult], cx: &Context) -> Plan {
    let tasks = tasks::tasks(comparison, policy);
    if results.is_empty()
        && let Some(plan) = plan::validate(&tasks, |task| why_invalid(app, task, &tasks, policy, cx))
    {
        return plan;
    }
    plan::plan(&tasks, results, |task| {
        let watched = cx.discovery.known(&task.key.group_kind()).is_some_and(|info| info.watchable);
        if policy.dry_run || !watched { HEALTHY } else { standing(task, comparison) }
    })
}

const HEALTHY: Standing = Standing::Present { health: None, being_deleted: false };

/// What is not looked at, like a namespace that was created for the application, counts as being there.
fn standing(task: &Task, comparison: &Comparison) -> Standing {
    let Some(item) = comparison.items.get(&task.key) else {
        return if matches!(task.action, Action::Prune { .. }) { Standing::Gone } else { HEALTHY };
    };
    item.live.as_ref().map_or(Standing::Gone, |live| Standing::Present {
        health: live.health.as_ref().map(|health| health.status),
        being_deleted: live.being_deleted,
    })
}

fn why_invalid(app: &Application, task: &Task, tasks: &[Task], policy: &Policy, cx: &Context) -> Option<String> {
    let key = &task.key;
    let Some(info) = cx.discovery.known(&key.group_kind()) else {
        let declared = tasks
            .iter()
            .any(|other| matches!(&other.action, Action::Apply { object, .. } if declares(object, &key.group_kind())));
        let allowed = policy.allow_missing_kinds
            || matches!(&task.action, Action::Apply { object, .. } if object.has_option(SYNC_OPTIONS, "SkipDryRunOnMissingResource=true"));
        return (!declared && !allowed).then(|| {
            format!(
                "the server could not find the requested resource: kind {} of {} is not installed in the destination cluster (hint: install its CustomResourceDefinition, or add it to this application)",
                key.group_kind(),
                key.name
            )
        });
    };
    if let Action::Apply { object, .. } = &task.action
        && object.name().is_empty()
    {
        return Some(format!("{} has no metadata.name: only hooks may use generateName", key.group_kind()));
    }
    let project = cx.projects.find(|project| project.metadata.name.as_deref() == Some(app.project()))?;
    // The namespace that CreateNamespace=true asks for belongs to the destination, which is permitted already.
    let created = policy.namespace.as_ref().is_some_and(|namespace| namespace.key() == *key);
    if !created
        && let Err(project::Denied(message)) = project::check_kind(&project, &key.group, &key.kind, &key.name, info.namespaced)
    {
        return Some(message);
    }
    if info.namespaced && key.namespace != app.spec.destination.namespace {
        let mut destination = app.spec.destination.clone();
        destination.namespace.clone_from(&key.namespace);
        project::IN_CLUSTER_SERVER.clone_into(&mut destination.server);
        project::IN_CLUSTER_NAME.clone_into(&mut destination.name);
        if project::check_destination(&project, &destination).is_err() {
            return Some(format!("namespace {} is not permitted in project '{}'", key.namespace, app.project()));
        }
    }
    None
}

fn declares(crd: &Object, kind: &GroupKind) -> bool {
    crate::sync::targets::scopes_of_crds(std::slice::from_ref(crd)).contains_key(kind)
}

/// The namespace to create first: wanted by `CreateNamespace=true`, not among the targets, and missing or with metadata.
async fn namespace_to_create(
    app: &Application,
    sync: &SyncOperation,
    comparison: &Comparison,
    cx: &Context,
) -> Result<Option<Object>, String> {
    let is_target = |key: &ResourceKey| comparison.items.get(key).is_some_and(|item| item.target.is_some());
    let Some(namespace) = targets::managed_namespace(app, &sync.sync_options, is_target) else { return Ok(None) };
    let key = namespace.key();
    let failed = |error: crate::cluster::ClusterError| format!("the namespace failed to apply: {}", one_line(&error, &error));
    cx.discovery.ensure([&key.group_kind()]).await.map_err(failed)?;
    let Some(kind) = cx.discovery.known(&key.group_kind()) else { return Ok(None) };
    let exists = cx.writer.get(&kind, &key).await.map_err(failed)?.is_some();
    Ok((!exists || targets::has_namespace_metadata(app)).then_some(namespace))
}

/// A revision that was resolved once stays for the whole operation.
fn revisions_of(state: &OperationState, sync: &SyncOperation) -> Revisions {
    let pinned = |single: &str, all: &[String]| if all.is_empty() { vec![single.to_owned()] } else { all.to_vec() };
    let recorded = state.sync_result.as_ref().map(|result| pinned(&result.revision, &result.revisions)).unwrap_or_default();
    if recorded.iter().any(|revision| !revision.is_empty()) {
        return Revisions::Pinned(recorded);
    }
    let asked = pinned(&sync.revision, &sync.revisions);
    if asked.iter().any(|revision| !revision.is_empty()) { Revisions::Pinned(asked) } else { Revisions::Target(Freshness::Now) }
}

/// Records which revisions of which sources the operation works with.
fn with_result(app: &Application, state: &OperationState, sync: &SyncOperation, found: &Assessment) -> OperationState {
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

fn with_state(app: &Application, state: OperationState) -> Application {
    let mut next = app.clone();
    next.status.get_or_insert_default().operation_state = Some(state);
    next
}

/// Adds results; a new one for the same object and phase replaces the old one.
fn with_results(app: &Application, state: &OperationState, new: Vec<ResourceResult>) -> Application {
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
fn ended(app: &Application, state: &OperationState, phase: &str, message: &str, now: Timestamp) -> Step {
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

fn ended_without_retry(app: &Application, state: &OperationState, phase: &str, message: &str, now: Timestamp) -> Step {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::application::{OperationInitiator, RetryStrategy};

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
}
