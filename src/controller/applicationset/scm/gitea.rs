//! Gitea and its relatives.

use serde_json::Value as Json;

use super::api::{Api, ApiError, by_link, encoded, encoded_path, text, whole};
pub use super::github::path_exists;
use super::github::{branch, pull_request};
use super::{names, required};
use crate::appset::scm::{Branch, PullRequest, Repository, RepositoryId};

/// All pages; upstream reads the first one only.
pub async fn repositories(api: &Api, section: &Json, protocol: &str) -> Result<Vec<Repository>, ApiError> {
    let owner = required(section, "owner")?;
    let found = api.all(format!("orgs/{}/repos?limit=50", encoded(owner)), whole, by_link).await?;
    let mut repositories = Vec::new();
    for one in found.iter().filter(|one| section["excludeArchivedRepos"] != true || one["archived"] != true) {
        let name = text(one, "/name");
        let labels = api.get(&format!("repos/{}/{}/labels", encoded(owner), encoded(&name))).await?;
        repositories.push(Repository {
            organization: owner.to_owned(),
            id: RepositoryId::Number(one["id"].as_i64().unwrap_or_default()),
            url: text(one, if protocol == "ssh" { "/ssh_url" } else { "/html_url" }),
            default_branch: text(one, "/default_branch"),
            labels: names(&labels.json, "name"),
            name,
        });
    }
    Ok(repositories)
}

/// A default branch that does not exist is an error here.
pub async fn branches(api: &Api, repository: &Repository, all: bool) -> Result<Vec<Branch>, ApiError> {
    let path = format!("repos/{}/{}/branches", encoded(&repository.organization), encoded(&repository.name));
    if all {
        return Ok(api.all(format!("{path}?limit=50"), whole, by_link).await?.iter().map(branch).collect());
    }
    let reply = api.get(&format!("{path}/{}", encoded_path(&repository.default_branch))).await?;
    Ok(vec![branch(&reply.json)])
}

pub async fn pull_requests(api: &Api, section: &Json) -> Result<Vec<PullRequest>, ApiError> {
    let (owner, repo) = (encoded(required(section, "owner")?), encoded(required(section, "repo")?));
    let found = api.all(format!("repos/{owner}/{repo}/pulls?state=open&limit=50"), whole, by_link).await?;
    Ok(found.iter().map(pull_request).collect())
}
