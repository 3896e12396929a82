//! The SealedSecrets of a cluster, and the keys they need.

use kube::api::{Api, ListParams};

use crate::api::SealedSecret;
use crate::cli::{Context, Failure};
use crate::keys::usage::{Usage, in_cluster};
use crate::sealing::Keyring;

/// Lists the SealedSecrets of all namespaces; none when the cluster does not know the kind.
pub async fn list(cx: &Context) -> Result<Vec<SealedSecret>, Failure> {
    let client = cx.client().await?;
    match Api::<SealedSecret>::all(client).list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(cx.explain(&error, "list SealedSecrets in all namespaces")),
    }
}

/// Finds out which keys they need, on threads that may block.
pub async fn usage(objects: Vec<SealedSecret>, keys: Keyring) -> Result<Vec<Usage>, Failure> {
    let task = tokio::task::spawn_blocking(move || in_cluster(&objects, &keys));
    task.await.map_err(|error| Failure::new("the search for the keys of SealedSecrets was interrupted").with_cause(&error))
}
