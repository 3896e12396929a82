//! Repositories, branches and pull requests as every provider describes them, and the filters on them. Pure.

use regex::Regex;
use serde::Deserialize;

use super::params::Param;

/// A repository of a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repository {
    /// Organization, group, owner or project.
    pub organization: String,
    /// Name.
    pub name: String,
    /// Id.
    pub id: RepositoryId,
    /// URL to clone it from, in the protocol asked for.
    pub url: String,
    /// Name of the default branch; empty when there is none.
    pub default_branch: String,
    /// Topics or labels.
    pub labels: Vec<String>,
}

/// The id of a repository: a number does not substitute in `{{name}}` templates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepositoryId {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

impl Default for RepositoryId {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl From<&RepositoryId> for Param {
    fn from(id: &RepositoryId) -> Self {
        match id {
            RepositoryId::Number(number) => Self::Int(*number),
            RepositoryId::Text(text) => Self::Text(text.clone()),
        }
    }
}

/// A branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Branch {
    /// Name.
    pub name: String,
    /// Commit at its head; empty where the provider does not tell.
    pub sha: String,
}

/// A pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullRequest {
    /// Number.
    pub number: String,
    /// Title.
    pub title: String,
    /// Its branch.
    pub branch: String,
    /// The branch it goes to.
    pub target_branch: String,
    /// Commit at the head of its branch.
    pub head_sha: String,
    /// Labels.
    pub labels: Vec<String>,
    /// Who opened it.
    pub author: String,
}

/// The first `length` characters, or all when there are fewer.
#[must_use]
pub fn short(sha: &str, length: usize) -> String {
    sha.chars().take(length).collect()
}

/// One entry of `filters` of an `scmProvider` generator; its parts must all hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScmFilter {
    /// Expression on the name of the repository.
    pub repository_match: Option<String>,
    /// Paths that must exist in the branch.
    #[serde(default)]
    pub paths_exist: Vec<String>,
    /// Paths that must not exist in the branch.
    #[serde(default)]
    pub paths_do_not_exist: Vec<String>,
    /// Expression that one label must match.
    pub label_match: Option<String>,
    /// Expression on the name of the branch.
    pub branch_match: Option<String>,
}

impl ScmFilter {
    /// A filter with any condition on the branch counts among those of branches.
    #[must_use]
    pub fn is_of_branches(&self) -> bool {
        !self.paths_exist.is_empty() || !self.paths_do_not_exist.is_empty() || self.branch_match.is_some()
    }

    /// Whether the conditions on the repository hold.
    ///
    /// # Errors
    /// An expression that is none.
    pub fn permits_repository(&self, repository: &Repository) -> Result<bool, String> {
        if let Some(pattern) = &self.repository_match
            && !expression("repositoryMatch", pattern)?.is_match(&repository.name)
        {
            return Ok(false);
        }
        let Some(pattern) = &self.label_match else { return Ok(true) };
        let pattern = expression("labelMatch", pattern)?;
        Ok(repository.labels.iter().any(|label| pattern.is_match(label)))
    }

    /// Whether the condition on the name of the branch holds.
    ///
    /// # Errors
    /// An expression that is none.
    pub fn permits_branch(&self, branch: &Branch) -> Result<bool, String> {
        self.branch_match.as_ref().map_or(Ok(true), |pattern| Ok(expression("branchMatch", pattern)?.is_match(&branch.name)))
    }
}

/// One entry of `filters` of a `pullRequest` generator; its parts must all hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequestFilter {
    /// Expression on the branch.
    pub branch_match: Option<String>,
    /// Expression on the branch it goes to.
    pub target_branch_match: Option<String>,
    /// Expression on the title.
    pub title_match: Option<String>,
}

impl PullRequestFilter {
    /// Whether all conditions hold.
    ///
    /// # Errors
    /// An expression that is none.
    pub fn permits(&self, request: &PullRequest) -> Result<bool, String> {
        let parts = [
            ("branchMatch", &self.branch_match, &request.branch),
            ("targetBranchMatch", &self.target_branch_match, &request.target_branch),
            ("titleMatch", &self.title_match, &request.title),
        ];
        for (field, pattern, text) in parts {
            if let Some(pattern) = pattern
                && !expression(field, pattern)?.is_match(text)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Go's RE2 and this engine read the same language, except for rare escapes.
fn expression(field: &str, pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| format!("filters.{field}: error compiling {pattern:?}: {error}"))
}
