//! Azure DevOps.

use serde_json::Value as Json;

use super::api::{Api, ApiError, Reply, encoded, inside, text};
use super::{exists, names, required};
use crate::appset::scm::{Branch, PullRequest, Repository, RepositoryId};

/// Pull requests in one page.
const PAGE: usize = 100;
/// Version of the API.
const VERSION: &str = "api-version=7.1";

/// Only what has a name, a default branch, a URL and an id.
pub async fn repositories(api: &Api, section: &Json) -> Result<Vec<Repository>, ApiError> {
    let organization = required(section, "organization")?;
    let project = required(section, "teamProject")?;
    if !section["accessTokenRef"].is_object() {
        return Err(ApiError::Failed("accessTokenRef is required".into()));
    }
    let reply = api.get(&format!("{}/{}/_apis/git/repositories?{VERSION}", encoded(organization), encoded(project))).await?;
    let found = inside(&reply.json).ok_or_else(|| ApiError::Failed("the list of repositories has no value".into()))?;
    let repositories = found.iter().map(|one| Repository {
        organization: organization.to_owned(),
        name: text(one, "/name"),
        id: RepositoryId::Text(text(one, "/id")),
        url: text(one, "/remoteUrl"),
        default_branch: short_ref(&text(one, "/defaultBranch")),
        labels: Vec::new(),
    });
    let complete = |one: &Repository| {
        let id = matches!(&one.id, RepositoryId::Text(id) if !id.is_empty());
        id && ![&one.name, &one.url, &one.default_branch].into_iter().any(String::is_empty)
    };
    Ok(repositories.filter(complete).collect())
}

fn short_ref(name: &str) -> String {
    name.strip_prefix("refs/heads/").unwrap_or(name).to_owned()
}

fn base(section: &Json, repository: &Repository) -> Result<String, ApiError> {
    let project = required(section, "teamProject")?;
    let RepositoryId::Text(id) = &repository.id else { return Err(ApiError::Failed("the repository has no id".into())) };
    Ok(format!("{}/{}/_apis/git/repositories/{}", encoded(&repository.organization), encoded(project), encoded(id)))
}

fn branch(one: &Json) -> Branch {
    Branch { name: text(one, "/name"), sha: text(one, "/commit/commitId") }
}

pub async fn branches(api: &Api, section: &Json, repository: &Repository, all: bool) -> Result<Vec<Branch>, ApiError> {
    let path = format!("{}/stats/branches?{VERSION}", base(section, repository)?);
    if !all {
        let reply = api.get(&format!("{path}&name={}", encoded(&repository.default_branch))).await;
        return match reply {
            Ok(reply) => Ok(vec![branch(&reply.json)]),
            Err(ApiError::NotFound(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
    }
    let reply = api.get(&path).await?;
    let found = inside(&reply.json).ok_or_else(|| ApiError::Failed("the list of branches has no value".into()))?;
    Ok(found.iter().map(branch).collect())
}

pub async fn path_exists(
    api: &Api,
    section: &Json,
    repository: &Repository,
    branch: &Branch,
    path: &str,
) -> Result<bool, ApiError> {
    let wanted = format!(
        "path={}&versionDescriptor.versionType=branch&versionDescriptor.version={}",
        encoded(path),
        encoded(&branch.name)
    );
    exists(api.get(&format!("{}/items?{VERSION}&{wanted}&$format=json", base(section, repository)?)).await)
}

/// Pages by number of what was read.
fn by_skip(path: &str, reply: &Reply) -> Option<String> {
    let full = inside(&reply.json).is_some_and(|page| page.len() == PAGE);
    let (base, skipped) = path.split_once("&$skip=").unwrap_or((path, "0"));
    full.then(|| format!("{base}&$skip={}", skipped.parse::<usize>().unwrap_or_default() + PAGE))
}

/// All pages; upstream reads the first one only.
pub async fn pull_requests(api: &Api, section: &Json) -> Result<Vec<PullRequest>, ApiError> {
    let part = |field: &str| required(section, field).map(encoded);
    let base = format!("{}/{}/_apis/git/repositories/{}", part("organization")?, part("project")?, part("repo")?);
    let first = format!("{base}/pullrequests?{VERSION}&searchCriteria.status=active&$top={PAGE}");
    let found = api.all(first, inside, by_skip).await?;
    Ok(found
        .iter()
        .map(|one| PullRequest {
            number: one["pullRequestId"].as_i64().map(|number| number.to_string()).unwrap_or_default(),
            title: text(one, "/title"),
            branch: short_ref(&text(one, "/sourceRefName")),
            target_branch: short_ref(&text(one, "/targetRefName")),
            head_sha: text(one, "/lastMergeSourceCommit/commitId"),
            labels: names(&one["labels"], "name"),
            author: text(one, "/createdBy/uniqueName").split('@').next().unwrap_or_default().to_owned(),
        })
        .collect())
}
