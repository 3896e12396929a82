//! GitLab, the public one or an own one with `api`.

use serde_json::Value as Json;

use super::api::{Api, ApiError, Reply, encoded, text, whole};
use super::github::{branch, one_or_none};
use super::required;
use crate::appset::scm::{Branch, PullRequest, Repository, RepositoryId};

/// GitLab names the number of the next page in a header.
fn by_page(path: &str, reply: &Reply) -> Option<String> {
    let page = reply.next_page.as_ref()?;
    let base = path.split("&page=").next().unwrap_or(path);
    Some(format!("{base}&page={page}"))
}

pub async fn repositories(api: &Api, section: &Json, protocol: &str) -> Result<Vec<Repository>, ApiError> {
    let group = encoded(required(section, "group")?);
    let flag = |field: &str, default: bool| section[field].as_bool().unwrap_or(default);
    let mut path = format!(
        "groups/{group}/projects?per_page=100&include_subgroups={}&with_shared={}",
        flag("includeSubgroups", false),
        flag("includeSharedProjects", true)
    );
    if let Some(topic) = section["topic"].as_str().filter(|topic| !topic.is_empty()) {
        path.push_str(&format!("&topic={}", encoded(topic)));
    }
    if flag("includeArchivedRepos", false) {
        path.push_str("&archived=true");
    }
    let found = api.all(path, whole, by_page).await?;
    Ok(found
        .iter()
        .map(|one| Repository {
            organization: text(one, "/namespace/full_path"),
            name: text(one, "/path"),
            id: RepositoryId::Number(one["id"].as_i64().unwrap_or_default()),
            url: text(one, if protocol == "ssh" { "/ssh_url_to_repo" } else { "/http_url_to_repo" }),
            default_branch: text(one, "/default_branch"),
            labels: one["topics"].as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect(),
        })
        .collect())
}

fn project(repository: &Repository) -> String {
    match &repository.id {
        RepositoryId::Number(id) => format!("projects/{id}"),
        RepositoryId::Text(id) => format!("projects/{}", encoded(id)),
    }
}

pub async fn branches(api: &Api, repository: &Repository, all: bool) -> Result<Vec<Branch>, ApiError> {
    let path = format!("{}/repository/branches", project(repository));
    if all {
        return Ok(api.all(format!("{path}?per_page=100"), whole, by_page).await?.iter().map(branch).collect());
    }
    one_or_none(api.get(&format!("{path}/{}", encoded(&repository.default_branch))).await)
}

/// Files and folders are looked for in the list of the folder that they are in.
pub async fn path_exists(api: &Api, repository: &Repository, branch: &Branch, path: &str) -> Result<bool, ApiError> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let query = format!("per_page=100&path={}&ref={}", encoded(folder), encoded(&branch.name));
    match api.all(format!("{}/repository/tree?{query}", project(repository)), whole, by_page).await {
        Ok(found) => Ok(found.iter().any(|one| one["name"] == name)),
        Err(ApiError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// All states unless one is named, as upstream.
pub async fn pull_requests(api: &Api, section: &Json) -> Result<Vec<PullRequest>, ApiError> {
    let mut path = format!("projects/{}/merge_requests?per_page=100", encoded(required(section, "project")?));
    if let Some(state) = section["pullRequestState"].as_str().filter(|state| !state.is_empty()) {
        path.push_str(&format!("&state={}", encoded(state)));
    }
    let labels: Vec<String> = section["labels"].as_array().into_iter().flatten().filter_map(Json::as_str).map(encoded).collect();
    if !labels.is_empty() {
        path.push_str(&format!("&labels={}", labels.join(",")));
    }
    let found = api.all(path, whole, by_page).await?;
    Ok(found
        .iter()
        .map(|one| PullRequest {
            number: one["iid"].as_i64().map(|number| number.to_string()).unwrap_or_default(),
            title: text(one, "/title"),
            branch: text(one, "/source_branch"),
            target_branch: text(one, "/target_branch"),
            head_sha: text(one, "/sha"),
            labels: one["labels"].as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect(),
            author: text(one, "/author/username"),
        })
        .collect())
}
