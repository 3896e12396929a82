//! GitHub, and GitHub Enterprise with `api`.

use serde_json::Value as Json;

use super::api::{Api, ApiError, Reply, by_link, encoded, encoded_path, text, whole};
use super::{exists, names, required};
use crate::appset::scm::{Branch, PullRequest, Repository, RepositoryId};

pub async fn repositories(api: &Api, section: &Json, protocol: &str) -> Result<Vec<Repository>, ApiError> {
    let organization = required(section, "organization")?;
    let found = api.all(format!("orgs/{}/repos?per_page=100", encoded(organization)), whole, by_link).await?;
    let kept = found.iter().filter(|one| section["excludeArchivedRepos"] != true || one["archived"] != true);
    Ok(kept
        .map(|one| Repository {
            organization: text(one, "/owner/login"),
            name: text(one, "/name"),
            id: RepositoryId::Number(one["id"].as_i64().unwrap_or_default()),
            url: text(one, if protocol == "ssh" { "/ssh_url" } else { "/clone_url" }),
            default_branch: text(one, "/default_branch"),
            labels: one["topics"].as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect(),
        })
        .collect())
}

/// An empty repository has no default branch although it names one: it is left out.
pub async fn branches(api: &Api, repository: &Repository, all: bool) -> Result<Vec<Branch>, ApiError> {
    let path = format!("repos/{}/{}/branches", encoded(&repository.organization), encoded(&repository.name));
    if all {
        return Ok(api.all(format!("{path}?per_page=100"), whole, by_link).await?.iter().map(branch).collect());
    }
    one_or_none(api.get(&format!("{path}/{}", encoded(&repository.default_branch))).await)
}

/// One branch; none when the provider does not know it.
pub fn one_or_none(asked: Result<Reply, ApiError>) -> Result<Vec<Branch>, ApiError> {
    match asked {
        Ok(reply) => Ok(vec![branch(&reply.json)]),
        Err(ApiError::NotFound(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// GitHub names the commit `sha`, GitLab and Gitea `id`.
pub fn branch(json: &Json) -> Branch {
    let sha = Some(text(json, "/commit/sha")).filter(|sha| !sha.is_empty()).unwrap_or_else(|| text(json, "/commit/id"));
    Branch { name: text(json, "/name"), sha }
}

pub async fn path_exists(api: &Api, repository: &Repository, branch: &Branch, path: &str) -> Result<bool, ApiError> {
    let (owner, name) = (encoded(&repository.organization), encoded(&repository.name));
    let url = format!("repos/{owner}/{name}/contents/{}?ref={}", encoded_path(path), encoded(&branch.name));
    exists(api.get(&url).await)
}

pub async fn pull_requests(api: &Api, section: &Json) -> Result<Vec<PullRequest>, ApiError> {
    let (owner, repo) = (encoded(required(section, "owner")?), encoded(required(section, "repo")?));
    let found = api.all(format!("repos/{owner}/{repo}/pulls?state=open&per_page=100"), whole, by_link).await?;
    Ok(found.iter().map(pull_request).collect())
}

/// Gitea's are in the same form.
pub fn pull_request(one: &Json) -> PullRequest {
    PullRequest {
        number: one["number"].as_i64().map(|number| number.to_string()).unwrap_or_default(),
        title: text(one, "/title"),
        branch: text(one, "/head/ref"),
        target_branch: text(one, "/base/ref"),
        head_sha: text(one, "/head/sha"),
        labels: names(&one["labels"], "name"),
        author: text(one, "/user/login"),
    }
}
