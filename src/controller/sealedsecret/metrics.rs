//! The numbers that Sealed Secrets' dashboards and alerts know, under their names.
//!
//! Source: Sealed Secrets 0.36.6 (reference 4.5).

use std::time::Duration;

use http::{Method, StatusCode};
use kube::api::DynamicObject;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds in seconds; those of the Go client library.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Label of a SealedSecret that `condition_info` repeats.
const INSTANCE: &str = "app.kubernetes.io/instance";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Build {
    revision: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Failed {
    reason: &'static str,
    namespace: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Condition {
    namespace: String,
    name: String,
    condition: String,
    ss_app_kubernetes_io_instance: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    path: String,
    code: u16,
    method: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Took {
    path: String,
    method: String,
}

#[derive(Clone, Debug)]
struct Durations;

impl MetricConstructor<Histogram> for Durations {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

/// Where an attempt to bring a Secret up to date failed; upstream's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailedStep {
    /// It does not open.
    Unseal,
    /// A Secret of its name belongs to somebody else.
    Unmanaged,
    /// The API server did not take the Secret.
    Update,
    /// The API server did not take the status.
    Status,
}

impl FailedStep {
    const fn reason(self) -> &'static str {
        match self {
            Self::Unseal => "unseal",
            Self::Unmanaged => "unmanaged",
            Self::Update => "update",
            Self::Status => "status",
        }
    }
}

/// The numbers; cheap to clone.
#[derive(Clone, Debug)]
pub struct SealingMetrics {
    build: Family<Build, Gauge>,
    errors: Family<Failed, Counter>,
    conditions: Family<Condition, Gauge>,
    requests: Family<Answered, Counter>,
    durations: Family<Took, Histogram, Durations>,
    keys: Gauge,
    keys_without_backup: Gauge,
}

impl Default for SealingMetrics {
    fn default() -> Self {
        let metrics = Self {
            build: Family::default(),
            errors: Family::default(),
            conditions: Family::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(Durations),
            keys: Gauge::default(),
            keys_without_backup: Gauge::default(),
        };
        // The value is 0, as upstream's.
        metrics.build.get_or_create(&Build { revision: env!("CARGO_PKG_VERSION") }).set(0);
        metrics
    }
}

impl SealingMetrics {
    /// Makes the numbers visible.
    pub fn register(&self, registry: &mut Registry) {
        let sealing = registry.sub_registry_with_prefix("sealed_secrets_controller");
        sealing.register("build_info", "The version, in a label", self.build.clone());
        sealing.register("unseal_errors", "Attempts that failed, by step", self.errors.clone());
        let help = "Conditions of SealedSecrets: 1 true, 0 unknown, -1 false";
        sealing.register("condition_info", help, self.conditions.clone());
        sealing.register("http_requests", "Answers of the HTTP API", self.requests.clone());
        sealing.register("http_request_duration_seconds", "Seconds per answer of the HTTP API", self.durations.clone());
        registry.register("gitops_sealing_keys", "Keys that open SealedSecrets", self.keys.clone());
        let help = "Keys that open SealedSecrets and are in no backup";
        registry.register("gitops_sealing_keys_without_backup", help, self.keys_without_backup.clone());
    }

    /// Shows how many keys there are.
    pub(super) fn show_keys(&self, usable: i64, without_backup: i64) {
        self.keys.set(usable);
        self.keys_without_backup.set(without_backup);
    }

    /// Counts an attempt that failed.
    pub(super) fn count_error(&self, step: FailedStep, namespace: &str) {
        self.errors.get_or_create(&Failed { reason: step.reason(), namespace: namespace.to_owned() }).inc();
    }

    /// Counts an answer of one of the HTTP API's routes.
    pub fn count_request(&self, path: String, method: &Method, status: StatusCode, took: Duration) {
        let method = method_label(method);
        let answered = Answered { path: path.clone(), code: status.as_u16(), method: method.clone() };
        self.requests.get_or_create(&answered).inc();
        self.durations.get_or_create(&Took { path, method }).observe(took.as_secs_f64());
    }

    /// Shows the conditions of the SealedSecrets that exist, and no others.
    pub(super) fn show_conditions<'a>(&self, objects: impl Iterator<Item = &'a DynamicObject>) {
        self.conditions.clear();
        for (labels, value) in objects.flat_map(conditions) {
            self.conditions.get_or_create(&labels).set(value);
        }
    }
}

/// A client may invent methods, and each would be a new series.
fn method_label(method: &Method) -> String {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::CONNECT,
        Method::PATCH,
        Method::TRACE,
    ];
    if KNOWN.contains(method) { method.as_str().to_lowercase() } else { "unknown".to_owned() }
}

fn conditions(object: &DynamicObject) -> Vec<(Condition, i64)> {
    let metadata = &object.metadata;
    let instance = metadata.labels.as_ref().and_then(|labels| labels.get(INSTANCE)).cloned().unwrap_or_default();
    let all = object.data.pointer("/status/conditions").and_then(serde_json::Value::as_array).into_iter().flatten();
    all.filter_map(|condition| {
        let value = match condition["status"].as_str()? {
            "True" => 1,
            "False" => -1,
            _ => 0,
        };
        let labels = Condition {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            condition: condition["type"].as_str()?.to_owned(),
            ss_app_kubernetes_io_instance: instance.clone(),
        };
        Some((labels, value))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn text(metrics: &SealingMetrics) -> String {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text.lines().filter(|line| line.starts_with("sealed_secrets_")).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn names_and_labels_are_those_of_the_original() {
        let metrics = SealingMetrics::default();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text(&metrics),
            format!("sealed_secrets_controller_build_info{{revision=\"{version}\"}} 0\n"),
            "no error, no series"
        );
        metrics.count_error(FailedStep::Unseal, "web");
        metrics.count_request("/v1/verify".into(), &Method::POST, StatusCode::CONFLICT, Duration::from_millis(30));
        metrics.count_request("/v1/verify".into(), &Method::from_bytes(b"BREW").unwrap(), StatusCode::OK, Duration::ZERO);
        let text = text(&metrics);
        for line in [
            "unseal_errors_total{reason=\"unseal\",namespace=\"web\"} 1",
            "http_requests_total{path=\"/v1/verify\",code=\"409\",method=\"post\"} 1",
            "http_requests_total{path=\"/v1/verify\",code=\"200\",method=\"unknown\"} 1",
            "http_request_duration_seconds_bucket{le=\"0.025\",path=\"/v1/verify\",method=\"post\"} 0",
            "http_request_duration_seconds_bucket{le=\"0.05\",path=\"/v1/verify\",method=\"post\"} 1",
        ] {
            assert!(text.contains(&format!("sealed_secrets_controller_{line}\n")), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn conditions_are_those_of_the_objects_that_exist() {
        let object = |name: &str, status: &str| -> DynamicObject {
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "web", "labels": {INSTANCE: "shop"}},
                "status": {"conditions": [{"type": "Synced", "status": status}]},
            }))
            .unwrap()
        };
        let metrics = SealingMetrics::default();
        let objects = [object("a", "True"), object("b", "False"), object("c", "Unknown"), object("d", "True")];
        metrics.show_conditions(objects.iter());
        metrics.show_conditions(objects[..3].iter());
        let text = text(&metrics);
        for (name, value) in [("a", "1"), ("b", "-1"), ("c", "0")] {
            let labels = format!("namespace=\"web\",name=\"{name}\",condition=\"Synced\",ss_app_kubernetes_io_instance=\"shop\"");
            assert!(text.contains(&format!("condition_info{{{labels}}} {value}\n")), "{text}");
        }
        assert!(!text.contains("name=\"d\""), "{text}");
    }
}
