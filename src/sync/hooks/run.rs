//! One run of a hook: what is created for it, how it is recognised later, and when it is over.
//!
//! ```text
//! annotation kubectl-gitops.io/operation: <start of the operation>/<phase>/<attempt>
//! ```
//!
//! The annotation is what keeps a hook from running twice: whoever finds it on a live object knows that this very run was
//! created already, even if the process that created it died before it could record the result.

use jiff::Timestamp;
use serde_json::json;

use super::{DeletePolicies, Phase};
use crate::health::{Health, HealthCode};
use crate::resource::Object;
use crate::resource::annotations::{HOOK_FINALIZER, OPERATION, TRACKING_ID};
use crate::resource::tracking::TrackingId;

/// Characters of the revision in a generated name.
const REVISION_PREFIX: usize = 7;

/// The attempt of an operation that hooks run in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempt {
    /// `operationState.startedAt`; retries do not move it.
    pub started_at: String,
    /// `operationState.retryCount`.
    pub number: i64,
    /// Resolved revision of the single source, empty for several sources.
    pub revision: String,
}

impl Attempt {
    /// What marks the objects of this attempt.
    #[must_use]
    pub fn mark(&self, phase: Phase) -> String {
        self.mark_for(phase.as_str())
    }

    /// As [`Self::mark`], for hooks that belong to no phase of a sync.
    #[must_use]
    pub fn mark_for(&self, moment: &str) -> String {
        format!("{}/{moment}/{}", self.started_at, self.number)
    }

    /// The object to create for a hook: named, marked, and held by the hook finalizer until its result is recorded.
    #[must_use]
    pub fn prepare(&self, hook: &Object, phase: Phase) -> Object {
        self.prepare_for(hook, phase.as_str())
    }

    /// As [`Self::prepare`], for hooks that belong to no phase of a sync.
    #[must_use]
    pub fn prepare_for(&self, hook: &Object, moment: &str) -> Object {
        let mut object = hook.clone();
        if object.name().is_empty() && !object.generate_name().is_empty() {
            let name = format!("{}{}", object.generate_name(), self.name_suffix(moment));
            rename(&mut object, name);
        }
        object.set_annotation(OPERATION, &self.mark_for(moment));
        let finalizers = object.metadata_mut().entry("finalizers").or_insert_with(|| json!([]));
        if let Some(finalizers) = finalizers.as_array_mut()
            && !finalizers.iter().any(|one| one == HOOK_FINALIZER)
        {
            finalizers.push(HOOK_FINALIZER.into());
        }
        object
    }

    /// The same for every step and retry of the operation, so that a repeated creation is recognised.
    fn name_suffix(&self, moment: &str) -> String {
        let revision = if self.revision.len() > REVISION_PREFIX {
            self.revision.get(..REVISION_PREFIX)
        } else {
            Some(self.revision.as_str())
        };
        let started = self.started_at.parse::<Timestamp>().map(Timestamp::as_second).unwrap_or_default();
        format!("{}-{}-{started}", revision.unwrap_or_default(), moment).to_lowercase()
    }
}

/// The tracking id was written before the name was known.
fn rename(object: &mut Object, name: String) {
    object.metadata_mut().remove("generateName");
    object.metadata_mut().insert("name".into(), name.clone().into());
    if let Some(mut id) = object.annotation(TRACKING_ID).and_then(TrackingId::parse) {
        id.key.name = name;
        object.set_annotation(TRACKING_ID, &id.to_string());
    }
}

/// A hook as planning sees it.
#[derive(Debug, Clone)]
pub struct Hook {
    /// When its object is deleted.
    pub policies: DeletePolicies,
    /// Its live object.
    pub live: Option<LiveHook>,
}

/// The live object of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveHook {
    /// Uid, so that no other object is touched.
    pub uid: String,
    /// True when it was created for this very run; else it is left from an earlier one.
    pub of_this_run: bool,
    /// True while our finalizer holds it.
    pub held: bool,
    /// True once its deletion was asked for.
    pub being_deleted: bool,
    /// Health, if its kind has one.
    pub health: Option<HealthCode>,
    /// What its health says, for people; may be empty.
    pub message: String,
}

impl LiveHook {
    /// Reads a live object; `mark` is that of the run in question.
    #[must_use]
    pub fn new(live: &Object, health: Option<&Health>, mark: &str) -> Self {
        Self {
            uid: live.uid().to_owned(),
            of_this_run: live.annotation(OPERATION) == Some(mark),
            held: live.has_finalizer(HOOK_FINALIZER),
            being_deleted: live.is_being_deleted(),
            health: health.map(|health| health.status),
            message: health.map(|health| health.message.clone()).unwrap_or_default(),
        }
    }
}

/// Progress of a hook, as recorded in `hookPhase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookPhase {
    /// Not over.
    Running,
    /// Over, well.
    Succeeded,
    /// Over, badly.
    Failed,
    /// Its object vanished.
    Error,
}

impl HookPhase {
    /// Name as in the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Error => "Error",
        }
    }

    /// Tells from the health of its object how far a hook is; a kind without health rule is done once it is created.
    #[must_use]
    pub const fn from_health(health: Option<HealthCode>) -> Self {
        match health {
            None | Some(HealthCode::Healthy | HealthCode::Missing) => Self::Succeeded,
            Some(HealthCode::Degraded | HealthCode::Unknown) => Self::Failed,
            Some(HealthCode::Progressing | HealthCode::Suspended) => Self::Running,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn attempt(revision: &str) -> Attempt {
        Attempt { started_at: "2026-01-01T00:00:00Z".into(), number: 1, revision: revision.into() }
    }

    fn job(metadata: &Value) -> Object {
        let value = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata });
        Object::from_value(value).unwrap_or_default()
    }

    #[test]
    fn a_generated_name_is_the_same_in_every_step_and_carries_its_own_tracking_id() {
        let hook = job(&json!({ "generateName": "migrate-", "annotations": { TRACKING_ID: "web:batch/Job:prod/" } }));
        let prepared = attempt("0123456789ab").prepare(&hook, Phase::PreSync);
        assert_eq!(prepared.name(), "migrate-0123456-presync-1767225600");
        assert_eq!(prepared.generate_name(), "");
        let tracking = prepared.annotation(TRACKING_ID);
        assert_eq!(tracking, Some("web:batch/Job:prod/migrate-0123456-presync-1767225600"));
        assert_eq!(attempt("").prepare(&hook, Phase::Sync).name(), "migrate--sync-1767225600", "several sources have none");
        assert_eq!(attempt("v1.2.3").prepare(&hook, Phase::Sync).name(), "migrate-v1.2.3-sync-1767225600");
    }

    #[test]
    fn a_prepared_hook_is_held_and_recognised_by_its_phase_and_attempt_only() {
        let hook = job(&json!({ "name": "migrate", "finalizers": ["example.com/own"] }));
        let prepared = attempt("a").prepare(&hook, Phase::PreSync);
        assert_eq!(prepared.get(&["metadata", "finalizers"]), Some(&json!(["example.com/own", HOOK_FINALIZER])));
        let seen = |mark: &str| LiveHook::new(&prepared, None, mark);
        assert!(seen(&attempt("a").mark(Phase::PreSync)).of_this_run);
        assert!(seen(&attempt("a").mark(Phase::PreSync)).held);
        assert!(!seen(&attempt("a").mark(Phase::PostSync)).of_this_run);
        let retried = Attempt { number: 2, ..attempt("a") };
        assert!(!seen(&retried.mark(Phase::PreSync)).of_this_run);
    }

    #[test]
    fn health_says_how_far_a_hook_is() {
        let phase = |health| HookPhase::from_health(health).as_str();
        assert_eq!(phase(None), "Succeeded");
        assert_eq!(phase(Some(HealthCode::Healthy)), "Succeeded");
        assert_eq!(phase(Some(HealthCode::Degraded)), "Failed");
        assert_eq!(phase(Some(HealthCode::Unknown)), "Failed");
        assert_eq!(phase(Some(HealthCode::Progressing)), "Running");
        assert_eq!(phase(Some(HealthCode::Suspended)), "Running");
    }
}
