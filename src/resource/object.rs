//! One Kubernetes object as data, whatever its kind.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{GroupKind, ResourceKey};

/// A Kubernetes object as JSON. The `Debug` form names it and shows no content, so that Secrets cannot leak through logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Object(pub Map<String, Value>);

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({} {})", self.api_version(), self.key())
    }
}

impl Object {
    /// Takes a JSON value that is a map; anything else is given back.
    ///
    /// # Errors
    /// Returns the value unchanged when it is not a map.
    pub fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            other => Err(other),
        }
    }

    /// The object as a JSON value.
    #[must_use]
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// The object as a JSON value, copied.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// `apiVersion`, empty when absent.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.0.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
    }

    /// API group, empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version().split_once('/').map_or("", |(group, _)| group)
    }

    /// API version without the group.
    #[must_use]
    pub fn version(&self) -> &str {
        let api_version = self.api_version();
        api_version.split_once('/').map_or(api_version, |(_, version)| version)
    }

    /// `kind`, empty when absent.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.get("kind").and_then(Value::as_str).unwrap_or_default()
    }

    /// Group and kind.
    #[must_use]
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(self.group(), self.kind())
    }

    /// Looks up a value by path of map keys.
    #[must_use]
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let mut value = self.0.get(*first)?;
        for key in rest {
            value = value.get(key)?;
        }
        Some(value)
    }

    fn metadata_str(&self, field: &str) -> &str {
        self.get(&["metadata", field]).and_then(Value::as_str).unwrap_or_default()
    }

    /// `metadata.name`, empty when absent.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata_str("name")
    }

    /// `metadata.generateName`, empty when absent.
    #[must_use]
    pub fn generate_name(&self) -> &str {
        self.metadata_str("generateName")
    }

    /// `metadata.namespace`, empty when absent.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata_str("namespace")
    }

    /// `metadata.resourceVersion`, empty when absent.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        self.metadata_str("resourceVersion")
    }

    /// `metadata.uid`, empty when absent.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata_str("uid")
    }

    /// `metadata.generation`, 0 when absent.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.get(&["metadata", "generation"]).and_then(Value::as_i64).unwrap_or_default()
    }

    /// True once somebody asked for the deletion of the object.
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        !self.metadata_str("deletionTimestamp").is_empty()
    }

    /// True when another object owns this one.
    #[must_use]
    pub fn has_owner(&self) -> bool {
        self.get(&["metadata", "ownerReferences"]).and_then(Value::as_array).is_some_and(|owners| !owners.is_empty())
    }

    /// True when the object carries a finalizer.
    #[must_use]
    pub fn has_finalizer(&self, name: &str) -> bool {
        let finalizers = self.get(&["metadata", "finalizers"]).and_then(Value::as_array);
        finalizers.is_some_and(|all| all.iter().any(|one| one == name))
    }

    /// One annotation.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.get(&["metadata", "annotations", name]).and_then(Value::as_str)
    }

    /// One label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.get(&["metadata", "labels", name]).and_then(Value::as_str)
    }

    /// Identity of the object as it is written; the namespace is not defaulted.
    #[must_use]
    pub fn key(&self) -> ResourceKey {
        ResourceKey::new(self.group(), self.kind(), self.namespace(), self.name())
    }

    /// `metadata` as a map, created when absent or not a map.
    pub fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        child_map(&mut self.0, "metadata")
    }

    /// Sets the namespace; an empty one removes the field.
    pub fn set_namespace(&mut self, namespace: &str) {
        if namespace.is_empty() {
            self.metadata_mut().remove("namespace");
        } else {
            self.metadata_mut().insert("namespace".into(), namespace.into());
        }
    }

    /// Sets one annotation.
    pub fn set_annotation(&mut self, name: &str, value: &str) {
        child_map(self.metadata_mut(), "annotations").insert(name.into(), value.into());
    }

    /// Sets one label.
    pub fn set_label(&mut self, name: &str, value: &str) {
        child_map(self.metadata_mut(), "labels").insert(name.into(), value.into());
    }

    /// Removes one annotation, and the map when it becomes empty.
    pub fn remove_annotation(&mut self, name: &str) {
        let metadata = self.metadata_mut();
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            annotations.remove(name);
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }

    /// True when a comma-separated option annotation contains the option; elements are trimmed.
    #[must_use]
    pub fn has_option(&self, annotation: &str, option: &str) -> bool {
        self.annotation(annotation).is_some_and(|list| list.split(',').any(|one| one.trim() == option))
    }
}

fn child_map<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let child = parent.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !child.is_object() {
        *child = Value::Object(Map::new());
    }
    match child {
        Value::Object(map) => map,
        _ => unreachable!("replaced by a map above"),
    }
}
