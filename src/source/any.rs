//! Sources of every kind: whatever a source of an Application names, its revision is resolved and its files are read in one way.

use super::charts::Origin;
use super::{Commit, Freshness, Repositories, Scoped, SourceError, SourceTree};
use crate::api::application::ApplicationSource;

impl Repositories {
    /// Finds what a revision of a source means for an Application of a project: a commit, the version of a chart, or the digest of
    /// an artifact.
    ///
    /// # Errors
    /// As for [`Self::resolve`] and [`super::Charts::resolve`].
    pub async fn resolve_source(
        &self,
        source: &ApplicationSource,
        project: &str,
        revision: &str,
        freshness: Freshness,
    ) -> Result<String, SourceError> {
        match self.origin(source, project)? {
            Some(origin) => self.charts().resolve(&origin, revision, freshness).await,
            None => {
                let commit = self.reached(source, project).resolve(&source.repo_url, revision, freshness).await?;
                Ok(commit.to_string())
            }
        }
    }

    /// The files of a source at a revision that was resolved.
    ///
    /// # Errors
    /// As for [`Self::tree`] and [`super::Charts::tree`].
    pub async fn tree_of(&self, source: &ApplicationSource, project: &str, revision: &str) -> Result<SourceTree, SourceError> {
        if let Some(origin) = self.origin(source, project)? {
            return self.charts().tree(&origin, revision).await;
        }
        let unknown = || SourceError::NoSuchRevision { url: source.repo_url.clone(), revision: revision.to_owned() };
        let commit = Commit::parse(revision).ok_or_else(unknown)?;
        self.reached(source, project).tree(&source.repo_url, &commit).await
    }

    fn reached<'a>(&'a self, source: &'a ApplicationSource, project: &'a str) -> Scoped<'a> {
        self.of_project(project).with_tag_prefix(source.tag_prefix())
    }

    /// The origin of a source that is not in Git.
    fn origin(&self, source: &ApplicationSource, project: &str) -> Result<Option<Origin>, SourceError> {
        if is_elsewhere(source) { self.charts().origin(source, project).map(Some) } else { Ok(None) }
    }
}

/// True for a source that is no repository of Git: a chart from a Helm repository or a registry, or an artifact.
#[must_use]
pub fn is_elsewhere(source: &ApplicationSource) -> bool {
    !source.chart.is_empty() || source.repo_url.trim().starts_with("oci://")
}
