//! Fetches and renders one source of an Application.

use std::sync::Arc;

use crate::api::Application;
use crate::api::application::ApplicationSource;
use crate::cluster::Capabilities;
use crate::render::{AppIdentity, Explained, RenderError, Renderer, Request};
use crate::resource::Object;
use crate::source::{Commit, Freshness, Repositories, SourceError};

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
    /// The commit.
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
    /// The commit, as far as it was found.
    pub revision: String,
    /// What went wrong.
    pub error: RenderError,
}

impl Loader<'_> {
    /// Finds the commit that a revision of the source means, fetches it and renders the source.
    ///
    /// # Errors
    /// When the source cannot be fetched or rendered. Its advice says whether trying again helps.
    pub async fn load(&self, source: &ApplicationSource, revision: &str, freshness: Freshness) -> Result<Loaded, LoadError> {
        let unresolved = |error: RenderError| LoadError { revision: String::new(), error };
        if let Some(what) = not_git(source) {
            return Err(unresolved(RenderError::NotSupportedYet { what, instead: "use a Git repository".into() }));
        }
        let resolved = self.repositories.resolve(&source.repo_url, revision, freshness).await;
        let commit = resolved.map_err(|error| unresolved(error.into()))?;
        let revision = commit.to_string();
        // A source that others only refer to has no manifests of its own.
        if source.path.is_empty() {
            let (source_type, objects, warnings) = (String::new(), Vec::new(), Vec::new());
            return Ok(Loaded { revision, source_type, objects, warnings, explained: None });
        }
        let failed = |error: RenderError| LoadError { revision: commit.to_string(), error };
        let rendered = match self.render(source, &commit).await {
            // The cache may be deleted while it is read. That shows once, and then it is made anew.
            Err(RenderError::Source(SourceError::CacheFailed { .. })) => self.render(source, &commit).await,
            other => other,
        };
        let explained = rendered.map_err(failed)?;
        let rendered = explained.rendered.clone();
        Ok(Loaded {
            revision,
            source_type: rendered.source_type.to_string(),
            objects: rendered.objects.clone(),
            warnings: rendered.warnings.clone(),
            explained: Some(explained),
        })
    }

    async fn render(&self, source: &ApplicationSource, commit: &Commit) -> Result<Explained, RenderError> {
        let tree = self.repositories.tree(&source.repo_url, commit).await?;
        self.renderer.explain(Request { source, tree: &tree, app: &self.identity() }).await
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

fn not_git(source: &ApplicationSource) -> Option<String> {
    if !source.chart.is_empty() {
        return Some(format!("a chart from a Helm repository (spec.source.chart `{}`)", source.chart));
    }
    source.repo_url.starts_with("oci://").then(|| "an OCI artifact (spec.source.repoURL `oci://...`)".into())
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
            loader.load(&source, "main", Freshness::Now).await.unwrap().objects.len()
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
