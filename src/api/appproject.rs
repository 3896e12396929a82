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
    /// When Applications may be synced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sync_windows: Vec<SyncWindow>,
    /// As which ServiceAccount objects are written, by destination; the first that matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destination_service_accounts: Vec<DestinationServiceAccount>,
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

/// What a sync window does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WindowKind {
    /// Syncs are allowed in it, and held outside of all such windows.
    #[default]
    Allow,
    /// Syncs are held in it.
    Deny,
}

impl WindowKind {
    /// As written in a project.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// A time in which Applications may, or may not, be synced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncWindow {
    /// What it does.
    #[serde(default)]
    pub kind: WindowKind,
    /// When it begins: five fields of cron.
    #[serde(default)]
    pub schedule: String,
    /// How long it lasts, for example `1h30m`.
    #[serde(default)]
    pub duration: String,
    /// Application names, as globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// Destination namespaces, as globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Names or server URLs of destination clusters, as globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// Syncs that somebody asks for may pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub manual_sync: bool,
    /// Time zone of the schedule; UTC when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub time_zone: String,
    /// All lists that are not empty have to match, instead of one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub and_operator: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// A sync that was allowed when it began may go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sync_overrun: bool,
}

/// As which ServiceAccount objects are written in a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DestinationServiceAccount {
    /// Server URL of the cluster, a glob.
    #[serde(default)]
    pub server: String,
    /// Destination namespace, a glob.
    #[serde(default)]
    pub namespace: String,
    /// Name of the ServiceAccount, or `namespace:name`.
    #[serde(default)]
    pub default_service_account: String,
}
