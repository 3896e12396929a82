//! `status` of an ApplicationSet: conditions, health, the Applications it owns.
//!
//! Source: Argo CD 3.5 (reference section 1.11).

use serde_json::{Value as Json, json};

/// Condition that deletions wait for an approval. Ours alone.
pub const HELD: &str = "DeletionHeld";
/// Condition of a rolling sync.
pub const ROLLOUT: &str = "RolloutProgressing";
/// Condition of a rolling sync that cannot work as it is written.
pub const INVALID_ROLLOUT: &str = "InvalidRolloutConfig";

const GENERATED: &str = "Successfully generated parameters for all Applications";
const UP_TO_DATE: &str = "All applications have been generated successfully";

/// A reason and a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// One of upstream's reasons.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// How far a rolling sync is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// It is not at its end.
    pub progressing: bool,
    /// For people.
    pub message: String,
    /// What is wrong with its steps.
    pub invalid: Option<String>,
}

/// How a pass ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Nothing was generated.
    pub generation: Option<Problem>,
    /// Something was generated and then could not be done.
    pub problem: Option<Problem>,
    /// Deletions wait.
    pub held: Option<String>,
    /// The rolling sync, when that is the strategy.
    pub rollout: Option<Rollout>,
}

/// The condition of a type.
#[must_use]
pub fn condition<'a>(status: &'a Json, kind: &str) -> Option<&'a Json> {
    status.get("conditions")?.as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// The conditions after a pass, sorted by type; a time changes only with its condition.
#[must_use]
pub fn conditions(status: &Json, outcome: &Outcome, now: &str) -> Json {
    let mut all: Vec<Json> = wanted(outcome)
        .into_iter()
        .map(|(kind, holds, reason, message)| {
            let old = condition(status, kind);
            let value = if holds { "True" } else { "False" };
            let same =
                old.is_some_and(|old| old["status"] == value && old["reason"] == reason && old["message"] == message.as_str());
            match old.filter(|_| same) {
                Some(old) => old.clone(),
                // How long deletions have waited must survive a change of their number.
                None => {
                    let since = old.filter(|old| kind == HELD && holds && old["status"] == "True");
                    let since = since.map_or_else(|| json!(now), |old| old["lastTransitionTime"].clone());
                    json!({ "type": kind, "status": value, "reason": reason, "message": message, "lastTransitionTime": since })
                }
            }
        })
        .collect();
    all.sort_by(|a, b| a["type"].as_str().cmp(&b["type"].as_str()));
    Json::Array(all)
}

type Wanted = (&'static str, bool, &'static str, String);

fn wanted(outcome: &Outcome) -> Vec<Wanted> {
    let error = outcome.generation.as_ref().or(outcome.problem.as_ref());
    let mut all: Vec<Wanted> = vec![match &outcome.generation {
        Some(problem) => ("ParametersGenerated", false, "ErrorOccurred", problem.message.clone()),
        None => ("ParametersGenerated", true, "ParametersGenerated", GENERATED.to_owned()),
    }];
    match (error, &outcome.held) {
        (Some(problem), _) => {
            all.push(("ErrorOccurred", true, problem.reason, problem.message.clone()));
            all.push(("ResourcesUpToDate", false, "ErrorOccurred", problem.message.clone()));
        }
        (None, Some(held)) => {
            all.push(("ErrorOccurred", false, "ApplicationSetUpToDate", UP_TO_DATE.to_owned()));
            all.push(("ResourcesUpToDate", false, HELD, held.clone()));
        }
        (None, None) => {
            all.push(("ErrorOccurred", false, "ApplicationSetUpToDate", UP_TO_DATE.to_owned()));
            all.push(("ResourcesUpToDate", true, "ApplicationSetUpToDate", UP_TO_DATE.to_owned()));
        }
    }
    if let Some(held) = &outcome.held {
        all.push((HELD, true, "DeletionBudgetExceeded", held.clone()));
    }
    if let Some(rollout) = &outcome.rollout {
        let reason = if rollout.progressing { "ApplicationSetModified" } else { "ApplicationSetRolloutComplete" };
        all.push((ROLLOUT, rollout.progressing, reason, rollout.message.clone()));
        all.push(match &rollout.invalid {
            Some(message) => (INVALID_ROLLOUT, true, "ApplicationSetInvalidRolloutConfig", message.clone()),
            None => (INVALID_ROLLOUT, false, "ApplicationSetValidRolloutConfig", "The steps of the rollout are valid".to_owned()),
        });
    }
    all
}

/// Health out of the conditions.
#[must_use]
pub fn health(conditions: &Json) -> Json {
    let status = json!({ "conditions": conditions });
    let holding = |kind: &str| condition(&status, kind).filter(|condition| condition["status"] == "True");
    let known = [("ErrorOccurred", "Degraded"), (ROLLOUT, "Progressing"), ("ResourcesUpToDate", "Healthy")];
    match known.into_iter().find_map(|(kind, health)| Some((holding(kind)?, health))) {
        Some((condition, health)) => json!({ "status": health, "message": condition["message"] }),
        None => json!({ "status": "Unknown", "message": "" }),
    }
}

/// One entry per Application, sorted by name, at most `limit` of them; 0 is no limit. The full number comes with it.
#[must_use]
pub fn resources(owned: &[&Json], limit: usize) -> (Json, usize) {
    let entry = |app: &&Json| {
        let text = |pointer: &str| app.pointer(pointer).and_then(Json::as_str);
        let mut entry = json!({
            "group": "argoproj.io",
            "version": "v1alpha1",
            "kind": "Application",
            "name": text("/metadata/name"),
            "namespace": text("/metadata/namespace"),
        });
        if let Some(sync) = text("/status/sync/status") {
            entry["status"] = json!(sync);
        }
        if let Some(health) = text("/status/health/status") {
            entry["health"] = json!({ "status": health });
        }
        entry
    };
    let shown = if limit == 0 { owned.len() } else { limit.min(owned.len()) };
    (owned.iter().take(shown).map(entry).collect(), owned.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(conditions: &'a Json, kind: &str) -> &'a Json {
        conditions.as_array().and_then(|all| all.iter().find(|one| one["type"] == kind)).unwrap_or(&Json::Null)
    }

    #[test]
    fn an_error_flips_up_to_date_in_the_same_write() {
        let problem = Problem { reason: "RenderTemplateParamsError", message: "m".into() };
        let failed = conditions(&json!({}), &Outcome { generation: Some(problem), ..Outcome::default() }, "t1");
        assert_eq!(of(&failed, "ErrorOccurred")["status"], "True");
        assert_eq!(of(&failed, "ErrorOccurred")["reason"], "RenderTemplateParamsError");
        assert_eq!(of(&failed, "ResourcesUpToDate")["status"], "False");
        assert_eq!(of(&failed, "ResourcesUpToDate")["reason"], "ErrorOccurred");
        assert_eq!(of(&failed, "ParametersGenerated")["reason"], "ErrorOccurred");
        assert_eq!(health(&failed)["status"], "Degraded");
        let mended = conditions(&json!({ "conditions": failed }), &Outcome::default(), "t2");
        assert_eq!(of(&mended, "ErrorOccurred")["status"], "False");
        assert_eq!(of(&mended, "ResourcesUpToDate")["lastTransitionTime"], "t2");
        assert_eq!(health(&mended)["status"], "Healthy");
    }

    #[test]
    fn equal_conditions_keep_their_time() {
        let first = conditions(&json!({}), &Outcome::default(), "t1");
        assert_eq!(conditions(&json!({ "conditions": first }), &Outcome::default(), "t2"), first);
    }

    #[test]
    fn resources_are_cut_and_their_number_is_exact() {
        let app =
            |name: &str| json!({ "metadata": { "name": name, "namespace": "n" }, "status": { "sync": { "status": "Synced" } } });
        let (a, b, c) = (app("a"), app("b"), app("c"));
        let (shown, count) = resources(&[&a, &b, &c], 2);
        assert_eq!((shown.as_array().map(Vec::len), count), (Some(2), 3));
        assert_eq!(shown[0]["status"], "Synced");
    }
}
