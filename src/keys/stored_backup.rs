//! The encrypted backup that the controller keeps in the cluster: one Secret in the control namespace.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Error};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::KeySecret;

/// Name of the Secret.
pub const NAME: &str = "gitops-sealing-key-backup";
/// Its key with the armored age file.
pub const FILE: &str = "backup.age";
/// Annotation: which keys, for whom.
const CONTENTS: &str = "kubectl-gitops.io/backup-contents";

/// A digest of which Secrets in which version are backed up for whom. It depends on no key material.
#[must_use]
pub fn contents(secrets: &[KeySecret], recipients: &[String]) -> String {
    let mut parts: Vec<String> = secrets
        .iter()
        .map(|secret| {
            let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
            format!("{namespace}/{} {}", secret.name(), secret.metadata.uid.as_deref().unwrap_or_default())
        })
        .chain(recipients.iter().map(|recipient| recipient.trim().to_owned()))
        .collect();
    parts.sort();
    format!("sha256:{}", hex::encode(Sha256::digest(parts.join("\n"))))
}

/// Whether the stored backup has these contents.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn holds(client: &Client, namespace: &str, contents: &str) -> Result<bool, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let present = api.get_metadata_opt(NAME).await?;
    Ok(present.and_then(|secret| secret.metadata.annotations?.remove(CONTENTS)).as_deref() == Some(contents))
}

/// Stores a backup.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn write(client: &Client, namespace: &str, contents: &str, armored: &[u8]) -> Result<(), Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": NAME, "namespace": namespace,
            "labels": { "app.kubernetes.io/part-of": "kubectl-gitops" },
            "annotations": { CONTENTS: contents },
        },
        "data": { FILE: crate::sealing::encode_base64(armored) },
    });
    api.patch(NAME, &PatchParams::apply("gitops-controller").force(), &Patch::Apply(secret)).await.map(drop)
}

/// Reads the stored backup.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn read(client: &Client, namespace: &str) -> Result<Option<Vec<u8>>, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    Ok(api.get_opt(NAME).await?.and_then(|secret| Some(secret.data?.remove(FILE)?.0)))
}
