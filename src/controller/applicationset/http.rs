//! What requests to services outside the cluster share: bounded bodies, values of Secrets.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use zeroize::{Zeroize, Zeroizing};

/// The client of all requests. It follows no redirects and says who it is.
///
/// # Errors
/// The TLS library cannot be set up.
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    client_with(false, None)
}

/// A client that also trusts these certificates (PEM), or everybody.
///
/// # Errors
/// The certificates cannot be read.
pub fn client_with(insecure: bool, certificates: Option<&str>) -> reqwest::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("kubectl-gitops/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(std::time::Duration::from_secs(10))
        .timeout(std::time::Duration::from_secs(60))
        // Headers of our own would go along to wherever a redirect leads.
        .redirect(reqwest::redirect::Policy::none());
    if let Some(pem) = certificates {
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem.as_bytes())?);
    }
    if insecure {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder.build()
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// It is longer, or breaks off: half an answer is none.
pub async fn body(mut reply: reqwest::Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = reply.chunk().await.map_err(|error| format!("the answer broke off: {}", error.without_url()))? {
        if bytes.len() + chunk.len() > limit {
            return Err(format!("the answer is longer than {} MiB", limit >> 20));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// One value of a Secret, without white space around it; wiped when it is dropped.
///
/// # Errors
/// There is no such Secret or key; the value is not in the text.
pub async fn secret_value(client: &Client, namespace: &str, name: &str, key: &str) -> Result<Zeroizing<String>, String> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let found = api.get(name).await.map_err(|error| format!("cannot read Secret {namespace}/{name}: {error}"))?;
    let mut data = found.data.unwrap_or_default();
    let value = data.get(key).map(|bytes| Zeroizing::new(String::from_utf8_lossy(&bytes.0).trim().to_owned()));
    data.values_mut().for_each(|bytes| bytes.0.zeroize());
    value.ok_or_else(|| format!("Secret {namespace}/{name} has no key {key}"))
}
