//! `bitnami.com/v1alpha1` SealedSecret: a Secret that only the cluster can open.
//!
//! Source: Sealed Secrets 0.36.6 (reference section 2).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Extra, kubernetes_resource};

/// A SealedSecret.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SealedSecret {
    /// `apiVersion` and `kind`.
    #[serde(flatten, default)]
    pub types: Option<TypeMeta>,
    /// Standard metadata; name, namespace and scope annotations decide what the items were sealed for.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Sealed items and the shape of the Secret.
    pub spec: SealedSecretSpec,
    /// What the controller found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SealedSecretStatus>,
}
kubernetes_resource!(SealedSecret, "bitnami.com", "SealedSecret", "sealedsecrets");

/// Sealed items and the shape of the Secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretSpec {
    /// Sealed items by key, each base64. A value that is not a string counts as an empty one, as upstream.
    #[serde(default, deserialize_with = "lenient_items")]
    pub encrypted_data: BTreeMap<String, String>,
    /// Legacy format: one sealed blob that holds a whole Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Shape of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<SecretTemplate>,
    /// Fields that are not modelled.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Extra,
}

impl SealedSecretSpec {
    /// The keys of the Secret: of sealed items and of templates. A key may come twice.
    pub fn item_keys(&self) -> impl Iterator<Item = &String> {
        let templates = self.template.iter().flat_map(|template| template.data.iter().flatten());
        self.encrypted_data.keys().chain(templates.map(|(key, _)| key))
    }
}

fn lenient_items<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let Value::Object(map) = Value::deserialize(deserializer)? else { return Ok(BTreeMap::new()) };
    Ok(map.into_iter().map(|(key, value)| (key, value.as_str().unwrap_or_default().to_owned())).collect())
}

/// Shape of the Secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretTemplate {
    /// Metadata of the Secret; its name and namespace are ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub metadata: Option<Value>,
    /// Type of the Secret.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Whether the Secret is immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
    /// Go templates by key, executed over the opened items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<BTreeMap<String, String>>,
    /// Fields that are not modelled.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Extra,
}

/// What the controller found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretStatus {
    /// Generation that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Synced` is the only type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<SealedSecretCondition>,
}

/// One condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretCondition {
    /// `Synced`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True` or `False`.
    pub status: String,
    /// When it was last written (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<String>,
    /// When the status last flipped (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
    /// One word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn items_that_are_no_strings_stay_as_empty_ones() {
        let items = |items: Value| {
            let object = json!({"metadata": {"name": "db", "creationTimestamp": null}, "status": {}, "spec": {
                "encryptedData": items, "template": {"data": null, "metadata": {"creationTimestamp": null}},
            }});
            serde_json::from_value::<SealedSecret>(object).unwrap().spec.encrypted_data
        };
        let odd = items(json!({"a": 5, "b": null, "c": {"d": "e"}, "f": ["g"], "h": "AgA="}));
        assert_eq!(
            odd.into_iter().filter(|(_, text)| !text.is_empty()).collect::<Vec<_>>(),
            [("h".to_owned(), "AgA=".to_owned())]
        );
        assert_eq!(items(json!({"a": true})).keys().collect::<Vec<_>>(), ["a"]);
        for none in [json!(null), json!("x"), json!([1])] {
            assert_eq!(items(none), BTreeMap::new());
        }
    }
}
