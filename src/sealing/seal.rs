//! From a Secret to a SealedSecret.
//!
//! Metadata, type and `immutable` of the Secret become the template; the SealedSecret itself carries only name, namespace and
//! scope. Annotations that hold a copy of the values in the clear are left out.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::envelope::{SealError, SessionKey, seal};
use super::{CLUSTER_WIDE, Certificate, NAMESPACE_WIDE, Plaintext, Target, base64};
use crate::advice::{Advice, Remedy};
use crate::resource::Object;
use crate::resource::annotations::LAST_APPLIED;

/// What a tool before `kubectl apply` remembered; holds the values in the clear, as its successor does.
const KUBECFG_LAST_APPLIED: &str = "kubecfg.ksonnet.io/last-applied-configuration";

/// Metadata that the API server writes and that means nothing to another Secret.
const SERVER_FIELDS: &[&str] = &[
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
    "ownerReferences",
];

/// Where the sealed items will open, and how the object is called in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFor {
    /// The final object.
    pub target: Target,
    /// Name in the file, when something renames the object after sealing.
    pub name_in_file: Option<String>,
    /// Namespace in the file, when something moves the object after sealing.
    pub namespace_in_file: Option<String>,
}

impl SealedFor {
    /// For an object that nothing renames.
    #[must_use]
    pub const fn itself(target: Target) -> Self {
        Self { target, name_in_file: None, namespace_in_file: None }
    }
}

/// Why a Secret cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealSecretError {
    /// A value under `data` is not base64.
    #[error("Secret {name:?}: data.{key}: {problem}")]
    BadValue {
        /// Name of the Secret.
        name: String,
        /// Key of the value.
        key: String,
        /// What is wrong; never the value.
        problem: String,
    },
    /// `data` or `stringData` is something else than values by key.
    #[error("Secret {name:?}: {section} does not hold values by key")]
    BadSection {
        /// Name of the Secret.
        name: String,
        /// `data` or `stringData`.
        section: &'static str,
    },
    /// There is nothing to seal.
    #[error("Secret {name:?} has neither data nor stringData")]
    Empty {
        /// Name of the Secret.
        name: String,
    },
    /// The key refused.
    #[error(transparent)]
    Refused(#[from] SealError),
}

impl Advice for SealSecretError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Refused(error) => error.remedy(),
            _ => Remedy::FixInput,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::BadSection { section, .. } => Some(format!("write `{section}:` and below it, indented, `KEY: VALUE`")),
            Self::BadValue { .. } => Some("put plain text under stringData; values under data are base64".to_owned()),
            Self::Empty { .. } => Some("--allow-empty-data if that is meant".to_owned()),
            Self::Refused(error) => error.hint(),
        }
    }
}

/// Seals every value of a Secret with a session key of its own.
///
/// `stringData` wins over `data`, as in the API server. The caller decides whether a Secret without values is an error.
///
/// # Errors
/// When a value is not base64 text, naming its key and never its content.
pub fn seal_secret(
    secret: &Object,
    sealed_for: &SealedFor,
    certificate: &Certificate,
    session_key: &mut dyn FnMut() -> SessionKey,
) -> Result<Object, SealSecretError> {
    let label = sealed_for.target.label();
    let mut items = Map::new();
    for (key, value) in values(secret)? {
        let sealed = seal(certificate.public_key(), &label, &session_key(), value.reveal())?;
        items.insert(key, base64::encode(&sealed).into());
    }
    let mut object = Map::new();
    object.insert("apiVersion".into(), "bitnami.com/v1alpha1".into());
    object.insert("kind".into(), "SealedSecret".into());
    object.insert("metadata".into(), Value::Object(own_metadata(sealed_for)));
    object.insert("spec".into(), json!({ "encryptedData": items, "template": template(secret, &sealed_for.target) }));
    Ok(Object(object))
}

/// The values of a Secret by key.
pub(crate) fn values(secret: &Object) -> Result<BTreeMap<String, Plaintext>, SealSecretError> {
    let bad =
        |key: &str, problem: String| SealSecretError::BadValue { name: secret.name().to_owned(), key: key.to_owned(), problem };
    let section = |section: &'static str| match secret.get(&[section]) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(values)) => Ok(Some(values)),
        Some(_) => Err(SealSecretError::BadSection { name: secret.name().to_owned(), section }),
    };
    let mut values = BTreeMap::new();
    for (key, value) in section("data")?.into_iter().flatten() {
        let text = value.as_str().or(value.is_null().then_some("")).ok_or_else(|| bad(key, "is not a string".to_owned()))?;
        let bytes = base64::decode(text).map_err(|error| bad(key, error.to_string()))?;
        values.insert(key.clone(), Plaintext::new(bytes));
    }
    for (key, value) in section("stringData")?.into_iter().flatten() {
        let text =
            value.as_str().or(value.is_null().then_some("")).ok_or_else(|| bad(key, "is not a string; quote it".to_owned()))?;
        values.insert(key.clone(), Plaintext::new(text.as_bytes().to_vec()));
    }
    Ok(values)
}

fn own_metadata(sealed_for: &SealedFor) -> Map<String, Value> {
    let target = &sealed_for.target;
    let mut metadata = Map::new();
    metadata.insert("name".into(), sealed_for.name_in_file.as_ref().unwrap_or(&target.name).as_str().into());
    let namespace = sealed_for.namespace_in_file.as_ref().unwrap_or(&target.namespace);
    if !namespace.is_empty() {
        metadata.insert("namespace".into(), namespace.as_str().into());
    }
    if let Some(annotation) = target.scope.annotation() {
        metadata.insert("annotations".into(), json!({ annotation: "true" }));
    }
    metadata
}

/// The template records the place that the items were sealed for: it is what later explains an object that was renamed.
pub(crate) fn template(secret: &Object, target: &Target) -> Value {
    let mut metadata = secret.get(&["metadata"]).and_then(Value::as_object).cloned().unwrap_or_default();
    metadata.retain(|field, value| !value.is_null() && !SERVER_FIELDS.contains(&field.as_str()));
    metadata.insert("name".into(), target.name.as_str().into());
    metadata.remove("namespace");
    if !target.namespace.is_empty() {
        metadata.insert("namespace".into(), target.namespace.as_str().into());
    }
    set_annotations(&mut metadata, target);
    let mut template = Map::new();
    template.insert("metadata".into(), Value::Object(metadata));
    for field in ["type", "immutable"] {
        if let Some(value) = secret.get(&[field]).filter(|value| !value.is_null()) {
            template.insert(field.into(), value.clone());
        }
    }
    Value::Object(template)
}

fn set_annotations(metadata: &mut Map<String, Value>, target: &Target) {
    let mut annotations = match metadata.remove("annotations") {
        Some(Value::Object(annotations)) => annotations,
        _ => Map::new(),
    };
    for name in [LAST_APPLIED, KUBECFG_LAST_APPLIED, NAMESPACE_WIDE, CLUSTER_WIDE] {
        annotations.remove(name);
    }
    if let Some(annotation) = target.scope.annotation() {
        annotations.insert(annotation.into(), "true".into());
    }
    if !annotations.is_empty() {
        metadata.insert("annotations".into(), Value::Object(annotations));
    }
}
