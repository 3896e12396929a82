//! Secrets of others that stand where one of ours should be: watched by name until they go or may be replaced.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedSender;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::task::AbortHandle;

use super::object_ref;
use super::secrets::Place;

/// Watches at a time. What stands in the way of more SealedSecrets is looked at again with a growing wait.
const MOST_WATCHES: usize = 32;

/// The watches, by the place of the Secret.
#[derive(Default)]
pub(super) struct ForeignSecrets {
    watches: Mutex<BTreeMap<Place, AbortHandle>>,
}

impl ForeignSecrets {
    /// Watches the Secret, if it is not watched already; each change of it names its SealedSecret to `changes`.
    pub fn watch(&self, client: &Client, place: &Place, changes: &UnboundedSender<ObjectRef<DynamicObject>>) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if watches.contains_key(place) || watches.len() >= MOST_WATCHES {
            return;
        }
        let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(client.clone(), &place.0);
        let task = tokio::spawn(run(api, place.clone(), changes.clone()));
        watches.insert(place.clone(), task.abort_handle());
    }

    /// Ends the watch of a place where nothing stands in the way any more.
    pub fn forget(&self, place: &Place) {
        if let Some(watch) = self.watches.lock().unwrap_or_else(PoisonError::into_inner).remove(place) {
            watch.abort();
        }
    }
}

impl Drop for ForeignSecrets {
    fn drop(&mut self) {
        for watch in self.watches.get_mut().unwrap_or_else(PoisonError::into_inner).values() {
            watch.abort();
        }
    }
}

async fn run(api: Api<PartialObjectMeta<Secret>>, place: Place, changes: UnboundedSender<ObjectRef<DynamicObject>>) {
    let mut events =
        watcher(api, watcher::Config::default().fields(&format!("metadata.name={}", place.1))).default_backoff().boxed();
    let mut is_there = false;
    while let Some(event) = events.next().await {
        let is_news = match event {
            Ok(Event::Init) => {
                is_there = false;
                false
            }
            Ok(Event::InitApply(_)) => {
                is_there = true;
                false
            }
            // It went between the look that found it and this list.
            Ok(Event::InitDone) => !is_there,
            Ok(Event::Apply(_) | Event::Delete(_)) => true,
            Err(error) => {
                tracing::debug!(%error, secret = format!("{}/{}", place.0, place.1), "watching a Secret of somebody else failed, trying again");
                false
            }
        };
        if is_news && changes.unbounded_send(object_ref(&place)).is_err() {
            return;
        }
    }
}
