//! argoproj.io/Workflow: healthy when it succeeded.

use crate::health::condition::text;
use crate::health::{Health, HealthCode};
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    let status = match text(live, &["status", "phase"]) {
        "" | "Pending" | "Running" => HealthCode::Progressing,
        "Succeeded" => HealthCode::Healthy,
        "Failed" | "Error" => HealthCode::Degraded,
        _ => HealthCode::Unknown,
    };
    Health::new(status, text(live, &["status", "message"]))
}
