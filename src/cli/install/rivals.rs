//! Controllers that look after the same objects: two of them at once would undo each other's work.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{Api, ListParams, ObjectMeta};
use serde::de::DeserializeOwned;

use crate::cli::Failure;
use crate::cli::version::CONTROLLER;
use crate::keys::inventory::SEALED_SECRETS_NAMESPACE;

use super::manifests::Profile;

/// A running controller that is not the one to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    /// What kind of controller.
    pub what: What,
    /// `deployment` or `statefulset`.
    pub kind: &'static str,
    /// Where it is.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The controllers that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Syncs Applications.
    ArgoCd,
    /// Makes Applications from ApplicationSets.
    ApplicationSets,
    /// Opens SealedSecrets.
    SealedSecrets,
    /// Our own, of another control namespace.
    Ours,
}

impl What {
    /// The name that people know it by.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::ArgoCd => "Argo CD's application controller",
            Self::ApplicationSets => "Argo CD's ApplicationSet controller",
            Self::SealedSecrets => "the controller of Sealed Secrets",
            Self::Ours => "another gitops-controller",
        }
    }
}

impl Rival {
    /// How to stop it, to be pasted.
    #[must_use]
    pub fn stop(&self) -> String {
        format!("kubectl -n {} scale {} {} --replicas=0", self.namespace, self.kind, self.name)
    }
}

/// The refusal to install beside them; `None` when there is nobody to fight.
#[must_use]
pub fn refusal(rivals: &[Rival], profile: Profile) -> Option<Failure> {
    let first = rivals.iter().find(|rival| matters(rival.what, profile))?;
    let what = format!("{} runs already: {} {}/{}", first.what.title(), first.kind, first.namespace, first.name);
    let stops: Vec<String> = rivals.iter().filter(|rival| matters(rival.what, profile)).map(Rival::stop).collect();
    let hint = match first.what {
        What::Ours => format!("upgrade that one: --controller-namespace {}; or stop it: {}", first.namespace, first.stop()),
        _ => format!(
            "only one may run; to move, stop it and install again: {} (docs/guides/moving-from-argo-cd.md says what carries over)",
            stops.join(" && ")
        ),
    };
    Some(Failure::new(what).with_hint(hint))
}

/// Without the right to deploy anything our controller leaves Applications to others.
fn matters(what: What, profile: Profile) -> bool {
    profile == Profile::Full || matches!(what, What::SealedSecrets | What::Ours)
}

/// Looks for them everywhere, or where that is not allowed in the namespaces in which they usually are.
pub async fn find(client: &kube::Client, control_namespace: &str) -> Vec<Rival> {
    let mut rivals = Vec::new();
    for one in everywhere_or::<Deployment>(client, control_namespace).await {
        rivals.extend(recognise("deployment", &one.metadata, &one.spec.selector, one.spec.replicas, control_namespace));
    }
    for one in everywhere_or::<StatefulSet>(client, control_namespace).await {
        rivals.extend(recognise("statefulset", &one.metadata, &one.spec.selector, one.spec.replicas, control_namespace));
    }
    rivals.sort_by_key(|rival| rival.what);
    rivals
}

async fn everywhere_or<K>(client: &kube::Client, control_namespace: &str) -> Vec<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    if let Ok(found) = Api::<K>::all(client.clone()).list(&ListParams::default()).await {
        return found.items;
    }
    let mut items = Vec::new();
    for namespace in [control_namespace, SEALED_SECRETS_NAMESPACE] {
        items.extend(Api::<K>::namespaced(client.clone(), namespace).list(&ListParams::default()).await.into_iter().flatten());
    }
    items
}

/// By the label or name that the original manifests and charts give. One that is scaled to zero is no rival.
fn recognise(
    kind: &'static str,
    metadata: &ObjectMeta,
    selector: &LabelSelector,
    replicas: Option<i32>,
    control_namespace: &str,
) -> Option<Rival> {
    if replicas == Some(0) {
        return None;
    }
    let name = metadata.name.clone().unwrap_or_default();
    let namespace = metadata.namespace.clone().unwrap_or_default();
    let labels = metadata.labels.iter().chain(selector.match_labels.as_ref()).flatten();
    let words: Vec<&str> = labels
        .filter(|(key, _)| matches!(key.as_str(), "app.kubernetes.io/name" | "name"))
        .map(|(_, value)| value.as_str())
        .chain([name.as_str()])
        .collect();
    let has = |known: &[&str]| words.iter().any(|word| known.contains(word));
    let what = if has(&[CONTROLLER]) {
        (namespace != control_namespace).then_some(What::Ours)?
    } else if has(&["argocd-application-controller"]) {
        What::ArgoCd
    } else if has(&["argocd-applicationset-controller"]) {
        What::ApplicationSets
    } else if has(&["sealed-secrets-controller", "sealed-secrets"]) {
        What::SealedSecrets
    } else {
        return None;
    };
    Some(Rival { what, kind, namespace, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(namespace: &str, name: &str, label: &str, replicas: Option<i32>) -> Option<What> {
        let metadata = ObjectMeta {
            name: Some(name.into()),
            namespace: Some(namespace.into()),
            labels: Some([("app.kubernetes.io/name".to_owned(), label.to_owned())].into()),
            ..ObjectMeta::default()
        };
        recognise("deployment", &metadata, &LabelSelector::default(), replicas, "argocd").map(|rival| rival.what)
    }

    #[test]
    fn the_originals_are_recognised_by_label_and_by_name() {
        assert_eq!(seen("argocd", "x", "argocd-application-controller", Some(1)), Some(What::ArgoCd));
        assert_eq!(seen("secrets", "my-release", "sealed-secrets", None), Some(What::SealedSecrets));
        assert_eq!(seen("kube-system", "sealed-secrets-controller", "", Some(1)), Some(What::SealedSecrets));
        assert_eq!(seen("argocd", "argocd-server", "argocd-server", Some(1)), None);
    }

    #[test]
    fn what_is_scaled_to_zero_is_no_rival_and_neither_is_the_one_to_be_upgraded() {
        assert_eq!(seen("argocd", "x", "argocd-application-controller", Some(0)), None);
        assert_eq!(seen("argocd", CONTROLLER, CONTROLLER, Some(1)), None);
        assert_eq!(seen("other", CONTROLLER, CONTROLLER, Some(1)), Some(What::Ours));
    }

    #[test]
    fn sealing_alone_leaves_argo_cd_in_peace() {
        let rival = |what| Rival { what, kind: "statefulset", namespace: "argocd".into(), name: "c".into() };
        assert!(refusal(&[rival(What::ArgoCd)], Profile::SealOnly).is_none());
        assert!(refusal(&[rival(What::ArgoCd)], Profile::Full).is_some_and(|failure| {
            failure.hint.is_some_and(|hint| hint.contains("kubectl -n argocd scale statefulset c --replicas=0"))
        }));
        assert!(refusal(&[rival(What::SealedSecrets)], Profile::SealOnly).is_some());
    }
}
