//! Bitbucket Cloud.

use serde_json::Value as Json;

use super::api::{Api, ApiError, Reply, encoded, encoded_path, inside, text};
use super::{exists, required};
use crate::appset::scm::{Branch, PullRequest, Repository, RepositoryId};

/// The URL of the next page is in the answer.
fn by_next(_: &str, reply: &Reply) -> Option<String> {
    reply.json["next"].as_str().map(str::to_owned)
}

pub async fn repositories(api: &Api, section: &Json, protocol: &str) -> Result<Vec<Repository>, ApiError> {
    let owner = required(section, "owner")?;
    let found = api.all(format!("repositories/{}?role=member&pagelen=100", encoded(owner)), inside, by_next).await?;
    let mut repositories = Vec::new();
    for one in &found {
        let links = one["links"]["clone"].as_array().into_iter().flatten();
        let url = links.filter(|link| link["name"] == protocol).find_map(|link| link["href"].as_str()).unwrap_or_default();
        repositories.push(Repository {
            organization: owner.to_owned(),
            name: text(one, "/slug"),
            id: RepositoryId::Text(text(one, "/uuid")),
            url: url.to_owned(),
            default_branch: text(one, "/mainbranch/name"),
            labels: Vec::new(),
        });
    }
    Ok(repositories)
}

fn base(repository: &Repository) -> String {
    format!("repositories/{}/{}", encoded(&repository.organization), encoded(&repository.name))
}

fn branch(one: &Json) -> Branch {
    Branch { name: text(one, "/name"), sha: text(one, "/target/hash") }
}

pub async fn branches(api: &Api, repository: &Repository, all: bool) -> Result<Vec<Branch>, ApiError> {
    let path = format!("{}/refs/branches", base(repository));
    if all {
        return Ok(api.all(format!("{path}?pagelen=100"), inside, by_next).await?.iter().map(branch).collect());
    }
    let reply = api.get(&format!("{path}/{}", encoded_path(&repository.default_branch))).await?;
    Ok(vec![branch(&reply.json)])
}

/// A branch with a slash in its name cannot be written in this URL; its commit can.
pub async fn path_exists(api: &Api, repository: &Repository, branch: &Branch, path: &str) -> Result<bool, ApiError> {
    let url = format!("{}/src/{}/{}?format=meta", base(repository), encoded(&branch.sha), encoded_path(path));
    exists(api.get(&url).await)
}

pub async fn pull_requests(api: &Api, section: &Json) -> Result<Vec<PullRequest>, ApiError> {
    let (owner, repo) = (encoded(required(section, "owner")?), encoded(required(section, "repo")?));
    let found = api.all(format!("repositories/{owner}/{repo}/pullrequests?state=OPEN&pagelen=50"), inside, by_next).await?;
    Ok(found
        .iter()
        .map(|one| PullRequest {
            number: one["id"].as_i64().map(|number| number.to_string()).unwrap_or_default(),
            title: text(one, "/title"),
            branch: text(one, "/source/branch/name"),
            target_branch: text(one, "/destination/branch/name"),
            head_sha: text(one, "/source/commit/hash"),
            labels: Vec::new(),
            author: text(one, "/author/nickname"),
        })
        .collect())
}
