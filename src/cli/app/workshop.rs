//! What a command needs to fetch and render on this machine, as the controller does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};

use crate::advice::Advice;
use crate::api::Application;
use crate::api::application::ApplicationSource;
use crate::cli::{Context, Failure};
use crate::cluster::Capabilities;
use crate::render::{self, Renderer, Tools};
use crate::resource::Object;
use crate::source::{self, Freshness, Repositories};
use crate::sync::load::Loader;
use crate::ui::{problem, stream};

/// Longer than any run: one look is all a command needs.
const NO_POLL: Duration = Duration::from_secs(24 * 60 * 60);
/// Name of the settings ConfigMap.
const SETTINGS: &str = "argocd-cm";

/// What the sources of one Application say.
pub struct Sourced {
    /// The manifests of all sources.
    pub objects: Vec<Object>,
    /// The commit of each source.
    pub commits: Vec<String>,
    /// What rendered each source: `Directory`, `Kustomize`, `Helm`.
    pub types: Vec<String>,
}

/// Repositories and a renderer that leave nothing behind; what several Applications use is fetched once.
pub struct Workshop {
    /// Where commits come from.
    pub repositories: Repositories,
    /// Turns them into manifests.
    pub renderer: Renderer,
    /// Holds clones and checkouts; goes away with this value.
    _work: tempfile::TempDir,
}

impl Workshop {
    /// Makes an empty one, with what the installation chose about tools.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub fn new(tools: Tools) -> Result<Self, Failure> {
        let work = tempfile::Builder::new().prefix("kubectl-gitops-").tempdir().map_err(|error| {
            Failure::new("cannot make a temporary folder").with_cause(&error).with_hint("set TMPDIR to a folder with free space")
        })?;
        let git = source::Options::new(work.path().join("git"));
        let rendering = render::Options { temp_dir: Some(work.path().join("render")), tools, ..render::Options::default() };
        Ok(Self {
            repositories: Repositories::new(source::Options { poll_interval: NO_POLL, jitter: Duration::ZERO, ..git }),
            renderer: Renderer::new(rendering),
            _work: work,
        })
    }

    /// Loads the sources of an Application with what is here.
    #[must_use]
    pub const fn loader<'a>(&'a self, app: &'a Application, instance: &'a str, cluster: &'a Arc<Capabilities>) -> Loader<'a> {
        Loader { app, instance, repositories: &self.repositories, renderer: &self.renderer, cluster }
    }

    /// Renders every source, at one revision or at the one that each asks for.
    ///
    /// # Errors
    /// A source that cannot be fetched or rendered.
    pub async fn load(
        &self,
        app: &Application,
        instance: &str,
        revision: Option<&str>,
        cluster: &Arc<Capabilities>,
    ) -> Result<Sourced, Failure> {
        let loader = self.loader(app, instance, cluster);
        let mut sourced = Sourced { objects: Vec::new(), commits: Vec::new(), types: Vec::new() };
        let sources: Vec<_> = app.sources().into_iter().cloned().collect();
        let asked = |_: usize, source: &ApplicationSource| {
            (revision.unwrap_or_else(|| source.target_revision_or_head()).to_owned(), Freshness::Now)
        };
        for loaded in loader.load(&sources, asked).await {
            let loaded = loaded.map_err(|failed| Failure {
                hint: failed.error.hint(),
                ..Failure::new(format!("cannot render the source of {}", app.name())).with_cause(&failed.error)
            })?;
            loaded.warnings.iter().for_each(|warning| stream::say(&problem::note(warning, None)));
            sourced.objects.extend(loaded.objects);
            sourced.commits.push(loaded.revision);
            sourced.types.push(loaded.source_type);
        }
        Ok(sourced)
    }
}

/// What operators say in `argocd-cm`. Who may not read it works without, and is told.
pub async fn settings(cx: &Context, client: &Client) -> BTreeMap<String, String> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &cx.flags.controller_namespace);
    match api.get_opt(SETTINGS).await {
        Ok(found) => found.and_then(|map| map.data).unwrap_or_default(),
        Err(error) => {
            let text = format!("{SETTINGS} cannot be read, so what it says about differences and tools has no effect: {error}");
            stream::say(&problem::note(&text, None));
            BTreeMap::new()
        }
    }
}
