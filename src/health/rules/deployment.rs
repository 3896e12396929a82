//! apps/Deployment: healthy when the newest spec is rolled out and nothing of the old one is left.

use crate::health::Health;
use crate::health::condition::{condition, number, spec_is_unobserved, status_number};
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    if live.get(&["spec", "paused"]) == Some(&true.into()) {
        return Health::suspended("Deployment is paused");
    }
    if spec_is_unobserved(live) {
        return Health::progressing("Waiting for rollout: the newest spec is not observed yet");
    }
    // Also when the replicas look right: a rollout that missed its deadline may have left the old ones running.
    if condition(live, "Progressing").is_some_and(|one| one.reason == "ProgressDeadlineExceeded") {
        return Health::degraded(format!("Deployment \"{}\" exceeded its progress deadline", live.name()));
    }
    rollout(live)
}

fn rollout(live: &Object) -> Health {
    let (all, updated) = (status_number(live, "replicas"), status_number(live, "updatedReplicas"));
    let available = status_number(live, "availableReplicas");
    if let Some(wanted) = number(live, &["spec", "replicas"]).filter(|wanted| updated < *wanted) {
        return Health::progressing(format!("Waiting for rollout: {updated} of {wanted} replicas are updated"));
    }
    if all > updated {
        return Health::progressing(format!("Waiting for rollout: {} old replicas are pending termination", all - updated));
    }
    if available < updated {
        return Health::progressing(format!("Waiting for rollout: {available} of {updated} updated replicas are available"));
    }
    Health::healthy("")
}
