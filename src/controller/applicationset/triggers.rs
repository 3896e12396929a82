//! What wakes an ApplicationSet: its own change, and a change of an Application that it owns, except of its status.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::channel::mpsc::UnboundedSender;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event};

use crate::appset::plan::owner_of;

/// Namespace and name.
pub type Key = (String, String);

/// Remembers what its owner last saw of each owned Application.
pub struct OwnedApplications {
    seen: HashMap<Key, (Key, u64)>,
    listed: HashMap<Key, (Key, u64)>,
    sender: UnboundedSender<Key>,
    /// Sync, health and operation count as well: a rolling sync goes on with them.
    with_status: bool,
}

impl OwnedApplications {
    /// Tells the owners through `sender`.
    #[must_use]
    pub fn new(sender: UnboundedSender<Key>, with_status: bool) -> Self {
        Self { seen: HashMap::new(), listed: HashMap::new(), sender, with_status }
    }

    /// Looks at one event of the watch.
    pub fn note(&mut self, event: &watcher::Result<Event<DynamicObject>>) {
        match event {
            Ok(Event::Apply(app)) => self.applied(app),
            Ok(Event::Delete(app)) => self.gone(&key_of(app)),
            Ok(Event::Init) => self.listed.clear(),
            Ok(Event::InitApply(app)) => {
                if let Some((owner, state)) = self.state_of(app) {
                    self.listed.insert(key_of(app), (owner, state));
                }
            }
            Ok(Event::InitDone) => self.relisted(),
            Err(_) => {}
        }
    }

    fn applied(&mut self, app: &DynamicObject) {
        let key = key_of(app);
        let Some((owner, state)) = self.state_of(app) else {
            // It was let go.
            self.gone(&key);
            return;
        };
        let before = self.seen.insert(key, (owner.clone(), state));
        // What appears is what its owner has just made.
        if before.is_some_and(|before| before != (owner.clone(), state)) {
            self.tell(owner);
        }
    }

    fn gone(&mut self, key: &Key) {
        if let Some((owner, _)) = self.seen.remove(key) {
            self.tell(owner);
        }
    }

    /// After a break of the watch: whatever is different now happened meanwhile.
    fn relisted(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let before = std::mem::replace(&mut self.seen, listed);
        let changed: Vec<Key> =
            before.into_iter().filter(|(key, state)| self.seen.get(key) != Some(state)).map(|(_, (owner, _))| owner).collect();
        changed.into_iter().for_each(|owner| self.tell(owner));
    }

    fn tell(&self, owner: Key) {
        // Nobody listens only when the process ends.
        let _ = self.sender.unbounded_send(owner);
    }

    fn state_of(&self, app: &DynamicObject) -> Option<(Key, u64)> {
        let references = serde_json::to_value(app.metadata.owner_references.as_ref()?).ok()?;
        let owner = owner_of(&serde_json::json!({ "metadata": { "ownerReferences": references } }))?.to_owned();
        let mut hasher = DefaultHasher::new();
        fingerprint_into(app, &mut hasher);
        if self.with_status {
            for pointer in [
                "/status/sync",
                "/status/health/status",
                "/status/operationState/phase",
                "/status/operationState/startedAt",
                "/status/reconciledAt",
            ] {
                app.data.pointer(pointer).map(ToString::to_string).hash(&mut hasher);
            }
        }
        Some(((app.namespace().unwrap_or_default(), owner), hasher.finish()))
    }
}

/// Everything of an object but its status.
#[must_use]
pub fn fingerprint(object: &DynamicObject) -> u64 {
    let mut hasher = DefaultHasher::new();
    fingerprint_into(object, &mut hasher);
    hasher.finish()
}

fn fingerprint_into(object: &DynamicObject, hasher: &mut DefaultHasher) {
    object.data.get("spec").map(ToString::to_string).hash(hasher);
    object.metadata.labels.hash(hasher);
    object.metadata.annotations.hash(hasher);
    object.metadata.finalizers.hash(hasher);
    object.metadata.uid.hash(hasher);
    object.metadata.deletion_timestamp.is_some().hash(hasher);
}

fn key_of(app: &DynamicObject) -> Key {
    (app.namespace().unwrap_or_default(), app.name_any())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn app(name: &str, path: &str, sync: &str) -> DynamicObject {
        let owner = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "set", "uid": "u", "controller": true });
        serde_json::from_value(json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": { "name": name, "namespace": "n", "ownerReferences": [owner] },
            "spec": { "path": path }, "status": { "sync": { "status": sync } } }))
        .unwrap()
    }

    #[test]
    fn a_change_or_a_deletion_wakes_the_owner_and_a_status_does_not() {
        let (sender, mut told) = futures::channel::mpsc::unbounded();
        let mut owned = OwnedApplications::new(sender, false);
        let mut told = move || std::iter::from_fn(|| told.try_recv().ok()).count();
        owned.note(&Ok(Event::Apply(app("a", "p", "Synced"))));
        assert_eq!(told(), 0, "it was just made");
        owned.note(&Ok(Event::Apply(app("a", "p", "OutOfSync"))));
        assert_eq!(told(), 0, "a status");
        owned.note(&Ok(Event::Apply(app("a", "q", "OutOfSync"))));
        assert_eq!(told(), 1, "a spec");
        owned.note(&Ok(Event::Delete(app("a", "q", "OutOfSync"))));
        assert_eq!(told(), 1, "a deletion");
        owned.note(&Ok(Event::Apply(app("b", "p", ""))));
        owned.note(&Ok(Event::Init));
        owned.note(&Ok(Event::InitDone));
        assert_eq!(told(), 1, "gone while nobody watched");
    }

    #[test]
    fn a_rolling_sync_wants_the_status_too() {
        let (sender, mut told) = futures::channel::mpsc::unbounded();
        let mut owned = OwnedApplications::new(sender, true);
        owned.note(&Ok(Event::Apply(app("a", "p", "Synced"))));
        owned.note(&Ok(Event::Apply(app("a", "p", "OutOfSync"))));
        assert_eq!(told.try_recv().ok(), Some(("n".into(), "set".into())));
    }
}
