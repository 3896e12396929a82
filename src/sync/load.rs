//! Fetches and renders the sources of an Application.

use std::sync::Arc;

use crate::api::Application;
use crate::api::application::ApplicationSource;
use crate::cluster::Capabilities;
use crate::render::{AppIdentity, Explained, Reference, References, RenderError, Renderer, Request};
use crate::resource::Object;
use crate::source::{self, Freshness, Repositories, SourceError, SourceTree};

/// What the sources of one Application are loaded with.
#[derive(Debug, Clone, Copy)]
pub struct Loader<'a> {
    /// The Application.
    pub app: &'a Application,
    /// Its instance name.
    pub instance: &'a str,
    /// Where commits come from.
    pub repositories: &'a Repositories,
    /// Turns them into manifests.
    pub renderer: &'a Renderer,
    /// What the destination serves.
    pub cluster: &'a Arc<Capabilities>,
}

/// What one source says at one commit.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The commit, the version of the chart or the digest of the artifact.
    pub revision: String,
    /// Kind of the source (`Directory`, `Kustomize`, ...); empty where it gives no manifests.
    pub source_type: String,
    /// The manifests.
    pub objects: Vec<Object>,
    /// What has no effect.
    pub warnings: Vec<String>,
    /// How the manifests came about; absent where there are none.
    pub explained: Option<Explained>,
}

/// Why a source gave no manifests.
#[derive(Debug, Clone)]
pub struct LoadError {
    /// As in [`Loaded`], as far as it was found.
    pub revision: String,
    /// What went wrong.
    pub error: RenderError,
}

impl Loader<'_> {
    /// Finds out what the revisions of the sources mean, fetches them and renders them: one answer for each source, in order.
    ///
    /// `asked` gives the revision of a source by its index, and how fresh its meaning has to be. A source that others refer to
    /// and that has neither path nor chart gives no manifests, but has a revision.
    ///
    /// # Errors
    /// A source that cannot be fetched or rendered. Its advice says whether trying again helps.
    pub async fn load(
        &self,
        sources: &[ApplicationSource],
        asked: impl Fn(usize, &ApplicationSource) -> (String, Freshness),
    ) -> Vec<Result<Loaded, LoadError>> {
        let mut resolved = Vec::with_capacity(sources.len());
        for (index, source) in sources.iter().enumerate() {
            let (revision, freshness) = asked(index, source);
            resolved.push(self.repositories.resolve_source(source, self.app.project(), &revision, freshness).await);
        }
        let references = self.references(sources, &resolved).await;
        let mut loaded = Vec::with_capacity(sources.len());
        for (source, revision) in sources.iter().zip(resolved) {
            loaded.push(match revision {
                Ok(revision) => self.load_one(source, revision, &references).await,
                Err(error) => Err(LoadError { revision: String::new(), error: error.into() }),
            });
        }
        loaded
    }

    /// The files of the sources that others may refer to. One that cannot be read is an error for whoever refers to it.
    async fn references(&self, sources: &[ApplicationSource], resolved: &[Result<String, SourceError>]) -> References {
        let mut references = References::new();
        // A single source has nothing to refer to.
        let several = self.app.is_multi_source();
        for (source, revision) in sources.iter().zip(resolved).filter(|(source, _)| several && !source.ref_name.is_empty()) {
            let is_git = !source::is_elsewhere(source);
            let tree = match revision {
                Ok(revision) => self.tree(source, revision).await,
                Err(error) => Err(error.clone()),
            };
            references.insert(source.ref_name.clone(), Reference { url: source.repo_url.clone(), is_git, tree });
        }
        references
    }

    async fn load_one(&self, source: &ApplicationSource, revision: String, references: &References) -> Result<Loaded, LoadError> {
        // A source that others only refer to has no manifests of its own.
        if source.path.is_empty() && !source::is_elsewhere(source) {
            let (source_type, objects, warnings) = (String::new(), Vec::new(), Vec::new());
            return Ok(Loaded { revision, source_type, objects, warnings, explained: None });
        }
        let rendered = match self.render(source, &revision, references).await {
            // The cache may be deleted while it is read. That shows once, and then it is made anew.
            Err(RenderError::Source(SourceError::CacheFailed { .. })) => self.render(source, &revision, references).await,
            other => other,
        };
        match rendered {
            Ok(explained) => Ok(Loaded {
                revision,
                source_type: explained.rendered.source_type.to_string(),
                objects: explained.rendered.objects.clone(),
                warnings: explained.rendered.warnings.clone(),
                explained: Some(explained),
            }),
            Err(error) => Err(LoadError { revision, error }),
        }
    }

    async fn render(
        &self,
        source: &ApplicationSource,
        revision: &str,
        references: &References,
    ) -> Result<Explained, RenderError> {
        let tree = self.tree(source, revision).await?;
        let (app, charts) = (self.identity(), Some(self.repositories.charts()));
        self.renderer.explain(Request { source, tree: &tree, app: &app, references, charts }).await
    }

    async fn tree(&self, source: &ApplicationSource, revision: &str) -> Result<SourceTree, SourceError> {
        self.repositories.tree_of(source, self.app.project(), revision).await
    }

    fn identity(&self) -> AppIdentity {
        AppIdentity {
            app_name: self.app.name().to_owned(),
            instance_name: self.instance.to_owned(),
            project: self.app.project().to_owned(),
            destination_namespace: self.app.spec.destination.namespace.clone(),
            cluster: self.cluster.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::source::testing::{GitRepo, repositories};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cache_that_lost_its_packs_is_not_noticed() {
        let (cache, repo) = (tempfile::tempdir().unwrap(), GitRepo::new());
        repo.write("app/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n").commit("first");
        let text = format!("{{repoURL: '{}', path: app}}", repo.url());
        let source: ApplicationSource = serde_json::from_value(crate::resource::yaml::parse_one(&text).unwrap()).unwrap();
        let renderer = Renderer::new(crate::render::Options::default());
        let app = Application::default();
        let objects = async |repositories: &Repositories| {
            let loader = Loader { app: &app, instance: "web", repositories, renderer: &renderer, cluster: &Arc::default() };
            let asked = |_: usize, _: &ApplicationSource| ("main".to_owned(), Freshness::Now);
            loader.load(std::slice::from_ref(&source), asked).await.remove(0).unwrap().objects.len()
        };
        let first = repositories(cache.path());
        assert_eq!(objects(&first).await, 1);
        // Those of the open tree, and those that a later process finds.
        for repositories in [first, repositories(cache.path())] {
            for mirror in std::fs::read_dir(cache.path()).unwrap() {
                let packs = mirror.unwrap().path().join("objects/pack");
                for pack in std::fs::read_dir(packs).unwrap() {
                    std::fs::remove_file(pack.unwrap().path()).unwrap();
                }
            }
            assert_eq!(objects(&repositories).await, 1);
        }
    }
}
