#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::{Access, Catalogue, CredentialError, GitLogin, Kind, SecretText, Trust};
use crate::advice::{Advice, one_line};
use crate::resource::yaml;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/credentials")
}

fn secrets(text: &str) -> Vec<Secret> {
    let read = |document: yaml::Document| {
        let mut secret: Secret = serde_json::from_value(document.value).unwrap();
        let plain = secret.string_data.take().unwrap_or_default();
        secret.data = Some(plain.into_iter().map(|(field, value)| (field, ByteString(value.into_bytes()))).collect());
        secret
    };
    yaml::parse_stream(text).unwrap().into_iter().map(read).collect()
}

/// Each lookup names what has to come out; what it does not name may be anything, but a template or Secret has to be named.
#[test]
fn lookups_find_what_the_original_finds() {
    let mut seen = 0;
    for case in std::fs::read_dir(fixtures()).unwrap() {
        let folder = case.unwrap().path();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let catalogue = Catalogue::new(&secrets(&read("secrets.yaml")), Trust::default());
        for lookup in yaml::parse_one(&read("lookups.yaml")).unwrap().as_array().unwrap() {
            let url = lookup["url"].as_str().unwrap();
            let project = lookup["project"].as_str().unwrap_or("default");
            let found = shown(&catalogue, url, project);
            for (field, expected) in expectations(lookup) {
                assert_eq!(found[&field], expected, "{}: {url}: {field}", folder.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

fn expectations(lookup: &Value) -> BTreeMap<String, Value> {
    let mut expected: BTreeMap<String, Value> =
        ["secret", "template", "error"].iter().map(|field| ((*field).to_owned(), Value::Null)).collect();
    let given = lookup.as_object().unwrap().iter().filter(|(field, _)| *field != "url" && *field != "project");
    expected.extend(given.map(|(field, value)| (field.clone(), value.clone())));
    expected
}

fn shown(catalogue: &Catalogue, url: &str, project: &str) -> Value {
    let access = match catalogue.access(url, project) {
        Ok(access) => access,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let login = match access.git_login() {
        Ok(login) => describe(login),
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let kind = access.kind.map(|kind| match kind {
        Kind::Git => "git",
        Kind::Helm => "helm",
        Kind::Oci => "oci",
    });
    json!({
        "login": login, "secret": access.secret, "template": access.template, "kind": kind, "proxy": access.proxy.reveal(),
        "noProxy": access.no_proxy, "insecure": access.insecure, "enableLfs": access.enable_lfs,
        "enableOCI": access.enable_oci, "depth": access.depth, "clientCertificate": access.client_certificate.is_some(),
    })
}

fn describe(login: GitLogin<'_>) -> String {
    match login {
        GitLogin::Anonymous => "anonymous".into(),
        GitLogin::Basic { username, password } => format!("basic {username} {}", password.reveal()),
        GitLogin::Bearer(token) => format!("bearer {}", token.reveal()),
        GitLogin::Ssh(key) => format!("ssh {}", key.reveal()),
        GitLogin::GithubApp(app) => {
            let base = app.base_url.as_deref().unwrap_or_default();
            format!("github app {} {:?} {} {base}", app.id, app.installation_id, app.private_key.reveal())
        }
    }
}

const MARKERS: &str = r#"
metadata: {name: a, labels: {argocd.argoproj.io/secret-type: repository}}
stringData: {url: "https://h/a", username: marker-user, password: marker-password, bearerToken: marker-token,
  sshPrivateKey: marker-key, proxy: "http://u:marker-proxy@h", tlsClientCertData: marker-cert, tlsClientCertKey: marker-cert-key,
  githubAppID: "1", githubAppPrivateKey: marker-app}
---
metadata: {name: b, labels: {argocd.argoproj.io/secret-type: repository}}
stringData: {url: "https://h/b", insecure: marker-insecure, password: marker-password}
---
metadata: {name: c, labels: {argocd.argoproj.io/secret-type: repository}}
stringData: {url: "https://h/c", depth: marker-depth, password: marker-password}
---
metadata: {name: d, labels: {argocd.argoproj.io/secret-type: repository}}
stringData: {url: "https://h/d", gcpServiceAccountKey: marker-gcp}
"#;

#[test]
fn nothing_secret_is_shown() {
    let catalogue = Catalogue::new(&secrets(MARKERS), Trust::default());
    let mut shown = vec![format!("{catalogue:?}")];
    for url in ["https://h/a", "https://h/b", "https://h/c", "https://h/d"] {
        match catalogue.access(url, "") {
            Ok(access) => {
                shown.push(format!("{access:?} {:?}", access.git_login()));
                shown.extend(access.git_login().err().map(|error| one_line(&error, &error)));
                shown.push(access.identity());
            }
            Err(error) => shown.push(format!("{error:?} {}", one_line(&error, &error))),
        }
    }
    let text = shown.join("\n");
    // The user name of a login is no secret, but some hosts take a token in its place.
    let leak = text.lines().find(|line| line.contains("marker-") && !line.contains("Basic { username"));
    assert_eq!(leak, None);
    assert_eq!(catalogue.problems().len(), 2, "{:?}", catalogue.problems());
}

#[test]
fn every_error_has_a_hint() {
    let secret = || "s".to_owned();
    for error in [
        CredentialError::NoUrl { secret: secret() },
        CredentialError::BadValue { secret: secret(), field: "f".into(), expected: "text" },
        CredentialError::Incomplete { secret: secret(), field: "a", missing: "b" },
        CredentialError::NotSupported { secret: secret(), field: "f" },
    ] {
        assert!(error.hint().is_some(), "{error}");
    }
}

#[test]
fn identities_differ_in_what_a_request_would_use() {
    let base = Access { username: "u".into(), password: SecretText::new("p".into()), ..Access::default() };
    let mut others = vec![Access::default(), Access { insecure: true, ..base.clone() }];
    others.push(Access { password: SecretText::new("q".into()), ..base.clone() });
    others.push(Access { username: "up".into(), password: SecretText::default(), ..base.clone() });
    others.push(Access { bearer_token: SecretText::new("p".into()), password: SecretText::default(), ..base.clone() });
    others.push(Access { certificates: Some("pem".into()), ..base.clone() });
    assert!(others.iter().all(|other| other.identity() != base.identity()));
    let renamed = Access { secret: Some("other".into()), ..base.clone() };
    assert_eq!(renamed.identity(), base.identity(), "the same login from another Secret sees the same mirror");
}

#[test]
fn certificates_belong_to_a_host_and_host_keys_to_ssh() {
    let map = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let with = |known: &str| Catalogue::new([], Trust::new(&map("Git.example", "pem"), &map("ssh_known_hosts", known)));
    let access = |url: &str| with("lines").access(url, "").unwrap();
    for url in ["https://git.example/a", "https://u@git.example:8443/a", "git.example:5000/charts", "oci://GIT.example/x"] {
        assert_eq!(access(url).certificates.as_deref(), Some("pem"), "{url}");
    }
    assert_eq!(access("https://other.example/git.example").certificates, None);
    let moved = |url: &str| access(url).identity() != with("other").access(url, "").unwrap().identity();
    assert!(moved("git@host:a") && moved("ssh://git@host/a") && !moved("https://host/a"));
}

#[test]
fn names_of_repositories_and_urls_of_projects() {
    let text = r#"
metadata: {name: a, labels: {argocd.argoproj.io/secret-type: repository}}
stringData: {url: "https://charts/a", name: stable, type: helm, project: shop, password: p}
"#;
    let catalogue = Catalogue::new(&secrets(text), Trust::default());
    let (url, access) = catalogue.access_by_name("stable", "shop").unwrap().unwrap();
    assert_eq!((url, access.registry_login().unwrap().map(|(user, _)| user)), ("https://charts/a", Some("")));
    assert!(catalogue.access_by_name("stable", "other").unwrap().is_none());
    assert_eq!(catalogue.urls_of_project("shop").collect::<Vec<_>>(), ["https://charts/a"]);
    assert_eq!(catalogue.urls_of_project("").count(), 0);
    assert_eq!(catalogue.listed().map(|one| (one.secret, one.alias)).collect::<Vec<_>>(), [("a", "stable")]);
}
