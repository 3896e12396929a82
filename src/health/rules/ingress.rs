//! networking.k8s.io/Ingress and extensions/Ingress, any version: healthy when it has an address.

use crate::health::Health;
use crate::health::condition::list;
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    if list(live, &["status", "loadBalancer", "ingress"]).is_empty() { Health::progressing("") } else { Health::healthy("") }
}
