//! Follows `argocd-cm`: what it says about objects takes effect at once, without a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::task::JoinSet;

use super::SETTINGS;
use super::context::Context;
use super::settings::Settings;

/// Takes over every change, and tells when all Applications have to be looked at again.
pub(super) fn follow(
    cx: &Arc<Context>,
    started_with: Settings,
    loops: &mut JoinSet<(&'static str, String)>,
) -> BoxStream<'static, ()> {
    let (changes, receiver) = futures::channel::mpsc::unbounded();
    let api: Api<ConfigMap> = Api::namespaced(cx.client.clone(), &cx.control_namespace);
    let cx = Arc::clone(cx);
    loops.spawn(async move {
        let config = watcher::Config::default().fields(&format!("metadata.name={SETTINGS}"));
        let mut events = watcher(api, config).default_backoff().boxed();
        let mut known = started_with;
        let mut listed = None;
        while let Some(event) = events.next().await {
            let data = match event {
                Ok(watcher::Event::Init) => {
                    listed = None;
                    continue;
                }
                Ok(watcher::Event::InitApply(map)) => {
                    listed = map.data;
                    continue;
                }
                Ok(watcher::Event::InitDone) => listed.take().unwrap_or_default(),
                Ok(watcher::Event::Apply(map)) => map.data.unwrap_or_default(),
                Ok(watcher::Event::Delete(_)) => BTreeMap::new(),
                Err(error) => {
                    tracing::warn!(%error, "watching {SETTINGS} failed, trying again");
                    continue;
                }
            };
            if take(&cx, &mut known, &data) {
                let _ = changes.unbounded_send(());
            }
        }
        ("settings", format!("the stream of {SETTINGS} ended"))
    });
    receiver.boxed()
}

/// True when something changed that Applications depend on.
fn take(cx: &Context, known: &mut Settings, data: &BTreeMap<String, String>) -> bool {
    let settings = Settings::from_config_map(data);
    if settings == *known {
        return false;
    }
    for warning in settings.warnings.iter().filter(|warning| !known.warnings.contains(warning)) {
        tracing::warn!("{warning}");
    }
    if (settings.poll_interval, settings.jitter) != (known.poll_interval, known.jitter) {
        tracing::warn!("{SETTINGS}: timeout.reconciliation takes effect with the next start");
    }
    *known = settings;
    let rendered_differently = cx.renderer.replace_tools(known.tools.clone());
    let changed = cx.lens.replace(known.resources.clone());
    if changed {
        tracing::info!("{SETTINGS} changed: everything is compared again");
        cx.cache.read_again();
    }
    changed || rendered_differently
}
