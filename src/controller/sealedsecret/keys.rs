//! Watches the key Secrets, makes new keys when it is time, and publishes the active certificate.
//!
//! Keys are looked for in the control namespace and where Sealed Secrets keeps its own. A new key goes to where the active one is:
//! after a take-over Sealed Secrets still finds every key when it comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, SelectAll, StreamExt as _};
use jiff::Timestamp;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};

use super::key_making::{self, Made};
use super::{SealingContext, key_backup, key_reports::KeyReports};
use crate::keys::renewal::{self, Reason, Renewal};
use crate::keys::{KeyOrder, KeySecret, LEGACY_NAME, StoredKey, store};
use crate::sealing::Keyring;

/// Wait after a key could not be stored, or a certificate not be published.
const RETRY: Duration = Duration::from_secs(5);
/// Longest wait for a renewal in one piece, so that a clock that was set right is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The key Secrets of one watch.
struct Listed {
    namespace: String,
    /// Without the right to look there, or without the namespace, there are no keys.
    is_optional: bool,
    keys: BTreeMap<String, StoredKey>,
    next: BTreeMap<String, StoredKey>,
    is_known: bool,
}

impl Listed {
    fn take(&mut self, event: Result<Event<KeySecret>, watcher::Error>) {
        match event {
            Ok(Event::Init) => self.next.clear(),
            Ok(Event::InitApply(secret)) => insert(&mut self.next, &secret),
            Ok(Event::InitDone) => {
                self.keys = std::mem::take(&mut self.next);
                self.is_known = true;
            }
            Ok(Event::Apply(secret)) => insert(&mut self.keys, &secret),
            Ok(Event::Delete(secret)) => drop(self.keys.remove(secret.name())),
            Err(error) if self.is_optional && !self.is_known => {
                tracing::info!(%error, namespace = self.namespace, "no sealing keys are read from this namespace");
                self.is_known = true;
            }
            Err(error) if self.is_optional => tracing::debug!(%error, namespace = self.namespace, "watching sealing keys failed"),
            Err(error) => tracing::warn!(%error, "watching sealing keys failed, trying again"),
        }
    }
}

fn insert(keys: &mut BTreeMap<String, StoredKey>, secret: &KeySecret) {
    if !secret.counts() {
        keys.remove(secret.name());
        return;
    }
    let stored = secret.read();
    keys.insert(stored.name.clone(), stored);
}

type Events = SelectAll<BoxStream<'static, (usize, Result<Event<KeySecret>, watcher::Error>)>>;

/// Two watches for each namespace: by label, and the one name that counts whatever its labels say.
fn watches(cx: &SealingContext) -> (Vec<Listed>, Events) {
    let (mut lists, mut events) = (Vec::new(), Events::new());
    for namespace in cx.key_namespaces() {
        let api: Api<KeySecret> = Api::namespaced(cx.client.clone(), &namespace);
        let legacy = watcher::Config::default().fields(&format!("metadata.name={LEGACY_NAME}"));
        for config in [legacy, watcher::Config::default().labels(&store::key_selector())] {
            let index = lists.len();
            events.push(watch(api.clone(), config).default_backoff().map(move |event| (index, event)).boxed());
            lists.push(Listed {
                is_optional: namespace != cx.control_namespace,
                namespace: namespace.clone(),
                keys: BTreeMap::new(),
                next: BTreeMap::new(),
                is_known: false,
            });
        }
    }
    (lists, events)
}

/// Runs until a watch ends, which none does.
pub(super) async fn run(cx: &SealingContext) {
    let (mut lists, mut events) = watches(cx);
    let mut reports = KeyReports::default();
    let (mut wait, mut asked) = (LONGEST_WAIT, false);
    let mut backed_up = Arc::default();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some((index, event)) => lists[index].take(event),
                None => return,
            },
            () = cx.key_asked_for.notified() => asked = true,
            () = tokio::time::sleep(wait) => {}
        }
        if !lists.iter().all(|list| list.is_known) {
            continue;
        }
        use_keys(cx, &lists);
        reports.tell(cx, lists.iter().flat_map(|list| list.keys.values()));
        wait = match settle(cx, &mut lists, asked).await {
            Ok(renewal) => {
                asked = false;
                renewal.min(LONGEST_WAIT)
            }
            Err(NotSettled) => RETRY,
        };
        let current = cx.keys.borrow().clone();
        if !Arc::ptr_eq(&current, &backed_up) && key_backup::store(cx).await {
            backed_up = current;
        }
    }
}

/// Puts the keys to use. Only a change of the set wakes the SealedSecrets: a backup's note on a Secret does not.
fn use_keys(cx: &SealingContext, lists: &[Listed]) {
    let next = keyring(lists.iter().flat_map(|list| list.keys.values()), cx.options.key_policy.order);
    cx.keys.send_if_modified(|keys| {
        let ids = |keys: &Keyring| keys.keys().iter().map(|key| key.certificate().fingerprint.clone()).collect::<Vec<_>>();
        if ids(keys) == ids(&next) {
            return false;
        }
        tracing::info!(
            keys = next.keys().len(),
            active = next.active().map(|key| key.certificate().fingerprint.as_str()),
            "sealing keys loaded"
        );
        *keys = Arc::new(next);
        true
    });
}

/// The keys in the order that decides which is active; of equals the older Secret stays in front, as upstream.
pub(super) fn keyring<'a>(stored: impl Iterator<Item = &'a StoredKey>, order: KeyOrder) -> Keyring {
    let mut stored: Vec<&StoredKey> = stored.collect();
    stored.sort_by_key(|key| key.created);
    Keyring::ordered(stored.into_iter().filter_map(|stored| {
        let key = stored.key.as_ref().ok()?;
        let instant = match order {
            KeyOrder::CertNotBefore => key.certificate().not_before,
            KeyOrder::SecretCreationTimestamp => stored.created?,
        };
        Some((instant, Arc::clone(key)))
    }))
}

/// Something could not be done and is tried again.
struct NotSettled;

/// Makes a key if it is time, and publishes the active certificate. Says how long nothing is to be done.
async fn settle(cx: &SealingContext, lists: &mut [Listed], asked: bool) -> Result<Duration, NotSettled> {
    let now = Timestamp::now();
    let mut due = renewal::next(cx.keys.borrow().active_since(), &cx.options.key_policy, now);
    if asked {
        due = Renewal::Now(Reason::Asked);
    }
    if let Renewal::Now(reason) = due {
        match key_making::make(cx, reason).await {
            Made::New(secret) => {
                // Before the watch tells, so that it is served at once.
                let namespace = secret.metadata.namespace.clone().unwrap_or_default();
                if let Some(list) = lists.iter_mut().rfind(|list| list.namespace == namespace) {
                    insert(&mut list.keys, &secret);
                }
                use_keys(cx, lists);
                due = renewal::next(cx.keys.borrow().active_since(), &cx.options.key_policy, now);
            }
            Made::Failed => return Err(NotSettled),
        }
    }
    publish(cx).await?;
    Ok(match due {
        Renewal::In(wait) => wait,
        Renewal::Never => LONGEST_WAIT,
        // The key that is there already does not end the reason for it, such as an order that puts it behind.
        Renewal::Now(_) => LONGEST_WAIT,
    })
}

async fn publish(cx: &SealingContext) -> Result<(), NotSettled> {
    let Some(active) = cx.keys.borrow().active().cloned() else { return Err(NotSettled) };
    let policy = &cx.options.key_policy;
    let published = store::publish_certificate(&cx.client, &cx.control_namespace, active.certificate(), policy).await;
    // Opening does not depend on it.
    cx.keys_ready.send_replace(true);
    match published {
        Ok(wrote) => {
            if wrote {
                tracing::info!(fingerprint = active.certificate().fingerprint, "sealing certificate published");
            }
            Ok(())
        }
        Err(error) => {
            tracing::warn!(%error, "cannot publish the sealing certificate, trying again");
            Err(NotSettled)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sealing::fixtures;

    /// Two keys whose certificates became valid in this order, and when their Secrets were created.
    fn active(order: KeyOrder, created: [&str; 2]) -> &'static str {
        let stored = |key: &str, created: &str| StoredKey {
            namespace: "argocd".into(),
            name: key.into(),
            uid: None,
            created: Some(created.parse().unwrap()),
            is_unbacked: true,
            key: Ok(fixtures::key(key)),
        };
        let all = [stored("new", created[0]), stored("old", created[1])];
        let keyring = keyring(all.iter(), order);
        if keyring.active().unwrap().id() == fixtures::key("new").id() { "new" } else { "old" }
    }

    #[test]
    fn the_order_and_of_equals_the_older_secret_decide_which_key_is_active() {
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let first = if fixtures::key("new").certificate().not_before > fixtures::key("old").certificate().not_before {
            "new"
        } else {
            "old"
        };
        assert_eq!(active(KeyOrder::CertNotBefore, [early, late]), first, "a restored key does not become active");
        assert_eq!(active(KeyOrder::CertNotBefore, [late, early]), first);
        assert_eq!(active(KeyOrder::SecretCreationTimestamp, [early, late]), "old");
        assert_eq!(active(KeyOrder::SecretCreationTimestamp, [late, early]), "new");
        assert_eq!(active(KeyOrder::SecretCreationTimestamp, [early, early]), "new", "the first of a restored set");
    }
}
