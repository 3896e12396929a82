//! The live state of managed objects: one watch per kind, and only of kinds that an Application manages.
//!
//! ```text
//!  API server --watch--> KindWatch (one task per kind) --trim--> objects that are tracked or wanted
//!                                                      --change--> instance names of the Applications concerned
//! ```
//!
//! Objects that no Application manages leave nothing behind but eight bytes, which say whether an object of that name
//! exists at all.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use kube::api::{Api, DynamicObject};
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt};
use tokio::sync::{mpsc, watch};

use super::{ClusterError, KindInfo, Lens, LiveObject};
use crate::resource::{GroupKind, Object, ResourceKey};

/// How long an Application waits for the first list of a kind before it reports the kind as failing.
const FIRST_LIST_TIMEOUT: Duration = Duration::from_secs(20);
/// Page of the first list: bounds the memory that unrelated objects cost for a moment.
const LIST_PAGE: u32 = 200;

/// A kind whose live state cannot be loaded, and why.
#[derive(Debug, Clone)]
pub struct KindFailure {
    /// The kind.
    pub kind: GroupKind,
    /// Why.
    pub error: ClusterError,
}

/// The live state of one cluster; cheap to clone.
#[derive(Clone)]
pub struct LiveCache {
    client: Client,
    kinds: Arc<Mutex<HashMap<GroupKind, Arc<KindWatch>>>>,
    changes: mpsc::UnboundedSender<String>,
    lens: Lens,
}

#[derive(Clone)]
enum Readiness {
    Loading,
    Ready,
    Failed(ClusterError),
}

struct KindWatch {
    lens: Lens,
    resource: ApiResource,
    state: Mutex<KindState>,
    readiness: watch::Sender<Readiness>,
    task: Mutex<Option<tokio::task::AbortHandle>>,
}

/// Namespace and name.
type ObjectName = (String, String);

#[derive(Default)]
struct KindState {
    objects: HashMap<ObjectName, Arc<LiveObject>>,
    by_instance: HashMap<String, BTreeSet<ObjectName>>,
    /// Objects that Applications have as targets, whether they exist or not.
    wanted: HashMap<ObjectName, BTreeSet<String>>,
    /// Instances that manage this kind.
    interested: BTreeSet<String>,
    /// Hash of every object's name that exists.
    names: HashSet<u64>,
    hasher: RandomState,
}

impl LiveCache {
    /// Makes an empty cache and the channel on which it names Applications whose live state changed.
    #[must_use]
    pub fn new(client: Client, lens: Lens) -> (Self, mpsc::UnboundedReceiver<String>) {
        let (changes, receiver) = mpsc::unbounded_channel();
        (Self { client, kinds: Arc::default(), changes, lens }, receiver)
    }

    /// Tells the cache what an Application manages: `kinds` are watched, `targets` are kept even when nobody tracks them.
    ///
    /// Replaces what was said for that Application before. Returns the kinds whose live state could not be loaded.
    pub async fn manage(
        &self,
        instance: &str,
        kinds: &BTreeMap<GroupKind, KindInfo>,
        targets: &BTreeSet<ResourceKey>,
    ) -> Vec<KindFailure> {
        self.drop_interest(instance, |kind| !kinds.contains_key(kind));
        let mut failures = Vec::new();
        let watches: Vec<(GroupKind, Arc<KindWatch>)> = kinds
            .iter()
            .map(|(kind, info)| {
                let wanted = targets.iter().filter(|key| key.group == kind.group && key.kind == kind.kind);
                (kind.clone(), self.register(instance, kind, info, wanted))
            })
            .collect();
        for (kind, watch) in watches {
            let loaded = match watch.wait_until_ready().await {
                Ok(()) => watch.fetch_dropped(&self.client, instance).await,
                Err(ClusterError::Forbidden { .. }) if self.lens.settings().respect_rbac => {
                    watch.fetch_wanted(&self.client, instance).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = loaded {
                failures.push(KindFailure { kind, error });
            }
        }
        failures
    }

    /// Forgets an Application; kinds that nobody manages any more are no longer watched.
    pub fn forget(&self, instance: &str) {
        self.drop_interest(instance, |_| true);
    }

    /// The live objects of an Application: those that carry its mark, and the counterparts of its targets.
    #[must_use]
    pub fn live(&self, instance: &str, targets: &BTreeSet<ResourceKey>) -> BTreeMap<ResourceKey, Arc<LiveObject>> {
        let mut found = BTreeMap::new();
        for watch in self.lock_kinds().values() {
            let state = watch.lock();
            for name in state.by_instance.get(instance).into_iter().flatten() {
                if let Some(object) = state.objects.get(name) {
                    found.insert(object.key.clone(), Arc::clone(object));
                }
            }
        }
        for key in targets {
            if let Some(object) = self.get(key) {
                found.insert(key.clone(), object);
            }
        }
        found
    }

    /// One live object, if it is kept.
    #[must_use]
    pub fn get(&self, key: &ResourceKey) -> Option<Arc<LiveObject>> {
        let watch = self.lock_kinds().get(&key.group_kind()).cloned()?;
        let state = watch.lock();
        state.objects.get(&(key.namespace.clone(), key.name.clone())).cloned()
    }

    /// Takes in an object that a write has just answered with, so that nobody reads an older state before the watch catches up.
    pub fn observe(&self, object: Object) {
        let watch = self.lock_kinds().get(&object.group_kind()).cloned();
        if let Some(watch) = watch {
            watch.lock().upsert(LiveObject::assessed(object, &self.lens));
        }
    }

    /// Lists everything again, after the settings by which objects are read have changed. What is known holds until then.
    pub fn read_again(&self) {
        for watch in self.lock_kinds().values() {
            watch.stop();
            watch.start(&self.client, &self.changes);
        }
    }

    /// Number of watched kinds and kept objects, and the bytes of the latter.
    #[must_use]
    pub fn size(&self) -> (usize, usize, usize) {
        let kinds = self.lock_kinds();
        let mut objects = 0;
        let mut bytes = 0;
        for watch in kinds.values() {
            let state = watch.lock();
            objects += state.objects.len();
            bytes += state.objects.values().map(|object| object.size_bytes()).sum::<usize>();
        }
        (kinds.len(), objects, bytes)
    }

    fn register<'a>(
        &self,
        instance: &str,
        kind: &GroupKind,
        info: &KindInfo,
        wanted: impl Iterator<Item = &'a ResourceKey>,
    ) -> Arc<KindWatch> {
        let mut kinds = self.lock_kinds();
        let watch =
            Arc::clone(kinds.entry(kind.clone()).or_insert_with(|| KindWatch::new(info.preferred().clone(), self.lens.clone())));
        watch.lock().set_wanted(instance, wanted);
        watch.start(&self.client, &self.changes);
        watch
    }

    fn drop_interest(&self, instance: &str, affected: impl Fn(&GroupKind) -> bool) {
        self.lock_kinds().retain(|kind, watch| {
            if !affected(kind) {
                return true;
            }
            let mut state = watch.lock();
            state.remove_interest(instance);
            let used = !state.interested.is_empty();
            if !used {
                watch.stop();
            }
            used
        });
    }

    fn lock_kinds(&self) -> MutexGuard<'_, HashMap<GroupKind, Arc<KindWatch>>> {
        self.kinds.lock().expect("no holder of this lock panics")
    }
}

impl KindWatch {
    fn new(resource: ApiResource, lens: Lens) -> Arc<Self> {
        Arc::new(Self {
            lens,
            resource,
            state: Mutex::default(),
            readiness: watch::Sender::new(Readiness::Loading),
            task: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, KindState> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn start(self: &Arc<Self>, client: &Client, changes: &mpsc::UnboundedSender<String>) {
        let mut task = self.task.lock().expect("no holder of this lock panics");
        if task.is_none() {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &self.resource);
            *task = Some(tokio::spawn(run(Arc::clone(self), api, changes.clone())).abort_handle());
        }
    }

    fn stop(&self) {
        if let Some(task) = self.task.lock().expect("no holder of this lock panics").take() {
            task.abort();
        }
    }

    async fn wait_until_ready(&self) -> Result<(), ClusterError> {
        let mut readiness = self.readiness.subscribe();
        let settled = readiness.wait_for(|state| !matches!(state, Readiness::Loading));
        match tokio::time::timeout(FIRST_LIST_TIMEOUT, settled).await {
            Ok(Ok(state)) => match &*state {
                Readiness::Failed(error) => Err(error.clone()),
                Readiness::Ready | Readiness::Loading => Ok(()),
            },
            Ok(Err(_)) => Ok(()),
            Err(_) => {
                let message = format!("listing {} took longer than {} s", self.resource.plural, FIRST_LIST_TIMEOUT.as_secs());
                let error = ClusterError::Unavailable { message };
                // Others need not wait as long for the same answer; a list that arrives after all makes the kind ready.
                self.readiness.send_if_modified(|state| {
                    let loading = matches!(state, Readiness::Loading);
                    if loading {
                        *state = Readiness::Failed(error.clone());
                    }
                    loading
                });
                Err(error)
            }
        }
    }

    /// Fetches targets that exist but passed by before anybody wanted them.
    async fn fetch_dropped(&self, client: &Client, instance: &str) -> Result<(), ClusterError> {
        let dropped = self.lock().wanted_but_dropped(instance);
        self.fetch(client, dropped).await
    }

    /// Fetches all targets of an Application, of a kind that may not be listed.
    async fn fetch_wanted(&self, client: &Client, instance: &str) -> Result<(), ClusterError> {
        let wanted = self.lock().wanted_by(instance);
        self.fetch(client, wanted).await
    }

    async fn fetch(&self, client: &Client, names: Vec<ObjectName>) -> Result<(), ClusterError> {
        for (namespace, name) in names {
            let api: Api<DynamicObject> = if namespace.is_empty() {
                Api::all_with(client.clone(), &self.resource)
            } else {
                Api::namespaced_with(client.clone(), &namespace, &self.resource)
            };
            match api.get_opt(&name).await.map_err(|error| ClusterError::from_kube(&error))? {
                Some(object) => {
                    let live = LiveObject::new(object, &self.resource, &self.lens);
                    self.lock().upsert(live);
                }
                None => drop(self.lock().remove(&(namespace, name))),
            }
        }
        Ok(())
    }
}

/// Follows one kind for ever. A failing watch keeps the last view and is retried with backoff.
async fn run(kind: Arc<KindWatch>, api: Api<DynamicObject>, changes: mpsc::UnboundedSender<String>) {
    let config = watcher::Config::default().page_size(LIST_PAGE);
    let mut events = watcher::watcher(api, config).default_backoff().boxed();
    let mut listing: Vec<LiveObject> = Vec::new();
    let mut names: HashSet<u64> = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => {
                listing.clear();
                names.clear();
            }
            Ok(Event::InitApply(object)) => {
                let name = (object.namespace().unwrap_or_default(), object.name_any());
                // Before the lock: a script may take its time.
                let live = LiveObject::new(object, &kind.resource, &kind.lens);
                let state = kind.lock();
                names.insert(state.hasher.hash_one(&name));
                if state.keeps(&live) {
                    listing.push(live);
                }
            }
            Ok(Event::InitDone) => {
                let mut changed = kind.lock().replace(std::mem::take(&mut listing), std::mem::take(&mut names));
                let before = kind.readiness.send_replace(Readiness::Ready);
                if matches!(before, Readiness::Failed(_)) {
                    // Who was told of the failure has to look again, also when no object of theirs changed.
                    changed.extend(kind.lock().interested.iter().cloned());
                }
                tell(&changes, changed);
            }
            Ok(Event::Apply(object)) => {
                let live = LiveObject::new(object, &kind.resource, &kind.lens);
                tell(&changes, kind.lock().upsert(live));
            }
            Ok(Event::Delete(object)) => {
                let name = (object.namespace().unwrap_or_default(), object.name_any());
                let version = object.resource_version().unwrap_or_default();
                tell(&changes, kind.lock().remove_unless_newer(&name, &version));
            }
            Err(error) => note_failure(&kind, &changes, &error),
        }
    }
}

fn note_failure(kind: &KindWatch, changes: &mpsc::UnboundedSender<String>, error: &watcher::Error) {
    use watcher::Error as Failure;
    tracing::warn!(kind = %kind.resource.kind, group = %kind.resource.group, %error, "watch failed, trying again");
    let cause = match error {
        Failure::InitialListFailed(cause) | Failure::WatchStartFailed(cause) | Failure::WatchFailed(cause) => {
            ClusterError::from_kube(cause)
        }
        Failure::WatchError(status) => ClusterError::from_kube(&kube::Error::Api(status.clone())),
        Failure::NoResourceVersion => ClusterError::Unavailable { message: error.to_string() },
    };
    // Lack of rights or of the kind makes the view wrong; a dropped connection only makes it old.
    let lasting = matches!(cause, ClusterError::Forbidden { .. } | ClusterError::NotFound { .. });
    let loading = matches!(*kind.readiness.borrow(), Readiness::Loading);
    if lasting || loading {
        kind.readiness.send_replace(Readiness::Failed(cause));
        tell(changes, kind.lock().interested.clone());
    }
}

fn tell(changes: &mpsc::UnboundedSender<String>, instances: BTreeSet<String>) {
    for instance in instances {
        // The receiver lives as long as the controller; without it nobody is left to tell.
        let _ = changes.send(instance);
    }
}

impl KindState {
    fn keeps(&self, live: &LiveObject) -> bool {
        live.tracking.is_some() || self.wanted.contains_key(&name_of(live))
    }

    fn set_wanted<'a>(&mut self, instance: &str, keys: impl Iterator<Item = &'a ResourceKey>) {
        self.remove_wanted(instance);
        self.interested.insert(instance.to_owned());
        for key in keys {
            let name = (key.namespace.clone(), key.name.clone());
            self.wanted.entry(name).or_default().insert(instance.to_owned());
        }
    }

    fn remove_interest(&mut self, instance: &str) {
        self.remove_wanted(instance);
        self.interested.remove(instance);
    }

    fn remove_wanted(&mut self, instance: &str) {
        self.wanted.retain(|_, instances| {
            instances.remove(instance);
            !instances.is_empty()
        });
    }

    fn wanted_by(&self, instance: &str) -> Vec<ObjectName> {
        let wanted = self.wanted.iter().filter(|(_, instances)| instances.contains(instance));
        wanted.map(|(name, _)| name.clone()).collect()
    }

    fn wanted_but_dropped(&self, instance: &str) -> Vec<ObjectName> {
        let dropped = |name: &ObjectName| !self.objects.contains_key(name) && self.names.contains(&self.hasher.hash_one(name));
        self.wanted_by(instance).into_iter().filter(dropped).collect()
    }

    /// Takes in one object and returns the Applications that have to look at it again.
    fn upsert(&mut self, live: LiveObject) -> BTreeSet<String> {
        let name = name_of(&live);
        self.names.insert(self.hasher.hash_one(&name));
        let previous = self.objects.get(&name).cloned();
        if previous.as_ref().is_some_and(|previous| is_version_before(&live.resource_version, &previous.resource_version)) {
            return BTreeSet::new();
        }
        let same = previous.as_ref().is_some_and(|previous| previous.news == live.news);
        let concerned = if same { BTreeSet::new() } else { self.concerned(&name, previous.as_deref(), Some(&live)) };
        self.unindex(&name, previous.as_deref());
        if self.keeps(&live) {
            if let Some(instance) = live.instance() {
                self.by_instance.entry(instance.to_owned()).or_default().insert(name.clone());
            }
            self.objects.insert(name, Arc::new(live));
        } else {
            self.objects.remove(&name);
        }
        concerned
    }

    /// Takes in a deletion. An object that was created anew meanwhile, and answered by a write of ours, stays.
    fn remove_unless_newer(&mut self, name: &ObjectName, version: &str) -> BTreeSet<String> {
        if self.objects.get(name).is_some_and(|kept| is_version_before(version, &kept.resource_version)) {
            return BTreeSet::new();
        }
        self.remove(name)
    }

    fn remove(&mut self, name: &ObjectName) -> BTreeSet<String> {
        self.names.remove(&self.hasher.hash_one(name));
        let previous = self.objects.remove(name);
        self.unindex(name, previous.as_deref());
        self.concerned(name, previous.as_deref(), None)
    }

    /// Replaces the whole view after a list.
    fn replace(&mut self, listing: Vec<LiveObject>, names: HashSet<u64>) -> BTreeSet<String> {
        let mut concerned = BTreeSet::new();
        let present: HashSet<ObjectName> = listing.iter().map(name_of).collect();
        let gone: Vec<ObjectName> = self.objects.keys().filter(|name| !present.contains(*name)).cloned().collect();
        for name in gone {
            concerned.extend(self.remove(&name));
        }
        for live in listing {
            concerned.extend(self.upsert(live));
        }
        self.names = names;
        concerned
    }

    fn unindex(&mut self, name: &ObjectName, previous: Option<&LiveObject>) {
        let Some(instance) = previous.and_then(LiveObject::instance) else { return };
        if let Some(names) = self.by_instance.get_mut(instance) {
            names.remove(name);
            if names.is_empty() {
                self.by_instance.remove(instance);
            }
        }
    }

    fn concerned(&self, name: &ObjectName, before: Option<&LiveObject>, after: Option<&LiveObject>) -> BTreeSet<String> {
        let tracked = [before, after].into_iter().flatten().filter_map(LiveObject::instance).map(str::to_owned);
        let wanted = self.wanted.get(name).into_iter().flatten().cloned();
        tracked.chain(wanted).collect()
    }
}

fn name_of(live: &LiveObject) -> ObjectName {
    (live.key.namespace.clone(), live.key.name.clone())
}

/// True when an event is older than what is kept already. Resource versions of one kind are ordered numbers; where they are
/// not, the newest event wins.
fn is_version_before(event: &str, kept: &str) -> bool {
    match (event.parse::<u64>(), kept.parse::<u64>()) {
        (Ok(event), Ok(kept)) => event < kept,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::annotations::TRACKING_ID;

    fn live(name: &str, version: u64, tracking: Option<&str>, data: &str) -> LiveObject {
        let mut object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": { "k": data },
            "metadata": { "name": name, "namespace": "n", "resourceVersion": version.to_string() },
        });
        if let Some(instance) = tracking {
            object["metadata"]["annotations"] = json!({ TRACKING_ID: format!("{instance}:/ConfigMap:n/{name}") });
        }
        LiveObject::from_object(Object::from_value(object).unwrap_or_default())
    }

    fn instances(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn unrelated_objects_are_not_kept_and_concern_nobody() {
        let mut state = KindState::default();
        assert_eq!(state.upsert(live("a", 1, None, "x")), BTreeSet::new());
        assert!(state.objects.is_empty());
        assert_eq!(state.names.len(), 1);
    }

    #[test]
    fn tracked_objects_concern_their_application_only_when_something_changed() {
        let mut state = KindState::default();
        assert_eq!(state.upsert(live("a", 1, Some("web"), "x")), instances(&["web"]));
        assert_eq!(state.upsert(live("a", 2, Some("web"), "x")), BTreeSet::new(), "only the resource version moved");
        assert_eq!(state.upsert(live("a", 3, Some("web"), "y")), instances(&["web"]));
        assert_eq!(state.upsert(live("a", 2, Some("web"), "old")), BTreeSet::new(), "an older event does not count");
        assert_eq!(state.remove(&("n".into(), "a".into())), instances(&["web"]));
        assert!(state.by_instance.is_empty());
    }

    #[test]
    fn a_late_deletion_does_not_remove_what_was_created_since() {
        let mut state = KindState::default();
        state.upsert(live("a", 9, Some("web"), "new"));
        assert_eq!(state.remove_unless_newer(&("n".into(), "a".into()), "7"), BTreeSet::new());
        assert_eq!(state.objects.len(), 1);
        assert_eq!(state.remove_unless_newer(&("n".into(), "a".into()), "12"), instances(&["web"]));
    }

    #[test]
    fn an_object_that_changes_hands_concerns_both() {
        let mut state = KindState::default();
        state.upsert(live("a", 1, Some("web"), "x"));
        assert_eq!(state.upsert(live("a", 2, Some("shop"), "x")), instances(&["shop", "web"]));
    }

    #[test]
    fn a_target_that_passed_by_earlier_is_known_to_be_missing() {
        let mut state = KindState::default();
        state.upsert(live("a", 1, None, "x"));
        let keys = [ResourceKey::new("", "ConfigMap", "n", "a"), ResourceKey::new("", "ConfigMap", "n", "new")];
        state.set_wanted("web", keys.iter());
        assert_eq!(state.wanted_but_dropped("web"), [("n".to_owned(), "a".to_owned())]);
        assert_eq!(state.upsert(live("new", 2, None, "x")), instances(&["web"]), "a wanted object is kept without a mark");
    }

    #[test]
    fn a_new_list_drops_what_is_gone() {
        let mut state = KindState::default();
        state.upsert(live("a", 1, Some("web"), "x"));
        state.upsert(live("b", 2, Some("web"), "x"));
        let hash = state.hasher.hash_one(("n".to_owned(), "b".to_owned()));
        let concerned = state.replace(vec![live("b", 2, Some("web"), "x")], HashSet::from([hash]));
        assert_eq!(concerned, instances(&["web"]));
        assert_eq!(state.objects.len(), 1);
    }
}
