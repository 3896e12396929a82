//! Writes to a destination cluster: server-side apply, dry-run, delete.

use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PropagationPolicy};
use kube::core::ApiResource;

use super::{ClusterError, KindInfo};
use crate::resource::annotations::FIELD_MANAGER;
use crate::resource::{Object, ResourceKey};

/// What happens to dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// The object stays until its dependents are gone. Argo CD's default.
    #[default]
    Foreground,
    /// The object goes at once, its dependents follow.
    Background,
    /// Dependents stay.
    Orphan,
}

impl Propagation {
    /// Reads the sync option `PrunePropagationPolicy=...`; anything unknown is the default.
    #[must_use]
    pub fn from_options(options: &[String]) -> Self {
        match options.iter().find_map(|option| option.strip_prefix("PrunePropagationPolicy=")) {
            Some("background") => Self::Background,
            Some("orphan") => Self::Orphan,
            _ => Self::Foreground,
        }
    }
}

/// Writes to one cluster under one identity; cheap to clone.
#[derive(Clone)]
pub struct Writer {
    client: Client,
}

impl Writer {
    /// Makes a writer.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    /// Applies an object server-side, taking over fields of other managers, and returns what the API server stored.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached.
    pub async fn apply(&self, kind: &KindInfo, object: &Object) -> Result<Object, ClusterError> {
        self.patch(kind, object, false).await
    }

    /// Asks what [`Self::apply`] would store; nothing is stored.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached.
    pub async fn dry_run(&self, kind: &KindInfo, object: &Object) -> Result<Object, ClusterError> {
        self.patch(kind, object, true).await
    }

    async fn patch(&self, kind: &KindInfo, object: &Object, dry_run: bool) -> Result<Object, ClusterError> {
        let resource = resource_for(kind, object)?;
        let params = PatchParams { dry_run, force: true, field_manager: Some(FIELD_MANAGER.into()), field_validation: None };
        let answer = self
            .api(&resource, object.namespace())
            .patch(object.name(), &params, &Patch::Apply(object))
            .await
            .map_err(|error| ClusterError::from_kube(&error))?;
        let mut stored = to_object(answer);
        stored.0.insert("apiVersion".into(), resource.api_version.into());
        stored.0.insert("kind".into(), resource.kind.into());
        Ok(stored)
    }

    /// Reads one object; `None` when it is not there.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached.
    pub async fn get(&self, kind: &KindInfo, key: &ResourceKey) -> Result<Option<Object>, ClusterError> {
        let answer = self.api(kind.preferred(), &key.namespace).get_opt(&key.name).await;
        answer.map(|object| object.map(to_object)).map_err(|error| ClusterError::from_kube(&error))
    }

    /// Reads one object in the version that a manifest names, or the preferred one when that version is not served.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached.
    pub async fn get_in_version(
        &self,
        kind: &KindInfo,
        key: &ResourceKey,
        version: &str,
    ) -> Result<Option<Object>, ClusterError> {
        let resource = kind.in_version(version).unwrap_or_else(|| kind.preferred());
        let answer = self.api(resource, &key.namespace).get_opt(&key.name).await;
        answer.map(|object| object.map(to_object)).map_err(|error| ClusterError::from_kube(&error))
    }

    /// Deletes an object; one that is gone already is fine. With a uid, only that very object is deleted.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached.
    pub async fn delete(
        &self,
        kind: &KindInfo,
        key: &ResourceKey,
        uid: Option<&str>,
        propagation: Propagation,
    ) -> Result<(), ClusterError> {
        let policy = match propagation {
            Propagation::Foreground => PropagationPolicy::Foreground,
            Propagation::Background => PropagationPolicy::Background,
            Propagation::Orphan => PropagationPolicy::Orphan,
        };
        let preconditions =
            uid.map(|uid| kube::api::Preconditions { uid: Some(uid.to_owned()), ..kube::api::Preconditions::default() });
        let params = DeleteParams { propagation_policy: Some(policy), preconditions, ..DeleteParams::default() };
        match self.api(kind.preferred(), &key.namespace).delete(&key.name, &params).await {
            Ok(_) => Ok(()),
            Err(error) => match ClusterError::from_kube(&error) {
                ClusterError::NotFound { .. } => Ok(()),
                other => Err(other),
            },
        }
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        if namespace.is_empty() {
            Api::all_with(self.client.clone(), resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, resource)
        }
    }
}

fn resource_for(kind: &KindInfo, object: &Object) -> Result<ApiResource, ClusterError> {
    kind.in_version(object.version()).cloned().ok_or_else(|| ClusterError::UnknownKind {
        kind: format!("{}/{} in version {}", object.group(), object.kind(), object.version()),
    })
}

fn to_object(answer: DynamicObject) -> Object {
    let value = serde_json::to_value(answer).expect("a decoded object encodes again");
    Object::from_value(value).unwrap_or_default()
}
