//! The registered clusters, watched, without their credentials.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use zeroize::Zeroize;

use crate::appset::Cluster;

/// Label of the Secrets that register a cluster.
const SELECTOR: &str = "argocd.argoproj.io/secret-type=cluster";

/// The clusters by the name of their Secret; cheap to clone.
#[derive(Clone)]
pub struct Clusters {
    known: Arc<Mutex<BTreeMap<String, Cluster>>>,
    /// Counts changes; 0 until the first list is there.
    changes: watch::Sender<u64>,
}

impl Default for Clusters {
    fn default() -> Self {
        Self { known: Arc::default(), changes: watch::Sender::new(0) }
    }
}

impl Clusters {
    /// All of them, in the order of their Secrets.
    #[must_use]
    pub fn all(&self) -> Vec<Cluster> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Changes whenever a cluster does.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until the first list is there: without it every cluster would seem to be gone.
    pub async fn wait_until_listed(&self) {
        // Cannot fail: the sender lives as long as this value.
        let _ = self.subscribe().wait_for(|changes| *changes > 0).await;
    }

    /// Watches the Secrets for ever.
    pub async fn watch(self, client: Client, namespace: String) {
        let api: Api<Secret> = Api::namespaced(client, &namespace);
        let mut listing = BTreeMap::new();
        let mut events = watcher(api, watcher::Config::default().labels(SELECTOR)).default_backoff().boxed();
        while let Some(event) = events.next().await {
            let change = |edit: &mut dyn FnMut(&mut BTreeMap<String, Cluster>)| {
                edit(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
                self.changes.send_modify(|changes| *changes += 1);
            };
            match event {
                Ok(watcher::Event::Init) => listing.clear(),
                Ok(watcher::Event::InitApply(secret)) => listing.extend(read(secret)),
                Ok(watcher::Event::InitDone) => change(&mut |known| *known = std::mem::take(&mut listing)),
                Ok(watcher::Event::Apply(secret)) => {
                    let name = secret.metadata.name.clone().unwrap_or_default();
                    let cluster = read(secret);
                    change(&mut |known| {
                        known.remove(&name);
                        known.extend(cluster.clone());
                    });
                }
                Ok(watcher::Event::Delete(secret)) => {
                    let name = secret.metadata.name.unwrap_or_default();
                    change(&mut |known| drop(known.remove(&name)));
                }
                Err(error) => tracing::warn!(%error, "watching cluster Secrets failed, trying again"),
            }
        }
    }
}

/// What generators may know of a cluster. Its credentials are wiped.
fn read(secret: Secret) -> Option<(String, Cluster)> {
    let mut data = secret.data.unwrap_or_default();
    let text = |key: &str| data.get(key).map(|bytes| String::from_utf8_lossy(&bytes.0).trim().to_owned()).unwrap_or_default();
    let server = text("server").trim_end_matches('/').to_owned();
    let name = Some(text("name")).filter(|name| !name.is_empty()).unwrap_or_else(|| server.clone());
    let cluster = Cluster {
        name,
        server,
        project: text("project"),
        labels: secret.metadata.labels.unwrap_or_default(),
        annotations: secret.metadata.annotations.unwrap_or_default(),
    };
    data.values_mut().for_each(|bytes| bytes.0.zeroize());
    let secret_name = secret.metadata.name?;
    if cluster.server.is_empty() {
        tracing::warn!(secret = secret_name, "a cluster Secret without `server` registers nothing");
        return None;
    }
    Some((secret_name, cluster))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_carries_its_labels_and_no_credentials() {
        let secret = serde_json::json!({ "metadata": { "name": "s", "labels": { "env": "dev" } }, "data": {
            "name": "ZGV2", "server": "aHR0cHM6Ly9kZXYv", "config": "bWFya2Vy" } });
        let (name, cluster) = read(serde_json::from_value(secret).unwrap()).unwrap();
        assert_eq!((name.as_str(), cluster.name.as_str(), cluster.server.as_str()), ("s", "dev", "https://dev"));
        assert_eq!(cluster.labels["env"], "dev");
        assert!(!format!("{cluster:?}").contains("marker"));
    }
}
