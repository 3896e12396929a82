//! Steps of a rolling sync: which Applications they select, how many may move, what cannot work in them.

use serde_json::Value as Json;

use super::text;
use crate::api::application::IntOrString;
use crate::api::applicationset::RolloutStep;

/// Every step that selects an Application; the first one is its own.
pub(super) fn steps_of(steps: &[RolloutStep], app: &Json) -> Vec<usize> {
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
pub(super) fn max_update(given: Option<&IntOrString>, total: usize) -> usize {
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

/// What cannot work in the steps, the worst first.
pub(super) fn invalid(steps: &[RolloutStep], wanted: &[Json]) -> Option<String> {
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
