//! What is recorded about a task in `operationState.syncResult`. Pure.
//!
//! Source: Argo CD 3.5 (reference section 2.4).

use crate::api::application::ResourceResult;
use crate::resource::{ResourceKey, images};
use crate::sync::hooks::HookPhase;
use crate::sync::tasks::{Action, Task};

/// Makes the result of a task.
#[must_use]
pub fn result_of(task: &Task, status: &str, message: String, hook_phase: HookPhase) -> ResourceResult {
    let images = match &task.action {
        Action::Apply { object, .. } => images::images(object),
        Action::Prune { .. } | Action::Keep { .. } => Vec::new(),
    };
    let phase = task.phase.as_str();
    ResourceResult {
        group: task.key.group.clone(),
        version: task.version.clone(),
        kind: task.key.kind.clone(),
        namespace: task.key.namespace.clone(),
        name: task.key.name.clone(),
        status: status.to_owned(),
        message,
        hook_type: if task.hook.is_some() { phase.to_owned() } else { String::new() },
        hook_phase: hook_phase.as_str().to_owned(),
        sync_phase: phase.to_owned(),
        images,
    }
}

/// True when a result is about this task.
#[must_use]
pub fn is_result_of(result: &ResourceResult, task: &Task) -> bool {
    key_of(result) == task.key && result.sync_phase == task.phase.as_str()
}

/// Identity of the object that a result is about.
#[must_use]
pub fn key_of(result: &ResourceResult) -> ResourceKey {
    ResourceKey::new(result.group.clone(), result.kind.clone(), result.namespace.clone(), result.name.clone())
}

/// True for a hook that was created and is not over.
#[must_use]
pub fn is_running_hook(result: &ResourceResult) -> bool {
    !result.hook_type.is_empty() && result.hook_phase == HookPhase::Running.as_str()
}

/// True when the result says that something went wrong.
#[must_use]
pub fn is_failure(result: &ResourceResult) -> bool {
    result.status == "SyncFailed" || matches!(result.hook_phase.as_str(), "Failed" | "Error")
}

/// `group/Kind/name`; the core group prints as an empty first segment, as in Argo CD.
#[must_use]
pub fn shown(key: &ResourceKey) -> String {
    format!("{}/{}/{}", key.group, key.kind, key.name)
}

/// `deployment.apps/web`, as kubectl names an object in its messages.
#[must_use]
pub fn kubectl_name(key: &ResourceKey) -> String {
    let kind = key.kind.to_lowercase();
    if key.group.is_empty() { format!("{kind}/{}", key.name) } else { format!("{kind}.{}/{}", key.group, key.name) }
}
