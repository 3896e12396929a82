//! Fetching and rendering the sources of Applications on this machine.

use std::sync::Arc;

use crate::advice::Advice;
use crate::api::Application;
use crate::api::application::ApplicationSource;
use crate::cli::Failure;
use crate::cli::app::workshop::Workshop;
use crate::cluster::Capabilities;
use crate::render::Tools;
use crate::resource::Object;
use crate::source::Freshness;
use crate::ui::{problem, stream};

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
pub(in crate::cli::app) struct Sources(Workshop);

impl Sources {
    /// Makes an empty workshop.
    pub fn new(tools: Tools) -> Result<Self, Failure> {
        Workshop::new(tools).map(Self)
    }

    /// Renders every source, at one revision or at the one that each asks for.
    pub async fn load(
        &self,
        app: &Application,
        instance: &str,
        revision: Option<&str>,
        cluster: &Arc<Capabilities>,
    ) -> Result<Sourced, Failure> {
        let loader = self.0.loader(app, instance, cluster);
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
