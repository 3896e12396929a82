//! PersistentVolumeClaim: healthy when it is bound.

use crate::health::condition::text;
use crate::health::{Health, HealthCode};
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    let status = match text(live, &["status", "phase"]) {
        "Bound" => HealthCode::Healthy,
        "Pending" => HealthCode::Progressing,
        "Lost" => HealthCode::Degraded,
        _ => HealthCode::Unknown,
    };
    Health::new(status, "")
}
