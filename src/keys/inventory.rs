//! All sealing keys of a cluster, wherever they live, and the few changes that people make to them.

use jiff::Timestamp;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::{Client, Error};
use serde_json::{Value, json};

use super::custody::{LAST_DRILL, LAST_DRILL_FILE};
use super::secret::{ACTIVE_LABEL, KeySecret, LEGACY_NAME};

/// Namespace in which Sealed Secrets keeps its keys by default.
pub const SEALED_SECRETS_NAMESPACE: &str = "kube-system";

/// Where keys may live: the control namespace, and where Sealed Secrets left its own.
#[must_use]
pub fn key_namespaces(control_namespace: &str) -> Vec<String> {
    let mut namespaces = vec![control_namespace.to_owned()];
    if control_namespace != SEALED_SECRETS_NAMESPACE {
        namespaces.push(SEALED_SECRETS_NAMESPACE.to_owned());
    }
    namespaces
}

/// The keys of a cluster.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Every Secret with the key label, whatever its value, and those with the legacy name.
    pub secrets: Vec<KeySecret>,
    /// Namespaces beside the first that may not be read.
    pub skipped: Vec<String>,
}

impl Inventory {
    /// The Secrets that count as sealing keys.
    pub fn counting(&self) -> impl Iterator<Item = &KeySecret> {
        self.secrets.iter().filter(|secret| secret.counts())
    }
}

/// Lists the keys. Only the first namespace must be readable.
///
/// # Errors
/// When the API server refuses for the first namespace, or cannot be reached.
pub async fn list(client: &Client, namespaces: &[String]) -> Result<Inventory, Error> {
    let mut inventory = Inventory::default();
    for (index, namespace) in namespaces.iter().enumerate() {
        match list_in(client, namespace).await {
            Ok(secrets) => inventory.secrets.extend(secrets),
            Err(Error::Api(status)) if index > 0 && matches!(status.code, 403 | 404) => {
                inventory.skipped.push(namespace.clone());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(inventory)
}

async fn list_in(client: &Client, namespace: &str) -> Result<Vec<KeySecret>, Error> {
    let api: Api<KeySecret> = Api::namespaced(client.clone(), namespace);
    let mut secrets = api.list(&ListParams::default().labels(ACTIVE_LABEL)).await?.items;
    if secrets.iter().all(|secret| secret.name() != LEGACY_NAME) {
        secrets.extend(api.get_opt(LEGACY_NAME).await?);
    }
    for secret in &mut secrets {
        secret.metadata.namespace.get_or_insert_with(|| namespace.to_owned());
    }
    Ok(secrets)
}

/// Lists what is noted on the keys of one namespace, without fetching any key.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn list_notes(client: &Client, namespace: &str) -> Result<Vec<PartialObjectMeta<KeySecret>>, Error> {
    let api: Api<KeySecret> = Api::namespaced(client.clone(), namespace);
    Ok(api.list_metadata(&ListParams::default().labels(ACTIVE_LABEL)).await?.items)
}

/// Adds a key Secret; with `dry_run` the API server only checks it, and the right to do so.
///
/// # Errors
/// When the API server refuses or cannot be reached, and when there is such a Secret.
pub async fn add(client: &Client, secret: &KeySecret, dry_run: bool) -> Result<KeySecret, Error> {
    let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
    let api: Api<KeySecret> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams { dry_run, ..PostParams::default() }, secret).await
}

/// Asks the API server whether a key Secret may be added; nothing is stored.
///
/// # Errors
/// When it refuses or cannot be reached.
pub async fn check_add(client: &Client, namespace: &str) -> Result<(), Error> {
    let mut probe = KeySecret::default();
    probe.metadata.generate_name = Some(LEGACY_NAME.to_owned());
    probe.metadata.namespace = Some(namespace.to_owned());
    add(client, &probe, true).await.map(drop)
}

/// Gives a key another value of the key label, if it is still as it was read.
///
/// # Errors
/// When the API server refuses or cannot be reached, and when the Secret has changed.
pub async fn relabel(client: &Client, secret: &KeySecret, value: &str, dry_run: bool) -> Result<(), Error> {
    let change =
        json!({ "metadata": { "resourceVersion": secret.metadata.resource_version, "labels": { ACTIVE_LABEL: value } } });
    patch(client, secret, &change, dry_run).await
}

/// Notes on a key Secret that a backup which holds it opened everything.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn record_drill(client: &Client, secret: &KeySecret, at: Timestamp, file: &str) -> Result<(), Error> {
    let at = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    patch(client, secret, &json!({ "metadata": { "annotations": { LAST_DRILL: at, LAST_DRILL_FILE: file } } }), false).await
}

async fn patch(client: &Client, secret: &KeySecret, change: &Value, dry_run: bool) -> Result<(), Error> {
    let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
    // Metadata only: the answer must not carry the key once more.
    let api: Api<PartialObjectMeta<KeySecret>> = Api::namespaced(client.clone(), namespace);
    let parameters = PatchParams { dry_run, ..PatchParams::default() };
    api.patch_metadata(secret.name(), &parameters, &Patch::Merge(change)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_may_live_with_the_controller_and_with_sealed_secrets() {
        assert_eq!(key_namespaces("argocd"), ["argocd", "kube-system"]);
        assert_eq!(key_namespaces("kube-system"), ["kube-system"]);
    }
}
