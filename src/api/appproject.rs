//! `argoproj.io/v1alpha1` AppProject: the fence around a group of Applications.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::application::ApplicationDestination;
use super::{Extra, kubernetes_resource};

/// An AppProject.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AppProject {
    /// `apiVersion` and `kind`.
    #[serde(flatten, default)]
    pub types: Option<TypeMeta>,
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What the project permits.
    pub spec: AppProjectSpec,
    /// Tokens that Argo CD's API server issued; kept as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<serde_json::Value>,
}
kubernetes_resource!(AppProject, "argoproj.io", "AppProject", "appprojects");

/// What a project permits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppProjectSpec {
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Repository URLs that may be used, as globs; `!` in front denies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_repos: Vec<String>,
    /// Clusters and namespaces that may be deployed to, as globs; `!` in front denies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<ApplicationDestination>,
    /// Cluster-scoped kinds that may be managed; empty permits none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_resource_whitelist: Vec<KindRestriction>,
    /// Cluster-scoped kinds that may not be managed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_resource_blacklist: Vec<KindRestriction>,
    /// Namespaced kinds that may be managed; absent permits all, an empty list none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_resource_whitelist: Option<Vec<KindRestriction>>,
    /// Namespaced kinds that may not be managed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespace_resource_blacklist: Vec<KindRestriction>,
    /// Namespaces whose Applications may belong to the project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_namespaces: Vec<String>,
    /// Sections that are not modelled.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Extra,
}

/// A kind, with globs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindRestriction {
    /// API group.
    #[serde(default)]
    pub group: String,
    /// Kind.
    #[serde(default)]
    pub kind: String,
    /// Object name; empty means any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}
