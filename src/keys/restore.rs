//! What restoring a backup would do to a cluster. Nothing that is there is changed.

use std::collections::BTreeMap;

use super::custody::Standing;
use super::secret::{ACTIVE_LABEL, BrokenKey, KeySecret};
use crate::sealing::KeyId;

/// What happens to one Secret of the backup.
#[derive(Debug)]
pub struct Step {
    /// Name of the Secret in the backup.
    pub name: String,
    /// Fingerprint of its certificate, when it can be read.
    pub fingerprint: Option<String>,
    /// What happens.
    pub action: Action,
}

/// What happens to one Secret of the backup.
#[derive(Debug)]
pub enum Action {
    /// It is missing and is added.
    Add {
        /// As it is created.
        secret: Box<KeySecret>,
        /// Its name is taken by another Secret, so the API server makes a name that begins like it.
        renamed: bool,
    },
    /// The key is there already.
    Present {
        /// `namespace/name` of the Secret that holds it; without a namespace it is another one of the backup.
        at: String,
        /// Whether it counts there.
        standing: Standing,
    },
    /// It is no key that could open anything.
    Broken(BrokenKey),
}

/// Plans the restoration into `namespace`, given every key Secret of the cluster. A key counts as present under any name.
#[must_use]
pub fn plan(backup: &[KeySecret], present: &[KeySecret], namespace: &str) -> Vec<Step> {
    let mut known: BTreeMap<KeyId, (String, Standing)> = BTreeMap::new();
    for secret in present {
        if let Ok(key) = secret.read().key {
            let at = format!("{}/{}", secret.metadata.namespace.as_deref().unwrap_or_default(), secret.name());
            let standing = Standing::of(&secret.metadata);
            // One that counts says more than one that was set aside.
            match known.get(key.id()) {
                Some((_, Standing::Counts)) => {}
                _ => drop(known.insert(key.id().clone(), (at, standing))),
            }
        }
    }
    let mut names: Vec<&str> =
        present.iter().filter(|secret| secret.metadata.namespace.as_deref() == Some(namespace)).map(KeySecret::name).collect();
    let mut steps = Vec::new();
    for secret in backup {
        let stored = secret.read();
        let fingerprint = stored.key.as_ref().ok().map(|key| key.certificate().fingerprint.clone());
        let action = match stored.key {
            Err(problem) => Action::Broken(problem),
            Ok(key) => match known.get(key.id()) {
                Some((at, standing)) => Action::Present { at: at.clone(), standing: standing.clone() },
                None => {
                    let renamed = names.contains(&secret.name());
                    let new = for_cluster(secret, namespace, renamed);
                    names.push(secret.name());
                    known.insert(key.id().clone(), (secret.name().to_owned(), Standing::of(&new.metadata)));
                    Action::Add { secret: Box::new(new), renamed }
                }
            },
        };
        steps.push(Step { name: stored.name, fingerprint, action });
    }
    steps
}

/// The Secret as it is created: a label that sets it aside stays, and without one it is made to count.
fn for_cluster(secret: &KeySecret, namespace: &str, renamed: bool) -> KeySecret {
    let mut new = secret.for_backup();
    new.metadata.namespace = Some(namespace.to_owned());
    new.metadata.labels.get_or_insert_default().entry(ACTIVE_LABEL.into()).or_insert_with(|| "active".into());
    if renamed || secret.name().is_empty() {
        let prefix = if secret.name().is_empty() { super::LEGACY_NAME } else { secret.name() };
        new.metadata.generate_name = Some(format!("{prefix}-"));
        new.metadata.name = None;
    }
    new
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use serde_json::json;

    use super::*;
    use crate::sealing::encode_base64;
    use crate::sealing::fixtures::text;

    fn secret(namespace: &str, name: &str, key: &str, certificate: &str, label: Option<&str>) -> KeySecret {
        let pem = |file: String| encode_base64(text(&file).as_bytes());
        let labels = label.map(|value| json!({ ACTIVE_LABEL: value }));
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"namespace": namespace, "name": name, "labels": labels},
            "data": {
                "tls.key": pem(format!("keys/test-only-{key}.key")), "tls.crt": pem(format!("keys/test-only-{certificate}.crt")),
            },
        }))
        .unwrap()
    }

    fn key(name: &str, key: &str) -> KeySecret {
        secret("kube-system", name, key, key, Some("active"))
    }

    fn added(step: &Step) -> (&KeySecret, bool) {
        match &step.action {
            Action::Add { secret, renamed } => (secret, *renamed),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_missing_key_is_added_to_the_given_namespace_and_counts() {
        let backup =
            [key("a", "old"), secret("x", "b", "new", "new", None), secret("x", "c", "small", "small", Some("compromised"))];
        let steps = plan(&backup, &[], "argocd");
        let labels: Vec<_> =
            steps.iter().map(|step| added(step).0.metadata.labels.as_ref().unwrap()[ACTIVE_LABEL].as_str()).collect();
        assert_eq!(labels, ["active", "active", "compromised"]);
        assert!(steps.iter().all(|step| added(step).0.metadata.namespace.as_deref() == Some("argocd") && !added(step).1));
    }

    #[test]
    fn a_key_that_is_there_under_any_name_and_label_is_left_alone() {
        let present = [key("other", "old"), secret("argocd", "out", "new", "new", Some("retired"))];
        let steps = plan(&[key("a", "old"), key("b", "new")], &present, "argocd");
        let seen: Vec<_> = steps
            .iter()
            .map(|step| match &step.action {
                Action::Present { at, standing } => (at.as_str(), standing.clone()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(seen, [("kube-system/other", Standing::Counts), ("argocd/out", Standing::SetAside("retired".into()))]);
    }

    #[test]
    fn a_name_that_another_key_has_is_not_overwritten() {
        let present = [secret("argocd", "a", "old", "old", Some("active"))];
        let steps = plan(&[key("a", "new"), key("a", "small")], &present, "argocd");
        for step in &steps {
            let (secret, renamed) = added(step);
            assert_eq!(
                (secret.metadata.name.as_deref(), secret.metadata.generate_name.as_deref(), renamed),
                (None, Some("a-"), true)
            );
        }
    }

    #[test]
    fn a_key_given_twice_is_added_once_and_a_mismatch_never() {
        let steps = plan(&[key("a", "old"), key("b", "old"), secret("x", "c", "new", "old", None)], &[], "argocd");
        assert!(matches!(&steps[1].action, Action::Present { at, .. } if at == "a"), "{:?}", steps[1]);
        assert!(matches!(&steps[2].action, Action::Broken(BrokenKey::Mismatch)), "{:?}", steps[2]);
        assert!(!format!("{steps:?}").contains("PRIVATE"));
    }
}
