//! Numbers for people and alerts. Names that Argo CD has are Argo CD's, so dashboards keep working.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::sealedsecret::SealingMetrics;
use crate::render::Confinement;

/// Labels of one Application's state.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct AppLabels {
    /// Namespace of the Application.
    pub namespace: String,
    /// Name of the Application.
    pub name: String,
    /// Project.
    pub project: String,
    /// Sync status.
    pub sync_status: String,
    /// Health status.
    pub health_status: String,
}

/// Labels of finished syncs.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct SyncLabels {
    /// Namespace of the Application.
    pub namespace: String,
    /// Name of the Application.
    pub name: String,
    /// Project.
    pub project: String,
    /// Phase in which the sync ended.
    pub phase: String,
}

/// Labels of one ApplicationSet's state.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct SetLabels {
    /// Namespace of the ApplicationSet.
    pub namespace: String,
    /// Name of the ApplicationSet.
    pub name: String,
    /// Reason of its condition `ResourcesUpToDate`.
    pub resource_update_status: String,
}

/// Namespace and name of an ApplicationSet.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct SetName {
    /// Namespace of the ApplicationSet.
    pub namespace: String,
    /// Name of the ApplicationSet.
    pub name: String,
}

/// Numbers about ApplicationSets, under Argo CD's names.
#[derive(Clone)]
pub struct SetMetrics {
    info: Family<SetLabels, Gauge>,
    owned: Family<SetName, Gauge>,
    reconciles: Histogram,
    current: Arc<Mutex<std::collections::HashMap<(String, String), SetLabels>>>,
}

impl Default for SetMetrics {
    fn default() -> Self {
        let reconciles = Histogram::new(exponential_buckets(0.001, 2.0, 16));
        Self { info: Family::default(), owned: Family::default(), reconciles, current: Arc::default() }
    }
}

impl SetMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("argocd_appset_info", "State of the ApplicationSets; the value is always 1", self.info.clone());
        registry.register("argocd_appset_owned_applications", "Applications in the status", self.owned.clone());
        registry.register("argocd_appset_reconcile", "Seconds per pass over an ApplicationSet", self.reconciles.clone());
    }

    /// Replaces what is shown of one ApplicationSet.
    pub fn show(&self, labels: SetLabels, owned: usize) {
        let name = SetName { namespace: labels.namespace.clone(), name: labels.name.clone() };
        self.owned.get_or_create(&name).set(i64::try_from(owned).unwrap_or(i64::MAX));
        let key = (name.namespace, name.name);
        let previous = self.current.lock().expect("no holder of this lock panics").insert(key, labels.clone());
        if let Some(previous) = previous.filter(|previous| *previous != labels) {
            self.info.remove(&previous);
        }
        self.info.get_or_create(&labels).set(1);
    }

    /// Forgets one ApplicationSet.
    pub fn forget(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        self.owned.remove(&SetName { namespace: key.0.clone(), name: key.1.clone() });
        if let Some(previous) = self.current.lock().expect("no holder of this lock panics").remove(&key) {
            self.info.remove(&previous);
        }
    }

    /// Records the duration of a pass in seconds.
    pub fn observe(&self, seconds: f64) {
        self.reconciles.observe(seconds);
    }
}

/// All numbers; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    /// Numbers about ApplicationSets.
    pub sets: SetMetrics,
    registry: Arc<Mutex<Registry>>,
    info: Family<AppLabels, Gauge>,
    current: Arc<Mutex<std::collections::HashMap<(String, String), AppLabels>>>,
    syncs: Family<SyncLabels, Counter>,
    reconciles: Histogram,
    watched_kinds: Gauge,
    live_objects: Gauge,
    live_bytes: Gauge,
    renders: Counter,
    unseals: Counter,
    private_key_operations: Counter,
    confinement: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Makes and registers all numbers.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            sets: SetMetrics::default(),
            registry: Arc::default(),
            info: Family::default(),
            current: Arc::default(),
            syncs: Family::default(),
            // From a millisecond to half a minute.
            reconciles: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            watched_kinds: Gauge::default(),
            live_objects: Gauge::default(),
            live_bytes: Gauge::default(),
            renders: Counter::default(),
            unseals: Counter::default(),
            private_key_operations: Counter::default(),
            confinement: Gauge::default(),
        };
        metrics.sets.register(&mut registry);
        registry.register("argocd_app_info", "State of the Applications; the value is always 1", metrics.info.clone());
        registry.register("argocd_app_sync", "Finished syncs", metrics.syncs.clone());
        registry.register("argocd_app_reconcile", "Seconds per reconcile", metrics.reconciles.clone());
        registry.register("gitops_watched_kinds", "Kinds that are watched", metrics.watched_kinds.clone());
        registry.register("gitops_live_objects", "Live objects that are kept", metrics.live_objects.clone());
        registry.register("gitops_live_object_bytes", "Bytes of the live objects that are kept", metrics.live_bytes.clone());
        registry.register("gitops_renders", "Sources rendered, not counting cache hits", metrics.renders.clone());
        let help = "What the kernel keeps from programs that render: 0 nothing, 1 files, 2 files and network";
        registry.register("gitops_render_confinement", help, metrics.confinement.clone());
        registry.register("sealed_secrets_controller_unseal_requests", "SealedSecrets looked at", metrics.unseals.clone());
        let operations = metrics.private_key_operations.clone();
        registry.register("gitops_private_key_operations", "Private RSA operations", operations);
        Self { registry: Arc::new(Mutex::new(registry)), ..metrics }
    }

    /// Shows the numbers of sealing as well.
    pub fn include(&self, sealing: &SealingMetrics) {
        sealing.register(&mut self.registry.lock().expect("no holder of this lock panics"));
    }

    /// Replaces what is shown of one Application.
    pub fn show_app(&self, labels: AppLabels) {
        let key = (labels.namespace.clone(), labels.name.clone());
        let previous = self.current.lock().expect("no holder of this lock panics").insert(key, labels.clone());
        if let Some(previous) = previous.filter(|previous| *previous != labels) {
            self.info.remove(&previous);
        }
        self.info.get_or_create(&labels).set(1);
    }

    /// Forgets one Application.
    pub fn forget_app(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(previous) = self.current.lock().expect("no holder of this lock panics").remove(&key) {
            self.info.remove(&previous);
        }
    }

    /// Counts a finished sync.
    pub fn count_sync(&self, labels: &SyncLabels) {
        self.syncs.get_or_create(labels).inc();
    }

    /// Records the duration of a reconcile in seconds.
    pub fn observe_reconcile(&self, seconds: f64) {
        self.reconciles.observe(seconds);
    }

    /// Shows the size of the live cache, and how often was rendered, opened and decrypted so far.
    pub fn show_totals(&self, (kinds, objects, bytes): (usize, usize, usize), renders: u64, unseals: u64, decryptions: u64) {
        let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.watched_kinds.set(number(kinds));
        self.live_objects.set(number(objects));
        self.live_bytes.set(number(bytes));
        for (counter, total) in [(&self.renders, renders), (&self.unseals, unseals), (&self.private_key_operations, decryptions)]
        {
            counter.inner().store(total, Ordering::Relaxed);
        }
    }

    /// Shows what the kernel keeps from programs that render.
    pub fn show_confinement(&self, confinement: Confinement) {
        self.confinement.set(match confinement {
            Confinement::Nothing => 0,
            Confinement::Files => 1,
            Confinement::FilesAndNetwork => 2,
        });
    }

    /// All numbers in the Prometheus text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry.lock().expect("no holder of this lock panics"));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_set_shows_one_state_at_a_time() {
        let metrics = Metrics::new();
        let labels =
            |reason: &str| SetLabels { namespace: "argocd".into(), name: "fleet".into(), resource_update_status: reason.into() };
        metrics.sets.show(labels("ErrorOccurred"), 3);
        metrics.sets.show(labels("ApplicationSetUpToDate"), 4);
        let text = metrics.text();
        assert!(text.contains("argocd_appset_owned_applications{namespace=\"argocd\",name=\"fleet\"} 4"), "{text}");
        assert!(text.contains("resource_update_status=\"ApplicationSetUpToDate\"") && !text.contains("ErrorOccurred"), "{text}");
        metrics.sets.forget("argocd", "fleet");
        assert!(!metrics.text().contains("fleet"));
    }

    #[test]
    fn an_application_shows_one_state_at_a_time() {
        let metrics = Metrics::new();
        let labels = |status: &str| AppLabels {
            namespace: "argocd".into(),
            name: "web".into(),
            project: "default".into(),
            sync_status: status.into(),
            health_status: "Healthy".into(),
        };
        metrics.show_app(labels("OutOfSync"));
        metrics.show_app(labels("Synced"));
        let text = metrics.text();
        assert!(text.contains("sync_status=\"Synced\"") && !text.contains("OutOfSync"), "{text}");
        metrics.forget_app("argocd", "web");
        assert!(!metrics.text().contains("name=\"web\""));
    }
}
