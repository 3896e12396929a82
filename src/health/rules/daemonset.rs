//! apps/DaemonSet: healthy when every node that should run a pod runs an updated, available one.

use crate::health::Health;
use crate::health::condition::{spec_is_unobserved, status_number, text};
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    let (updated, desired) = (status_number(live, "updatedNumberScheduled"), status_number(live, "desiredNumberScheduled"));
    let available = status_number(live, "numberAvailable");
    if spec_is_unobserved(live) {
        return Health::progressing("Waiting for rollout: the newest spec is not observed yet");
    }
    if text(live, &["spec", "updateStrategy", "type"]) == "OnDelete" {
        return Health::healthy(format!("{updated} of {desired} pods are updated"));
    }
    if updated < desired {
        return Health::progressing(format!("Waiting for rollout: {updated} of {desired} pods are updated"));
    }
    if available < desired {
        return Health::progressing(format!("Waiting for rollout: {available} of {desired} updated pods are available"));
    }
    Health::healthy("")
}
