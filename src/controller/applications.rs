//! The Application loop: read, decide, act, write; one Application at a time, many side by side.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use super::assessment::Assessment;
use super::context::Context;
use super::inputs::{Revisions, assess, instance_of};
use super::metrics::{AppLabels, SyncLabels};
use super::status::{observed, rfc3339, with_conditions};
use super::{deletion, operation, windows};
use crate::advice::{Advice, Remedy};
use crate::api::Application;
use crate::api::application::ApplicationStatus;
use crate::resource::annotations::{HOLD, REFRESH, SKIP_RECONCILE};
use crate::resource::merge_patch;
use crate::source::Freshness;
use crate::sync::automation::{self, Decision};
use crate::sync::deletion::wanted_finalizers;
use crate::sync::hold::{self, Standing};

/// A lost race for the Application is run again after this time.
const AFTER_CONFLICT: Duration = Duration::from_millis(200);
/// An Application in error is looked at again after this time; a change of its inputs comes earlier.
const AFTER_ERROR: Duration = Duration::from_secs(60);

/// Condition that says who holds automatic syncs, and until when.
const HELD: &str = "AutoSyncHeldInfo";

/// Why a reconcile did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Somebody else changed the Application meanwhile.
    #[error("the Application changed meanwhile")]
    Conflict,
    /// The Application could not be written.
    #[error("cannot write the Application")]
    Write(#[source] kube::Error),
}

impl Advice for ReconcileError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Conflict => Remedy::WaitAndRetry { after: AFTER_CONFLICT },
            Self::Write(_) => Remedy::WaitAndRetry { after: Duration::from_secs(5) },
        }
    }
}

/// Brings one Application forward: finishes what its operation can do now, compares, and writes what changed.
///
/// # Errors
/// When the Application could not be written; the next try starts from what is stored.
pub async fn reconcile(object: Arc<DynamicObject>, cx: Arc<Context>) -> Result<Action, ReconcileError> {
    let started = tokio::time::Instant::now();
    let outcome = reconcile_stored(&object, &cx).await;
    cx.metrics.observe_reconcile(started.elapsed().as_secs_f64());
    outcome
}

async fn reconcile_stored(object: &DynamicObject, cx: &Context) -> Result<Action, ReconcileError> {
    let mut stored = match Stored::decode(object.clone()) {
        Ok(stored) => stored,
        Err(message) => return report_unreadable(object, &message, cx).await,
    };
    if skips_reconcile(&stored.app) {
        return Ok(Action::await_change());
    }
    if stored.app.metadata.deletion_timestamp.is_some() && stored.app.operation.is_none() {
        return delete(&stored, cx).await;
    }
    loop {
        let now = Timestamp::now();
        if let Some(step) = operation::step(&stored.app, cx, now).await {
            let mut next = step.app;
            // An operation at the sources of the spec has looked at everything that the status shows.
            if let Some(found) = step.found.as_ref().filter(|found| shows_spec(&stored.app, found)) {
                let refreshed = next.annotation(REFRESH).is_some();
                next.status = Some(observed(&next, found, &cx.control_namespace, refreshed, now));
                hold_for_hooks(&mut next, found);
            }
            let before = stored.app.clone();
            stored = stored.write(&next, cx).await?;
            announce(&before, &stored.app, step.event, cx).await;
            if let Some(wait) = step.again_in {
                return Ok(Action::requeue(wait));
            }
            continue;
        }
        match look(&stored, cx, now).await? {
            Look::Start(written) => stored = *written,
            Look::Done(action) => return Ok(action),
        }
    }
}

enum Look {
    /// An automated sync was requested; go on with it.
    Start(Box<Stored>),
    /// Nothing more to do now.
    Done(Action),
}

/// Compares, decides about an automated sync and writes the status.
async fn look(stored: &Stored, cx: &Context, now: Timestamp) -> Result<Look, ReconcileError> {
    let app = &stored.app;
    let refresh = app.annotation(REFRESH);
    let freshness = if refresh.is_some() { Freshness::Now } else { Freshness::Polled };
    // The render cache is keyed by content and cannot be stale; what the API server said can be doubted.
    if refresh == Some("hard") {
        cx.take_verdicts(&instance_of(app, cx));
    }
    let sources = app.sources().into_iter().cloned().collect();
    let found = assess(app, sources, &Revisions::Target(freshness), cx).await;
    let mut next = app.clone();
    let mut status = observed(app, &found, &cx.control_namespace, refresh.is_some(), now);
    let held = hold::standing(app, &found.revisions, now);
    if let Some(annotations) = next.metadata.annotations.as_mut() {
        annotations.remove(REFRESH);
        if matches!(held, Standing::Over(_)) {
            annotations.remove(HOLD);
        }
    }
    let decision = match &found.comparison {
        Some(comparison) if found.blocking().is_none() => automation::decide(app, comparison, &found.revisions, now),
        _ => Decision::Nothing,
    };
    let decision = within_windows(unless_held(decision, &held), app, cx, now);
    let mut told = match &decision {
        Decision::Refuse(message) => vec![("SyncError", message.clone())],
        Decision::Nothing | Decision::Start(_) | Decision::Later(_) => Vec::new(),
    };
    if let Standing::Holds(message, _) = &held {
        told.push((HELD, message.clone()));
    }
    let conditions = with_conditions(&status.conditions, &["SyncError", HELD], &told, now);
    if conditions != status.conditions {
        status.conditions = conditions;
        status.reconciled_at = Some(rfc3339(now));
    }
    next.status = Some(status);
    hold_for_hooks(&mut next, &found);
    if let Decision::Start(operation) = &decision {
        // Request and first state are written together: one write, and nothing is started that is not recorded.
        next.operation = Some((**operation).clone());
        next.status.get_or_insert_default().operation_state = Some(operation::first_state(operation, now));
    }
    let written = stored.write(&next, cx).await?;
    if let Standing::Over(why) = &held {
        tracing::info!(app = app.name(), why, "auto-sync is no longer held");
        cx.events.publish(app, false, "HoldEnded", &format!("auto-sync is no longer held: {why}")).await;
    }
    let event = match &decision {
        Decision::Start(operation) => Some((false, "OperationStarted", operation::start_note(operation))),
        Decision::Nothing | Decision::Refuse(_) | Decision::Later(_) => None,
    };
    announce(app, &written.app, event, cx).await;
    Ok(match decision {
        Decision::Start(_) => Look::Start(Box::new(written)),
        Decision::Later(wait) => Look::Done(Action::requeue(wait)),
        Decision::Nothing | Decision::Refuse(_) => {
            Look::Done(if found.blocking().is_some() { Action::requeue(AFTER_ERROR) } else { Action::await_change() })
        }
    })
}

/// A held Application starts nothing by itself; the end of the hold is a reason to look again.
fn unless_held(decision: Decision, held: &Standing) -> Decision {
    match held {
        Standing::Holds(_, Some(left)) => Decision::Later(*left),
        Standing::Holds(_, None) => Decision::Nothing,
        Standing::Free | Standing::Over(_) => decision,
    }
}

/// An Application with deletion hooks carries their finalizers before it is first seen as synced.
fn hold_for_hooks(app: &mut Application, found: &Assessment) {
    let Some(targets) = found.targets.as_ref().filter(|_| app.metadata.deletion_timestamp.is_none()) else { return };
    let before = app.metadata.finalizers.clone().unwrap_or_default();
    let wanted = wanted_finalizers(&before, targets);
    if wanted != before {
        app.metadata.finalizers = Some(wanted);
    }
}

/// A sync that a window holds is not started; the window's end is a reason to look again.
fn within_windows(decision: Decision, app: &Application, cx: &Context, now: Timestamp) -> Decision {
    if !matches!(decision, Decision::Start(_)) {
        return decision;
    }
    match windows::holds_automation(app, cx, now) {
        None => decision,
        Some(held) if held.broken => Decision::Refuse(held.message),
        Some(held) => Decision::Later(held.look_again_in),
    }
}

fn shows_spec(app: &Application, found: &Assessment) -> bool {
    app.sources().into_iter().eq(found.sources.iter())
}

fn skips_reconcile(app: &Application) -> bool {
    // Go's ParseBool.
    matches!(app.annotation(SKIP_RECONCILE), Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
}

async fn delete(stored: &Stored, cx: &Context) -> Result<Action, ReconcileError> {
    let now = Timestamp::now();
    let mut next = stored.app.clone();
    let mut replaced = &["DeletionError", "DeletionInfo"][..];
    let (notices, action) = match deletion::step(&stored.app, cx).await {
        deletion::Progress::NotOurs => {
            forget(&stored.app, cx);
            return Ok(Action::await_change());
        }
        deletion::Progress::Waiting(wait) => (Vec::new(), Action::requeue(wait)),
        deletion::Progress::HookRuns => {
            replaced = &["DeletionInfo"];
            (Vec::new(), Action::requeue(deletion::HOOK_POLL))
        }
        // The approval is a change of the Application and wakes us.
        deletion::Progress::Held(message) => (vec![("DeletionInfo", message)], Action::await_change()),
        deletion::Progress::Failed(message) => (vec![("DeletionError", message)], Action::requeue(AFTER_ERROR)),
        deletion::Progress::Done(finalizers) => {
            next.metadata.finalizers = if finalizers.is_empty() { None } else { Some(finalizers) };
            (Vec::new(), Action::await_change())
        }
    };
    let status = next.status.get_or_insert_default();
    status.conditions = with_conditions(&status.conditions, replaced, &notices, now);
    stored.write(&next, cx).await?;
    Ok(action)
}

/// Drops what is kept of an Application that is gone.
pub fn forget(app: &Application, cx: &Context) {
    let instance = instance_of(app, cx);
    cx.cache.forget(&instance);
    cx.take_verdicts(&instance);
    cx.metrics.forget_app(app.namespace(), app.name());
}

/// An Application that cannot be read gets a condition; nothing else of it is touched.
async fn report_unreadable(object: &DynamicObject, message: &str, cx: &Context) -> Result<Action, ReconcileError> {
    let name = object.metadata.name.clone().unwrap_or_default();
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let text = format!("the Application cannot be read: {message} (hint: correct the field)");
    let old = object.data.pointer("/status/conditions/0/message").and_then(Value::as_str);
    if old == Some(&text) {
        return Ok(Action::await_change());
    }
    let condition = json!({ "type": "InvalidSpecError", "message": text, "lastTransitionTime": rfc3339(Timestamp::now()) });
    let patch =
        json!({ "status": { "conditions": [condition], "sync": { "status": "Unknown" }, "health": { "status": "Unknown" } } });
    cx.applications(&namespace)
        .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map_err(ReconcileError::Write)?;
    Ok(Action::await_change())
}

/// Tells people and dashboards what a write changed.
async fn announce(before: &Application, after: &Application, event: Option<(bool, &str, String)>, cx: &Context) {
    if let Some((warning, reason, note)) = event {
        tracing::info!(app = after.name(), reason, "{note}");
        cx.events.publish(after, warning, reason, &note).await;
    }
    let sync = |app: &Application| status_of(app).sync.map(|sync| sync.status).unwrap_or_default();
    let health = |app: &Application| status_of(app).health.map(|health| health.status).unwrap_or_default();
    for (what, old, new) in [("sync", sync(before), sync(after)), ("health", health(before), health(after))] {
        if old != new {
            let from = if old.is_empty() { String::new() } else { format!("{old} ") };
            let note = format!("Updated {what} status: {from}-> {new}");
            tracing::info!(app = after.name(), reason = "ResourceUpdated", "{note}");
            cx.events.publish(after, false, "ResourceUpdated", &note).await;
        }
    }
    if before.operation.is_some() && after.operation.is_none() {
        count_sync(after, cx);
    }
    show(after, cx);
}

fn status_of(app: &Application) -> ApplicationStatus {
    app.status.clone().unwrap_or_default()
}

fn show(app: &Application, cx: &Context) {
    let status = status_of(app);
    cx.metrics.show_app(AppLabels {
        namespace: app.namespace().to_owned(),
        name: app.name().to_owned(),
        project: app.project().to_owned(),
        sync_status: status.sync.map(|sync| sync.status).unwrap_or_default(),
        health_status: status.health.map(|health| health.status).unwrap_or_default(),
    });
}

fn count_sync(app: &Application, cx: &Context) {
    cx.metrics.count_sync(&SyncLabels {
        namespace: app.namespace().to_owned(),
        name: app.name().to_owned(),
        project: app.project().to_owned(),
        phase: status_of(app).operation_state.map(|state| state.phase).unwrap_or_default(),
    });
}

/// An Application together with the JSON it was read from, so that a write can be a minimal patch that keeps unknown fields.
struct Stored {
    app: Application,
    json: Value,
}

impl Stored {
    fn decode(object: DynamicObject) -> Result<Self, String> {
        let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
        let app: Application = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let json = as_json(&app);
        Ok(Self { app, json })
    }

    /// Writes what `next` changes, if anything, on the condition that nobody wrote in between. Gives the stored result.
    async fn write(&self, next: &Application, cx: &Context) -> Result<Self, ReconcileError> {
        let Some(mut change) = merge_patch(&self.json, &as_json(next)) else {
            return Ok(Self { app: self.app.clone(), json: self.json.clone() });
        };
        change["metadata"]["resourceVersion"] = json!(self.app.metadata.resource_version);
        let params = PatchParams { field_manager: Some("gitops-controller".into()), ..PatchParams::default() };
        let answer = cx.applications(next.namespace()).patch(next.name(), &params, &Patch::Merge(change)).await;
        match answer {
            Ok(object) => Self::decode(object).map_err(|message| {
                tracing::error!(app = next.name(), message, "the written Application cannot be read back");
                ReconcileError::Conflict
            }),
            Err(kube::Error::Api(status)) if status.code == 409 => Err(ReconcileError::Conflict),
            // It was deleted meanwhile; the watch tells.
            Err(kube::Error::Api(status)) if status.code == 404 => Err(ReconcileError::Conflict),
            Err(error) => Err(ReconcileError::Write(error)),
        }
    }
}

fn as_json(app: &Application) -> Value {
    serde_json::to_value(app).expect("an Application is made of maps with string keys")
}
