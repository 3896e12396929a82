//! What every reconcile needs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use kube::runtime::reflector::Store;
use kube::{Api, Client, api::DynamicObject, core::ApiResource};

use super::events::Events;
use super::metrics::Metrics;
use crate::api::{AppProject, Application};
use crate::cluster::{Discovery, Lens, LiveCache, Verdicts, Writer};
use crate::render::Renderer;
use crate::source::Repositories;

/// What every reconcile needs.
pub struct Context {
    /// Client of the control cluster.
    pub client: Client,
    /// Namespace that Applications, projects and settings live in.
    pub control_namespace: String,
    /// Repositories in use.
    pub repositories: Repositories,
    /// Turns sources into manifests.
    pub renderer: Renderer,
    /// Kinds of the destination.
    pub discovery: Discovery,
    /// Live state of the destination.
    pub cache: LiveCache,
    /// Writes to the destination.
    pub writer: Writer,
    /// How live objects are read, by what operators say in `argocd-cm`.
    pub lens: Lens,
    /// Projects.
    pub projects: Store<AppProject>,
    /// Kubernetes Events.
    pub events: Events,
    /// Numbers for people and alerts.
    pub metrics: Metrics,
    /// Results of comparisons by instance name.
    pub verdicts: Mutex<HashMap<String, Verdicts>>,
}

impl Context {
    /// The Applications of one namespace, as untyped objects: one that cannot be read must not stop the others.
    #[must_use]
    pub fn applications(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &application_resource())
    }

    /// The project of an Application.
    #[must_use]
    pub fn project_of(&self, app: &Application) -> Option<Arc<AppProject>> {
        self.projects.find(|project| {
            project.metadata.name.as_deref() == Some(app.project())
                && project.metadata.namespace.as_deref() == Some(&self.control_namespace)
        })
    }

    /// Takes out what is remembered of an Application's comparisons.
    pub fn take_verdicts(&self, instance: &str) -> Verdicts {
        self.verdicts.lock().expect("no holder of this lock panics").remove(instance).unwrap_or_default()
    }

    /// Remembers an Application's comparisons.
    pub fn keep_verdicts(&self, instance: &str, verdicts: Verdicts) {
        self.verdicts.lock().expect("no holder of this lock panics").insert(instance.to_owned(), verdicts);
    }
}

/// The Application kind, for untyped access.
#[must_use]
pub fn application_resource() -> ApiResource {
    ApiResource::erase::<Application>(&())
}
