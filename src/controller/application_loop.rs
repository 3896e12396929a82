//! What wakes the reconcile of an Application: itself, its live objects, its repositories, and what concerns all of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use kube::api::DynamicObject;
use kube::runtime::controller::Action;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{Controller, WatchStreamExt, watcher};

use super::context::{Context, application_resource};
use super::{Listed, applications, applicationset};
use crate::advice::{Advice, Remedy};
use crate::source;

/// Applications that are reconciled side by side.
const CONCURRENCY: u16 = 8;

/// The Application loop and the store it fills.
pub(super) fn start(
    cx: &Arc<Context>,
    listed: &Listed,
    live_changes: tokio::sync::mpsc::UnboundedReceiver<String>,
    changes_for_all: BoxStream<'static, ()>,
    mut owned: applicationset::OwnedApplications,
) -> (Store<DynamicObject>, impl Future<Output = ()> + Send + use<>) {
    let writer = reflector::store::Writer::new(application_resource());
    let store = writer.as_reader();
    let listed = listed.applications.clone();
    let stream = watcher(cx.applications(&cx.control_namespace), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect(move |event| {
            owned.note(event);
            match event {
                Ok(watcher::Event::InitDone) => {
                    listed.send_replace(true);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "watching Applications failed, trying again"),
            }
        })
        .applied_objects();
    let controller = Controller::for_stream_with(stream, store.clone(), application_resource());
    let changed = futures::stream::select(
        live_references(live_changes, cx.control_namespace.clone()),
        repository_references(cx.repositories.subscribe(), store.clone()),
    );
    let applications = controller
        .with_config(kube::runtime::controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(changed)
        .reconcile_all_on(changes_for_all)
        .run(applications::reconcile, |object, error, _| after_error(&object, error), Arc::clone(cx))
        .for_each(|_| std::future::ready(()));
    (store, applications)
}

fn after_error(object: &DynamicObject, error: &applications::ReconcileError) -> Action {
    if !matches!(error, applications::ReconcileError::Conflict) {
        let cause = crate::advice::causes(error).join(": ");
        tracing::warn!(app = object.metadata.name, %error, cause, "reconcile failed, trying again");
    }
    match error.remedy() {
        Remedy::WaitAndRetry { after } => Action::requeue(after),
        Remedy::FixInput | Remedy::GrantAccess | Remedy::ReportBug => Action::requeue(Duration::from_secs(60)),
    }
}

/// Applications whose live objects changed. Instance names of the control namespace are bare names.
fn live_references(
    changes: tokio::sync::mpsc::UnboundedReceiver<String>,
    namespace: String,
) -> impl Stream<Item = ObjectRef<DynamicObject>> + Send {
    futures::stream::unfold(changes, |mut changes| async { changes.recv().await.map(|instance| (instance, changes)) })
        .map(move |instance| ObjectRef::new_with(&instance, application_resource()).within(&namespace))
}

/// Applications that read a repository whose refs changed.
fn repository_references(
    changes: tokio::sync::broadcast::Receiver<String>,
    store: Store<DynamicObject>,
) -> impl Stream<Item = ObjectRef<DynamicObject>> + Send {
    let urls = futures::stream::unfold(changes, |mut changes| async {
        match changes.recv().await {
            Ok(url) => Some((Some(url), changes)),
            // Too many at once: better look at all.
            Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => Some((None, changes)),
            Err(tokio::sync::broadcast::error::RecvError::Closed) => None,
        }
    });
    urls.flat_map(move |url| {
        let concerned: Vec<_> = store
            .state()
            .into_iter()
            .filter(|app| {
                url.as_ref().is_none_or(|url| repositories_of(app).iter().any(|used| source::same_repository(used, url)))
            })
            .map(|app| ObjectRef::from_obj_with(app.as_ref(), application_resource()))
            .collect();
        futures::stream::iter(concerned)
    })
}

/// Repository URLs that an Application names, whether it can be read as a whole or not.
pub(super) fn repositories_of(app: &DynamicObject) -> BTreeSet<String> {
    let spec = &app.data["spec"];
    let several = spec["sources"].as_array().into_iter().flatten();
    several.chain(std::iter::once(&spec["source"])).filter_map(|source| source["repoURL"].as_str()).map(str::to_owned).collect()
}
