//! Pod: a server pod is healthy when it is ready, a pod that runs to an end when it succeeded.

use serde_json::Value;

use crate::health::condition::{Condition, condition, list, text};
use crate::health::{Health, HealthCode};
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    let runs_forever = text(live, &["spec", "restartPolicy"]) == "Always";
    // Only for these: a hook's pod may still pull its image after a retry, and must not fail its sync before.
    if runs_forever && let Some(messages) = stuck_containers(live) {
        return Health::degraded(messages);
    }
    let message = text(live, &["status", "message"]);
    match text(live, &["status", "phase"]) {
        "Pending" => Health::progressing(message),
        "Succeeded" => Health::healthy(message),
        "Failed" => Health::degraded(failure(live, message)),
        "Running" if runs_forever => running(live, message),
        "Running" if matches!(text(live, &["spec", "restartPolicy"]), "OnFailure" | "Never") => Health::progressing(message),
        _ => Health::new(HealthCode::Unknown, message),
    }
}

/// Messages of the containers that wait because of an error, if there are any; init containers do not count.
fn stuck_containers(live: &Object) -> Option<String> {
    let messages: Vec<&str> = list(live, &["status", "containerStatuses"])
        .iter()
        .filter_map(|container| container.get("state")?.get("waiting"))
        .filter(|waiting| is_error(field(waiting, "reason")))
        .map(|waiting| field(waiting, "message"))
        .collect();
    (!messages.is_empty()).then(|| messages.join(", "))
}

/// `ErrImagePull`, `CreateContainerConfigError`, `CrashLoopBackOff` and their relatives.
fn is_error(reason: &str) -> bool {
    reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff")
}

fn running(live: &Object, message: &str) -> Health {
    if condition(live, "Ready").is_some_and(|ready| Condition::is_true(&ready)) {
        return Health::healthy(message);
    }
    let terminated_before = |container: &Value| container.get("lastState").and_then(|state| state.get("terminated")).is_some();
    if list(live, &["status", "containerStatuses"]).iter().any(terminated_before) {
        return Health::degraded(message);
    }
    Health::progressing(message)
}

/// The pod's own message, else what the first failed container says.
fn failure(live: &Object, message: &str) -> String {
    if !message.is_empty() {
        return message.to_owned();
    }
    let init = list(live, &["status", "initContainerStatuses"]);
    let main = list(live, &["status", "containerStatuses"]);
    init.iter().chain(main).find_map(container_failure).unwrap_or_default()
}

fn container_failure(container: &Value) -> Option<String> {
    let terminated = container.get("state")?.get("terminated")?;
    let exit_code = terminated.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
    match (field(terminated, "message"), field(terminated, "reason")) {
        ("", "OOMKilled") => Some("OOMKilled".to_owned()),
        ("", _) if exit_code == 0 => None,
        ("", _) => Some(format!("container \"{}\" failed with exit code {exit_code}", field(container, "name"))),
        (message, _) => Some(message.to_owned()),
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
