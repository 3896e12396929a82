//! One pass over one ApplicationSet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::runtime::controller::Action;
use serde_json::{Value as Json, json};

use super::act::{Acted, act, patching};
use super::read::{Read, read};
use super::{AFTER_ERROR, AFTER_WRITE_ERROR, Context, Error, REFRESH, decode, deletion};
use crate::advice::one_line;
use crate::api::ApplicationSet;
use crate::appset::plan::{Plan, State, Step, owned, plan};
use crate::appset::status::{INVALID_ROLLOUT, Outcome, Problem, ROLLOUT, Rollout, condition, conditions, health, resources};
use crate::appset::{requeue_after, rollout, validate};
use crate::controller::metrics::SetLabels;
use crate::controller::status::rfc3339;
use crate::resource::annotations::RESOURCES_FINALIZER;
use crate::resource::merge_patch;

/// Brings the Applications of one ApplicationSet to what it asks for.
///
/// # Errors
/// When the ApplicationSet itself cannot be written; the next try starts from what is stored.
pub async fn reconcile(object: Arc<DynamicObject>, cx: Arc<Context>) -> Result<Action, Error> {
    let started = tokio::time::Instant::now();
    let outcome = pass(&object, &cx).await;
    cx.metrics.observe(started.elapsed().as_secs_f64());
    outcome
}

async fn pass(object: &DynamicObject, cx: &Context) -> Result<Action, Error> {
    let set = match decode(object) {
        Ok(set) => Arc::new(with_newest_status(set, cx).await?),
        Err(message) => return report_unreadable(object, &message, cx).await,
    };
    if set.metadata.deletion_timestamp.is_some() {
        return deletion::step(&set, &live_applications(&set, &BTreeSet::new(), cx), cx).await;
    }
    hold_for_deletion_order(&set, cx).await?;
    let found = match read(&set, cx).await {
        Ok(found) => found,
        Err(error) => {
            let problem = Problem { reason: error.reason(), message: one_line(&error, &error) };
            let outcome = Outcome { generation: Some(problem), rollout: rollout_as_before(&set), ..Outcome::default() };
            record(&set, outcome, &live_applications(&set, &BTreeSet::new(), cx), None, cx).await?;
            return Ok(Action::requeue(AFTER_ERROR));
        }
    };
    let (outcome, statuses, live) = bring_about(&set, found, cx).await;
    let retry = match &outcome.problem {
        Some(problem) if problem.reason == "ApplicationValidationError" => Some(AFTER_ERROR),
        Some(_) => Some(AFTER_WRITE_ERROR),
        None => None,
    };
    record(&set, outcome, &live, statuses, cx).await?;
    forget_refresh(&set, cx).await?;
    let polls = requeue_after(&set, cx.options.requeue_after);
    let wait: Option<Duration> = match (polls, retry) {
        // A failed write does not wait for a poll.
        (Some(poll), Some(retry)) if retry == AFTER_WRITE_ERROR => Some(poll.min(retry)),
        (Some(poll), _) => Some(poll),
        (None, retry) => retry,
    };
    Ok(wait.map_or_else(Action::await_change, Action::requeue))
}

/// A rolling sync goes on from its own status, of which the watch may not have told yet.
async fn with_newest_status(set: ApplicationSet, cx: &Context) -> Result<ApplicationSet, Error> {
    if !cx.options.progressive_syncs || set.rollout_steps().is_none() {
        return Ok(set);
    }
    let failed = |error| Error::Write(format!("cannot read ApplicationSet {}: {error}", set.name()));
    match cx.sets(set.namespace()).get_opt(set.name()).await.map_err(failed)? {
        Some(newest) => Ok(ApplicationSet { status: newest.data.get("status").cloned(), ..set }),
        None => Ok(set),
    }
}

/// The Applications that it owns or whose names it generates, as JSON.
fn live_applications(set: &ApplicationSet, generated: &BTreeSet<String>, cx: &Context) -> Vec<Json> {
    let concerns = |app: &DynamicObject| {
        let mut references = app.metadata.owner_references.iter().flatten();
        let owned = references.any(|reference| reference.kind == "ApplicationSet" && reference.name == set.name());
        app.metadata.namespace.as_deref() == Some(set.namespace()) && (owned || generated.contains(&app.name_any()))
    };
    let state = cx.apps.state();
    state.iter().filter(|app| concerns(app)).filter_map(|app| serde_json::to_value(app.as_ref()).ok()).collect()
}

type Brought = (Outcome, Option<Vec<rollout::AppStatus>>, Vec<Json>);

/// Decides and writes; says how it went, and what there is now.
async fn bring_about(set: &ApplicationSet, found: Read, cx: &Context) -> Brought {
    let Read { applications, inputs } = found;
    let generated: BTreeSet<String> = applications.iter().map(|app| name_of(app).to_owned()).collect();
    let mut live = live_applications(set, &generated, cx);
    let (mut wanted, invalid) = validate(applications, &inputs);
    let steps = set.rollout_steps().filter(|steps| cx.options.progressive_syncs && !steps.is_empty());
    if steps.is_some() {
        rollout::hold_automated_syncs(&mut wanted);
    }
    let now = Timestamp::now();
    let state = State { wanted: &wanted, generated: &generated, live: &live, clusters: &inputs.clusters };
    let mut made = match plan(set, state, &cx.options.settings, now) {
        Ok(made) => made,
        Err(message) => {
            let problem = Problem { reason: "ApplicationValidationError", message };
            return (Outcome { problem: Some(problem), ..Outcome::default() }, None, live);
        }
    };
    let mut outcome = Outcome { held: made.held.as_ref().map(|held| held.message.clone()), ..Outcome::default() };
    let statuses = steps.map(|steps| {
        let changed = changed_specs(&made);
        let owned = owned(set, &live);
        let progress = rollout::advance(set, steps, &wanted, &owned, &|name| changed.contains(name), now);
        outcome.rollout = progress.rollout;
        add_syncs(&mut made, progress.syncs);
        progress.statuses
    });
    if statuses.is_none() {
        outcome.rollout = rollout_without_effect(set, cx);
    }
    let refused = made.problems.into_values().next();
    let acted = act(set, made.steps, cx).await;
    outcome.problem = acted
        .problem
        .clone()
        .or_else(|| refused.map(|message| Problem { reason: "UpdateApplicationError", message }))
        .or_else(|| invalid.message().map(|message| Problem { reason: "ApplicationValidationError", message }));
    apply_to(&mut live, acted);
    (outcome, statuses, live)
}

/// The watch has not told yet of what was just written.
fn apply_to(live: &mut Vec<Json>, acted: Acted) {
    live.retain(|app| !acted.deleted.iter().any(|name| name == name_of(app)));
    for app in acted.created {
        live.retain(|one| name_of(one) != name_of(&app));
        live.push(app);
    }
}

fn changed_specs(made: &Plan) -> BTreeSet<String> {
    let changed = made.steps.iter().filter_map(|step| match step {
        Step::Update { name, patch } if patch.get("spec").is_some() => Some(name.clone()),
        _ => None,
    });
    changed.collect()
}

/// Sets the operations of a rolling sync, together with whatever else is written to the same Application.
fn add_syncs(made: &mut Plan, syncs: std::collections::BTreeMap<String, Json>) {
    for (app, operation) in syncs {
        let existing = made.steps.iter_mut().find_map(|step| match step {
            Step::Update { name, patch } if *name == app => Some(patch),
            _ => None,
        });
        match existing {
            Some(patch) => patch["operation"] = operation,
            None => made.steps.push(Step::Update { name: app, patch: json!({ "operation": operation }) }),
        }
    }
}

/// A strategy that the installation does not have is named.
fn rollout_without_effect(set: &ApplicationSet, cx: &Context) -> Option<Rollout> {
    let steps = set.rollout_steps()?;
    let invalid = if cx.options.progressive_syncs {
        debug_assert!(steps.is_empty());
        "No steps defined for rollout: all applications sync at once".to_owned()
    } else {
        "strategy RollingSync has no effect: the controller runs without --enable-progressive-syncs".to_owned()
    };
    Some(Rollout { progressing: false, message: "ApplicationSet Rollout has completed".to_owned(), invalid: Some(invalid) })
}

/// What is known of a rollout stays known while nothing can be generated.
fn rollout_as_before(set: &ApplicationSet) -> Option<Rollout> {
    let status = set.status.as_ref()?;
    let old = condition(status, ROLLOUT)?;
    let text = |condition: &Json| condition["message"].as_str().unwrap_or_default().to_owned();
    let invalid = condition(status, INVALID_ROLLOUT).filter(|one| one["status"] == "True").map(text);
    Some(Rollout { progressing: old["status"] == "True", message: text(old), invalid })
}

/// Writes the status, if anything of it changed. Fields that we do not know stay.
async fn record(
    set: &ApplicationSet,
    outcome: Outcome,
    live: &[Json],
    statuses: Option<Vec<rollout::AppStatus>>,
    cx: &Context,
) -> Result<(), Error> {
    let old = set.status.clone().filter(Json::is_object).unwrap_or_else(|| json!({}));
    let mut next = old.clone();
    let failed = outcome.generation.is_some();
    next["conditions"] = conditions(&old, &outcome, &rfc3339(Timestamp::now()));
    next["health"] = health(&next["conditions"]);
    let (listed, count) = resources(&owned(set, live), cx.options.max_resources);
    next["resources"] = listed;
    next["resourcesCount"] = json!(count);
    match statuses {
        Some(statuses) => next["applicationStatus"] = json!(statuses),
        None if failed => {}
        None => drop(next.as_object_mut().map(|status| status.remove("applicationStatus"))),
    }
    show(set, &next, cx);
    let Some(patch) = merge_patch(&old, &next) else { return Ok(()) };
    let problem = outcome.generation.or(outcome.problem);
    let api = cx.sets(set.namespace());
    let patch = Patch::Merge(json!({ "status": patch }));
    match api.patch_status(set.name(), &patching(cx), &patch).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(Error::Write(format!("cannot write the status of ApplicationSet {}: {error}", set.name()))),
    }
    if let Some(problem) = problem.filter(|problem| is_news(&old, problem)) {
        cx.tell(set, true, problem.reason, &problem.message).await;
    }
    Ok(())
}

fn show(set: &ApplicationSet, status: &Json, cx: &Context) {
    let reason = condition(status, "ResourcesUpToDate").and_then(|one| one["reason"].as_str()).unwrap_or("Unknown");
    let labels = SetLabels {
        namespace: set.namespace().to_owned(),
        name: set.name().to_owned(),
        resource_update_status: reason.to_owned(),
    };
    cx.metrics.show(labels, status["resources"].as_array().map_or(0, Vec::len));
}

fn is_news(old: &Json, problem: &Problem) -> bool {
    let before = condition(old, "ErrorOccurred");
    before.is_none_or(|before| before["message"] != problem.message.as_str())
}

/// An annotation that asked for this pass goes at its end.
async fn forget_refresh(set: &ApplicationSet, cx: &Context) -> Result<(), Error> {
    if set.annotation(REFRESH).is_none() {
        return Ok(());
    }
    let patch = json!({ "metadata": { "annotations": { REFRESH: null } } });
    let written = cx.sets(set.namespace()).patch(set.name(), &PatchParams::default(), &Patch::Merge(patch)).await;
    written.map(drop).map_err(|error| Error::Write(format!("cannot take the annotation {REFRESH} away: {error}")))
}

/// Deleting in reverse order needs a finalizer on the ApplicationSet.
async fn hold_for_deletion_order(set: &ApplicationSet, cx: &Context) -> Result<(), Error> {
    let mut finalizers = set.metadata.finalizers.clone().unwrap_or_default();
    let wanted = cx.options.progressive_syncs && rollout::deletes_in_reverse(set);
    if !wanted || finalizers.iter().any(|one| one == RESOURCES_FINALIZER) {
        return Ok(());
    }
    finalizers.push(RESOURCES_FINALIZER.to_owned());
    let patch = json!({ "metadata": { "finalizers": finalizers } });
    let written = cx.sets(set.namespace()).patch(set.name(), &PatchParams::default(), &Patch::Merge(patch)).await;
    written.map(drop).map_err(|error| Error::Write(format!("cannot put a finalizer on ApplicationSet {}: {error}", set.name())))
}

/// An ApplicationSet that cannot be read gets conditions; nothing else is touched.
async fn report_unreadable(object: &DynamicObject, message: &str, cx: &Context) -> Result<Action, Error> {
    let mut named = ApplicationSet::default();
    named.metadata = object.metadata.clone();
    named.status = object.data.get("status").cloned();
    let message = format!("the ApplicationSet cannot be read: {message} (hint: correct the field)");
    let problem = Problem { reason: "ErrorOccurred", message };
    let live = live_applications(&named, &BTreeSet::new(), cx);
    let outcome = Outcome { generation: Some(problem), ..Outcome::default() };
    record(&named, outcome, &live, None, cx).await?;
    tracing::warn!(applicationset = object.name_any(), "it cannot be read");
    Ok(Action::await_change())
}

fn name_of(app: &Json) -> &str {
    app.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default()
}
