//! `argoproj.io/v1alpha1` ApplicationSet: generators and a template. The sections are kept as raw JSON: each generator
//! decodes its own.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// Sections that are not modelled.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Extra,
}
