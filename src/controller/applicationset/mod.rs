//! The ApplicationSet loop: read what the generators need, decide, write, record.
//!
//! ```text
//! ApplicationSets, their Applications, cluster Secrets, repositories ──> pass ──> Applications, one status patch on a change
//! ```

mod act;
mod clusters;
mod decisions;
mod deletion;
mod flags;
mod http;
mod pass;
mod plugin;
mod read;
mod scm;
mod triggers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::controller::Action;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};

pub use self::clusters::Clusters;
pub use self::flags::AppsetFlags;
pub use self::http::http_client;
pub use self::scm::ScmOptions;
pub use self::triggers::{Key, OwnedApplications};
use super::context::application_resource;
use super::events::Events;
use super::metrics::SetMetrics;
use crate::advice::{Advice, Remedy};
use crate::api::{AppProject, ApplicationSet};
use crate::appset::plan::Settings;
use crate::appset::uses_generator;
use crate::source::{Repositories, same_repository};

/// Asks for a pass that reads repositories anew; taken away at its end.
const REFRESH: &str = "argocd.argoproj.io/application-set-refresh";
/// Who writes.
const FIELD_MANAGER: &str = "gitops-controller";
/// ApplicationSets that are looked at side by side.
const CONCURRENCY: u16 = 10;
/// A pass that failed is tried again after this time.
const AFTER_ERROR: Duration = Duration::from_secs(180);
/// A write that failed is tried again after this time.
const AFTER_WRITE_ERROR: Duration = Duration::from_secs(10);

/// What the installation chose.
#[derive(Debug, Clone)]
pub struct AppsetOptions {
    /// Policies, preserved fields and deletion budget.
    pub settings: Settings,
    /// How often generators look again that nobody tells.
    pub requeue_after: Duration,
    /// Applications that are written side by side.
    pub concurrent_updates: usize,
    /// Entries of `status.resources`; 0 for all.
    pub max_resources: usize,
    /// Rolling syncs have an effect.
    pub progressive_syncs: bool,
    /// Real `**` in the patterns of git files.
    pub new_file_globbing: bool,
    /// Nothing is written for good.
    pub dry_run: bool,
    /// Which providers may be asked.
    pub scm: ScmOptions,
}

/// What every pass needs.
pub struct Context {
    /// Client of the control cluster.
    pub client: Client,
    /// Namespace of projects, cluster Secrets and plugins.
    pub control_namespace: String,
    /// Repositories in use.
    pub repositories: Repositories,
    /// How often they are polled.
    pub poll_interval: Duration,
    /// Projects.
    pub projects: Store<AppProject>,
    /// All Applications.
    pub apps: Store<DynamicObject>,
    /// Registered clusters.
    pub clusters: Clusters,
    /// Kubernetes Events.
    pub events: Events,
    /// Requests to services outside.
    pub http: reqwest::Client,
    /// What the installation chose.
    pub options: AppsetOptions,
    /// Numbers for people and alerts.
    pub metrics: SetMetrics,
    /// Repositories that the last pass of each ApplicationSet read.
    pub used: Arc<UsedRepositories>,
}

/// Repositories by the ApplicationSet that reads them.
#[derive(Default)]
pub struct UsedRepositories(Mutex<BTreeMap<Key, BTreeSet<String>>>);

impl UsedRepositories {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> BTreeSet<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().flatten().cloned().collect()
    }

    /// The ApplicationSets that read a repository; all that read any when it is not known which one changed.
    fn readers(&self, url: Option<&str>) -> Vec<Key> {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reads = |urls: &BTreeSet<String>| url.is_none_or(|url| urls.iter().any(|one| same_repository(one, url)));
        used.iter().filter(|(_, urls)| !urls.is_empty() && reads(urls)).map(|(key, _)| key.clone()).collect()
    }

    fn set(&self, key: Key, urls: Option<BTreeSet<String>>) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match urls {
            Some(urls) => drop(used.insert(key, urls)),
            None => drop(used.remove(&key)),
        }
    }
}

impl Context {
    fn applications(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &application_resource())
    }

    fn sets(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource())
    }

    fn remember_repositories(&self, set: &ApplicationSet, urls: BTreeSet<String>) {
        self.used.set((set.namespace().to_owned(), set.name().to_owned()), Some(urls));
    }

    async fn tell(&self, set: &ApplicationSet, warning: bool, reason: &str, note: &str) {
        tracing::info!(applicationset = set.name(), reason, "{note}");
        let about: ObjectReference = set.object_ref(&());
        self.events.publish_about(&about, warning, reason, note).await;
    }
}

/// Why a pass did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused a write.
    #[error("{0}")]
    Write(String),
}

impl Advice for Error {
    fn remedy(&self) -> Remedy {
        Remedy::WaitAndRetry { after: AFTER_WRITE_ERROR }
    }
}

/// The ApplicationSet kind, for untyped access: one that cannot be read must not stop the others.
fn resource() -> ApiResource {
    ApiResource::erase::<ApplicationSet>(&())
}

/// Runs for ever. The stores of projects and Applications must be filled.
pub async fn run(cx: Arc<Context>, owned_changes: futures::channel::mpsc::UnboundedReceiver<Key>) {
    cx.clusters.wait_until_listed().await;
    let writer = reflector::store::Writer::new(resource());
    let store = writer.as_reader();
    let (used, metrics) = (Arc::clone(&cx.used), cx.metrics.clone());
    let stream = watcher(cx.sets(&cx.control_namespace), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(watcher::Event::Delete(set)) => {
                let key = (set.namespace().unwrap_or_default(), set.name_any());
                metrics.forget(&key.0, &key.1);
                used.set(key, None);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "watching ApplicationSets failed, trying again"),
        })
        .applied_objects()
        // What we write into the status is no reason to look again.
        .predicate_filter(|set: &DynamicObject| Some(triggers::fingerprint(set)), Default::default());
    let namespace_and_name = |(namespace, name): Key| ObjectRef::new_with(&name, resource()).within(&namespace);
    let changes = futures::stream::select_all([
        owned_changes.map(namespace_and_name).boxed(),
        repository_changes(&cx).map(namespace_and_name).boxed(),
        cluster_changes(&cx, store.clone()).map(namespace_and_name).boxed(),
    ]);
    Controller::for_stream_with(stream, store, resource())
        .with_config(kube::runtime::controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(changes)
        .run(pass::reconcile, |set, error, _| after_error(&set, error), cx)
        .for_each(|_| std::future::ready(()))
        .await;
}

fn after_error(set: &DynamicObject, error: &Error) -> Action {
    tracing::warn!(applicationset = set.name_any(), "{error}");
    match error.remedy() {
        Remedy::WaitAndRetry { after } => Action::requeue(after),
        _ => Action::await_change(),
    }
}

/// The ApplicationSets whose repositories changed.
fn repository_changes(cx: &Arc<Context>) -> impl Stream<Item = Key> + Send + use<> {
    use tokio::sync::broadcast::error::RecvError;
    let urls = futures::stream::unfold(cx.repositories.subscribe(), |mut changes| async {
        match changes.recv().await {
            Ok(url) => Some((Some(url), changes)),
            Err(RecvError::Lagged(_)) => Some((None, changes)),
            Err(RecvError::Closed) => None,
        }
    });
    let used = Arc::clone(&cx.used);
    urls.flat_map(move |url| futures::stream::iter(used.readers(url.as_deref())))
}

/// The ApplicationSets that generate from clusters, whenever one of those changes.
fn cluster_changes(cx: &Arc<Context>, store: Store<DynamicObject>) -> impl Stream<Item = Key> + Send + use<> {
    let changes = futures::stream::unfold(cx.clusters.subscribe(), |mut changes| async {
        changes.changed().await.ok()?;
        Some(((), changes))
    });
    changes.flat_map(move |()| {
        let concerned: Vec<Key> = store
            .state()
            .into_iter()
            .filter_map(|set| decode(&set).ok())
            .filter(|set| uses_generator(set, "clusters"))
            .map(|set| (set.namespace().to_owned(), set.name().to_owned()))
            .collect();
        futures::stream::iter(concerned)
    })
}

/// Reads an ApplicationSet.
fn decode(object: &DynamicObject) -> Result<ApplicationSet, String> {
    let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}
