//! The Secret that holds a sealing key, read as Sealed Secrets reads it; but a broken one is reported and skipped.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use kube::core::{ObjectMeta, TypeMeta};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::{GeneratedKey, KeyPolicy};
use crate::sealing::{Certificate, CertificateError, KeyError, PrivateKey, SealingKey, decode_base64, encode_base64};

/// Label of key Secrets; only the value `active` counts.
pub const ACTIVE_LABEL: &str = "sealedsecrets.bitnami.com/sealed-secrets-key";
/// Name of the only key of very old installations; it counts whatever its labels are.
pub const LEGACY_NAME: &str = "sealed-secrets-key";
/// Annotation of a key Secret: when it was last put into a backup (RFC 3339).
pub const LAST_BACKUP: &str = "kubectl-gitops.io/last-backup";
/// Annotation of a key Secret: `sha256:` digest of that backup's file.
pub const LAST_BACKUP_FILE: &str = "kubectl-gitops.io/last-backup-file";

/// Annotations that say something about this cluster, or that would repeat the key.
const NOT_IN_BACKUPS: [&str; 5] =
    [crate::resource::annotations::LAST_APPLIED, LAST_BACKUP, LAST_BACKUP_FILE, super::LAST_DRILL, super::LAST_DRILL_FILE];

const PRIVATE_KEY: &str = "tls.key";
const CERTIFICATE: &str = "tls.crt";

/// A Secret of the API, of which only the metadata can be printed. Its values are wiped when it is dropped.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct KeySecret {
    /// `apiVersion` and `kind`.
    #[serde(flatten, default)]
    pub types: Option<TypeMeta>,
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Type of the Secret.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    #[serde(default)]
    data: BTreeMap<String, Sensitive>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Sensitive(String);

impl Drop for Sensitive {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySecret({})", self.name())
    }
}

impl kube::Resource for KeySecret {
    type DynamicType = ();
    type Scope = k8s_openapi::NamespaceResourceScope;

    fn kind((): &()) -> std::borrow::Cow<'_, str> {
        "Secret".into()
    }
    fn group((): &()) -> std::borrow::Cow<'_, str> {
        "".into()
    }
    fn version((): &()) -> std::borrow::Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> std::borrow::Cow<'_, str> {
        "secrets".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Why a key Secret cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenKey {
    /// A field is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is not base64.
    #[error("{0} is not base64")]
    NotBase64(&'static str),
    /// The private key cannot be used.
    #[error("tls.key: {0}")]
    PrivateKey(#[source] KeyError),
    /// The certificate cannot be used.
    #[error("tls.crt: {0}")]
    Certificate(#[source] CertificateError),
    /// What the certificate seals, the key cannot open.
    #[error("tls.crt and tls.key do not belong together")]
    Mismatch,
}

/// A key Secret with what could be made of it.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Name of the Secret.
    pub name: String,
    /// Uid of the Secret.
    pub uid: Option<String>,
    /// When the Secret was created.
    pub created: Option<Timestamp>,
    /// Whether what it seals is lost with the cluster, see [`super::unbacked`].
    pub is_unbacked: bool,
    /// The key, or why there is none.
    pub key: Result<Arc<SealingKey>, BrokenKey>,
}

impl KeySecret {
    /// The Secret that stores a new key. The API server chooses the rest of the name.
    #[must_use]
    pub fn for_new_key(key: &GeneratedKey, policy: &KeyPolicy) -> Self {
        let mut labels = policy.labels.clone();
        labels.insert(ACTIVE_LABEL.into(), "active".into());
        Self {
            types: Some(TypeMeta { api_version: "v1".into(), kind: "Secret".into() }),
            metadata: ObjectMeta {
                generate_name: Some(policy.prefix.clone()),
                labels: Some(labels),
                annotations: Some(policy.annotations.clone()).filter(|annotations| !annotations.is_empty()),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".into()),
            data: BTreeMap::from([
                (PRIVATE_KEY.into(), Sensitive(encode_base64(key.private_pem.as_bytes()))),
                (CERTIFICATE.into(), Sensitive(encode_base64(key.certificate.pem.as_bytes()))),
            ]),
        }
    }

    /// Name of the Secret.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Whether the Secret counts as a sealing key.
    #[must_use]
    pub fn counts(&self) -> bool {
        let active =
            || self.metadata.labels.as_ref().and_then(|labels| labels.get(ACTIVE_LABEL)).is_some_and(|value| value == "active");
        self.metadata.deletion_timestamp.is_none() && (self.name() == LEGACY_NAME || active())
    }

    /// Reads the key pair; never fails as a whole.
    #[must_use]
    pub fn read(&self) -> StoredKey {
        StoredKey {
            namespace: self.metadata.namespace.clone().unwrap_or_default(),
            name: self.name().to_owned(),
            uid: self.metadata.uid.clone(),
            created: self.metadata.creation_timestamp.as_ref().map(|time| time.0),
            is_unbacked: super::custody::is_unbacked(&self.metadata),
            key: self.key().map(Arc::new),
        }
    }

    /// Reads the private key alone, whatever the certificate: for recovery.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn private_key(&self) -> Result<PrivateKey, BrokenKey> {
        PrivateKey::from_pem(&self.pem(PRIVATE_KEY)?).map_err(BrokenKey::PrivateKey)
    }

    fn key(&self) -> Result<SealingKey, BrokenKey> {
        let private = self.pem(PRIVATE_KEY)?;
        let certificate = Certificate::from_pem(&self.pem(CERTIFICATE)?).map_err(BrokenKey::Certificate)?;
        SealingKey::from_pem(&private, certificate).map_err(BrokenKey::PrivateKey)?.ok_or(BrokenKey::Mismatch)
    }

    /// Reads the private key for recovery, where the certificate does not matter: it may be absent, expired or another one's.
    ///
    /// # Errors
    /// When there is no usable private key.
    pub fn recover(&self) -> Result<SealingKey, BrokenKey> {
        self.key().or_else(|_| {
            let private = PrivateKey::from_pem(&self.pem(PRIVATE_KEY)?).map_err(BrokenKey::PrivateKey)?;
            SealingKey::without_certificate(private).map_err(BrokenKey::PrivateKey)
        })
    }

    fn pem(&self, field: &'static str) -> Result<Zeroizing<String>, BrokenKey> {
        let text = self.data.get(field).ok_or(BrokenKey::Missing(field))?;
        let bytes = Zeroizing::new(decode_base64(&text.0).map_err(|_| BrokenKey::NotBase64(field))?);
        // Around the blocks there may be remarks in any encoding, as OpenSSL writes them for a bag of PKCS#12.
        Ok(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The same Secret without what only its cluster knows, so that `kubectl apply` restores it into another one.
    #[must_use]
    pub fn for_backup(&self) -> Self {
        let mut annotations = self.metadata.annotations.clone().unwrap_or_default();
        annotations.retain(|name, _| !NOT_IN_BACKUPS.contains(&name.as_str()));
        Self {
            types: Some(TypeMeta { api_version: "v1".into(), kind: "Secret".into() }),
            metadata: ObjectMeta {
                name: self.metadata.name.clone(),
                namespace: self.metadata.namespace.clone(),
                labels: self.metadata.labels.clone(),
                annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
                ..ObjectMeta::default()
            },
            type_: self.type_.clone(),
            data: self.data.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sealing::fixtures::text;

    fn secret(key: &str, certificate: &str) -> KeySecret {
        let mut secret =
            KeySecret { metadata: ObjectMeta { name: Some("k".into()), ..ObjectMeta::default() }, ..KeySecret::default() };
        for (field, text) in [(PRIVATE_KEY, key), (CERTIFICATE, certificate)] {
            if !text.is_empty() {
                secret.data.insert(field.into(), Sensitive(encode_base64(text.as_bytes())));
            }
        }
        secret
    }

    fn problem(key: &str, certificate: &str) -> String {
        secret(key, certificate).read().key.unwrap_err().to_string()
    }

    #[test]
    fn a_broken_secret_says_what_is_wrong_with_it() {
        let (key, certificate) = (text("keys/test-only-old.key"), text("keys/test-only-old.crt"));
        assert!(secret(&key, &certificate).read().key.is_ok());
        assert_eq!(problem("", &certificate), "tls.key is missing");
        assert_eq!(problem(&key, ""), "tls.crt is missing");
        assert_eq!(problem("x", &certificate), "tls.key: there is no PEM block with a private key");
        assert_eq!(problem(&text("keys/test-only-ec.key"), &certificate), "tls.key: private key is not an RSA key");
        assert_eq!(problem(&key, "x"), "tls.crt: data does not contain any valid RSA or ECDSA certificates");
        assert_eq!(problem(&key, &text("keys/test-only-new.crt")), "tls.crt and tls.key do not belong together");
    }

    #[test]
    fn what_go_reads_around_the_blocks_does_no_harm() {
        let (key, certificate) = (text("keys/test-only-old.key"), text("keys/test-only-old.crt"));
        let latin1 = b"Bag Attributes\r\n    friendlyName: Schl\xfcssel\r\n".as_slice();
        let crlf = |text: &str| text.replace('\n', "\r\n");
        let mut secret = secret(&key, &certificate);
        let both = [latin1, crlf(&certificate).as_bytes(), crlf(&key).as_bytes(), latin1].concat();
        secret.data.insert(PRIVATE_KEY.into(), Sensitive(encode_base64(&both)));
        let chain = [latin1, certificate.as_bytes(), text("keys/test-only-new.crt").as_bytes()].concat();
        secret.data.insert(CERTIFICATE.into(), Sensitive(encode_base64(&chain)));
        assert!(secret.read().key.is_ok(), "{:?}", secret.read().key);
    }

    #[test]
    fn only_active_and_the_legacy_name_count() {
        let labelled = |value: &str| {
            let mut secret = secret("", "");
            secret.metadata.labels = Some(BTreeMap::from([(ACTIVE_LABEL.to_owned(), value.to_owned())]));
            secret
        };
        assert!(labelled("active").counts());
        assert!(!labelled("compromised").counts());
        assert!(!secret("", "").counts());
        let mut legacy = labelled("compromised");
        legacy.metadata.name = Some(LEGACY_NAME.into());
        assert!(legacy.counts());
    }
}
