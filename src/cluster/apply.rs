//! Writes to a destination cluster: server-side apply, dry-run, delete.

use http::{HeaderValue, Request};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::client::Body;
use kube::core::ApiResource;
use serde_json::{Value, json};

use super::{ClusterError, KindInfo, ownership};
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

/// How often the owners of an object that others keep changing are rewritten.
const ADOPTION_TRIES: usize = 5;

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

    /// A writer that acts as another user, which the own identity must have the right to.
    ///
    /// # Errors
    /// When the name of the user cannot be sent.
    pub fn acting_as(&self, user: &str) -> Result<Self, ClusterError> {
        let refused = |message: String| ClusterError::Refused { message, code: 400 };
        let user = HeaderValue::from_str(user).map_err(|error| refused(format!("user `{user}`: {error}")))?;
        let client = self.client.clone();
        let service = tower::service_fn(move |mut request: Request<Body>| {
            let (client, user) = (client.clone(), user.clone());
            async move {
                request.headers_mut().insert("Impersonate-User", user);
                client.send(request).await
            }
        });
        Ok(Self { client: Client::new(service, self.client.default_namespace()) })
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
        let answer = self.api(&resource, object.namespace()).patch(object.name(), &params, &Patch::Apply(object)).await;
        answered(answer, &resource)
    }

    /// Replaces a live object as a whole and returns what the API server stored.
    ///
    /// What was written counts as applied by us afterwards, so that a field that leaves the target later is noticed.
    ///
    /// # Errors
    /// When the API server refuses, somebody else changed the object since `resource_version`, or nobody answers.
    pub async fn replace(&self, kind: &KindInfo, object: &Object, resource_version: &str) -> Result<Object, ClusterError> {
        let resource = resource_for(kind, object)?;
        let api = self.api(&resource, object.namespace());
        let mut whole = object.clone();
        whole.metadata_mut().insert("resourceVersion".into(), resource_version.into());
        let whole: DynamicObject = serde_json::from_value(whole.into_value())
            .map_err(|error| ClusterError::Refused { message: error.to_string(), code: 422 })?;
        let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        let stored = answered(api.replace(object.name(), &params, &whole).await, &resource)?;
        let Some(owners) = ownership::updates_as_applied(&stored, FIELD_MANAGER) else { return Ok(stored) };
        let change = json!({ "metadata": { "managedFields": owners, "resourceVersion": stored.resource_version() } });
        answered(api.patch(object.name(), &PatchParams::default(), &Patch::Merge(change)).await, &resource)
    }

    /// Makes what was applied client-side count as applied by us, so that it goes when it leaves the target. `also` names a
    /// further manager. Does nothing to an object that nobody applied client-side.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, or the object keeps changing.
    pub async fn adopt_client_side(&self, kind: &KindInfo, key: &ResourceKey, also: Option<&str>) -> Result<(), ClusterError> {
        let mut failure = None;
        for _ in 0..ADOPTION_TRIES {
            let Some(live) = self.get(kind, key).await? else { return Ok(()) };
            let Some(owners) = ownership::client_side_as_applied(&live, also) else { return Ok(()) };
            let change = json!({ "metadata": { "managedFields": owners, "resourceVersion": live.resource_version() } });
            let api = self.api(kind.preferred(), &key.namespace);
            match answered(api.patch(&key.name, &PatchParams::default(), &Patch::Merge(change)).await, kind.preferred()) {
                Ok(_) => return Ok(()),
                Err(error @ ClusterError::Conflict { .. }) => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Takes a finalizer off an object. Returns the uid of the object that was meant; `None` when it is not there.
    ///
    /// With a uid only that very object is meant, without one only an object that carries the finalizer.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached.
    pub async fn remove_finalizer(
        &self,
        kind: &KindInfo,
        key: &ResourceKey,
        uid: Option<&str>,
        finalizer: &str,
    ) -> Result<Option<(String, Option<Object>)>, ClusterError> {
        let Some(live) = self.get(kind, key).await? else { return Ok(None) };
        let all = live.get(&["metadata", "finalizers"]).and_then(Value::as_array).cloned().unwrap_or_default();
        let carries = all.iter().any(|one| one == finalizer);
        if uid.map_or(!carries, |uid| uid != live.uid()) {
            return Ok(None);
        }
        if !carries {
            return Ok(Some((live.uid().to_owned(), None)));
        }
        let left: Vec<Value> = all.into_iter().filter(|one| one != finalizer).collect();
        let change = json!({ "metadata": { "finalizers": left, "resourceVersion": live.resource_version() } });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let answer = self.api(kind.preferred(), &key.namespace).patch(&key.name, &params, &Patch::Merge(change)).await;
        match answered(answer, kind.preferred()) {
            Ok(stored) => Ok(Some((live.uid().to_owned(), Some(stored)))),
            Err(ClusterError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
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

/// Answers to single objects need not repeat their kind.
fn answered(answer: kube::Result<DynamicObject>, resource: &ApiResource) -> Result<Object, ClusterError> {
    let mut stored = to_object(answer.map_err(|error| ClusterError::from_kube(&error))?);
    stored.0.insert("apiVersion".into(), resource.api_version.clone().into());
    stored.0.insert("kind".into(), resource.kind.clone().into());
    Ok(stored)
}

fn to_object(answer: DynamicObject) -> Object {
    let value = serde_json::to_value(answer).expect("a decoded object encodes again");
    Object::from_value(value).unwrap_or_default()
}
