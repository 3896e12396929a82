//! What is known about the Secrets that were opened, without holding them: a metadata watch on those with our label.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedSender;
use kube::api::DynamicObject;
use kube::core::{ObjectMeta, PartialObjectMetaExt as _};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::watch;

use super::merged::merged;
use super::{SealingContext, object_ref};
use crate::sealing::{KeyId, PATCH, UNSEALED, UNSEALED_FROM, UNSEALED_WITH};

/// Field manager of the Secrets that we write.
pub(super) const FIELD_MANAGER: &str = "gitops-controller";

/// Namespace and name.
pub(super) type Place = (String, String);

/// What the metadata of an opened Secret tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SecretFacts {
    /// What it was opened from.
    pub unsealed_from: Option<String>,
    /// The key that opened it.
    pub unsealed_with: Option<KeyId>,
    /// Uid of the controlling owner.
    controller: Option<String>,
    is_patched: bool,
    our_keys: BTreeSet<String>,
    foreign_keys: BTreeSet<String>,
}

impl SecretFacts {
    /// Reads the metadata of a Secret.
    pub fn of(metadata: &ObjectMeta) -> Self {
        let annotation = |name| metadata.annotations.as_ref().and_then(|all| all.get(name)).cloned();
        let owners = metadata.owner_references.iter().flatten();
        Self {
            unsealed_from: annotation(UNSEALED_FROM),
            unsealed_with: annotation(UNSEALED_WITH).map(|id| KeyId::remembered(&id)),
            controller: owners.filter(|owner| owner.controller == Some(true)).map(|owner| owner.uid.clone()).next(),
            is_patched: annotation(PATCH).as_deref() == Some("true"),
            our_keys: data_keys(metadata, |manager| manager == FIELD_MANAGER),
            foreign_keys: data_keys(metadata, |manager| manager != FIELD_MANAGER),
        }
    }

    /// Whether the values are still those that we wrote: the API server notes who wrote which item last.
    pub fn is_untouched<'a>(&self, expected: impl Iterator<Item = &'a String>) -> bool {
        let only_ours = self.is_patched || self.foreign_keys.is_subset(&self.our_keys);
        only_ours && self.owns(expected)
    }

    /// Whether the API server notes us as a writer of these items.
    pub fn owns<'a>(&self, mut keys: impl Iterator<Item = &'a String>) -> bool {
        keys.all(|key| self.our_keys.contains(key))
    }

    /// Whether the Secret still has the owner that garbage collection needs.
    pub fn is_controlled_by(&self, uid: &str) -> bool {
        self.controller.as_deref() == Some(uid)
    }

    /// Whether others put items into it.
    pub const fn is_patched(&self) -> bool {
        self.is_patched
    }
}

/// The data keys that some field managers own.
fn data_keys(metadata: &ObjectMeta, concerns: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let entries = metadata.managed_fields.iter().flatten();
    let concerned = entries.filter(|entry| concerns(entry.manager.as_deref().unwrap_or_default()));
    let data = concerned.filter_map(|entry| entry.fields_v1.as_ref()?.0.get("f:data")?.as_object());
    data.flat_map(|data| data.keys().filter_map(|key| key.strip_prefix("f:")).map(str::to_owned)).collect()
}

/// The opened Secrets by namespace and name.
pub(super) struct SecretIndex {
    facts: Mutex<BTreeMap<Place, SecretFacts>>,
    known: watch::Sender<bool>,
}

impl Default for SecretIndex {
    fn default() -> Self {
        Self { facts: Mutex::default(), known: watch::Sender::new(false) }
    }
}

impl SecretIndex {
    /// What is known about a Secret; `None` when there is none that we opened.
    pub fn get(&self, place: &Place) -> Option<SecretFacts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    pub fn is_known(&self) -> bool {
        *self.known.borrow()
    }

    pub async fn wait_until_known(&self) {
        // Cannot fail: the sender lives as long as this index.
        let _ = self.known.subscribe().wait_for(|known| *known).await;
    }

    /// Notes a Secret that was just written, before the watch tells: until then it would be opened once more.
    pub fn note(&self, place: &Place, facts: SecretFacts) {
        self.set(place, Some(facts));
    }

    /// Sets or removes what is known, and says whether that is news.
    fn set(&self, place: &Place, facts: Option<SecretFacts>) -> bool {
        let mut all = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        match facts {
            Some(facts) if all.get(place) == Some(&facts) => false,
            Some(facts) => {
                all.insert(place.clone(), facts);
                true
            }
            None => all.remove(place).is_some(),
        }
    }

    fn places(&self) -> BTreeSet<Place> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

/// Runs until the watch ends, which it does not. Sends the SealedSecret of each Secret that changed or went.
pub(super) async fn run(cx: &SealingContext, changes: UnboundedSender<ObjectRef<DynamicObject>>) {
    let watches = cx.secret_metadata().into_iter().map(|(namespace, api)| {
        let config = watcher::Config::default().labels(&format!("{UNSEALED}=true"));
        (namespace, watcher(api, config).default_backoff().boxed())
    });
    let mut events = merged("opened Secrets", watches.collect(), |(namespace, name)| {
        let metadata = ObjectMeta { namespace: Some(namespace.clone()), name: Some(name.clone()), ..ObjectMeta::default() };
        metadata.into_response_partial()
    });
    let mut stale = BTreeSet::new();
    while let Some(event) = events.next().await {
        let changed = match event {
            Ok(Event::Init) => {
                stale = cx.secrets.places();
                Vec::new()
            }
            Ok(Event::InitApply(secret) | Event::Apply(secret)) => {
                let place = place_of(&secret.metadata);
                stale.remove(&place);
                let news = cx.secrets.set(&place, Some(SecretFacts::of(&secret.metadata)));
                news.then_some(place).into_iter().collect()
            }
            Ok(Event::Delete(secret)) => {
                let place = place_of(&secret.metadata);
                cx.secrets.set(&place, None);
                vec![place]
            }
            Ok(Event::InitDone) => {
                cx.secrets.known.send_replace(true);
                std::mem::take(&mut stale).into_iter().filter(|place| cx.secrets.set(place, None)).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "watching opened Secrets failed, trying again");
                Vec::new()
            }
        };
        for place in changed {
            let _ = changes.unbounded_send(object_ref(&place));
        }
    }
}

/// Where an object is.
pub(super) fn place_of(metadata: &ObjectMeta) -> Place {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::{Value, json};

    fn facts(annotations: Value, writers: &[(&str, &[&str])]) -> SecretFacts {
        let fields = |keys: &[&str]| -> Value {
            keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect::<serde_json::Map<_, _>>().into()
        };
        let managed: Vec<Value> = writers
            .iter()
            .map(|(manager, keys)| json!({"manager": manager, "operation": "Update", "fieldsV1": {"f:data": fields(keys)}}))
            .collect();
        SecretFacts::of(&serde_json::from_value(json!({"annotations": annotations, "managedFields": managed})).unwrap())
    }

    fn untouched(facts: &SecretFacts, expected: &[&str]) -> bool {
        let expected: Vec<String> = expected.iter().map(|key| (*key).to_owned()).collect();
        facts.is_untouched(expected.iter())
    }

    #[test]
    fn somebody_elses_item_counts_as_touched() {
        let ours = facts(json!({}), &[(FIELD_MANAGER, &["a", "b"])]);
        assert!(untouched(&ours, &["a", "b"]));
        assert!(!untouched(&ours, &["a", "b", "c"]), "an item is gone");
        assert!(!untouched(&facts(json!({}), &[(FIELD_MANAGER, &["a"]), ("kubectl-edit", &["b"])]), &["a", "b"]));
        assert!(!untouched(&facts(json!({}), &[(FIELD_MANAGER, &["a"]), ("kubectl-edit", &["extra"])]), &["a"]));
        assert!(untouched(&facts(json!({}), &[(FIELD_MANAGER, &["a"]), ("controller", &["a"])]), &["a"]), "shared, so equal");
    }

    #[test]
    fn a_patched_secret_may_hold_more() {
        let patched = facts(json!({PATCH: "true"}), &[(FIELD_MANAGER, &["a"]), ("kubectl", &["b"])]);
        assert!(untouched(&patched, &["a"]));
        assert!(!untouched(&patched, &["b"]));
    }
}
