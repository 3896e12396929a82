//! Rolling syncs: which Applications may sync now, step by step; and deletion in reverse order. Pure.
//!
//! ```text
//! Waiting ──its step is reached, below maxUpdate: sync──> Pending ──the sync began──> Progressing ──Synced, Healthy──> Healthy
//!    ^───────────────────────────── another revision or another spec, from any state ──────────────────────────────────┘
//! ```
//!
//! Source: Argo CD 3.5 (reference section 1.12).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::inputs::Cluster;
use super::plan::{Step, delete};
use super::status;
use crate::api::ApplicationSet;
use crate::api::application::IntOrString;
use crate::api::applicationset::RolloutStep;

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

/// Every step that selects an Application; the first one is its own.
fn steps_of(steps: &[RolloutStep], app: &Json) -> Vec<usize> {
    let label = |key: &str| app["metadata"]["labels"].get(key).and_then(Json::as_str);
    let selects = |step: &RolloutStep| {
        step.match_expressions.iter().all(|one| match (one.operator.as_str(), label(&one.key)) {
            ("In", value) => value.is_some_and(|value| one.values.iter().any(|wanted| wanted == value)),
            ("NotIn", value) => value.is_none_or(|value| one.values.iter().all(|wanted| wanted != value)),
            (_, value) => value.is_none(),
        })
    };
    steps.iter().enumerate().filter(|(_, step)| selects(step)).map(|(index, _)| index).collect()
}

/// A percentage is rounded down, but is at least one unless it is zero; what cannot be read is one.
fn max_update(given: Option<&IntOrString>, total: usize) -> usize {
    match given {
        None => total,
        Some(IntOrString::Int(number)) => usize::try_from(*number).unwrap_or_default(),
        Some(IntOrString::String(text)) => match parse_max(text) {
            Some((number, true)) if number > 0 => (total * number / 100).max(1),
            Some((number, _)) => number,
            None => 1,
        },
    }
}

fn parse_max(text: &str) -> Option<(usize, bool)> {
    match text.trim().strip_suffix('%') {
        Some(number) => number.parse().ok().map(|number| (number, true)),
        None => text.trim().parse().ok().map(|number| (number, false)),
    }
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

/// What cannot work in the steps, the worst first.
fn invalid(steps: &[RolloutStep], wanted: &[Json]) -> Option<String> {
    let mut expressions =
        steps.iter().enumerate().flat_map(|(index, step)| step.match_expressions.iter().map(move |one| (index, one)));
    if let Some((index, one)) = expressions.find(|(_, one)| !matches!(one.operator.as_str(), "In" | "NotIn")) {
        return Some(format!(
            "step {}: operator {:?} of {} is not supported (known: In, NotIn)",
            index + 1,
            one.operator,
            one.key
        ));
    }
    if let Some(app) = wanted.iter().find(|app| steps_of(steps, app).len() > 1) {
        return Some(format!("application {} is selected by more than one step", text(app, "/metadata/name")));
    }
    let wrong = |step: &RolloutStep| matches!(&step.max_update, Some(IntOrString::String(text)) if parse_max(text).is_none());
    if let Some(index) = steps.iter().position(wrong) {
        return Some(format!(
            "step {}: maxUpdate is neither a number nor a percentage, so one application is updated at a time",
            index + 1
        ));
    }
    steps.is_empty().then(|| "No steps defined for rollout: all applications sync at once".to_owned())
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn set(steps: &Json, statuses: &Json) -> ApplicationSet {
        serde_json::from_value(json!({ "metadata": { "name": "s" }, "spec": { "generators": [], "template": {},
            "strategy": { "type": "RollingSync", "deletionOrder": "reverse", "rollingSync": { "steps": steps } } },
            "status": { "applicationStatus": statuses } }))
        .unwrap()
    }

    fn app(name: &str, env: &str, sync: &str, health: &str) -> Json {
        let source = json!({ "repoURL": "r", "path": "p" });
        json!({ "metadata": { "name": name, "labels": { "env": env } },
            "spec": { "source": source, "destination": {}, "syncPolicy": { "automated": { "prune": true, "enabled": false } } },
            "status": { "sync": { "status": sync, "revision": "1", "comparedTo": { "source": source, "destination": {} } }, "health": { "status": health } } })
    }

    fn steps() -> Json {
        json!([{ "matchExpressions": [{ "key": "env", "operator": "In", "values": ["dev"] }] },
               { "matchExpressions": [{ "key": "env", "operator": "In", "values": ["prod"] }], "maxUpdate": "50%" }])
    }

    fn pass(steps: &Json, statuses: &Json, apps: &[Json]) -> Progress {
        let set = set(steps, statuses);
        let live: Vec<&Json> = apps.iter().collect();
        advance(&set, set.rollout_steps().unwrap(), apps, &live, &|_| false, "2026-11-25T12:00:00Z".parse().unwrap())
    }

    fn states(progress: &Progress) -> Vec<(String, String)> {
        progress.statuses.iter().map(|one| (one.application.clone(), format!("{} {}", one.step, one.status))).collect()
    }

    fn expect(progress: &Progress, wanted: &[(&str, &str)]) {
        let wanted: Vec<(String, String)> = wanted.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(states(progress), wanted);
    }

    #[test]
    fn a_step_waits_for_those_before_and_syncs_no_more_than_its_share() {
        let mut apps = vec![
            app("a", "dev", "OutOfSync", "Healthy"),
            app("b", "prod", "OutOfSync", "Healthy"),
            app("c", "prod", "OutOfSync", "Healthy"),
            app("d", "none", "OutOfSync", "Healthy"),
        ];
        let first = pass(&steps(), &json!([]), &apps);
        expect(&first, &[("a", "1 Pending"), ("b", "2 Waiting"), ("c", "2 Waiting"), ("d", "-1 Waiting")]);
        let operation = &first.syncs["a"];
        assert_eq!((first.syncs.len(), &operation["sync"]["prune"], &operation["retry"]["limit"]), (1, &json!(true), &json!(5)));
        // It syncs, fails and stays Progressing: nothing behind it moves.
        apps[0]["status"]["operationState"] = json!({ "phase": "Failed", "startedAt": "2026-11-25T12:00:01Z" });
        let second = pass(&steps(), &serde_json::to_value(&first.statuses).unwrap(), &apps);
        expect(&second, &[("a", "1 Progressing"), ("b", "2 Waiting"), ("c", "2 Waiting"), ("d", "-1 Waiting")]);
        assert!(second.syncs.is_empty() && second.rollout.as_ref().unwrap().progressing);
        apps[0]["status"]["sync"]["status"] = json!("Synced");
        let third = pass(&steps(), &serde_json::to_value(&second.statuses).unwrap(), &apps);
        expect(&third, &[("a", "1 Healthy"), ("b", "2 Pending"), ("c", "2 Waiting"), ("d", "-1 Waiting")]);
        // Later trouble does not take Healthy away; another revision does.
        apps[0]["status"]["health"]["status"] = json!("Degraded");
        let fourth = pass(&steps(), &serde_json::to_value(&third.statuses).unwrap(), &apps);
        assert_eq!(fourth.statuses[0].status, "Healthy");
        apps[0]["status"]["sync"] = json!({ "status": "OutOfSync", "revision": "2" });
        let fifth = pass(&steps(), &serde_json::to_value(&fourth.statuses).unwrap(), &apps);
        assert_eq!((fifth.statuses[0].status.as_str(), fifth.statuses[0].target_revisions[0].as_str()), ("Pending", "2"));
    }

    #[test]
    fn percentages_are_floored_with_at_least_one_and_zero_is_never() {
        let of = |text: &str| max_update(Some(&IntOrString::String(text.into())), 9);
        assert_eq!((of("50%"), of("1%"), of("0%"), of("0"), of("3"), of("x")), (4, 1, 0, 0, 3, 1));
        assert_eq!((max_update(None, 9), max_update(Some(&IntOrString::Int(0)), 9)), (9, 0));
    }

    #[test]
    fn not_in_selects_what_lacks_the_label_and_exists_is_an_error() {
        let lacking = json!([{ "matchExpressions": [{ "key": "tier", "operator": "NotIn", "values": ["x"] }] }]);
        expect(&pass(&lacking, &json!([]), &[app("a", "dev", "OutOfSync", "")]), &[("a", "1 Pending")]);
        let exists = json!([{ "matchExpressions": [{ "key": "env", "operator": "Exists" }] }]);
        let progress = pass(&exists, &json!([]), &[app("a", "dev", "OutOfSync", "")]);
        expect(&progress, &[("a", "-1 Waiting")]);
        assert!(progress.rollout.unwrap().invalid.unwrap().contains("\"Exists\""));
    }

    #[test]
    fn automated_syncs_are_held_on_all_of_them() {
        let mut apps = [json!({ "spec": { "syncPolicy": { "automated": { "prune": true } } } }), json!({ "spec": {} })];
        hold_automated_syncs(&mut apps);
        assert_eq!(apps[0]["spec"]["syncPolicy"]["automated"], json!({ "prune": true, "enabled": false }));
        assert_eq!(apps[1], json!({ "spec": {} }));
    }

    #[test]
    fn deletion_goes_backwards_one_by_one() {
        let set = set(&steps(), &json!([]));
        let apps = [app("a", "dev", "", ""), app("b", "prod", "", ""), app("z", "none", "", "")];
        let mut owned: Vec<&Json> = apps.iter().collect();
        let next = |owned: &[&Json]| next_deletion(&set, owned, &[]).map(|step| step.map(|step| step.name().to_owned()));
        assert_eq!(next(&owned), Some(Some("b".into())));
        let mut going = apps[1].clone();
        going["metadata"]["deletionTimestamp"] = json!("t");
        owned[1] = &going;
        assert_eq!(next(&owned), Some(None), "one at a time");
        owned.remove(1);
        assert_eq!(next(&owned), Some(Some("a".into())));
        owned.remove(0);
        assert_eq!(next(&owned), None, "what no step selects is the garbage collector's");
    }
}
