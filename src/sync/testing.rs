//! Tasks for tests.

use serde_json::json;

use crate::resource::{Object, ResourceKey};
use crate::sync::hooks::{DeletePolicies, Hook, LiveHook, Phase};
use crate::sync::tasks::{Action, Task, Way};

fn task(kind: &str, name: &str, wave: i64, action: Action) -> Task {
    let group = match kind {
        "Deployment" => "apps",
        "Job" => "batch",
        _ => "",
    };
    let key = ResourceKey::new(group, kind, "prod", name);
    Task { key, version: "v1".into(), phase: Phase::Sync, wave, action, hook: None, held: false }
}

/// Applies an object.
pub fn apply(kind: &str, name: &str, wave: i64) -> Task {
    let value = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
    let object = Object::from_value(value).unwrap_or_default();
    task(kind, name, wave, Action::Apply { object, unchanged: false, way: Way::default() })
}

/// Prunes a ConfigMap.
pub fn prune(name: &str, wave: i64) -> Task {
    task("ConfigMap", name, wave, Action::Prune { uid: "u".into() })
}

/// Runs a Job as a hook.
pub fn hook(phase: Phase, name: &str, live: Option<LiveHook>) -> Task {
    let policies = DeletePolicies { before_creation: true, succeeded: false, failed: false };
    Task { phase, hook: Some(Hook { policies, live }), ..apply("Job", name, 0) }
}
