//! What the loops share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::Stream;
use futures::channel::mpsc::UnboundedSender;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::core::PartialObjectMeta;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::{Notify, Semaphore, watch};

use super::backlog::Backlog;
use super::event_queue::EventQueue;
use super::foreign::ForeignSecrets;
use super::metrics::SealingMetrics;
use super::options::SealingOptions;
use super::outdated::Outdated;
use super::secrets::{Place, SecretIndex};
use crate::sealing::Keyring;

/// First wait after a failed attempt; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait between attempts: an obstacle that goes away is noticed within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What the loops share, and what the rest of the controller may ask.
pub struct SealingContext {
    pub(super) client: Client,
    pub(super) control_namespace: String,
    pub(super) options: SealingOptions,
    /// Somebody wants a new key.
    pub(super) key_asked_for: Notify,
    pub(super) keys: watch::Sender<Arc<Keyring>>,
    pub(super) secrets: SecretIndex,
    pub(super) backlog: Backlog,
    pub(super) foreign: ForeignSecrets,
    pub(super) outdated: Outdated,
    changes: OnceLock<UnboundedSender<ObjectRef<DynamicObject>>>,
    pub(super) events: EventQueue,
    recorder: Recorder,
    /// A turn for each processor: a private operation keeps one busy.
    pub(super) opening: Semaphore,
    /// Keys are loaded, and the certificate is published.
    pub(super) keys_ready: watch::Sender<bool>,
    /// One turn: requests of others never take more than one processor from the reconciles.
    pub(super) requests: Arc<Semaphore>,
    counters: Counters,
    metrics: SealingMetrics,
    objects: OnceLock<Store<DynamicObject>>,
    attempts: Mutex<BTreeMap<String, u32>>,
}

/// How much was done since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Private RSA operations.
    pub private_key_operations: AtomicU64,
    /// SealedSecrets that were opened, or tried to.
    pub unseals: AtomicU64,
    /// Secrets that were written.
    pub secret_writes: AtomicU64,
    /// Statuses that were written.
    pub status_writes: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

impl SealingContext {
    /// Makes the context of one controller; keys live in its control namespace.
    #[must_use]
    pub fn new(client: Client, control_namespace: String) -> Self {
        let reporter = Reporter { controller: "sealed-secrets".into(), instance: None };
        Self {
            events: EventQueue::default(),
            recorder: Recorder::new(client.clone(), reporter),
            opening: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
            client,
            control_namespace,
            options: SealingOptions::default(),
            key_asked_for: Notify::new(),
            keys: watch::Sender::new(Arc::default()),
            secrets: SecretIndex::default(),
            backlog: Backlog::default(),
            foreign: ForeignSecrets::default(),
            outdated: Outdated::default(),
            changes: OnceLock::new(),
            keys_ready: watch::Sender::new(false),
            requests: Arc::new(Semaphore::new(1)),
            counters: Counters::default(),
            metrics: SealingMetrics::default(),
            objects: OnceLock::new(),
            attempts: Mutex::default(),
        }
    }

    /// Limits opening to one namespace, for installations without rights in the others.
    #[must_use]
    pub fn only_in(mut self, namespace: impl Into<String>) -> Self {
        self.options.namespaces = vec![namespace.into()];
        self.options.other_key_namespaces.clear();
        self
    }

    /// Sets everything that an installation may choose.
    #[must_use]
    pub fn with_options(mut self, options: SealingOptions) -> Self {
        self.options = options;
        self
    }

    /// Where keys are looked for, the control namespace first.
    pub(super) fn key_namespaces(&self) -> Vec<String> {
        let mut all = vec![self.control_namespace.clone()];
        let others = self.options.other_key_namespaces.iter().filter(|other| **other != self.control_namespace);
        all.extend(others.cloned());
        all
    }

    /// Makes a new key as soon as possible.
    pub fn ask_for_key(&self) {
        self.key_asked_for.notify_one();
    }

    /// SealedSecrets of the namespaces that we look after, by namespace; one entry without a name stands for all.
    pub(super) fn sealed_secrets(&self) -> Vec<(Option<String>, Api<DynamicObject>)> {
        let resource = sealed_secret_resource();
        self.places(|namespace| match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        })
    }

    /// Metadata of the Secrets of the namespaces that we look after, in the same way.
    pub(super) fn secret_metadata(&self) -> Vec<(Option<String>, Api<PartialObjectMeta<Secret>>)> {
        self.places(|namespace| match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        })
    }

    fn places<T>(&self, look: impl Fn(Option<&str>) -> T) -> Vec<(Option<String>, T)> {
        if self.options.namespaces.is_empty() {
            return vec![(None, look(None))];
        }
        self.options.namespaces.iter().map(|namespace| (Some(namespace.clone()), look(Some(namespace)))).collect()
    }

    /// Sends Events for ever.
    pub(super) async fn tell_news(&self) {
        self.events.run(&self.recorder, &self.backlog).await;
    }

    /// The certificate to seal with, as PEM; none until the first key is loaded.
    #[must_use]
    pub fn certificate(&self) -> Option<String> {
        self.keys.borrow().active().map(|key| key.certificate().pem.clone())
    }

    /// Takes keys from elsewhere than a cluster.
    #[cfg(test)]
    pub(in crate::controller) fn use_keyring(&self, keys: Keyring) {
        self.keys.send_replace(Arc::new(keys));
    }

    /// Whether keys and opened Secrets are known and the certificate is published.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.keys_ready.borrow() && self.secrets.is_known()
    }

    /// How much was done since the start.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The numbers under Sealed Secrets' names.
    #[must_use]
    pub const fn metrics(&self) -> &SealingMetrics {
        &self.metrics
    }

    /// Brings the numbers about conditions up to date: to be called when somebody is going to read them.
    pub fn show_conditions(&self) {
        if let Some(objects) = self.objects.get() {
            let objects = objects.state();
            self.metrics.show_conditions(objects.iter().map(Arc::as_ref));
        }
    }

    /// Where the conditions are read from.
    pub(super) fn show_conditions_of(&self, objects: Store<DynamicObject>) {
        let _ = self.objects.set(objects);
    }

    pub(super) async fn wait_until_known(&self) {
        // Neither can fail: the senders live as long as this context.
        let _ = self.keys_ready.subscribe().wait_for(|ready| *ready).await;
        self.secrets.wait_until_known().await;
    }

    /// Ticks whenever the set of keys has changed.
    pub(super) fn keys_changed(&self) -> impl Stream<Item = ()> + Send + use<> {
        futures::stream::unfold(self.keys.subscribe(), async |mut keys| keys.changed().await.ok().map(|()| ((), keys)))
    }

    /// Where to name SealedSecrets that should be looked at.
    pub(super) fn send_changes_to(&self, changes: UnboundedSender<ObjectRef<DynamicObject>>) {
        // Set once: the loops run once.
        let _ = self.changes.set(changes);
    }

    /// Watches the Secret of somebody else, so that its SealedSecret is looked at as soon as it changes.
    pub(super) fn watch_foreign(&self, place: &Place) {
        if let Some(changes) = self.changes.get() {
            self.foreign.watch(&self.client, place, changes);
        }
    }

    /// Whether the last attempt at an object failed.
    pub(super) fn has_failed(&self, object: &str) -> bool {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).contains_key(object)
    }

    /// How long to wait before an object's next attempt.
    pub(super) fn wait_after_failure(&self, object: &str) -> Duration {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attempts.entry(object.to_owned()).or_default();
        let wait = FIRST_WAIT.saturating_mul(1 << (*count).min(16)).min(LONGEST_WAIT);
        *count += 1;
        wait
    }

    pub(super) fn forget_failures(&self, object: &str) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}

/// SealedSecrets as dynamic objects, so that one that cannot be read does not stop the others.
pub(super) fn sealed_secret_resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("bitnami.com", "v1alpha1", "SealedSecret"), "sealedsecrets")
}

/// Asks for no more than the metadata in the answer: what was sent need not come back.
pub(super) fn metadata_only(mut request: http::Request<Vec<u8>>) -> http::Request<Vec<u8>> {
    let accept = http::HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    request.headers_mut().insert(http::header::ACCEPT, accept);
    request
}
