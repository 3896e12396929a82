//! Answers `scmProvider` and `pullRequest`: asks the providers of repositories.
//!
//! What was checked: the documented answers of each provider, replayed by a server of the tests; not the providers themselves.

mod api;
mod azure;
mod bitbucket;
mod bitbucket_server;
mod gitea;
mod github;
mod github_app;
mod gitlab;
mod login;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use self::api::{Api, ApiError};
use self::login::Credentials;
use super::Context;
use crate::api::ApplicationSet;
use crate::appset::scm::{Branch, PullRequest, Repository};
use crate::appset::{Answer, Request};

/// What one provider can be asked.
struct Provider {
    /// Key in `scmProvider`.
    scm: &'static str,
    /// Key in `pullRequest`; Azure's is written differently there.
    pull_request: &'static str,
    /// URL of the public service; empty where every installation has its own.
    public_api: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    GitHub,
    GitLab,
    Gitea,
    Bitbucket,
    BitbucketServer,
    Azure,
}

const fn provider(scm: &'static str, pull_request: &'static str, public_api: &'static str, kind: Kind) -> Provider {
    Provider { scm, pull_request, public_api, kind }
}

/// Every provider.
const PROVIDERS: &[Provider] = &[
    provider("github", "github", "https://api.github.com", Kind::GitHub),
    provider("gitlab", "gitlab", "https://gitlab.com", Kind::GitLab),
    provider("gitea", "gitea", "", Kind::Gitea),
    provider("bitbucket", "bitbucket", "https://api.bitbucket.org/2.0", Kind::Bitbucket),
    provider("bitbucketServer", "bitbucketServer", "", Kind::BitbucketServer),
    provider("azureDevOps", "azuredevops", "https://dev.azure.com", Kind::Azure),
];

/// Which providers may be asked.
#[derive(Debug, Clone)]
pub struct ScmOptions {
    /// Any at all.
    pub enabled: bool,
    /// URLs that `api` may have; empty permits every one.
    pub allowed: Vec<String>,
    /// Secrets with tokens need the label that says they are for this.
    pub strict_tokens: bool,
}

/// The providers that one pass asks: each Secret is read once, each login is made once.
#[derive(Default)]
pub struct Providers {
    opened: tokio::sync::Mutex<BTreeMap<String, Arc<Asked>>>,
}

impl Providers {
    /// Answers one question about repositories or pull requests.
    ///
    /// # Errors
    /// The section is incomplete, its Secret cannot be read, or the provider gives no complete answer.
    pub async fn answer(&self, request: &Request, set: &ApplicationSet, cx: &Context) -> Result<Answer, String> {
        let (text, pull_requests) = match request {
            Request::Repositories(text) | Request::Branches(text, _) | Request::PathExists(text, ..) => (text, false),
            Request::PullRequests(text) => (text, true),
            _ => return Err("the question is not about a provider".into()),
        };
        let section: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let asked = self.open(text, &section, pull_requests, set, cx).await?;
        match request {
            Request::PullRequests(_) => match asked.pull_requests().await {
                Ok(found) => Ok(Answer::PullRequests(found)),
                Err(ApiError::NotFound(_)) if section["continueOnRepoNotFoundError"] == true => {
                    Ok(Answer::PullRequests(Vec::new()))
                }
                Err(error) => Err(error.into()),
            },
            Request::Branches(_, repository) => Ok(Answer::Branches(asked.branches(repository).await?)),
            Request::PathExists(_, repository, branch, path) => {
                Ok(Answer::Exists(asked.path_exists(repository, branch, path).await?))
            }
            _ => Ok(Answer::Repositories(asked.repositories(clone_protocol(&section)?).await?)),
        }
    }

    async fn open(
        &self,
        text: &str,
        section: &Json,
        pull_requests: bool,
        set: &ApplicationSet,
        cx: &Context,
    ) -> Result<Arc<Asked>, String> {
        let mut opened = self.opened.lock().await;
        let key = format!("{pull_requests} {text}");
        if let Some(asked) = opened.get(&key) {
            return Ok(Arc::clone(asked));
        }
        let credentials = Credentials {
            client: &cx.client,
            namespace: set.namespace(),
            control_namespace: &cx.control_namespace,
            strict: cx.options.scm.strict_tokens,
        };
        let asked = Arc::new(open(section, pull_requests, &cx.options.scm, &credentials, &cx.http).await?);
        opened.insert(key, Arc::clone(&asked));
        Ok(asked)
    }
}

/// `ssh` is what is cloned with when nothing is said.
fn clone_protocol(section: &Json) -> Result<&str, String> {
    match section["cloneProtocol"].as_str().unwrap_or_default() {
        "" => Ok("ssh"),
        known @ ("ssh" | "https") => Ok(known),
        other => Err(format!("cloneProtocol: unknown protocol {other:?} (known: ssh, https)")),
    }
}

/// A provider that is ready to be asked.
struct Asked {
    kind: Kind,
    section: Json,
    api: Api,
}

async fn open(
    section: &Json,
    pull_requests: bool,
    options: &ScmOptions,
    credentials: &Credentials<'_>,
    http: &reqwest::Client,
) -> Result<Asked, String> {
    if !options.enabled {
        return Err("scm providers are disabled (hint: start the controller with --enable-scm-providers)".into());
    }
    if section.get("awsCodeCommit").is_some() {
        return Err("awsCodeCommit is not supported yet".into());
    }
    let key = |provider: &Provider| if pull_requests { provider.pull_request } else { provider.scm };
    let found = PROVIDERS.iter().find_map(|provider| Some((provider, section.get(key(provider)).filter(|own| own.is_object())?)));
    let Some((provider, own)) = found else {
        let known = PROVIDERS.iter().map(key).collect::<Vec<_>>().join(", ");
        return Err(format!("no provider is named (known: {known})"));
    };
    let custom = own["api"].as_str().unwrap_or_default();
    if !custom.is_empty() && !options.allowed.is_empty() && !options.allowed.iter().any(|one| one == custom) {
        return Err(format!("scm provider {custom} is not allowed (allowed: {})", options.allowed.join(", ")));
    }
    let base = if custom.is_empty() { provider.public_api } else { custom };
    if base.is_empty() {
        return Err(format!("{}.api is required", key(provider)));
    }
    let base = match provider.kind {
        Kind::GitLab => format!("{}/api/v4", base.trim_end_matches('/')),
        Kind::Gitea => format!("{}/api/v1", base.trim_end_matches('/')),
        Kind::BitbucketServer => format!("{}/rest/api/1.0", base.trim_end_matches('/').trim_end_matches("/rest")),
        _ => base.to_owned(),
    };
    let http = login::client(own, http, credentials).await?;
    let app = own["appSecretName"].as_str().filter(|name| !name.is_empty() && matches!(provider.kind, Kind::GitHub));
    let login = match app {
        Some(secret) => {
            let owner = own["organization"].as_str().or_else(|| own["owner"].as_str()).unwrap_or_default();
            github_app::log_in(&credentials.app(secret).await?, owner, &http, &base).await?
        }
        None => login::of(provider.kind, own, credentials).await?,
    };
    Ok(Asked { kind: provider.kind, section: own.clone(), api: Api::new(http, &base, login)? })
}

impl Asked {
    async fn repositories(&self, protocol: &str) -> Result<Vec<Repository>, ApiError> {
        match self.kind {
            Kind::GitHub => github::repositories(&self.api, &self.section, protocol).await,
            Kind::GitLab => gitlab::repositories(&self.api, &self.section, protocol).await,
            Kind::Gitea => gitea::repositories(&self.api, &self.section, protocol).await,
            Kind::Bitbucket => bitbucket::repositories(&self.api, &self.section, protocol).await,
            Kind::BitbucketServer => bitbucket_server::repositories(&self.api, &self.section, protocol).await,
            Kind::Azure => azure::repositories(&self.api, &self.section).await,
        }
    }

    async fn branches(&self, repository: &Repository) -> Result<Vec<Branch>, ApiError> {
        let all = self.section["allBranches"] == true;
        if !all && repository.default_branch.is_empty() {
            return Ok(Vec::new());
        }
        match self.kind {
            Kind::GitHub => github::branches(&self.api, repository, all).await,
            Kind::GitLab => gitlab::branches(&self.api, repository, all).await,
            Kind::Gitea => gitea::branches(&self.api, repository, all).await,
            Kind::Bitbucket => bitbucket::branches(&self.api, repository, all).await,
            Kind::BitbucketServer => bitbucket_server::branches(&self.api, repository, all).await,
            Kind::Azure => azure::branches(&self.api, &self.section, repository, all).await,
        }
    }

    async fn path_exists(&self, repository: &Repository, branch: &Branch, path: &str) -> Result<bool, ApiError> {
        match self.kind {
            Kind::GitHub => github::path_exists(&self.api, repository, branch, path).await,
            Kind::GitLab => gitlab::path_exists(&self.api, repository, branch, path).await,
            Kind::Gitea => gitea::path_exists(&self.api, repository, branch, path).await,
            Kind::Bitbucket => bitbucket::path_exists(&self.api, repository, branch, path).await,
            Kind::BitbucketServer => bitbucket_server::path_exists(&self.api, repository, branch, path).await,
            Kind::Azure => azure::path_exists(&self.api, &self.section, repository, branch, path).await,
        }
    }

    async fn pull_requests(&self) -> Result<Vec<PullRequest>, ApiError> {
        let found = match self.kind {
            Kind::GitHub => github::pull_requests(&self.api, &self.section).await,
            Kind::GitLab => gitlab::pull_requests(&self.api, &self.section).await,
            Kind::Gitea => gitea::pull_requests(&self.api, &self.section).await,
            Kind::Bitbucket => bitbucket::pull_requests(&self.api, &self.section).await,
            Kind::BitbucketServer => bitbucket_server::pull_requests(&self.api, &self.section).await,
            Kind::Azure => azure::pull_requests(&self.api, &self.section).await,
        }?;
        let wanted: Vec<&str> = self.section["labels"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        Ok(found.into_iter().filter(|request| wanted.iter().all(|label| request.labels.iter().any(|one| one == label))).collect())
    }
}

/// Whether asking for something found it.
fn exists(asked: Result<api::Reply, ApiError>) -> Result<bool, ApiError> {
    match asked {
        Ok(_) => Ok(true),
        Err(ApiError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The names in a list of objects.
fn names(list: &Json, field: &str) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|one| one[field].as_str()).map(str::to_owned).collect()
}

/// A required text of a provider's section.
fn required<'a>(section: &'a Json, field: &str) -> Result<&'a str, ApiError> {
    section[field].as_str().filter(|text| !text.is_empty()).ok_or_else(|| ApiError::Failed(format!("{field} is required")))
}
