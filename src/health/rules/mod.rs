//! One rule per kind, and the list of them.

mod apiservice;
mod cronjob;
mod customresourcedefinition;
mod daemonset;
mod deployment;
mod horizontalpodautoscaler;
mod ingress;
mod job;
mod persistentvolumeclaim;
mod pod;
mod poddisruptionbudget;
mod replicaset;
mod sealedsecret;
mod service;
mod statefulset;
mod workflow;

use super::Health;
use crate::resource::Object;

/// How to assess the objects of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Versions whose fields the rule knows; empty means any. Others are `Unknown`.
    pub versions: &'static [&'static str],
    /// Reads a live object and says how it is.
    pub assess: fn(&Object) -> Health,
}

impl Rule {
    const fn new(
        group: &'static str,
        kind: &'static str,
        versions: &'static [&'static str],
        assess: fn(&Object) -> Health,
    ) -> Self {
        Self { group, kind, versions, assess }
    }

    /// True when the object is of the rule's group and kind.
    #[must_use]
    pub fn applies_to(&self, live: &Object) -> bool {
        self.group == live.group() && self.kind == live.kind()
    }

    /// True when the rule knows the fields of this version.
    #[must_use]
    pub fn supports(&self, version: &str) -> bool {
        self.versions.is_empty() || self.versions.contains(&version)
    }
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule::new("", "PersistentVolumeClaim", &["v1"], persistentvolumeclaim::assess),
    Rule::new("", "Pod", &["v1"], pod::assess),
    Rule::new("", "Service", &["v1"], service::assess),
    Rule::new("apiextensions.k8s.io", "CustomResourceDefinition", &[], customresourcedefinition::assess),
    Rule::new("apiregistration.k8s.io", "APIService", &["v1", "v1beta1"], apiservice::assess),
    Rule::new("apps", "DaemonSet", &["v1"], daemonset::assess),
    Rule::new("apps", "Deployment", &["v1"], deployment::assess),
    Rule::new("apps", "ReplicaSet", &["v1"], replicaset::assess),
    Rule::new("apps", "StatefulSet", &["v1"], statefulset::assess),
    Rule::new("argoproj.io", "Workflow", &[], workflow::assess),
    Rule::new("autoscaling", "HorizontalPodAutoscaler", &["v1", "v2"], horizontalpodautoscaler::assess),
    Rule::new("batch", "CronJob", &[], cronjob::assess),
    Rule::new("batch", "Job", &["v1"], job::assess),
    Rule::new("bitnami.com", "SealedSecret", &[], sealedsecret::assess),
    Rule::new("extensions", "Ingress", &[], ingress::assess),
    Rule::new("networking.k8s.io", "Ingress", &[], ingress::assess),
    Rule::new("policy", "PodDisruptionBudget", &[], poddisruptionbudget::assess),
];
