//! The encrypted backup that the controller keeps in the cluster: one Secret in the control namespace.
//!
//! Beside the age file it says in the clear when it was made, for whom, and which Secrets are in it: nothing that opens anything.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::core::ObjectMeta;
use kube::{Client, Error};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::KeySecret;

/// Name of the Secret.
pub const NAME: &str = "gitops-sealing-key-backup";
/// Its key with the armored age file.
pub const FILE: &str = "backup.age";
/// Annotation: a digest of which keys, for whom.
const CONTENTS: &str = "kubectl-gitops.io/backup-contents";
/// Annotation: when it was made (RFC 3339).
const MADE_AT: &str = "kubectl-gitops.io/backup-made-at";
/// Annotation: the public keys of age that it is for, with spaces between.
const RECIPIENTS: &str = "kubectl-gitops.io/backup-recipients";
/// Annotation: `namespace/name/uid` of each key Secret in it, with spaces between.
const KEYS: &str = "kubectl-gitops.io/backup-keys";

/// A key Secret that a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid, if it is known.
    pub uid: Option<String>,
}

impl HeldKey {
    /// Names a Secret of the cluster.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone(),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let (namespace, name) = (parts.next()?, parts.next()?);
        Some(Self { namespace, name, uid: parts.next().filter(|uid| !uid.is_empty()) })
    }
}

impl std::fmt::Display for HeldKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.name, self.uid.as_deref().unwrap_or_default())
    }
}

/// What a backup is to hold, and who may open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    keys: Vec<HeldKey>,
    recipients: Vec<String>,
}

impl Contents {
    /// These Secrets for these recipients. Nothing in it depends on key material.
    #[must_use]
    pub fn of(secrets: &[KeySecret], recipients: &[String]) -> Self {
        let mut keys: Vec<HeldKey> = secrets.iter().map(|secret| HeldKey::of(&secret.metadata)).collect();
        let mut recipients: Vec<String> = recipients.iter().map(|recipient| recipient.trim().to_owned()).collect();
        keys.sort();
        recipients.sort();
        Self { keys, recipients }
    }

    fn digest(&self) -> String {
        let lines: Vec<String> = self.keys.iter().map(ToString::to_string).chain(self.recipients.iter().cloned()).collect();
        format!("sha256:{}", hex::encode(Sha256::digest(lines.join("\n"))))
    }
}

/// The stored backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBackup {
    /// The armored age file.
    pub file: Vec<u8>,
    /// When it was made, RFC 3339; none when the Secret does not say.
    pub made_at: Option<String>,
    /// The public keys of age that it is for.
    pub recipients: Vec<String>,
    /// The key Secrets in it.
    pub keys: Vec<HeldKey>,
}

impl StoredBackup {
    fn of(secret: Secret) -> Option<Self> {
        let annotations = secret.metadata.annotations.unwrap_or_default();
        let words = |name: &str| annotations.get(name).map(String::as_str).unwrap_or_default().split_whitespace();
        Some(Self {
            made_at: annotations.get(MADE_AT).cloned(),
            recipients: words(RECIPIENTS).map(str::to_owned).collect(),
            keys: words(KEYS).filter_map(HeldKey::read).collect(),
            file: secret.data?.remove(FILE)?.0,
        })
    }
}

/// Whether the stored backup has these contents.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn holds(client: &Client, namespace: &str, contents: &Contents) -> Result<bool, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let present = api.get_metadata_opt(NAME).await?;
    Ok(present.and_then(|secret| secret.metadata.annotations?.remove(CONTENTS)) == Some(contents.digest()))
}

/// Stores a backup.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn write(client: &Client, namespace: &str, contents: &Contents, armored: &[u8], now: Timestamp) -> Result<(), Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": NAME, "namespace": namespace,
            "labels": { "app.kubernetes.io/part-of": "kubectl-gitops" },
            "annotations": annotations(contents, now),
        },
        "data": { FILE: crate::sealing::encode_base64(armored) },
    });
    api.patch(NAME, &PatchParams::apply("gitops-controller").force(), &Patch::Apply(secret)).await.map(drop)
}

fn annotations(contents: &Contents, now: Timestamp) -> BTreeMap<&'static str, String> {
    let keys: Vec<String> = contents.keys.iter().map(ToString::to_string).collect();
    BTreeMap::from([
        (CONTENTS, contents.digest()),
        (MADE_AT, now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        (RECIPIENTS, contents.recipients.join(" ")),
        (KEYS, keys.join(" ")),
    ])
}

/// Reads the stored backup.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn read(client: &Client, namespace: &str) -> Result<Option<StoredBackup>, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    Ok(api.get_opt(NAME).await?.and_then(StoredBackup::of))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use k8s_openapi::ByteString;

    use super::*;

    fn key(name: &str, uid: &str) -> KeySecret {
        let mut secret = KeySecret::default();
        secret.metadata.namespace = Some("argocd".into());
        (secret.metadata.name, secret.metadata.uid) = (Some(name.into()), Some(uid.into()));
        secret
    }

    #[test]
    fn what_is_written_beside_the_file_is_read_again() {
        let recipients = [" age1b".to_owned(), "age1a".to_owned()];
        let contents = Contents::of(&[key("k2", "b"), key("k1", "a")], &recipients);
        let annotations = annotations(&contents, "2026-11-25T08:00:00.5Z".parse().unwrap());
        let mut secret = Secret { data: Some([(FILE.to_owned(), ByteString(b"age".to_vec()))].into()), ..Secret::default() };
        secret.metadata.annotations = Some(annotations.into_iter().map(|(name, text)| (name.to_owned(), text)).collect());
        let held = |name: &str, uid: &str| HeldKey { namespace: "argocd".into(), name: name.into(), uid: Some(uid.into()) };
        let expected = StoredBackup {
            file: b"age".to_vec(),
            made_at: Some("2026-11-25T08:00:00Z".into()),
            recipients: vec!["age1a".into(), "age1b".into()],
            keys: vec![held("k1", "a"), held("k2", "b")],
        };
        assert_eq!(StoredBackup::of(secret), Some(expected));
    }

    #[test]
    fn another_key_or_recipient_makes_another_backup_and_another_order_does_not() {
        let digest = |keys: &[KeySecret], recipients: &[&str]| {
            Contents::of(keys, &recipients.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()).digest()
        };
        let (one, two) = (key("k1", "a"), key("k2", "b"));
        let both = digest(&[one.clone(), two.clone()], &["age1a"]);
        assert_eq!(both, digest(&[two.clone(), one.clone()], &["age1a"]));
        assert_ne!(both, digest(std::slice::from_ref(&one), &["age1a"]));
        assert_ne!(both, digest(&[one.clone(), two], &["age1a", "age1b"]));
        assert_ne!(both, digest(&[one, key("k2", "restored")], &["age1a"]), "the Secret was made anew");
    }
}
