//! Bitbucket Server and Data Center.

use serde_json::Value as Json;

use super::api::{Api, ApiError, Reply, encoded, encoded_path, inside, text};
use super::{exists, required};
use crate::appset::scm::{Branch, PullRequest, Repository, RepositoryId};

/// The answer says where the next page begins, unless it is the last one.
fn by_start(path: &str, reply: &Reply) -> Option<String> {
    if reply.json["isLastPage"] != false {
        return None;
    }
    let start = reply.json["nextPageStart"].as_i64()?;
    let base = path.split("&start=").next().unwrap_or(path);
    Some(format!("{base}&start={start}"))
}

pub async fn repositories(api: &Api, section: &Json, protocol: &str) -> Result<Vec<Repository>, ApiError> {
    let project = required(section, "project")?;
    let link = if protocol == "ssh" { "ssh" } else { "http" };
    let found = api.all(format!("projects/{}/repos?limit=100", encoded(project)), inside, by_start).await?;
    let mut repositories = Vec::new();
    for one in &found {
        let (key, name) = (text(one, "/project/key"), text(one, "/slug"));
        let links = one["links"]["clone"].as_array().into_iter().flatten();
        let url = links.filter(|one| one["name"] == link).find_map(|one| one["href"].as_str()).unwrap_or_default();
        repositories.push(Repository {
            id: RepositoryId::Number(one["id"].as_i64().unwrap_or_default()),
            url: url.to_owned(),
            default_branch: default_branch(api, &key, &name).await?.map(|branch| branch.name).unwrap_or_default(),
            labels: Vec::new(),
            organization: key,
            name,
        });
    }
    Ok(repositories)
}

fn base(project: &str, name: &str) -> String {
    format!("projects/{}/repos/{}", encoded(project), encoded(name))
}

/// An empty repository has none.
async fn default_branch(api: &Api, project: &str, name: &str) -> Result<Option<Branch>, ApiError> {
    match api.get(&format!("{}/branches/default", base(project, name))).await {
        Ok(reply) if reply.json.is_null() => Ok(None),
        Ok(reply) => Ok(Some(branch(&reply.json))),
        Err(ApiError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn branch(one: &Json) -> Branch {
    Branch { name: text(one, "/displayId"), sha: text(one, "/latestCommit") }
}

pub async fn branches(api: &Api, repository: &Repository, all: bool) -> Result<Vec<Branch>, ApiError> {
    if !all {
        return Ok(default_branch(api, &repository.organization, &repository.name).await?.into_iter().collect());
    }
    let path = format!("{}/branches?limit=100", base(&repository.organization, &repository.name));
    Ok(api.all(path, inside, by_start).await?.iter().map(branch).collect())
}

pub async fn path_exists(api: &Api, repository: &Repository, branch: &Branch, path: &str) -> Result<bool, ApiError> {
    let base = base(&repository.organization, &repository.name);
    exists(api.get(&format!("{base}/browse/{}?limit=1&at={}", encoded_path(path), encoded(&branch.sha))).await)
}

pub async fn pull_requests(api: &Api, section: &Json) -> Result<Vec<PullRequest>, ApiError> {
    let base = base(required(section, "project")?, required(section, "repo")?);
    let found = api.all(format!("{base}/pull-requests?state=OPEN&limit=100"), inside, by_start).await?;
    Ok(found
        .iter()
        .map(|one| PullRequest {
            number: one["id"].as_i64().map(|number| number.to_string()).unwrap_or_default(),
            title: text(one, "/title"),
            branch: text(one, "/fromRef/displayId"),
            target_branch: text(one, "/toRef/displayId"),
            head_sha: text(one, "/fromRef/latestCommit"),
            labels: Vec::new(),
            author: text(one, "/author/user/name"),
        })
        .collect())
}
