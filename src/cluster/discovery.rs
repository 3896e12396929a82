//! Which kinds a cluster serves.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use kube::Client;
use kube::core::ApiResource;
use kube::discovery::{Discovery as KubeDiscovery, Scope, verbs};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ClusterError;
use crate::resource::GroupKind;

/// A kind that an unknown manifest names is looked up again at most this often, so that a missing CRD cannot cause a storm.
const SHORTEST_REFRESH: Duration = Duration::from_secs(2);

/// One served kind.
#[derive(Debug, Clone)]
pub struct KindInfo {
    /// The preferred version first.
    versions: Vec<ApiResource>,
    /// True when objects live in namespaces.
    pub namespaced: bool,
    /// True when the kind can be listed and watched.
    pub watchable: bool,
}

impl KindInfo {
    /// The resource in the preferred version.
    #[must_use]
    pub fn preferred(&self) -> &ApiResource {
        self.versions.first().expect("a kind is made with at least one version")
    }

    /// The resource in one version, if it is served in it.
    #[must_use]
    pub fn in_version(&self, version: &str) -> Option<&ApiResource> {
        self.versions.iter().find(|resource| resource.version == version)
    }
}

/// What a cluster is, as charts see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Version of the API server, such as `v1.33.2`.
    pub version: String,
    /// Every `group/version` and `group/version/Kind`, sorted; the core group has no name and no slash.
    pub api_versions: Vec<String>,
}

/// The served kinds of one cluster, looked up once and again when an unknown kind is asked for.
#[derive(Clone)]
pub struct Discovery {
    client: Client,
    kinds: Arc<RwLock<HashMap<GroupKind, KindInfo>>>,
    capabilities: Arc<RwLock<Arc<Capabilities>>>,
    last_refresh: Arc<Mutex<Option<Instant>>>,
}

impl Discovery {
    /// Makes an empty view; the first look-up fills it.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, kinds: Arc::default(), capabilities: Arc::default(), last_refresh: Arc::default() }
    }

    /// What is known of a kind, without asking the API server.
    #[must_use]
    pub fn known(&self, kind: &GroupKind) -> Option<KindInfo> {
        self.kinds.read().expect("no holder of this lock panics").get(kind).cloned()
    }

    /// Makes sure that every kind of the list that the cluster serves is known; asks the API server only when one is not, or
    /// when it was never asked: an empty list must not leave the kinds unknown of which objects are to be pruned.
    ///
    /// # Errors
    /// When the API server cannot be asked. Kinds that it does not serve are no error: [`Self::known`] says `None`.
    pub async fn ensure<'a>(&self, kinds: impl IntoIterator<Item = &'a GroupKind>) -> Result<(), ClusterError> {
        let missing = {
            let known = self.kinds.read().expect("no holder of this lock panics");
            known.is_empty() || kinds.into_iter().any(|kind| !known.contains_key(kind))
        };
        if missing { self.refresh_at_most_every(SHORTEST_REFRESH).await } else { Ok(()) }
    }

    /// Version and kinds of the cluster. The version is that of the last look at the kinds.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn capabilities(&self) -> Result<Arc<Capabilities>, ClusterError> {
        self.ensure([]).await?;
        Ok(self.capabilities.read().expect("no holder of this lock panics").clone())
    }

    /// Asks the API server again, for example after a CustomResourceDefinition was applied.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn refresh(&self) -> Result<(), ClusterError> {
        self.refresh_at_most_every(Duration::ZERO).await
    }

    async fn refresh_at_most_every(&self, shortest: Duration) -> Result<(), ClusterError> {
        let mut last = self.last_refresh.lock().await;
        if last.is_some_and(|at| at.elapsed() < shortest) {
            return Ok(());
        }
        let found =
            KubeDiscovery::new(self.client.clone()).run_aggregated().await.map_err(|error| ClusterError::from_kube(&error))?;
        let version = self.client.apiserver_version().await.map_err(|error| ClusterError::from_kube(&error))?.git_version;
        let kinds = index(&found);
        let capabilities = Arc::new(Capabilities { version, api_versions: api_versions(&kinds) });
        *self.capabilities.write().expect("no holder of this lock panics") = capabilities;
        *self.kinds.write().expect("no holder of this lock panics") = kinds;
        *last = Some(Instant::now());
        Ok(())
    }
}

fn api_versions(kinds: &HashMap<GroupKind, KindInfo>) -> Vec<String> {
    let served = kinds.values().flat_map(|info| &info.versions);
    let names: BTreeSet<String> =
        served.flat_map(|kind| [kind.api_version.clone(), format!("{}/{}", kind.api_version, kind.kind)]).collect();
    names.into_iter().collect()
}

fn index(found: &KubeDiscovery) -> HashMap<GroupKind, KindInfo> {
    let mut kinds: HashMap<GroupKind, KindInfo> = HashMap::new();
    for group in found.groups() {
        let preferred = group.preferred_version_or_latest().to_owned();
        let mut versions: Vec<&str> = group.versions().collect();
        versions.sort_by_key(|version| *version != preferred);
        for version in versions {
            for (resource, capabilities) in group.versioned_resources(version) {
                // Sub-resources such as `deployments/scale` have kinds of their own that nobody means.
                if resource.plural.contains('/') {
                    continue;
                }
                let key = GroupKind::new(resource.group.clone(), resource.kind.clone());
                let info = kinds.entry(key).or_insert_with(|| KindInfo {
                    versions: Vec::new(),
                    namespaced: capabilities.scope == Scope::Namespaced,
                    watchable: capabilities.supports_operation(verbs::WATCH) && capabilities.supports_operation(verbs::LIST),
                });
                info.versions.push(resource);
            }
        }
    }
    kinds
}
