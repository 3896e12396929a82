//! Rolling syncs: which Applications may sync now, step by step; and deletion in reverse order. Pure.
//!
//! ```text
//! Waiting ──its step is reached, below maxUpdate: sync──> Pending ──the sync began──> Progressing ──Synced, Healthy──> Healthy
//!    ^───────────────────────────── another revision or another spec, from any state ──────────────────────────────────┘
//! ```
//!
//! Source: Argo CD 3.5 (reference section 1.12).

mod steps;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::inputs::Cluster;
use super::plan::{Step, delete};
use super::status;
use crate::api::ApplicationSet;
use crate::api::applicationset::RolloutStep;
use steps::{invalid, max_update, steps_of};

/// Step of Applications that no step selects: they never sync by the rollout.
const UNSELECTED: &str = "-1";

/// One entry of `status.applicationStatus`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// Name of the Application.
    pub application: String,
    /// Since when the state holds.
    #[serde(default)]
    pub last_transition_time: String,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// `Waiting`, `Pending`, `Progressing` or `Healthy`.
    pub status: String,
    /// Number of its step, from 1.
    #[serde(default)]
    pub step: String,
    /// Revisions that the rollout is about. Upstream wants a list even when it is empty.
    #[serde(default)]
    pub target_revisions: Vec<String>,
}

impl AppStatus {
    fn move_to(&mut self, state: &str, message: &str, time: &str) {
        state.clone_into(&mut self.status);
        message.clone_into(&mut self.message);
        time.clone_into(&mut self.last_transition_time);
    }
}

/// What a rolling sync does in one pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// The new `status.applicationStatus`.
    pub statuses: Vec<AppStatus>,
    /// Operations to set, by Application.
    pub syncs: BTreeMap<String, Json>,
    /// For the conditions.
    pub rollout: Option<status::Rollout>,
}

/// Switches automated sync off in every generated Application, without forgetting its options.
pub fn hold_automated_syncs(wanted: &mut [Json]) {
    for app in wanted {
        if let Some(automated) = app.pointer_mut("/spec/syncPolicy/automated").filter(|automated| automated.is_object()) {
            automated["enabled"] = json!(false);
        }
    }
}

/// Brings the rollout forward. `wanted` are the generated Applications, `changed` says whose spec is not written yet.
#[must_use]
pub fn advance(
    set: &ApplicationSet,
    steps: &[RolloutStep],
    wanted: &[Json],
    live: &[&Json],
    changed: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> Progress {
    let old: Vec<AppStatus> = set
        .status
        .as_ref()
        .and_then(|status| status["applicationStatus"].as_array())
        .into_iter()
        .flatten()
        .filter_map(|one| serde_json::from_value(one.clone()).ok())
        .collect();
    let live: BTreeMap<&str, &Json> = live.iter().map(|app| (text(app, "/metadata/name"), *app)).collect();
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut statuses: Vec<AppStatus> = Vec::new();
    for app in wanted {
        let name = text(app, "/metadata/name");
        let before = old.iter().find(|status| status.application == name).cloned();
        let Some(found) = live.get(name) else {
            statuses.push(before.unwrap_or_else(|| fresh(name, &time)));
            continue;
        };
        statuses.push(judge(name, before, found, changed(name), &time));
    }
    for status in &mut statuses {
        let app = wanted.iter().find(|app| text(app, "/metadata/name") == status.application);
        status.step = app
            .and_then(|app| steps_of(steps, app).first().copied())
            .map_or_else(|| UNSELECTED.to_owned(), |step| (step + 1).to_string());
    }
    start_pending(steps, wanted, &mut statuses, &time);
    let syncs = statuses
        .iter()
        .filter(|status| status.status == "Pending")
        .filter_map(|status| Some((status.application.clone(), operation(live.get(status.application.as_str())?)?)))
        .collect();
    let rollout = Some(summary(steps, wanted, &statuses));
    Progress { statuses, syncs, rollout }
}

fn fresh(name: &str, time: &str) -> AppStatus {
    AppStatus {
        application: name.to_owned(),
        last_transition_time: time.to_owned(),
        message: "No Application status found, defaulting status to Waiting".to_owned(),
        status: "Waiting".to_owned(),
        ..AppStatus::default()
    }
}

/// The state of one Application after what is seen of it.
fn judge(name: &str, before: Option<AppStatus>, app: &Json, spec_changed: bool, time: &str) -> AppStatus {
    let known = before.is_some();
    let mut status = before.unwrap_or_else(|| fresh(name, time));
    let revisions = revisions(app);
    let revision_changed = known && status.target_revisions != revisions;
    let waits = match (revision_changed, spec_changed && known) {
        (true, true) => Some("Application has pending changes and its spec differs, setting status to Waiting"),
        (true, false) => Some("Application has pending changes, setting status to Waiting"),
        (false, true) if status.status != "Waiting" => Some("Application spec differs, setting status to Waiting"),
        _ => None,
    };
    if let Some(message) = waits {
        status.move_to("Waiting", message, time);
    }
    status.target_revisions = revisions;
    if spec_changed {
        return status;
    }
    // What is seen may be several steps further; nobody comes back for each of them.
    while let Some((state, message)) = next_state(&status, app) {
        status.move_to(state, message, time);
    }
    status
}

/// The state that follows, when what is seen of the Application says so.
fn next_state(status: &AppStatus, app: &Json) -> Option<(&'static str, &'static str)> {
    let (synced, healthy) = (text(app, "/status/sync/status") == "Synced", text(app, "/status/health/status") == "Healthy");
    match status.status.as_str() {
        "Waiting" if synced && is_compared(app) && healthy => {
            Some(("Healthy", "Application resource is already Healthy, updating status from Waiting to Healthy"))
        }
        "Waiting" if synced && is_compared(app) => {
            Some(("Progressing", "Application resource is already Synced, updating status from Waiting to Progressing"))
        }
        "Pending" if has_begun(app, &status.last_transition_time) => {
            Some(("Progressing", "Application resource became Progressing, updating status from Pending to Progressing"))
        }
        "Progressing" if synced && healthy && !is_running(app) => {
            Some(("Healthy", "Application resource became Healthy, updating status from Progressing to Healthy"))
        }
        _ => None,
    }
}

fn revisions(app: &Json) -> Vec<String> {
    let several = app.pointer("/status/sync/revisions").and_then(Json::as_array);
    match several.filter(|all| !all.is_empty()) {
        Some(all) => all.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        None => Some(text(app, "/status/sync/revision").to_owned()).filter(|one| !one.is_empty()).into_iter().collect(),
    }
}

/// What the status says is about the spec as it is now.
fn is_compared(app: &Json) -> bool {
    let Some(compared) = app.pointer("/status/sync/comparedTo") else { return false };
    let spec = &app["spec"];
    compared["destination"] == spec["destination"]
        && (spec["source"].is_null() || compared["source"] == spec["source"])
        && (spec["sources"].is_null() || compared["sources"] == spec["sources"])
}

fn has_begun(app: &Json, since: &str) -> bool {
    let started = text(app, "/status/operationState/startedAt").parse::<Timestamp>();
    let since = since.parse::<Timestamp>();
    let broken = app["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|one| one["type"] == "InvalidSpecError" || one["type"] == "UnknownError");
    broken || matches!((started, since), (Ok(started), Ok(since)) if started >= since)
}

fn is_running(app: &Json) -> bool {
    !app["operation"].is_null() || text(app, "/status/operationState/phase") == "Running"
}

/// Waiting Applications of reached steps become Pending, as many as `maxUpdate` of their step leaves room for.
fn start_pending(steps: &[RolloutStep], wanted: &[Json], statuses: &mut [AppStatus], time: &str) {
    let reached = reached_steps(steps, wanted, statuses);
    for (index, step) in steps.iter().enumerate().take(reached) {
        let own = (index + 1).to_string();
        let total = statuses.iter().filter(|status| status.step == own).count();
        let moving = statuses
            .iter()
            .filter(|status| status.step == own && matches!(status.status.as_str(), "Pending" | "Progressing"))
            .count();
        let mut room = max_update(step.max_update.as_ref(), total).saturating_sub(moving);
        for status in statuses.iter_mut().filter(|status| status.step == own && status.status == "Waiting") {
            if room == 0 {
                break;
            }
            room -= 1;
            status.status = "Pending".to_owned();
            status.message =
                "Application moved to Pending status, watching for the Application resource to start Progressing".to_owned();
            status.last_transition_time = time.to_owned();
        }
    }
}

/// How many steps may sync: all behind which only Healthy ones stand, and the next.
fn reached_steps(steps: &[RolloutStep], wanted: &[Json], statuses: &[AppStatus]) -> usize {
    let healthy = |name: &str| statuses.iter().any(|status| status.application == name && status.status == "Healthy");
    for index in 0..steps.len() {
        let members = wanted.iter().filter(|app| steps_of(steps, app).contains(&index));
        if !members.map(|app| text(app, "/metadata/name")).all(healthy) {
            return index + 1;
        }
    }
    steps.len()
}

/// The operation that syncs a Pending Application; none when one is asked for or runs already.
fn operation(app: &Json) -> Option<Json> {
    if is_running(app) {
        return None;
    }
    let policy = &app["spec"]["syncPolicy"];
    let mut sync = json!({});
    if policy["automated"]["prune"] == true {
        sync["prune"] = json!(true);
    }
    if let Some(options) = policy["syncOptions"].as_array().filter(|options| !options.is_empty()) {
        sync["syncOptions"] = json!(options);
    }
    let retry = policy.get("retry").filter(|retry| !retry.is_null()).cloned().unwrap_or_else(|| json!({ "limit": 5 }));
    Some(json!({
        "initiatedBy": { "username": "applicationset-controller", "automated": true },
        "info": [{ "name": "Reason", "value": "ApplicationSet RollingSync triggered a sync of this Application resource" }],
        "sync": sync,
        "retry": retry,
    }))
}

fn summary(steps: &[RolloutStep], wanted: &[Json], statuses: &[AppStatus]) -> status::Rollout {
    let reached = reached_steps(steps, wanted, statuses);
    let progressing = statuses.iter().any(|status| status.step != UNSELECTED && status.status != "Healthy");
    let message = if progressing {
        format!("ApplicationSet is performing rollout of step {reached}")
    } else {
        "ApplicationSet Rollout has completed".to_owned()
    };
    status::Rollout { progressing, message, invalid: invalid(steps, wanted) }
}

/// Whether the Applications go one by one when the ApplicationSet is deleted.
#[must_use]
pub fn deletes_in_reverse(set: &ApplicationSet) -> bool {
    let reverse = set.spec.strategy.as_ref().is_some_and(|strategy| strategy.deletion_order.eq_ignore_ascii_case("reverse"));
    reverse && set.rollout_steps().is_some_and(|steps| !steps.is_empty())
}

/// The next deletion of an ApplicationSet that goes in reverse: none when all selected Applications are gone, and no step in it
/// while one is still going.
#[must_use]
pub fn next_deletion(set: &ApplicationSet, owned: &[&Json], clusters: &[Cluster]) -> Option<Option<Step>> {
    let steps = set.rollout_steps().unwrap_or_default();
    let selected = owned.iter().filter_map(|app| steps_of(steps, app).first().map(|step| (*step, *app)));
    let (_, last) = selected.max_by_key(|(step, app)| (*step, text(app, "/metadata/name")))?;
    let going = owned.iter().any(|app| app.pointer("/metadata/deletionTimestamp").is_some());
    Some((!going).then(|| delete(last, clusters)))
}

fn text<'a>(app: &'a Json, pointer: &str) -> &'a str {
    app.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}
