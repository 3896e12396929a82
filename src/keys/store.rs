//! Keys and the published certificate in the cluster.

use std::collections::BTreeMap;

use http::Request;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use serde_json::json;

use super::published::{CERTIFICATE_MAP, Published, content, manifest};
use super::secret::{ACTIVE_LABEL, KeySecret, LAST_BACKUP, LAST_BACKUP_FILE, LEGACY_NAME};
use super::stored_backup::HeldKey;
use super::{GeneratedKey, KeyPolicy};
use crate::sealing::Certificate;

/// Field manager of what belongs to the controller itself.
const FIELD_MANAGER: &str = "gitops-controller";
/// Name of the Service through which Sealed Secrets serves its certificate.
pub const SERVICE: &str = "sealed-secrets-controller";

/// Selector of key Secrets.
#[must_use]
pub fn key_selector() -> String {
    format!("{ACTIVE_LABEL}=active")
}

/// Lists the Secrets that count as sealing keys, the legacy one among them.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn list_keys(client: &Client, namespace: &str) -> Result<Vec<KeySecret>, Error> {
    let api: Api<KeySecret> = Api::namespaced(client.clone(), namespace);
    let mut secrets = api.list(&ListParams::default().labels(&key_selector())).await?.items;
    if secrets.iter().all(|secret| secret.name() != LEGACY_NAME) {
        secrets.extend(api.get_opt(LEGACY_NAME).await?);
    }
    secrets.retain(KeySecret::counts);
    Ok(secrets)
}

/// Stores a new key. Who may do that at a time is decided by [`super::claim`].
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn create_key(client: &Client, namespace: &str, key: &GeneratedKey, policy: &KeyPolicy) -> Result<KeySecret, Error> {
    let api: Api<KeySecret> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &KeySecret::for_new_key(key, policy)).await
}

/// Publishes the certificate and how keys are made, if they are not published already; says whether it wrote.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn publish_certificate(
    client: &Client,
    namespace: &str,
    certificate: &Certificate,
    policy: &KeyPolicy,
) -> Result<bool, Error> {
    let content = content(certificate, policy);
    if certificate_map(client, namespace).await? == content {
        return Ok(false);
    }
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(CERTIFICATE_MAP, &parameters, &Patch::Apply(manifest(namespace, &content))).await?;
    Ok(true)
}

/// Reads the published certificate as PEM.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn published_certificate(client: &Client, namespace: &str) -> Result<Option<String>, Error> {
    Ok(published(client, namespace).await?.certificate)
}

/// Reads what the controller publishes about its keys.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn published(client: &Client, namespace: &str) -> Result<Published, Error> {
    Ok(Published::of(&certificate_map(client, namespace).await?))
}

async fn certificate_map(client: &Client, namespace: &str) -> Result<BTreeMap<String, String>, Error> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    Ok(api.get_opt(CERTIFICATE_MAP).await?.and_then(|map| map.data).unwrap_or_default())
}

/// Asks a controller for its certificate through the API server's proxy, as kubeseal does.
///
/// # Errors
/// When there is no such Service, or the API server refuses or cannot reach it.
pub async fn fetch_certificate(client: &Client, namespace: &str, service: &str) -> Result<String, Error> {
    let api: Api<Service> = Api::namespaced(client.clone(), namespace);
    let ports = api.get(service).await?.spec.and_then(|spec| spec.ports).unwrap_or_default();
    let port = ports.into_iter().next().and_then(|port| port.name).unwrap_or_default();
    let path = format!("/api/v1/namespaces/{namespace}/services/http:{service}:{port}/proxy/v1/cert.pem");
    let request = Request::get(path).header("Accept", "application/x-pem-file, */*").body(Vec::new());
    client.request_text(request.map_err(Error::HttpError)?).await
}

/// Notes on a key Secret that a backup holds it. With a `uid`, only if it still is the Secret that the backup holds.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn record_backup(client: &Client, held: &HeldKey, at: Timestamp, file: &str) -> Result<(), Error> {
    // Metadata only: the answer must not carry the key once more.
    let api: Api<kube::core::PartialObjectMeta<KeySecret>> = Api::namespaced(client.clone(), &held.namespace);
    let at = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut note = json!({ "metadata": { "annotations": { LAST_BACKUP: at, LAST_BACKUP_FILE: file } } });
    if let Some(uid) = &held.uid {
        note["metadata"]["uid"] = uid.as_str().into();
    }
    api.patch_metadata(&held.name, &PatchParams::default(), &Patch::Merge(note)).await.map(drop)
}
