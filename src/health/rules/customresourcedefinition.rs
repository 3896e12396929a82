//! apiextensions.k8s.io/CustomResourceDefinition: healthy when its resources can be used.

use crate::health::Health;
use crate::health::condition::{Condition, conditions};
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    if conditions(live).next().is_none() {
        return Health::progressing("Status conditions not found");
    }
    // The first condition that decides, in their order; an established definition may still turn out to be broken.
    if let Some(verdict) = conditions(live).find_map(obstacle) {
        return verdict;
    }
    if conditions(live).any(|one| one.type_ == "Established" && one.is_true()) {
        Health::healthy("CRD is healthy")
    } else {
        Health::degraded("CRD is not established")
    }
}

fn obstacle(one: Condition<'_>) -> Option<Health> {
    match one.type_ {
        "Terminating" if one.is_true() => Some(Health::progressing(format!("CRD is terminating: {}", one.message))),
        "NamesAccepted" if one.is_false() => Some(Health::degraded(format!("CRD names were not accepted: {}", one.message))),
        "NonStructuralSchema" if one.is_true() => Some(Health::degraded(format!("Schema violations found: {}", one.message))),
        "Established" if !one.is_true() && one.reason == "Installing" => Some(Health::progressing("CRD is being installed")),
        _ => None,
    }
}
