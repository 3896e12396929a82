//! autoscaling/HorizontalPodAutoscaler: degraded when it cannot read or set what it needs.

use serde_json::Value;

use crate::health::condition::{Condition, conditions};
use crate::health::{Health, HealthCode};
use crate::resource::Object;

/// Where autoscaling/v1 keeps the conditions of newer versions, as JSON.
const V1_CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

pub(super) fn assess(live: &Object) -> Health {
    if live.version() == "v1" {
        return match serde_json::from_str::<Vec<Value>>(live.annotation(V1_CONDITIONS).unwrap_or("[]")) {
            Ok(values) => verdict(&values.iter().map(Condition::read).collect::<Vec<_>>()),
            Err(error) => Health::new(HealthCode::Unknown, format!("annotation {V1_CONDITIONS} is not a JSON list: {error}")),
        };
    }
    verdict(&conditions(live).collect::<Vec<_>>())
}

fn verdict(conditions: &[Condition<'_>]) -> Health {
    if let Some(failure) = conditions.iter().find(|one| is_failure(one)) {
        return Health::degraded(failure.message);
    }
    match conditions.iter().find(|one| matches!(one.type_, "AbleToScale" | "ScalingLimited") && one.is_true()) {
        Some(success) => Health::healthy(success.message),
        None => Health::progressing("Waiting to Autoscale"),
    }
}

/// The reason decides whatever the condition's status is.
fn is_failure(condition: &Condition<'_>) -> bool {
    match condition.type_ {
        "AbleToScale" => matches!(condition.reason, "FailedGetScale" | "FailedUpdateScale"),
        "ScalingActive" => matches!(
            condition.reason,
            "FailedGetResourceMetric"
                | "FailedGetObjectMetric"
                | "FailedGetPodsMetric"
                | "FailedGetExternalMetric"
                | "FailedComputeMetricsReplicas"
                | "InvalidSelector"
        ),
        _ => false,
    }
}
