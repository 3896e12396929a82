//! Whom to believe: certificate authorities and SSH host keys of the control namespace.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Name of the ConfigMap of certificate authorities: host name without port to PEM.
pub const TLS_CONFIG_MAP: &str = "argocd-tls-certs-cm";
/// Name of the ConfigMap of SSH host keys.
pub const KNOWN_HOSTS_CONFIG_MAP: &str = "argocd-ssh-known-hosts-cm";
/// Its key.
pub const KNOWN_HOSTS_KEY: &str = "ssh_known_hosts";

/// Certificate authorities by host, and the host keys of SSH servers. By default those of the machine and its user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    certificates: BTreeMap<String, String>,
    /// `None` leaves it to the user's own files.
    known_hosts: Option<Arc<str>>,
}

impl Trust {
    /// Takes the data of the two ConfigMaps; one that does not exist has none.
    #[must_use]
    pub fn new(certificates: &BTreeMap<String, String>, known_hosts: &BTreeMap<String, String>) -> Self {
        Self {
            certificates: certificates.iter().map(|(host, pem)| (host.to_lowercase(), pem.clone())).collect(),
            known_hosts: Some(known_hosts.get(KNOWN_HOSTS_KEY).map(|lines| lines.as_str().into()).unwrap_or_default()),
        }
    }

    /// The authorities of a host as PEM; they stand in place of those of the machine, as in Argo CD.
    #[must_use]
    pub fn certificates_of(&self, host: &str) -> Option<&str> {
        self.certificates.get(host).map(String::as_str).filter(|pem| !pem.trim().is_empty())
    }

    /// Lines of a `known_hosts` file; `None` for those of the user.
    #[must_use]
    pub fn known_hosts(&self) -> Option<Arc<str>> {
        self.known_hosts.clone()
    }
}
