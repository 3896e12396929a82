//! What the real kubeseal sealed opens here, and what cannot be opened says why; seal then open gives back the bytes.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::fixtures::{certificate, folder, key, keyring, object, yaml};
use super::*;
use crate::advice::one_line;
use crate::api::SealedSecret;
use crate::resource::Object;
use crate::template::StillWorld;

/// The plaintexts of the fixtures; none may show up in an error or a debug form.
const MARKERS: [&str; 3] = ["s3cr3t", "czNjcjN0", "marker"];

fn sealed(path: &str) -> SealedSecret {
    serde_json::from_value(yaml(path)).unwrap()
}

#[test]
fn every_recorded_case_gives_what_it_expects() {
    let mut cases = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.join("sealed.yaml").exists() {
            check_case(&path);
            cases += 1;
        }
    }
    assert!(cases >= 26, "only {cases} cases found");
}

fn check_case(path: &Path) {
    let case = path.file_name().unwrap().to_str().unwrap();
    let names = std::fs::read_to_string(path.join("keyring")).unwrap();
    let keys = keyring(&names.split_whitespace().collect::<Vec<_>>());
    let object = sealed(&format!("{case}/sealed.yaml"));
    let result = unseal_rendering(&object, &keys, &mut Trial::default(), &mut StillWorld::new());
    let shown = format!("{result:?}");
    assert!(MARKERS.iter().all(|marker| !shown.contains(marker)), "{case}: {shown}");
    match result {
        Ok(unsealed) => check_secret(path, case, &unsealed),
        Err(error) => {
            let text = one_line(&error, &error);
            let expected = std::fs::read_to_string(path.join("expected.error"));
            assert_eq!(text, expected.as_deref().unwrap_or("(no expected.error)").trim_end(), "{case}");
        }
    }
}

fn check_secret(path: &Path, case: &str, secret: &OpenedSecret) {
    if path.join("expected.sha256").exists() {
        let expected = std::fs::read_to_string(path.join("expected.sha256")).unwrap();
        let found: String =
            secret.data.iter().map(|(key, value)| format!("{}  {key}\n", hex::encode(Sha256::digest(value.reveal())))).collect();
        assert_eq!(found, expected, "{case}");
    } else {
        let expected = path.join("expected.yaml").exists().then(|| yaml(&format!("{case}/expected.yaml")));
        assert_eq!(Some(secret.manifest().to_value()), expected, "{case}");
    }
}

fn item(plaintext: &[u8], target: &Target, key: &str) -> Vec<u8> {
    seal(certificate(key).public_key(), &target.label(), &SessionKey::new([7; 32]), plaintext).unwrap()
}

#[test]
fn lengths_are_those_of_the_format() {
    let target = Target::new("web", "db", Scope::Strict);
    assert_eq!(encode_base64(&item(b"", &target, "new")).len(), 708);
    assert_eq!(encode_base64(&item(b"abc", &target, "new")).len(), 712);
    assert_eq!(encode_base64(&item(b"abc", &target, "small")).len(), 372);
}

#[test]
fn the_label_binds_and_damage_is_noticed() {
    let keys = keyring(&["new"]);
    let target = Target::new("web", "db", Scope::Strict);
    let blob = item(b"abc", &target, "new");
    let opens = |target: &Target, blob: &[u8]| keys.open(&target.label(), blob, &mut Trial::default()).is_some();
    assert!(opens(&target, &blob));
    assert!(!opens(&Target::new("web", "other", Scope::Strict), &blob));
    assert!(!opens(&Target::new("web", "db", Scope::ClusterWide), &blob));
    for at in [0, 1, 2, 300, blob.len() - 1] {
        let mut damaged = blob.clone();
        damaged[at] ^= 1;
        assert!(!opens(&target, &damaged), "byte {at}");
    }
    for length in [0, 1, 2, 513, 514, blob.len() - 1] {
        assert!(!opens(&target, &blob[..length]), "first {length} bytes");
    }
}

#[test]
fn sealing_twice_gives_different_bytes() {
    let target = Target::new("web", "db", Scope::Strict);
    assert_ne!(item(b"abc", &target, "small"), item(b"abc", &target, "small"), "even with the same session key");
}

#[test]
fn an_expired_key_still_opens_and_stays_active() {
    let certificate = Certificate::from_pem(&super::fixtures::text("keys/test-only-expired.crt")).unwrap();
    let key = SealingKey::from_pem(&super::fixtures::text("keys/test-only-small.key"), certificate).unwrap().unwrap();
    let keys = Keyring::new([std::sync::Arc::new(key)]);
    assert!(keys.active().unwrap().certificate().is_expired("2026-01-01T00:00:00Z".parse().unwrap()));
    unseal(&sealed("key-of-2048-bits/sealed.yaml"), &keys, &mut Trial::default()).unwrap();
}

#[test]
fn short_session_keys_of_other_tools_open_too() {
    use aes_gcm::aead::consts::U12;
    use aes_gcm::aead::{Aead as _, KeyInit as _, Nonce};
    use aes_gcm::{Aes128Gcm, AesGcm, aes::Aes192};
    let wrap = |session_key: &[u8], body: Vec<u8>| {
        let key = certificate("new");
        let mut wrapped = vec![0; 512];
        let algorithm = &aws_lc_rs::rsa::OAEP_SHA256_MGF1SHA256;
        key.public_key().oaep().encrypt(algorithm, session_key, &mut wrapped, Some(b"")).unwrap();
        [&[2, 0], wrapped.as_slice(), body.as_slice()].concat()
    };
    let a128 = Aes128Gcm::new_from_slice(&[1; 16]).unwrap().encrypt(&Nonce::<Aes128Gcm>::default(), b"abc".as_slice()).unwrap();
    let a192 = AesGcm::<Aes192, U12>::new_from_slice(&[1; 24])
        .unwrap()
        .encrypt(&Nonce::<AesGcm<Aes192, U12>>::default(), b"abc".as_slice())
        .unwrap();
    let keys = keyring(&["new"]);
    let label = Target::new("", "", Scope::ClusterWide).label();
    for blob in [wrap(&[1; 16], a128), wrap(&[1; 24], a192)] {
        assert_eq!(keys.open(&label, &blob, &mut Trial::default()).unwrap().reveal(), b"abc");
    }
}

#[test]
fn the_key_that_worked_last_costs_one_operation_per_item() {
    let keys = keyring(&["new", "old"]);
    let object = sealed("old-key-among-three/sealed.yaml");
    let mut trial = Trial::default();
    unseal(&object, &keys, &mut trial).unwrap();
    assert_eq!(trial.operations, 3, "one miss with the newer key, then the right one for both items");
    trial.operations = 0;
    unseal(&object, &keys, &mut trial).unwrap();
    assert_eq!(trial.operations, 2);
}

#[test]
fn keys_younger_than_the_object_are_tried_last_and_other_sizes_cost_nothing() {
    let keys = keyring(&["new", "old", "small"]);
    let sealed_by = Some(key("old").certificate().not_before);
    let mut trial = Trial { sealed_by, ..Trial::default() };
    unseal(&sealed("old-key-among-three/sealed.yaml"), &keys, &mut trial).unwrap();
    assert_eq!(trial.operations, 2);
    let mut trial = Trial::default();
    unseal(&sealed("key-of-2048-bits/sealed.yaml"), &keys, &mut trial).unwrap();
    assert_eq!(trial.operations, 2);
}

#[test]
fn the_active_key_is_the_one_that_became_valid_last() {
    let keys = keyring(&["old", "small", "new", "old"]);
    assert_eq!(keys.keys().len(), 3, "a key given twice counts once");
    assert_eq!(keys.active().unwrap().id(), key("small").id());
    assert!(keyring(&[]).active().is_none());
}

#[test]
fn ids_are_those_of_ssh_keygen() {
    // ssh-keygen -l -f <(openssl x509 -in test-only-new.crt -noout -pubkey | ssh-keygen -i -m PKCS8 -f /dev/stdin)
    let expected = std::fs::read_to_string(folder().join("keys/test-only-new.id")).unwrap();
    assert_eq!(key("new").id().as_str(), expected.trim_end());
}

#[test]
fn halves_of_different_pairs_do_not_join() {
    let private = PrivateKey::from_pem(&super::fixtures::text("keys/test-only-old.key")).unwrap();
    assert!(SealingKey::new(private, certificate("new")).is_none());
}

#[test]
fn private_keys_that_cannot_be_used_say_why() {
    let ec = super::fixtures::text("keys/test-only-ec.key");
    assert_eq!(PrivateKey::from_pem(&ec).unwrap_err(), KeyError::NotRsa);
    assert_eq!(PrivateKey::from_pem("").unwrap_err(), KeyError::NoPrivateKey);
    assert_eq!(
        PrivateKey::from_pem("-----BEGIN RSA PRIVATE KEY-----\nYWJj\n-----END RSA PRIVATE KEY-----\n").unwrap_err(),
        KeyError::Unusable
    );
    let behind_others = format!(
        "notes\r\n{}{ec}{}",
        super::fixtures::text("keys/test-only-new.crt"),
        super::fixtures::text("keys/test-only-old.key")
    );
    assert_eq!(PrivateKey::from_pem(&behind_others.replace('\n', "\r\n")).unwrap().id(), key("old").id());
}

fn seal_object(secret: Value, target: Target) -> SealedSecret {
    let mut next = 0;
    let mut session_key = || {
        next += 1;
        SessionKey::new([next; 32])
    };
    let object =
        seal_secret(&Object::from_value(secret).unwrap(), &SealedFor::itself(target), &certificate("small"), &mut session_key)
            .unwrap();
    serde_json::from_value(object.into_value()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn sealing_then_opening_gives_back_the_bytes(
        values in proptest::collection::btree_map("[a-z._-]{1,8}", proptest::collection::vec(any::<u8>(), 0..80), 0..4),
        scope in prop_oneof![Just(Scope::Strict), Just(Scope::NamespaceWide), Just(Scope::ClusterWide)],
    ) {
        let data: serde_json::Map<String, Value> = values.iter().map(|(key, value)| (key.clone(), encode_base64(value).into())).collect();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "web"}, "data": data});
        let object = seal_object(secret, Target::new("web", "db", scope));
        let opened = unseal(&object, &keyring(&["small"]), &mut Trial::default()).unwrap();
        let opened: std::collections::BTreeMap<String, Vec<u8>> = opened.data.iter().map(|(key, value)| (key.clone(), value.reveal().to_vec())).collect();
        prop_assert_eq!(opened, values);
    }
}

#[test]
fn our_sealed_object_has_the_shape_of_kubeseals() {
    let secret = object("typed-template/secret.yaml");
    let ours = seal_object(secret.into_value(), Target::new("web", "db", Scope::Strict));
    let theirs = sealed("typed-template/sealed.yaml");
    assert_eq!(ours.metadata, theirs.metadata);
    assert_eq!(ours.spec.template, theirs.spec.template);
    assert!(ours.spec.encrypted_data.keys().eq(theirs.spec.encrypted_data.keys()));
}

#[test]
fn string_data_wins_and_bad_values_are_named_but_not_shown() {
    let secret = json!({"metadata": {"name": "db"}, "data": {"a": "b2xk"}, "stringData": {"a": "new"}});
    let opened =
        unseal(&seal_object(secret, Target::new("", "db", Scope::ClusterWide)), &keyring(&["small"]), &mut Trial::default())
            .unwrap();
    assert_eq!(opened.data["a"].reveal(), b"new");
    let secret = Object::from_value(json!({"metadata": {"name": "db"}, "data": {"password": "s3cr3t!"}})).unwrap();
    let target = SealedFor::itself(Target::new("web", "db", Scope::Strict));
    let error = seal_secret(&secret, &target, &certificate("small"), &mut || SessionKey::new([0; 32])).unwrap_err();
    assert_eq!(
        one_line(&error, &error),
        "Secret \"db\": data.password: illegal base64 data at input byte 6 (hint: put plain text under stringData; values under data are base64)"
    );
}

fn live(metadata: Value) -> SecretManifest {
    let mut metadata = metadata;
    metadata["name"] = "db".into();
    metadata["resourceVersion"] = "7".into();
    let object =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": {"foreign": "eA=="}});
    SecretManifest::new(Object::from_value(object).unwrap())
}

fn opened_case(uid: &str, skip: bool) -> (SealedSecret, OpenedSecret) {
    let mut sealed = sealed("key-of-2048-bits/sealed.yaml");
    sealed.metadata.uid = Some(uid.to_owned());
    if skip {
        sealed.spec.template.as_mut().unwrap().metadata = Some(json!({"annotations": {SKIP_OWNER_REFERENCES: "true"}}));
    }
    let secret = unseal(&sealed, &keyring(&["small"]), &mut Trial::default()).unwrap();
    (sealed, secret)
}

#[test]
fn ownership_follows_the_uid_and_the_two_annotations() {
    let owner = |uid: &str, controller: bool| json!({"ownerReferences": [{"kind": "SealedSecret", "name": "db", "uid": uid, "controller": controller}]});
    let note = |name: &str, value: &str| json!({"annotations": {name: value}});
    let (sealed, _) = opened_case("u1", false);
    let (skipping, _) = opened_case("u1", true);
    let of = |metadata, sealed| ownership(&live(metadata), sealed);
    assert_eq!(of(json!({}), &sealed), Ownership::Foreign);
    assert_eq!(of(owner("u1", true), &sealed), Ownership::Ours);
    assert_eq!(of(owner("u1", false), &sealed), Ownership::Foreign);
    assert_eq!(of(owner("u0", true), &sealed), Ownership::Foreign, "recreated under the same name");
    assert_eq!(of(note(MANAGED, "true"), &sealed), Ownership::Ours);
    assert_eq!(of(note(MANAGED, "yes"), &sealed), Ownership::Foreign);
    assert_eq!(of(note(PATCH, "true"), &sealed), Ownership::Patch);
    assert_eq!(of(note(UNSEALED_FROM, "u1/abc"), &sealed), Ownership::Foreign, "only without owner references");
    assert_eq!(of(note(UNSEALED_FROM, "u1/abc"), &skipping), Ownership::Ours);
    assert_eq!(of(note(UNSEALED_FROM, "u0/abc"), &skipping), Ownership::Foreign);
}

#[test]
fn an_owned_secret_is_replaced_and_then_left_alone() {
    let (_, secret) = opened_case("u1", false);
    let live = live(json!({"annotations": {MANAGED: "true"}, "labels": {"a": "b"}, "finalizers": ["keep/me"]}));
    let Write::Update(next) = plan_write(secret.manifest(), Some(&live), Ownership::Ours) else {
        unreachable!("content differs")
    };
    assert!(next.get(&["data", "foreign"]).is_none());
    assert_eq!(next.annotation(MANAGED), None);
    assert_eq!(next.label("a"), None);
    assert_eq!(next.resource_version(), "7");
    assert_eq!(next.get(&["metadata", "finalizers"]), Some(&json!(["keep/me"])), "finalizers are never changed");
    assert_eq!(next.get(&["type"]), Some(&json!("Opaque")), "a template without type");
    let wanted = OpenedSecret { immutable: Some(true), ..opened_case("u1", false).1 };
    assert_eq!(plan_write(wanted.manifest(), Some(&next), Ownership::Ours), Write::Nothing, "immutable is never changed");
    assert_eq!(plan_write(secret.manifest(), Some(&next), Ownership::Ours), Write::Nothing);
}

#[test]
fn a_patched_secret_keeps_what_it_has_and_is_adopted_only_when_managed() {
    let (_, secret) = opened_case("u1", false);
    for (annotations, adopted) in
        [(json!({PATCH: "true", "a": "b"}), false), (json!({PATCH: "true", MANAGED: "true", "a": "b"}), true)]
    {
        let live = live(json!({"annotations": annotations}));
        let Write::Update(next) = plan_write(secret.manifest(), Some(&live), Ownership::Patch) else {
            unreachable!("content differs")
        };
        assert!(next.get(&["data", "foreign"]).is_some() && next.get(&["data", "password"]).is_some());
        assert_eq!(next.annotation("a"), Some("b"));
        assert_eq!(next.annotation(MANAGED), adopted.then_some("true"), "it survives, unlike without patch");
        assert_eq!(next.has_owner(), adopted);
    }
}

#[test]
fn the_source_changes_with_everything_that_decides_the_secret() {
    let (sealed, mut secret) = opened_case("u1", false);
    let source = Source::of(&sealed);
    let mut changed = sealed.clone();
    changed.metadata.annotations.get_or_insert_default().insert(CLUSTER_WIDE.into(), "true".into());
    assert_ne!(Source::of(&changed), source);
    let mut changed = sealed.clone();
    changed.spec.template.as_mut().unwrap().type_ = Some("x".into());
    assert_ne!(Source::of(&changed), source);
    let mut unrelated = sealed;
    unrelated.metadata.labels.get_or_insert_default().insert("a".into(), "b".into());
    unrelated.metadata.resource_version = Some("9".into());
    assert_eq!(Source::of(&unrelated), source);
    secret.remember(&source, Some(key("small").id()));
    assert_eq!(secret.manifest().annotation(UNSEALED_FROM), Some(source.as_str()));
    assert!(managed_by_us(secret.manifest().annotation(UNSEALED_FROM), "u1"));
    assert!(!managed_by_us(Some("/abc"), ""));
}
