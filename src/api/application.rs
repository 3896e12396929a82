//! `argoproj.io/v1alpha1` Application: where manifests come from, where they go, and what is known about them.
//!
//! Field names and meanings are Argo CD 3.5's. Spec, status and operation are siblings and all written through the main
//! resource: the CRD has no status subresource.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use serde::{Deserialize, Serialize};

use super::kubernetes_resource;

mod operation;
mod source;
mod spec;
mod status;

pub use operation::*;
pub use source::*;
pub use spec::*;
pub use status::*;

/// An Application.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Application {
    /// `apiVersion` and `kind`.
    #[serde(flatten, default)]
    pub types: Option<TypeMeta>,
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What the user wants.
    pub spec: ApplicationSpec,
    /// What the controller found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ApplicationStatus>,
    /// A requested operation; gone once it is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
}
kubernetes_resource!(Application, "argoproj.io", "Application", "applications");

impl Application {
    /// The sources that count: `sources` when it is not empty, else `source`.
    #[must_use]
    pub fn sources(&self) -> Vec<&ApplicationSource> {
        if self.is_multi_source() { self.spec.sources.iter().collect() } else { self.spec.source.iter().collect() }
    }

    /// True when `sources` is in force, even with one element.
    #[must_use]
    pub fn is_multi_source(&self) -> bool {
        !self.spec.sources.is_empty()
    }

    /// Name, empty when absent.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Namespace, empty when absent.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The project, `default` when empty.
    #[must_use]
    pub fn project(&self) -> &str {
        if self.spec.project.is_empty() { "default" } else { &self.spec.project }
    }

    /// One annotation.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref().and_then(|all| all.get(name)).map(String::as_str)
    }

    /// True when the app-level sync options contain exactly this string.
    #[must_use]
    pub fn has_sync_option(&self, option: &str) -> bool {
        self.spec.sync_policy.as_ref().is_some_and(|policy| policy.sync_options.iter().any(|one| one == option))
    }

    /// The automated policy, if it is on.
    #[must_use]
    pub fn automated(&self) -> Option<&SyncPolicyAutomated> {
        self.spec.sync_policy.as_ref()?.automated.as_ref().filter(|automated| automated.enabled != Some(false))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}
