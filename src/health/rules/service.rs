//! Service: a load balancer is healthy when it has an address, every other type at once.

use crate::health::Health;
use crate::health::condition::{list, text};
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    let waits = text(live, &["spec", "type"]) == "LoadBalancer" && list(live, &["status", "loadBalancer", "ingress"]).is_empty();
    if waits { Health::progressing("") } else { Health::healthy("") }
}
