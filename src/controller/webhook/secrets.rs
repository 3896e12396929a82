//! Secrets that senders of deliveries know, from `argocd-secret`, watched so that a change takes effect at once.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};

use crate::source::credentials::SecretText;

/// Name of the Secret.
pub const SECRET_NAME: &str = "argocd-secret";
/// Label that a Secret must have for others to refer to it.
const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "argocd");

/// Secrets by host; an empty one means no check, except for the generic delivery.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// GitHub and its registry.
    pub github: SecretText,
    /// GitLab.
    pub gitlab: SecretText,
    /// Bitbucket Cloud.
    pub bitbucket_uuid: SecretText,
    /// Bitbucket Server.
    pub bitbucket_server: SecretText,
    /// Gogs, Gitea and Forgejo.
    pub gogs: SecretText,
    /// Azure DevOps.
    pub azure_username: SecretText,
    /// Azure DevOps.
    pub azure_password: SecretText,
    /// The generic delivery.
    pub generic: SecretText,
}

impl Secrets {
    /// Reads the data of `argocd-secret`; `look_up` answers what `$secret:key` refers to.
    fn read(data: &BTreeMap<String, String>, look_up: impl Fn(&str) -> Option<String>) -> Self {
        let get = |key: &str| {
            let written = data.get(key).map(|text| text.trim()).unwrap_or_default();
            // What is referred to and not there must not open the door: nothing equals the reference itself.
            SecretText::new(look_up(written).unwrap_or_else(|| written.to_owned()))
        };
        Self {
            github: get("webhook.github.secret"),
            gitlab: get("webhook.gitlab.secret"),
            bitbucket_uuid: get("webhook.bitbucket.uuid"),
            bitbucket_server: get("webhook.bitbucketserver.secret"),
            gogs: get("webhook.gogs.secret"),
            azure_username: get("webhook.azuredevops.username"),
            azure_password: get("webhook.azuredevops.password"),
            generic: get("webhook.gitops.secret"),
        }
    }
}

/// Keeps the secrets as `argocd-secret` says, for ever.
pub async fn keep(client: Client, namespace: String, kept: Arc<RwLock<Secrets>>) {
    let api: Api<Secret> = Api::namespaced(client, &namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={SECRET_NAME}"));
    let mut events = std::pin::pin!(watcher(api.clone(), config).default_backoff());
    while let Some(event) = events.next().await {
        let data = match event {
            Ok(watcher::Event::Apply(secret) | watcher::Event::InitApply(secret)) => texts(&secret),
            Ok(watcher::Event::Delete(_)) => BTreeMap::new(),
            Ok(watcher::Event::Init | watcher::Event::InitDone) => continue,
            Err(error) => {
                tracing::warn!(%error, "watching Secret argocd-secret failed, trying again");
                continue;
            }
        };
        let referred = referred(&api, &data).await;
        let secrets = Secrets::read(&data, |written| referred.get(written).cloned());
        *kept.write().unwrap_or_else(std::sync::PoisonError::into_inner) = secrets;
    }
}

fn texts(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.filter_map(|(key, value)| Some((key.clone(), String::from_utf8(value.0.clone()).ok()?))).collect()
}

/// What the values of the form `$secret:key` refer to. Only Secrets that say they are part of Argo CD are looked into.
async fn referred(api: &Api<Secret>, data: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (setting, written) in data.iter().filter(|(setting, _)| setting.starts_with("webhook.")) {
        let written = written.trim();
        let Some((name, key)) = written.strip_prefix('$').and_then(|rest| rest.split_once(':')) else { continue };
        let secret = api.get_opt(name).await.ok().flatten().filter(|secret| {
            secret.metadata.labels.as_ref().and_then(|labels| labels.get(PART_OF.0)).is_some_and(|value| value == PART_OF.1)
        });
        match secret.and_then(|secret| texts(&secret).remove(key)) {
            Some(text) => drop(found.insert(written.to_owned(), text)),
            None => tracing::warn!(setting, secret = name, key, "a webhook secret refers to what is not there"),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_followed_and_missing_ones_match_nothing() {
        let data = |value: &str| BTreeMap::from([("webhook.github.secret".to_owned(), value.to_owned())]);
        let look_up = |written: &str| (written == "$other:key").then(|| "found".to_owned());
        let read = |value: &str| Secrets::read(&data(value), look_up).github.reveal().to_owned();
        assert_eq!(read("plain\n"), "plain");
        assert_eq!(read("$other:key"), "found");
        assert_eq!(read("$missing:key"), "$missing:key", "not empty, which would mean no check");
        assert!(Secrets::read(&BTreeMap::new(), look_up).github.is_empty());
    }
}
