//! Opens SealedSecrets into Secrets, and looks after the keys that do it.
//!
//! ```text
//!  key Secrets ───watch──> keys::run ──Keyring──┐          (a new key: all SealedSecrets are looked at again)
//!  SealedSecrets ─watch────────────────────────>├─> reconcile one ──> one Secret, one status, only on a change
//!  opened Secrets ─watch──> secrets::run ───────┘          (metadata only, and only those that carry our label)
//! ```
//!
//! Steady state is the watches and nothing else. Each opened Secret carries a digest of what it was opened from, so a restart
//! neither decrypts nor writes. What needs a person waits for a change; what may go away by itself is tried again with a growing wait.

mod backlog;
mod context;
mod event_queue;
mod flags;
mod foreign;
mod key_backup;
mod key_making;
mod key_reports;
mod keys;
mod merged;
mod metrics;
mod obstacle;
mod options;
mod outdated;
mod reconcile;
mod requests;
mod secrets;
mod status;

pub use context::{Counters, SealingContext};
pub use flags::SealingFlags;
pub use metrics::SealingMetrics;
pub use options::SealingOptions;
pub use requests::Rotation;

use std::sync::Arc;

use futures::{FutureExt as _, Stream, StreamExt as _};
use kube::api::DynamicObject;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::Event;
use kube::runtime::{Controller, WatchStreamExt as _, controller, watcher};

use self::merged::merged;
use self::secrets::{Place, place_of};

use crate::advice::{Advice, Remedy};
use crate::resource::annotations::LAST_APPLIED;

/// SealedSecrets that are worked on side by side: while some wait for the API server, others use the processors. How many private
/// operations run at a time is bounded apart from this, see [`SealingContext`].
const CONCURRENCY: u16 = 8;

/// A loop that runs for ever has ended.
#[derive(Debug, thiserror::Error)]
#[error("the loop over {what} ended")]
pub struct Error {
    what: &'static str,
}

impl Advice for Error {
    fn remedy(&self) -> Remedy {
        Remedy::ReportBug
    }
}

/// Runs for ever: keys, opened Secrets, SealedSecrets.
///
/// # Errors
/// When one of the loops ends, which none should.
pub async fn run(cx: Arc<SealingContext>) -> Result<(), Error> {
    let (changes, changed_secrets) = futures::channel::mpsc::unbounded();
    cx.send_changes_to(changes.clone());
    let ended = tokio::select! {
        () = keys::run(&cx) => "sealing keys",
        () = secrets::run(&cx, changes) => "opened Secrets",
        () = sealed_secrets(Arc::clone(&cx), changed_secrets) => "SealedSecrets",
        () = cx.tell_news() => "Events",
    };
    Err(Error { what: ended })
}

/// Waits until the keys and the opened Secrets are known: before, every Secret would look absent and every item undecryptable.
async fn sealed_secrets(cx: Arc<SealingContext>, changed_secrets: impl Stream<Item = ObjectRef<DynamicObject>> + Send + 'static) {
    cx.wait_until_known().await;
    let resource = context::sealed_secret_resource();
    let writer = reflector::store::Writer::new(resource.clone());
    let reader = writer.as_reader();
    cx.show_conditions_of(reader.clone());
    let watches = cx
        .sealed_secrets()
        .into_iter()
        .map(|(namespace, api)| (namespace, watcher(api, cx.options.selection()).default_backoff().modify(trim).boxed()));
    let events = merged("SealedSecrets", watches.collect(), |(namespace, name)| {
        DynamicObject::new(name, &context::sealed_secret_resource()).within(namespace)
    })
    .reflect(writer);
    let edited = edited(events, Arc::clone(&cx));
    let (backlog, finished) = (Arc::clone(&cx), Arc::clone(&cx));
    Controller::for_stream_with(edited, reader.clone(), resource)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(changed_secrets)
        .reconcile_on(futures::stream::unfold(backlog, async |cx| Some((object_ref(&cx.backlog.next().await), cx))))
        .reconcile_on(after_changed_keys(Arc::clone(&cx), reader))
        .run(|object, cx| reconcile::reconcile(object, cx).map(Ok), |_, error: &std::convert::Infallible, _| match *error {}, cx)
        .for_each(move |outcome| {
            // An object that is gone is not reconciled, so nobody else ends its turn.
            if let Err(controller::Error::ObjectNotFound(gone)) = outcome {
                finished.backlog.finished(&(gone.namespace.unwrap_or_default(), gone.name));
            }
            std::future::ready(())
        })
        .await;
}

/// The SealedSecrets that somebody writes, as they come. Those of a list go to the backlog.
fn edited(
    events: impl Stream<Item = Result<Event<DynamicObject>, watcher::Error>> + Send + 'static,
    cx: Arc<SealingContext>,
) -> impl Stream<Item = Result<DynamicObject, watcher::Error>> + Send + 'static {
    let mut listed = Vec::new();
    events.filter_map(move |event| {
        let edited = match event {
            Ok(Event::Apply(object)) => Some(Ok(object)),
            Ok(Event::Init) => {
                listed.clear();
                None
            }
            Ok(Event::InitApply(object)) => {
                listed.push(place_of(&object.metadata));
                None
            }
            Ok(Event::InitDone) => {
                cx.backlog.add(std::mem::take(&mut listed));
                None
            }
            Ok(Event::Delete(object)) => {
                let place = place_of(&object.metadata);
                cx.foreign.forget(&place);
                cx.outdated.forget(&place);
                None
            }
            Err(error) => {
                tracing::warn!(%error, "watching SealedSecrets failed, trying again");
                Some(Err(error))
            }
        };
        std::future::ready(edited)
    })
}

/// Puts every SealedSecret into the backlog whenever the keys change. Names none itself.
fn after_changed_keys(
    cx: Arc<SealingContext>,
    reader: reflector::Store<DynamicObject>,
) -> impl Stream<Item = ObjectRef<DynamicObject>> + Send + 'static {
    cx.keys_changed().filter_map(move |()| {
        cx.backlog.add(reader.state().iter().map(|object| place_of(&object.metadata)));
        std::future::ready(None)
    })
}

fn object_ref((namespace, name): &Place) -> ObjectRef<DynamicObject> {
    ObjectRef::new_with(name, context::sealed_secret_resource()).within(namespace)
}

/// Keeps what opening reads, and of managedFields only who wrote when.
fn trim(object: &mut DynamicObject) {
    if let Some(annotations) = &mut object.metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
    for entry in object.metadata.managed_fields.iter_mut().flatten() {
        entry.fields_v1 = None;
    }
}
