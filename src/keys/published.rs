//! The ConfigMap that shows the active certificate to whoever may read it, where the API server cannot reach pods too.

use serde_json::{Value, json};

use crate::sealing::Certificate;

/// Name of the ConfigMap.
pub const CERTIFICATE_MAP: &str = "gitops-sealing-certificate";
/// Its key with the certificate as PEM.
pub const CERTIFICATE_PEM: &str = "cert.pem";
/// Its key with the certificate's fingerprint.
pub const FINGERPRINT: &str = "fingerprint";

/// The ConfigMap for a certificate.
pub(super) fn manifest(namespace: &str, certificate: &Certificate) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": CERTIFICATE_MAP,
            "namespace": namespace,
            "labels": { "app.kubernetes.io/part-of": "kubectl-gitops" },
        },
        "data": { CERTIFICATE_PEM: certificate.pem, FINGERPRINT: certificate.fingerprint },
    })
}
