//! policy/PodDisruptionBudget: degraded when it cannot be kept, for another reason than too few pods.

use crate::health::Health;
use crate::health::condition::conditions;
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    // Too few pods is what a budget is for, for example with one replica on purpose.
    if let Some(failure) = conditions(live).find(|one| one.is_false() && one.reason != "InsufficientPods") {
        return Health::degraded(format!("PodDisruptionBudget has {}", failure.reason));
    }
    match conditions(live).last() {
        Some(last) => Health::healthy(format!("PodDisruptionBudget has {}", last.reason)),
        None => Health::progressing("Waiting for status"),
    }
}
