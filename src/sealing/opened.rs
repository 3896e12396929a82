//! The Secret that a SealedSecret stands for.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroize as _;

use super::{KeyId, Plaintext, SKIP_OWNER_REFERENCES, Target, UNSEALED, UNSEALED_FROM, UNSEALED_WITH, base64};
use crate::api::SealedSecret;
use crate::resource::Object;

/// Metadata that the API server writes; a template that carries it was exported from a cluster.
const SERVER_FIELDS: &[&str] = &[
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
    "generateName",
];

/// A Secret with its values in the clear. Its `Debug` form shows no value.
#[derive(Debug)]
pub struct OpenedSecret {
    /// Metadata from the template, with the SealedSecret's name and namespace.
    pub metadata: Map<String, Value>,
    /// `type`; none means `Opaque`.
    pub type_: Option<String>,
    /// `immutable`.
    pub immutable: Option<bool>,
    /// The values.
    pub data: BTreeMap<String, Plaintext>,
}

impl OpenedSecret {
    /// Starts from the template of a SealedSecret: its metadata is copied, name and namespace are the SealedSecret's.
    pub(super) fn from_template(sealed: &SealedSecret, data: BTreeMap<String, Plaintext>) -> Self {
        let template = sealed.spec.template.as_ref();
        let metadata = template.and_then(|template| template.metadata.as_ref()).and_then(Value::as_object).cloned();
        let mut opened = Self {
            metadata: metadata.unwrap_or_default(),
            type_: template.and_then(|template| template.type_.clone()).filter(|type_| !type_.is_empty()),
            immutable: template.and_then(|template| template.immutable),
            data,
        };
        opened.take_identity(sealed);
        opened
    }

    /// Sets name, namespace and owner to those of the SealedSecret.
    pub(super) fn take_identity(&mut self, sealed: &SealedSecret) {
        self.metadata.retain(|field, value| !value.is_null() && !SERVER_FIELDS.contains(&field.as_str()));
        let target = Target::of(&sealed.metadata);
        self.metadata.insert("name".into(), target.name.as_str().into());
        self.metadata.remove("namespace");
        if !target.namespace.is_empty() {
            self.metadata.insert("namespace".into(), target.namespace.into());
        }
        if skips_owner_reference(sealed) {
            return;
        }
        let Some(uid) = &sealed.metadata.uid else { return };
        let owner = json!({
            "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "name": target.name, "uid": uid, "controller": true,
        });
        self.metadata.insert("ownerReferences".into(), json!([owner]));
    }

    /// Marks the Secret with what it was opened from, so that a restart needs neither a key nor a write.
    pub fn remember(&mut self, source: &Source, key: Option<&KeyId>) {
        set(&mut self.metadata, "labels", UNSEALED, "true");
        set(&mut self.metadata, "annotations", UNSEALED_FROM, &source.0);
        if let Some(key) = key {
            set(&mut self.metadata, "annotations", UNSEALED_WITH, key.as_str());
        }
    }

    /// The Secret as it is sent to the API server.
    #[must_use]
    pub fn manifest(&self) -> SecretManifest {
        let mut object = Map::new();
        object.insert("apiVersion".into(), "v1".into());
        object.insert("kind".into(), "Secret".into());
        object.insert("metadata".into(), Value::Object(self.metadata.clone()));
        object.insert("type".into(), self.type_.as_deref().unwrap_or("Opaque").into());
        if let Some(immutable) = self.immutable {
            object.insert("immutable".into(), immutable.into());
        }
        let data = self.data.iter().map(|(key, value)| (key.clone(), Value::String(base64::encode(value.reveal()))));
        object.insert("data".into(), Value::Object(data.collect()));
        SecretManifest(Object(object))
    }
}

fn set(metadata: &mut Map<String, Value>, map: &str, name: &str, value: &str) {
    let entry = metadata.entry(map).or_insert_with(|| json!({}));
    if !entry.is_object() {
        *entry = json!({});
    }
    entry[name] = value.into();
}

/// Whether the template asks for a Secret without an owner.
#[must_use]
pub fn skips_owner_reference(sealed: &SealedSecret) -> bool {
    let metadata = sealed.spec.template.as_ref().and_then(|template| template.metadata.as_ref());
    metadata.and_then(|metadata| metadata.pointer("/annotations")?.get(SKIP_OWNER_REFERENCES)?.as_str()) == Some("true")
}

/// A Secret as an API object. The values in it are wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretManifest(Object);

impl SecretManifest {
    /// Takes over a Secret, however it came.
    #[must_use]
    pub const fn new(object: Object) -> Self {
        Self(object)
    }

    pub(super) const fn object_mut(&mut self) -> &mut Object {
        &mut self.0
    }
}

impl Deref for SecretManifest {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.0
    }
}

impl fmt::Debug for SecretManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Drop for SecretManifest {
    fn drop(&mut self) {
        for section in ["data", "stringData"] {
            self.0.0.get_mut(section).into_iter().for_each(wipe);
        }
    }
}

/// Overwrites every string below a value.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        _ => {}
    }
}

/// What a Secret was opened from: the uid of the SealedSecret and a digest of everything in it that decides the Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(String);

impl Source {
    /// Describes a SealedSecret as it is now. Equal sources give equal Secrets.
    #[must_use]
    pub fn of(sealed: &SealedSecret) -> Self {
        let target = Target::of(&sealed.metadata);
        let spec = serde_json::to_string(&sealed.spec).unwrap_or_default();
        let mut hash = Sha256::new();
        for part in ["v1", &target.namespace, &target.name, target.scope.as_str(), &spec] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Self(format!("{}/{}", sealed.metadata.uid.as_deref().unwrap_or_default(), hex::encode(hash.finalize())))
    }

    /// The form that is written on the Secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a Secret's `unsealed-from` annotation says that this SealedSecret made it.
#[must_use]
pub fn managed_by_us(unsealed_from: Option<&str>, uid: &str) -> bool {
    !uid.is_empty() && unsealed_from.and_then(|from| from.split_once('/')).is_some_and(|(from, _)| from == uid)
}
