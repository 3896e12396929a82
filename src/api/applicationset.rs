//! `argoproj.io/v1alpha1` ApplicationSet: generators and a template. The sections are kept as raw JSON: each generator
//! decodes its own.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::application::IntOrString;
use super::{Extra, kubernetes_resource};

/// An ApplicationSet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ApplicationSet {
    /// `apiVersion` and `kind`.
    #[serde(flatten, default)]
    pub types: Option<TypeMeta>,
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is generated.
    pub spec: ApplicationSetSpec,
    /// What the controller found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
}
kubernetes_resource!(ApplicationSet, "argoproj.io", "ApplicationSet", "applicationsets");

impl ApplicationSet {
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

    /// One annotation.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// The steps of its rolling sync; none when the strategy is another one.
    #[must_use]
    pub fn rollout_steps(&self) -> Option<&[RolloutStep]> {
        let strategy = self.spec.strategy.as_ref().filter(|strategy| strategy.kind == "RollingSync")?;
        strategy.rolling_sync.as_ref().map(|rolling| rolling.steps.as_slice())
    }
}

/// What is generated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSetSpec {
    /// Use Go templates instead of `{{name}}` substitution.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub go_template: bool,
    /// Options of the Go template engine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub go_template_options: Vec<String>,
    /// Generators, each a map with one section.
    #[serde(default)]
    #[schemars(with = "Vec<std::collections::BTreeMap<String, Value>>")]
    pub generators: Vec<Value>,
    /// Template of the Applications.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, Value>")]
    pub template: Value,
    /// Patch that is rendered and merged over the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_patch: Option<String>,
    /// What may be done with the Applications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_policy: Option<ApplicationSetSyncPolicy>,
    /// In which order changes and deletions reach the Applications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Metadata of the Applications that others write and that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preserved_fields: Option<PreservedFields>,
    /// Fields of the Applications whose difference does not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_application_differences: Vec<IgnoreApplicationDifferences>,
    /// Sections that are not modelled.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Extra,
}

/// What may be done with the Applications.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSetSyncPolicy {
    /// Generated Applications get no finalizer, so that their objects outlive them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preserve_resources_on_deletion: bool,
    /// `create-only`, `create-update`, `create-delete` or `sync`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applications_sync: Option<String>,
    /// Fields that are not modelled.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Extra,
}

/// In which order changes and deletions reach the Applications.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// `AllAtOnce` or `RollingSync`; empty is `AllAtOnce`.
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Steps of a rolling sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling_sync: Option<RollingSync>,
    /// `AllAtOnce` or `Reverse`: how Applications go when the ApplicationSet is deleted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub deletion_order: String,
    /// Fields that are not modelled.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Extra,
}

/// Steps of a rolling sync.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RollingSync {
    /// The steps; each waits until the Applications of those before are Healthy.
    #[serde(default)]
    pub steps: Vec<RolloutStep>,
}

/// One step of a rolling sync.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStep {
    /// Labels of the Applications of the step; all must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<MatchExpression>,
    /// How many Applications may be updated side by side: a number or a percentage; absent is all, 0 none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_update: Option<IntOrString>,
}

/// A condition on one label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatchExpression {
    /// Label.
    #[serde(default)]
    pub key: String,
    /// `In` or `NotIn`.
    #[serde(default)]
    pub operator: String,
    /// Values.
    #[serde(default)]
    pub values: Vec<String>,
}

/// Metadata of the Applications that others write and that stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreservedFields {
    /// Annotations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// Fields of the Applications whose difference does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IgnoreApplicationDifferences {
    /// Only the Application of this name; empty is all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// RFC 6901 pointers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json_pointers: Vec<String>,
    /// jq path expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jq_path_expressions: Vec<String>,
}
