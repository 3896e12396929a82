//! Watches the key Secrets, makes the first key, and publishes the active certificate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _};
use jiff::Timestamp;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};

use super::SealingContext;
use crate::advice;
use crate::keys::{KeySecret, LEGACY_NAME, StoredKey, generate, store};
use crate::sealing::Keyring;

/// Wait after a key could not be stored, or a certificate not be published.
const RETRY: Duration = Duration::from_secs(5);

/// The key Secrets of one watch.
#[derive(Default)]
struct Listed {
    keys: BTreeMap<String, StoredKey>,
    next: BTreeMap<String, StoredKey>,
    is_known: bool,
}

impl Listed {
    fn take(&mut self, event: Event<KeySecret>) {
        match event {
            Event::Init => self.next.clear(),
            Event::InitApply(secret) => insert(&mut self.next, &secret),
            Event::InitDone => {
                self.keys = std::mem::take(&mut self.next);
                self.is_known = true;
            }
            Event::Apply(secret) => insert(&mut self.keys, &secret),
            Event::Delete(secret) => drop(self.keys.remove(secret.name())),
        }
    }
}

fn insert(keys: &mut BTreeMap<String, StoredKey>, secret: &KeySecret) {
    if !secret.counts() {
        keys.remove(secret.name());
        return;
    }
    let stored = secret.read();
    if let Err(problem) = &stored.key {
        tracing::warn!(secret = secret.name(), %problem, "sealing key skipped");
    }
    keys.insert(stored.name.clone(), stored);
}

/// Runs until a watch ends, which none does.
pub(super) async fn run(cx: &SealingContext) {
    let api: Api<KeySecret> = Api::namespaced(cx.client.clone(), &cx.control_namespace);
    let mut labelled = events(&api, watcher::Config::default().labels(&store::key_selector()));
    // Kept by name, whatever its labels say: the only key of very old installations.
    let mut legacy = events(&api, watcher::Config::default().fields(&format!("metadata.name={LEGACY_NAME}")));
    let (mut from_labelled, mut from_legacy) = (Listed::default(), Listed::default());
    let mut is_settled = false;
    loop {
        tokio::select! {
            event = labelled.next() => match event {
                Some(event) => from_labelled.take(event),
                None => return,
            },
            event = legacy.next() => match event {
                Some(event) => from_legacy.take(event),
                None => return,
            },
            () = tokio::time::sleep(RETRY), if !is_settled && from_labelled.is_known && from_legacy.is_known => {}
        }
        if from_labelled.is_known && from_legacy.is_known {
            use_keys(cx, from_legacy.keys.values().chain(from_labelled.keys.values()));
            is_settled = settle(cx, &mut from_labelled.keys).await;
        }
    }
}

fn events(api: &Api<KeySecret>, config: watcher::Config) -> BoxStream<'static, Event<KeySecret>> {
    let stream = watch(api.clone(), config).default_backoff();
    let logged = stream.filter_map(|result| {
        let event = result.inspect_err(|error| tracing::warn!(%error, "watching sealing keys failed, trying again")).ok();
        std::future::ready(event)
    });
    logged.boxed()
}

/// Puts the keys to use. Only a change of the set wakes the SealedSecrets: a backup's note on a Secret does not.
fn use_keys<'a>(cx: &SealingContext, stored: impl Iterator<Item = &'a StoredKey>) {
    let mut stored: Vec<&StoredKey> = stored.collect();
    stored.sort_by_key(|key| key.created);
    let next = Keyring::new(stored.into_iter().filter_map(|stored| stored.key.as_ref().ok()).cloned());
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

/// Makes the first key if there is none, and publishes the active certificate. Says whether all of that is done.
async fn settle(cx: &SealingContext, keys: &mut BTreeMap<String, StoredKey>) -> bool {
    if cx.keys.borrow().active().is_none() {
        let Some(secret) = create_first_key(cx).await else { return false };
        insert(keys, &secret);
        use_keys(cx, keys.values());
    }
    let Some(active) = cx.keys.borrow().active().cloned() else { return false };
    match store::publish_certificate(&cx.client, &cx.control_namespace, active.certificate()).await {
        Ok(wrote) => {
            if wrote {
                tracing::info!(fingerprint = active.certificate().fingerprint, "sealing certificate published");
            }
            cx.keys_ready.send_replace(true);
            true
        }
        Err(error) => {
            tracing::warn!(%error, "cannot publish the sealing certificate, trying again");
            // Opening does not depend on it.
            cx.keys_ready.send_replace(true);
            false
        }
    }
}

async fn create_first_key(cx: &SealingContext) -> Option<KeySecret> {
    tracing::info!("no sealing key yet, generating one");
    let generated = tokio::task::spawn_blocking(|| generate(Timestamp::now())).await;
    let key = match generated {
        Ok(Ok(key)) => key,
        Ok(Err(error)) => {
            tracing::error!(error = advice::one_line(&error, &error), "cannot generate a sealing key, trying again");
            return None;
        }
        Err(error) => {
            tracing::error!(%error, "cannot generate a sealing key, trying again");
            return None;
        }
    };
    match store::create_key(&cx.client, &cx.control_namespace, &key).await {
        Ok(secret) => {
            tracing::info!(
                secret = secret.name(),
                fingerprint = key.certificate.fingerprint,
                "sealing key created; back it up: kubectl gitops keys backup"
            );
            Some(secret)
        }
        Err(error) => {
            tracing::error!(%error, "cannot store the new sealing key, trying again");
            None
        }
    }
}
