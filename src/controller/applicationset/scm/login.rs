//! Tokens out of Secrets, certificates out of ConfigMaps: those of the ApplicationSet's own namespace.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::Kind;
use super::api::Login;
use super::github_app::GitHubApp;
use crate::controller::applicationset::http::{client_with, secret_value};

/// Label of Secrets that may be read in strict mode.
const LABEL: (&str, &str) = ("argocd.argoproj.io/secret-type", "scm-creds");

/// Where Secrets are read.
pub struct Credentials<'a> {
    pub client: &'a Client,
    /// Namespace of the ApplicationSet.
    pub namespace: &'a str,
    pub control_namespace: &'a str,
    pub strict: bool,
}

impl Credentials<'_> {
    /// The value that a reference `{secretName, key}` names.
    async fn value(&self, reference: &Json) -> Result<Zeroizing<String>, String> {
        let (name, key) = (reference["secretName"].as_str().unwrap_or_default(), reference["key"].as_str().unwrap_or_default());
        if self.strict {
            let api: kube::Api<Secret> = kube::Api::namespaced(self.client.clone(), self.namespace);
            let meta =
                api.get_metadata(name).await.map_err(|error| format!("cannot read Secret {}/{name}: {error}", self.namespace))?;
            if meta.metadata.labels.unwrap_or_default().get(LABEL.0).map(String::as_str) != Some(LABEL.1) {
                return Err(format!("Secret {}/{name} lacks the label {}={}", self.namespace, LABEL.0, LABEL.1));
            }
        }
        secret_value(self.client, self.namespace, name, key).await
    }

    /// A GitHub App out of a Secret with its credentials; those are in the control namespace.
    pub async fn app(&self, secret: &str) -> Result<GitHubApp, String> {
        let value = |key: &'static str| secret_value(self.client, self.control_namespace, secret, key);
        let installation = value("githubAppInstallationID").await.map(|id| id.to_string()).unwrap_or_default();
        Ok(GitHubApp {
            id: value("githubAppID").await?.to_string(),
            installation,
            private_key: value("githubAppPrivateKey").await?,
        })
    }

    /// The token of a field, else that of the environment.
    async fn token(&self, section: &Json, field: &str, variable: Option<&str>) -> Result<Option<Zeroizing<String>>, String> {
        if section[field].is_object() {
            return self.value(&section[field]).await.map(Some);
        }
        Ok(variable.and_then(|name| std::env::var(name).ok()).filter(|token| !token.is_empty()).map(Zeroizing::new))
    }
}

/// How the provider of a section wants its requests to log in.
pub async fn of(kind: Kind, section: &Json, credentials: &Credentials<'_>) -> Result<Login, String> {
    let token =
        |word: &'static str, token: Option<Zeroizing<String>>| token.map_or(Login::None, |token| Login::Token(word, token));
    match kind {
        Kind::GitHub => Ok(token("Bearer", credentials.token(section, "tokenRef", Some("GITHUB_TOKEN")).await?)),
        Kind::Gitea => Ok(token("token", credentials.token(section, "tokenRef", Some("GITEA_TOKEN")).await?)),
        Kind::GitLab => {
            let found = credentials.token(section, "tokenRef", Some("GITLAB_TOKEN")).await?;
            Ok(found.map_or(Login::None, |token| Login::Header("private-token", token)))
        }
        Kind::Azure => {
            let field = if section["accessTokenRef"].is_object() { "accessTokenRef" } else { "tokenRef" };
            let found = credentials.token(section, field, None).await?;
            Ok(found.map_or(Login::None, |token| Login::Basic(String::new(), token)))
        }
        Kind::Bitbucket | Kind::BitbucketServer => bitbucket(section, credentials).await,
    }
}

async fn bitbucket(section: &Json, credentials: &Credentials<'_>) -> Result<Login, String> {
    if section["appPasswordRef"].is_object() {
        let user = section["user"].as_str().unwrap_or_default().to_owned();
        return Ok(Login::Basic(user, credentials.value(&section["appPasswordRef"]).await?));
    }
    if section["basicAuth"].is_object() {
        let basic = &section["basicAuth"];
        let user = basic["username"].as_str().unwrap_or_default().to_owned();
        return Ok(Login::Basic(user, credentials.value(&basic["passwordRef"]).await?));
    }
    if section["bearerToken"].is_object() {
        return Ok(Login::Token("Bearer", credentials.value(&section["bearerToken"]["tokenRef"]).await?));
    }
    Ok(Login::None)
}

/// The client of a section: the common one, unless it brings certificates of its own or wants none checked.
pub async fn client(section: &Json, common: &reqwest::Client, credentials: &Credentials<'_>) -> Result<reqwest::Client, String> {
    let insecure = section["insecure"] == true;
    let reference = &section["caRef"];
    if !insecure && !reference.is_object() {
        return Ok(common.clone());
    }
    let mut certificates = None;
    if reference.is_object() {
        let name = reference["configMapName"].as_str().unwrap_or_default();
        let maps: kube::Api<ConfigMap> = kube::Api::namespaced(credentials.client.clone(), credentials.namespace);
        let map =
            maps.get(name).await.map_err(|error| format!("cannot read ConfigMap {}/{name}: {error}", credentials.namespace))?;
        let key = reference["key"].as_str().unwrap_or_default();
        let pem = map.data.unwrap_or_default().remove(key).ok_or_else(|| format!("ConfigMap {name} has no key {key}"))?;
        certificates = Some(pem);
    }
    client_with(insecure, certificates.as_deref()).map_err(|error| format!("caRef: {error}"))
}
