//! From one sealing key to another: the same object, the same values, new ciphertext.
//!
//! Lossless: name, namespace, scope, labels, annotations, template (with `template.data`, which is neither rendered nor read) and
//! unknown fields stay; only items change. Upstream's own rotate renders the template and seals the result, which loses all that.
//!
//! The place comes from the object's own metadata, for opening and for sealing alike: what the template says about scope is
//! never looked at, so nobody widens a scope by having an object resealed (CVE-2026-22728).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::envelope::{SealError, SessionKey, seal};
use super::unseal::open_whole_object;
use super::{Certificate, Keyring, Plaintext, SKIP_OWNER_REFERENCES, Target, Trial, UnsealError, base64, skips_owner_reference};
use crate::advice::{Advice, Remedy};
use crate::api::SealedSecret;
use crate::api::sealedsecret::SecretTemplate;

/// Which items get new ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Items {
    /// All, as `kubeseal --re-encrypt` does.
    All,
    /// Those that are not under the target key yet; the others keep every byte.
    Stale,
}

/// A SealedSecret under another key.
#[derive(Debug, Clone)]
pub struct Resealed {
    /// The object, equal to the given one except for the items named in `changed`.
    pub sealed: SealedSecret,
    /// Items with new ciphertext.
    pub changed: BTreeSet<String>,
}

/// Why a SealedSecret cannot be resealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResealError {
    /// Items that no key opens in this place; which of the possible reasons it is, [`super::unseal`] finds out.
    #[error("no key could decrypt secret ({})", keys.join(", "))]
    Undecryptable {
        /// Their names, in order.
        keys: Vec<String>,
    },
    /// The legacy format does not open.
    #[error(transparent)]
    Legacy(#[from] UnsealError),
    /// The target key refused.
    #[error(transparent)]
    Refused(#[from] SealError),
}

impl Advice for ResealError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Undecryptable { .. } => Remedy::FixInput,
            Self::Legacy(error) => error.remedy(),
            Self::Refused(error) => error.remedy(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Undecryptable { .. } => {
                Some("check that its name, namespace and scope are those it was sealed for, and that its key is there".to_owned())
            }
            Self::Legacy(error) => error.hint(),
            Self::Refused(error) => error.hint(),
        }
    }
}

/// Reseals an object where it is: namespace, name and scope come from its own metadata.
///
/// With [`Items::Stale`], an item counts as fresh only if the keyring holds the target's private key and that opens it. The
/// legacy whole-object format always comes out item by item.
///
/// # Errors
/// When any item does not open; then nothing is resealed. No error carries plaintext.
pub fn reseal(
    sealed: &SealedSecret,
    keys: &Keyring,
    to: &Certificate,
    items: Items,
    session_key: &mut dyn FnMut() -> SessionKey,
    trial: &mut Trial,
) -> Result<Resealed, ResealError> {
    reseal_as(sealed, &Target::of(&sealed.metadata), keys, to, items, session_key, trial)
}

/// The same for an object that will be somewhere else finally (Kustomize renames or moves it). Only for holders of the keys: a
/// service that did this for others would let them open what is not theirs.
///
/// # Errors
/// As [`reseal`].
pub fn reseal_as(
    sealed: &SealedSecret,
    target: &Target,
    keys: &Keyring,
    to: &Certificate,
    items: Items,
    session_key: &mut dyn FnMut() -> SessionKey,
    trial: &mut Trial,
) -> Result<Resealed, ResealError> {
    let label = target.label();
    let mut resealed = Resealed { sealed: sealed.clone(), changed: BTreeSet::new() };
    let stale = match &sealed.spec.data {
        Some(blob) => open_legacy(&mut resealed.sealed, blob, target, keys, trial)?,
        None => open_items(sealed, target, keys, to, items, trial)?,
    };
    for (key, plaintext) in stale {
        let blob = seal(to.public_key(), &label, &session_key(), plaintext.reveal())?;
        resealed.sealed.spec.encrypted_data.insert(key.clone(), base64::encode(&blob));
        resealed.changed.insert(key);
    }
    Ok(resealed)
}

/// The values of the items that need new ciphertext.
fn open_items(
    sealed: &SealedSecret,
    target: &Target,
    keys: &Keyring,
    to: &Certificate,
    items: Items,
    trial: &mut Trial,
) -> Result<BTreeMap<String, Plaintext>, ResealError> {
    let label = target.label();
    let mut stale = BTreeMap::new();
    let mut undecryptable = Vec::new();
    for (key, text) in &sealed.spec.encrypted_data {
        let opened = base64::decode(text).ok().and_then(|blob| keys.open(&label, &blob, trial));
        match opened {
            None => undecryptable.push(key.clone()),
            Some(_) if items == Items::Stale && trial.last.as_ref() == Some(to.key_id()) => {}
            Some(plaintext) => drop(stale.insert(key.clone(), plaintext)),
        }
    }
    if undecryptable.is_empty() { Ok(stale) } else { Err(ResealError::Undecryptable { keys: undecryptable }) }
}

/// Opens the legacy format and moves the shape of the Secret inside into the template, which the format ignores otherwise.
fn open_legacy(
    sealed: &mut SealedSecret,
    blob: &str,
    target: &Target,
    keys: &Keyring,
    trial: &mut Trial,
) -> Result<BTreeMap<String, Plaintext>, ResealError> {
    let opened = open_whole_object(sealed, blob, target, keys, trial)?;
    let mut metadata = opened.metadata;
    metadata.remove("ownerReferences");
    // The one thing that the legacy format does take from the template.
    keep_owner_rule(&mut metadata, skips_owner_reference(sealed));
    sealed.spec.data = None;
    sealed.spec.template = Some(SecretTemplate {
        metadata: Some(Value::Object(metadata)),
        type_: opened.type_,
        immutable: opened.immutable,
        ..SecretTemplate::default()
    });
    Ok(opened.data)
}

fn keep_owner_rule(metadata: &mut Map<String, Value>, skips: bool) {
    if skips {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        annotations[SKIP_OWNER_REFERENCES] = "true".into();
    } else if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.remove(SKIP_OWNER_REFERENCES);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::fixtures::{certificate, keyring, object};
    use super::super::{CLUSTER_WIDE, NAMESPACE_WIDE, Scope, SealedFor, encode_base64, seal_secret, unseal, unseal_rendering};
    use super::*;
    use crate::resource::Object;
    use crate::template::StillWorld;

    fn keys() -> impl FnMut() -> SessionKey {
        let mut next = 0;
        move || {
            next += 1;
            SessionKey::new([next; 32])
        }
    }

    fn sealed_under(key: &str, scope: Scope) -> SealedSecret {
        let secret = Object::from_value(json!({
            "kind": "Secret", "metadata": {"name": "db", "namespace": "web", "labels": {"app": "db"}}, "type": "x/y",
            "stringData": {"user": "marker-user", "password": "marker-password"},
        }))
        .unwrap();
        let place = SealedFor::itself(Target::new("web", "db", scope));
        let sealed = seal_secret(&secret, &place, &certificate(key), &mut keys()).unwrap();
        serde_json::from_value(sealed.to_value()).unwrap()
    }

    fn to_new(sealed: &SealedSecret, items: Items) -> Result<Resealed, ResealError> {
        reseal(sealed, &keyring(&["old", "new"]), &certificate("new"), items, &mut keys(), &mut Trial::default())
    }

    fn values(sealed: &SealedSecret, key: &str) -> Vec<(String, String)> {
        let opened = unseal(sealed, &keyring(&[key]), &mut Trial::default()).unwrap();
        opened.data.iter().map(|(key, value)| (key.clone(), String::from_utf8_lossy(value.reveal()).into_owned())).collect()
    }

    fn without_items(sealed: &SealedSecret) -> Value {
        let mut value = serde_json::to_value(sealed).unwrap();
        value["spec"]["encryptedData"] = Value::Null;
        value
    }

    #[test]
    fn nothing_but_the_ciphertext_changes() {
        for scope in [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide] {
            let mut sealed = sealed_under("old", scope);
            sealed.metadata.labels = Some([("own".to_owned(), "label".to_owned())].into());
            sealed.spec.extra.insert("unknown".into(), json!([1]));
            sealed.spec.template.as_mut().unwrap().metadata.as_mut().unwrap()["annotations"]["only"] = "here".into();
            let resealed = to_new(&sealed, Items::All).unwrap();
            assert_eq!(without_items(&resealed.sealed), without_items(&sealed), "{scope}");
            assert_eq!(values(&resealed.sealed, "new"), values(&sealed, "old"), "{scope}");
        }
    }

    #[test]
    fn templates_are_neither_rendered_nor_read() {
        let mut sealed = sealed_under("old", Scope::Strict);
        let broken = BTreeMap::from([("config".to_owned(), "{{ fail .password }}".to_owned())]);
        sealed.spec.template.as_mut().unwrap().data = Some(broken.clone());
        let resealed = to_new(&sealed, Items::All).unwrap().sealed;
        assert_eq!(resealed.spec.template.unwrap().data, Some(broken));
        assert_eq!(resealed.spec.encrypted_data.keys().collect::<Vec<_>>(), ["password", "user"]);
    }

    #[test]
    fn what_is_under_the_target_key_keeps_every_byte() {
        let mut mixed = sealed_under("old", Scope::Strict);
        let fresh = sealed_under("new", Scope::Strict).spec.encrypted_data["user"].clone();
        mixed.spec.encrypted_data.insert("user".into(), fresh.clone());
        let resealed = to_new(&mixed, Items::Stale).unwrap();
        assert_eq!(resealed.changed, BTreeSet::from(["password".to_owned()]));
        assert_eq!(resealed.sealed.spec.encrypted_data["user"], fresh);
        assert_eq!(
            to_new(&resealed.sealed, Items::Stale).unwrap().changed,
            BTreeSet::new(),
            "the second time there is nothing to do"
        );
        assert_eq!(to_new(&resealed.sealed, Items::All).unwrap().changed.len(), 2);
    }

    /// CVE-2026-22728: who may read a strict SealedSecret must not get a wider one out of it.
    #[test]
    fn no_template_and_no_annotation_widens_the_scope() {
        for annotation in [NAMESPACE_WIDE, CLUSTER_WIDE] {
            let mut sealed = sealed_under("old", Scope::Strict);
            sealed.spec.template.as_mut().unwrap().metadata.as_mut().unwrap()["annotations"] = json!({ annotation: "true" });
            let resealed = to_new(&sealed, Items::All).unwrap().sealed;
            assert_eq!(Scope::of(&resealed.metadata), Scope::Strict);
            for scope in [Scope::NamespaceWide, Scope::ClusterWide] {
                let wider = Target::new("web", "db", scope);
                assert!(!super::super::opens_as(&resealed, &wider, &keyring(&["new"]), &mut Trial::default()), "{annotation}");
            }
            sealed.metadata.annotations = Some([(annotation.to_owned(), "true".to_owned())].into());
            assert!(matches!(to_new(&sealed, Items::All), Err(ResealError::Undecryptable { .. })), "{annotation}");
        }
        let mut moved = sealed_under("old", Scope::Strict);
        moved.metadata.namespace = Some("attacker".into());
        assert!(to_new(&moved, Items::All).is_err());
    }

    #[test]
    fn one_item_that_does_not_open_stops_all_and_the_error_shows_names_only() {
        let mut sealed = sealed_under("old", Scope::Strict);
        sealed.spec.encrypted_data.insert("user".into(), "marker!".into());
        let error = to_new(&sealed, Items::All).unwrap_err();
        assert_eq!(error.to_string(), "no key could decrypt secret (user)");
        assert!(!format!("{error:?}").contains("marker"));
    }

    #[test]
    fn the_legacy_format_comes_out_item_by_item_with_its_own_shape() {
        let whole = json!({
            "kind": "Secret", "apiVersion": "v1", "type": "x/y",
            "metadata": {"name": "other", "labels": {"app": "db"}, "annotations": {CLUSTER_WIDE: "true"}},
            "data": {"password": encode_base64(b"marker-password")},
        });
        let target = Target::new("web", "db", Scope::Strict);
        let text = format!("{whole}\n");
        let blob = seal(certificate("old").public_key(), &target.label(), &SessionKey::new([9; 32]), text.as_bytes()).unwrap();
        let sealed: SealedSecret = serde_json::from_value(json!({
            "metadata": {"name": "db", "namespace": "web"},
            "spec": {"data": encode_base64(&blob), "encryptedData": {}, "template": {"data": {"ignored": "x"}}},
        }))
        .unwrap();
        let resealed = to_new(&sealed, Items::Stale).unwrap().sealed;
        assert_eq!(resealed.spec.data, None);
        let template = serde_json::to_value(resealed.spec.template.as_ref().unwrap()).unwrap();
        assert_eq!(template["type"], "x/y");
        assert_eq!(template["metadata"]["labels"], json!({"app": "db"}));
        assert_eq!(template["data"], Value::Null, "the format ignores it, so it must not come alive");
        assert_eq!(values(&resealed, "new"), [("password".to_owned(), "marker-password".to_owned())]);
        let mut empty = sealed;
        empty.spec.data = Some(String::new());
        assert!(to_new(&empty, Items::All).is_err(), "an empty text selects the format as well");
    }

    #[test]
    fn what_the_real_client_sealed_can_be_resealed() {
        let mut cases = 0;
        for entry in std::fs::read_dir(super::super::fixtures::folder()).unwrap() {
            let path = entry.unwrap().path();
            if !path.join("sealed.yaml").exists() || path.join("expected.error").exists() {
                continue;
            }
            let case = path.file_name().unwrap().to_str().unwrap().to_owned();
            let sealed: SealedSecret = serde_json::from_value(object(&format!("{case}/sealed.yaml")).to_value()).unwrap();
            let keyring = keyring(&["old", "new", "small"]);
            let resealed =
                reseal(&sealed, &keyring, &certificate("new"), Items::All, &mut keys(), &mut Trial::default()).unwrap().sealed;
            let opened = |object| unseal_rendering(object, &keyring, &mut Trial::default(), &mut StillWorld::new()).unwrap();
            let (before, after) = (opened(&sealed), opened(&resealed));
            assert_eq!(before.manifest(), after.manifest(), "{case}");
            cases += 1;
        }
        assert!(cases >= 10, "only {cases} cases");
    }
}
