//! Keeps what the control namespace says about reaching repositories: a changed Secret or ConfigMap takes effect at once.

use std::collections::BTreeSet;
use std::fmt::Debug;

use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedSender;
use futures::stream::{self, BoxStream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::advice::one_line;
use crate::source::Repositories;
use crate::source::credentials::{Catalogue, KNOWN_HOSTS_CONFIG_MAP, REPOSITORY, SECRET_TYPE, TEMPLATE, TLS_CONFIG_MAP, Trust};

/// What happened to a watched list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Everything is known now.
    Listed(usize),
    /// One object is another one, or gone.
    Object,
    /// Not yet something to look at.
    Nothing,
}

/// Registers repositories for ever; says once when the first lists are loaded, and tells of every change after that.
pub async fn keep(
    client: Client,
    namespace: String,
    repositories: Repositories,
    loaded: watch::Sender<bool>,
    told_of: UnboundedSender<()>,
) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let types = watcher::Config::default().labels(&format!("{SECRET_TYPE} in ({REPOSITORY},{TEMPLATE})"));
    let named = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
    let (secrets, of_secrets) = watched(secrets, types, 0);
    let (certificates, of_certificates) = watched(maps.clone(), named(TLS_CONFIG_MAP), 1);
    let (hosts, of_hosts) = watched(maps, named(KNOWN_HOSTS_CONFIG_MAP), 2);
    let mut listed = BTreeSet::new();
    let mut told = BTreeSet::new();
    let mut changes = stream::select_all([of_secrets, of_certificates, of_hosts]);
    while let Some(change) = changes.next().await {
        if let Change::Listed(which) = change {
            listed.insert(which);
        }
        if change == Change::Nothing || listed.len() < 3 {
            continue;
        }
        let secrets = secrets.state();
        let trust = Trust::new(&data(&certificates), &data(&hosts));
        let catalogue = Catalogue::new(secrets.iter().map(AsRef::as_ref), trust);
        told = tell(&catalogue, &told);
        repositories.register(catalogue);
        if loaded.send_replace(true) {
            // An error that lasts is looked at again only when somebody says so.
            let _ = told_of.unbounded_send(());
        }
    }
}

fn watched<K>(api: Api<K>, config: watcher::Config, which: usize) -> (Store<K>, BoxStream<'static, Change>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let events = watcher(api, config).default_backoff().reflect(writer);
    let changes = events.map(move |event| match event {
        Ok(watcher::Event::InitDone) => Change::Listed(which),
        Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)) => Change::Object,
        Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => Change::Nothing,
        Err(error) => {
            tracing::warn!(%error, "watching what is registered about repositories failed, trying again");
            Change::Nothing
        }
    });
    (store, changes.boxed())
}

fn data(maps: &Store<ConfigMap>) -> std::collections::BTreeMap<String, String> {
    maps.state().first().and_then(|map| map.data.clone()).unwrap_or_default()
}

/// Writes what is wrong with Secrets to the log, each problem once while it lasts.
fn tell(catalogue: &Catalogue, told: &BTreeSet<String>) -> BTreeSet<String> {
    let problems: BTreeSet<String> = catalogue.problems().iter().map(|error| one_line(error, error)).collect();
    problems.difference(told).for_each(|problem| tracing::warn!("{problem}"));
    problems
}
