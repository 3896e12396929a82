//! What an installation may choose about sealing.

use kube::runtime::watcher;

use crate::keys::KeyPolicy;
use crate::keys::inventory::SEALED_SECRETS_NAMESPACE;

/// What an installation may choose about sealing.
#[derive(Debug, Clone)]
pub struct SealingOptions {
    /// The namespaces in which SealedSecrets are opened; none means all.
    pub namespaces: Vec<String>,
    /// Only SealedSecrets with such labels are opened.
    pub label_selector: Option<String>,
    /// Whether statuses are written.
    pub update_status: bool,
    /// Whether Secrets that people change or delete are restored.
    pub heal: bool,
    /// Whether the whole-object format (`spec.data`) is opened.
    pub accept_whole_objects: bool,
    /// How and when keys are made.
    pub key_policy: KeyPolicy,
    /// Namespaces beside the control namespace in which keys are looked for.
    pub other_key_namespaces: Vec<String>,
    /// Public keys of age for which a backup of the keys is kept in the cluster.
    pub backup_recipients: Vec<String>,
    /// Who this controller is among several.
    pub identity: String,
}

impl Default for SealingOptions {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            label_selector: None,
            update_status: true,
            heal: true,
            accept_whole_objects: true,
            key_policy: KeyPolicy::default(),
            other_key_namespaces: vec![SEALED_SECRETS_NAMESPACE.to_owned()],
            backup_recipients: Vec::new(),
            identity: "gitops-controller".to_owned(),
        }
    }
}

impl SealingOptions {
    /// Which SealedSecrets are watched.
    pub(super) fn selection(&self) -> watcher::Config {
        let all = watcher::Config::default();
        match &self.label_selector {
            Some(selector) => all.labels(selector),
            None => all,
        }
    }
}
