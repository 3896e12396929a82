//! A requested operation, and the running or last one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApplicationSource, Info, ManagedNamespaceMetadata, RetryStrategy, is_zero};
use crate::api::Extra;

/// A requested operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// The sync to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncOperation>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiated_by: Option<OperationInitiator>,
    /// Information for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<Info>,
    /// How a failure is retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryStrategy>,
    /// Fields that are not modelled.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Extra,
}

/// Who asked for an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperationInitiator {
    /// User name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// True when the controller asked itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automated: bool,
}

/// A requested sync.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncOperation {
    /// Revision to sync to; empty means the target revision of the source.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// Revisions by index of `sources`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// Source to use instead of the spec's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ApplicationSource>,
    /// Sources to use instead of the spec's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ApplicationSource>,
    /// Delete objects that left the source.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prune: bool,
    /// Check only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Sync options in force; the spec's are not added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sync_options: Vec<String>,
    /// Strategy: `apply` skips hooks; absent means `hook`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_strategy: Option<SyncStrategy>,
    /// Only these objects; hooks are skipped and no history is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<SyncOperationResource>,
    /// How many self-heal attempts there were.
    #[serde(rename = "autoHealAttemptsCount", default, skip_serializing_if = "is_zero")]
    pub self_heal_attempts_count: i64,
    /// Fields that are not modelled.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Extra,
}

/// Sync strategy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncStrategy {
    /// Apply only, without hooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<SyncStrategyOptions>,
    /// Apply with hooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<SyncStrategyOptions>,
}

/// Options of a sync strategy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncStrategyOptions {
    /// Delete and recreate what cannot be patched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// One object of a selective sync.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncOperationResource {
    /// API group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace; empty matches any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// The running or last operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationState {
    /// What was asked for.
    #[serde(default)]
    pub operation: Operation,
    /// `Running`, `Terminating`, `Succeeded`, `Failed` or `Error`. `Running` with `finishedAt` waits for a retry.
    #[serde(default)]
    pub phase: String,
    /// What happened, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Result of the sync so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_result: Option<SyncOperationResult>,
    /// When the operation began (RFC 3339).
    #[serde(default)]
    pub started_at: String,
    /// When the operation or its last attempt ended (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// How many retries there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry_count: i64,
    /// Fields that are not modelled.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Extra,
}

/// Result of a sync so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncOperationResult {
    /// Objects in order of their first result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceResult>,
    /// Resolved revision of the single source.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// Resolved revisions by index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// Single source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ApplicationSource>,
    /// Several sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ApplicationSource>,
    /// Metadata of the created namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_namespace_metadata: Option<ManagedNamespaceMetadata>,
}

/// What happened to one object in a sync.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceResult {
    /// API group.
    #[serde(default)]
    pub group: String,
    /// API version.
    #[serde(default)]
    pub version: String,
    /// Kind.
    #[serde(default)]
    pub kind: String,
    /// Namespace.
    #[serde(default)]
    pub namespace: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`; empty while not applied.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// What happened, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Hook type, for hooks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hook_type: String,
    /// Progress: `Running`, `Succeeded`, `Failed` or `Error`; filled for ordinary objects too.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hook_phase: String,
    /// `PreSync`, `Sync`, `PostSync` or `SyncFail`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sync_phase: String,
    /// Container images of the object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}
