//! Fetching and rendering the sources of Applications on this machine.

use std::sync::Arc;
use std::time::Duration;

use crate::advice::Advice;
use crate::api::Application;
use crate::api::application::ApplicationSource;
use crate::cli::Failure;
use crate::cluster::Capabilities;
use crate::render::{self, Renderer};
use crate::resource::Object;
use crate::source::{self, Freshness, Repositories};
use crate::sync::load::Loader;
use crate::ui::{problem, stream};

/// Longer than any run: one look is all a command needs.
const NO_POLL: Duration = Duration::from_secs(24 * 60 * 60);

/// What the sources of one Application say.
pub(in crate::cli::app) struct Sourced {
    /// The manifests of all sources.
    pub objects: Vec<Object>,
    /// The commit of each source.
    pub commits: Vec<String>,
    /// What rendered each source: `Directory`, `Kustomize`, `Helm`.
    pub types: Vec<String>,
}

/// Clones and checkouts, which go away with this value; what several Applications use is fetched once.
pub(in crate::cli::app) struct Sources {
    repositories: Repositories,
    renderer: Renderer,
    _work: tempfile::TempDir,
}

impl Sources {
    /// Makes an empty workshop.
    pub fn new() -> Result<Self, Failure> {
        let work = tempfile::Builder::new().prefix("kubectl-gitops-").tempdir().map_err(|error| {
            Failure::new("cannot make a temporary folder").with_cause(&error).with_hint("set TMPDIR to a folder with free space")
        })?;
        let git = source::Options::new(work.path().join("git"));
        let rendering = render::Options { temp_dir: Some(work.path().join("render")), ..render::Options::default() };
        Ok(Self {
            repositories: Repositories::new(source::Options { poll_interval: NO_POLL, jitter: Duration::ZERO, ..git }),
            renderer: Renderer::new(rendering),
            _work: work,
        })
    }

    /// Renders every source, at one revision or at the one that each asks for.
    pub async fn load(
        &self,
        app: &Application,
        instance: &str,
        revision: Option<&str>,
        cluster: &Arc<Capabilities>,
    ) -> Result<Sourced, Failure> {
        let loader = Loader { app, instance, repositories: &self.repositories, renderer: &self.renderer, cluster };
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
