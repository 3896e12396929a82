//! apps/ReplicaSet: healthy when its replicas are available.

use crate::health::Health;
use crate::health::condition::{Condition, condition, number, spec_is_unobserved, status_number};
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    if spec_is_unobserved(live) {
        return Health::progressing("Waiting for rollout: the newest spec is not observed yet");
    }
    if let Some(failure) = condition(live, "ReplicaFailure").filter(Condition::is_true) {
        return Health::degraded(failure.message);
    }
    let available = status_number(live, "availableReplicas");
    if let Some(wanted) = number(live, &["spec", "replicas"]).filter(|wanted| available < *wanted) {
        return Health::progressing(format!("Waiting for rollout: {available} of {wanted} replicas are available"));
    }
    Health::healthy("")
}
