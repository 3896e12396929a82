//! apiregistration.k8s.io/APIService: healthy when it is available.

use crate::health::Health;
use crate::health::condition::condition;
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    let Some(available) = condition(live, "Available") else { return Health::progressing("Waiting to be processed") };
    let message = format!("{}: {}", available.reason, available.message);
    if available.is_true() { Health::healthy(message) } else { Health::progressing(message) }
}
