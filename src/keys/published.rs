//! The ConfigMap that shows the active certificate to whoever may read it, where the API server cannot reach pods too; and beside it
//! how the controller makes keys, so that `keys rotate` makes the same.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{KeyOrder, KeyPolicy};
use crate::sealing::Certificate;

/// Name of the ConfigMap.
pub const CERTIFICATE_MAP: &str = "gitops-sealing-certificate";
/// Its key with the certificate as PEM.
pub const CERTIFICATE_PEM: &str = "cert.pem";
/// Its key with the certificate's fingerprint.
pub const FINGERPRINT: &str = "fingerprint";
/// Its key with the [`KeyPolicy`] as JSON.
pub(super) const POLICY: &str = "key-policy.json";

/// What the ConfigMap shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// The certificate as PEM.
    pub certificate: Option<String>,
    /// How the controller makes keys; none when it does not say, or says what cannot be read.
    pub policy: Option<KeyPolicy>,
}

impl Published {
    /// Reads the ConfigMap.
    pub(super) fn of(data: &BTreeMap<String, String>) -> Self {
        let policy = data.get(POLICY).and_then(|text| serde_json::from_str::<Policy>(text).ok());
        Self { certificate: data.get(CERTIFICATE_PEM).cloned(), policy: policy.and_then(Policy::read) }
    }
}

/// The part of a policy that says what a new key is like. When one is made by itself is the controller's own business.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    prefix: String,
    bits: u16,
    lifetime_seconds: u64,
    common_name: String,
    by_secret_creation: bool,
    annotations: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

impl Policy {
    fn of(policy: &KeyPolicy) -> Self {
        Self {
            prefix: policy.prefix.clone(),
            bits: policy.bits,
            lifetime_seconds: policy.lifetime.as_secs(),
            common_name: policy.common_name.clone(),
            by_secret_creation: policy.order == KeyOrder::SecretCreationTimestamp,
            annotations: policy.annotations.clone(),
            labels: policy.labels.clone(),
        }
    }

    fn read(self) -> Option<KeyPolicy> {
        KeyPolicy::size(self.bits)?;
        Some(KeyPolicy {
            prefix: super::policy::parse_prefix(&self.prefix).ok()?,
            bits: self.bits,
            lifetime: Duration::from_secs(self.lifetime_seconds),
            common_name: self.common_name,
            order: if self.by_secret_creation { KeyOrder::SecretCreationTimestamp } else { KeyOrder::CertNotBefore },
            annotations: self.annotations,
            labels: self.labels,
            ..KeyPolicy::default()
        })
    }
}

/// The ConfigMap for a certificate.
pub(super) fn manifest(namespace: &str, data: &BTreeMap<String, String>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": CERTIFICATE_MAP,
            "namespace": namespace,
            "labels": { "app.kubernetes.io/part-of": "kubectl-gitops" },
        },
        "data": data,
    })
}

/// Its content.
pub(super) fn content(certificate: &Certificate, policy: &KeyPolicy) -> BTreeMap<String, String> {
    let policy = serde_json::to_string(&Policy::of(policy)).expect("maps with text as keys can be written");
    BTreeMap::from([
        (CERTIFICATE_PEM.to_owned(), certificate.pem.clone()),
        (FINGERPRINT.to_owned(), certificate.fingerprint.clone()),
        (POLICY.to_owned(), policy),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::fixtures;

    #[test]
    fn what_a_new_key_is_like_is_read_as_it_was_published() {
        let policy = KeyPolicy {
            prefix: "team-keys".into(),
            bits: 2048,
            lifetime: Duration::from_secs(3600),
            common_name: "team".into(),
            order: KeyOrder::SecretCreationTimestamp,
            annotations: [("note".to_owned(), "x".to_owned())].into(),
            labels: [("team".to_owned(), "a".to_owned())].into(),
            ..KeyPolicy::default()
        };
        let key = fixtures::key("new");
        let published = Published::of(&content(key.certificate(), &policy));
        assert_eq!(published, Published { certificate: Some(key.certificate().pem.clone()), policy: Some(policy) });
    }

    #[test]
    fn a_policy_that_makes_no_key_is_none() {
        let policy = |text: &str| Published::of(&BTreeMap::from([(POLICY.to_owned(), text.to_owned())])).policy;
        let text = serde_json::to_string(&Policy::of(&KeyPolicy::default())).unwrap_or_default();
        assert_eq!(policy(&text), Some(KeyPolicy::default()));
        assert_eq!((policy(&text.replace("4096", "1024")), policy("{}"), policy("")), (None, None, None));
        assert_eq!(policy(&text.replace("sealed-secrets-key", "Not A Name")), None);
    }
}
