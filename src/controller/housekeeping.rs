//! Forgets what nobody uses any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::api::DynamicObject;
use kube::runtime::reflector::Store;

use super::application_loop::repositories_of;
use super::context::Context;
use super::{Listed, applications, applicationset};
use crate::api::Application;

/// How often unused repositories are dropped.
const INTERVAL: Duration = Duration::from_secs(30);

/// Drops what nobody uses any more: repositories, and the live state of Applications that are gone.
pub(super) async fn run(
    cx: Arc<Context>,
    listed: Listed,
    apps: Store<DynamicObject>,
    of_sets: Arc<applicationset::UsedRepositories>,
) -> (&'static str, String) {
    let mut known: BTreeMap<(String, String), Application> = BTreeMap::new();
    listed.wait_for_applications().await;
    loop {
        let state = apps.state();
        let mut used: BTreeSet<String> = state.iter().flat_map(|app| repositories_of(app)).collect();
        used.extend(of_sets.all());
        cx.repositories.retain(&used);
        let current: BTreeMap<(String, String), Application> = state.iter().map(|app| (key_of(app), skeleton(app))).collect();
        for (key, app) in &known {
            if !current.contains_key(key) {
                applications::forget(app, &cx);
            }
        }
        known = current;
        tokio::time::sleep(INTERVAL).await;
    }
}

fn key_of(app: &DynamicObject) -> (String, String) {
    (app.metadata.namespace.clone().unwrap_or_default(), app.metadata.name.clone().unwrap_or_default())
}

/// Just enough of an Application to name it.
fn skeleton(app: &DynamicObject) -> Application {
    let mut named = Application::default();
    named.metadata.name.clone_from(&app.metadata.name);
    named.metadata.namespace.clone_from(&app.metadata.namespace);
    named
}
