//! Handles deliveries: those that wait together, together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::runtime::reflector::Store;
use serde_json::json;
use tokio::sync::mpsc;

use super::{Event, Push, matching};
use crate::controller::context::Context;

/// How long the first delivery waits for others of the same burst; hosts send one per branch and tag of a push.
const GATHER: Duration = Duration::from_millis(20);

/// Handles deliveries until nobody can send any more.
pub async fn run(mut events: mpsc::Receiver<Event>, cx: Arc<Context>, apps: Store<DynamicObject>) {
    while let Some(first) = events.recv().await {
        tokio::time::sleep(GATHER).await;
        let mut burst = vec![first];
        while let Ok(next) = events.try_recv() {
            burst.push(next);
        }
        handle(&burst, &cx, &apps).await;
    }
}

async fn handle(burst: &[Event], cx: &Arc<Context>, apps: &Store<DynamicObject>) {
    let known = apps.state();
    let all = || known.iter().map(AsRef::as_ref);
    let pushes = burst.iter().filter_map(|event| match event {
        Event::Push(push) => Some(push),
        Event::Image { .. } => None,
    });
    let urls: BTreeSet<String> = pushes.flat_map(|push: &Push| matching::repositories(push, all())).collect();
    if !urls.is_empty() {
        let cx = Arc::clone(cx);
        tracing::info!(repositories = ?urls, deliveries = burst.len(), "asking repositories because of a webhook");
        // A repository that hangs holds up nobody else.
        tokio::spawn(async move { cx.repositories.poll_now(|url| matching::is_one_of(url, &urls)).await });
    }
    for app in all().filter(|app| burst.iter().any(|event| matching::reads_image(app, event))) {
        refresh(app, cx).await;
    }
}

/// Registries are not polled by a repository of ours, so the Application itself is asked to look.
async fn refresh(app: &DynamicObject, cx: &Context) {
    let (Some(name), Some(namespace)) = (&app.metadata.name, &app.metadata.namespace) else { return };
    let patch = json!({ "metadata": { "annotations": { "argocd.argoproj.io/refresh": "normal" } } });
    let patched = cx.applications(namespace).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
    if let Err(error) = patched {
        tracing::warn!(app = name, %error, "asking an Application to look because of a webhook failed");
    }
}
