#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Request, StatusCode};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::delivery::{self, Refusal, claim};
use super::route::{Deliveries, routes};
use super::secrets::Secrets;
use super::{Event, Push, matching, payload};
use crate::resource::yaml;
use crate::source::credentials::SecretText;

fn headers(of: &Value) -> HeaderMap {
    let pairs = of.as_object().unwrap().iter();
    pairs.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.as_str().unwrap().parse().unwrap())).collect()
}

fn shown(event: &Event) -> Value {
    match event {
        Event::Push(Push { repositories, revision, touched_head, files }) => {
            json!({ "repositories": repositories, "revision": revision, "touchedHead": touched_head, "files": files })
        }
        Event::Image { repository, tag } => json!({ "image": repository, "tag": tag }),
    }
}

#[test]
fn deliveries_are_read_as_the_hosts_send_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/webhooks");
    let mut seen = 0;
    for case in std::fs::read_dir(folder).unwrap() {
        let path = case.unwrap().path();
        let case = yaml::parse_one(&std::fs::read_to_string(path.join("delivery.yaml")).unwrap()).unwrap();
        let (headers, body) = (headers(&case["headers"]), case["body"].to_string());
        let read = claim(&headers).and_then(|host| Ok((host, payload::read(host, &headers, body.as_bytes())?)));
        let name = path.display();
        match read {
            Ok((host, event)) => {
                assert_eq!(case["refusal"], Value::Null, "{name}");
                assert_eq!(event.as_ref().map_or(Value::Null, shown), case["event"], "{name}");
                let expected = case["host"].as_str().map(str::to_owned).unwrap_or(format!("{host:?}"));
                assert_eq!(format!("{host:?}"), expected, "{name}");
            }
            Err(Refusal::UnknownHost) => assert_eq!(case["refusal"], "unknown", "{name}"),
            Err(Refusal::Unreadable(_)) => assert_eq!(case["refusal"], "unreadable", "{name}"),
            Err(other) => panic!("{name}: {other:?}"),
        }
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
}

fn secrets() -> Secrets {
    let secret = |text: &str| SecretText::new(text.to_owned());
    Secrets {
        github: secret("s-github"),
        gitlab: secret("s-gitlab"),
        bitbucket_uuid: secret("s-cloud"),
        bitbucket_server: secret("s-server"),
        gogs: secret("s-gogs"),
        azure_username: secret("azure"),
        azure_password: secret("s-azure"),
        generic: secret("s-generic"),
    }
}

fn hmac(secret: &str, body: &str) -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(aws_lc_rs::hmac::sign(&key, body.as_bytes()))
}

/// For each host: the headers of a genuine delivery of `body`.
fn genuine(body: &str) -> Vec<(&'static str, Value)> {
    let signed = |secret: &str| format!("sha256={}", hmac(secret, body));
    vec![
        ("github", json!({ "X-GitHub-Event": "push", "X-Hub-Signature-256": signed("s-github") })),
        ("registry", json!({ "X-GitHub-Event": "package", "X-Hub-Signature-256": signed("s-github") })),
        ("gitlab", json!({ "X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": "s-gitlab" })),
        ("cloud", json!({ "X-Event-Key": "repo:push", "X-Hook-UUID": "s-cloud" })),
        ("server", json!({ "X-Event-Key": "repo:refs_changed", "X-Hub-Signature": signed("s-server") })),
        ("gogs", json!({ "X-Gogs-Event": "push", "X-Gogs-Signature": hmac("s-gogs", body) })),
        ("forgejo", json!({ "X-Forgejo-Event": "push", "X-Forgejo-Signature": hmac("s-gogs", body) })),
        ("azure", json!({ "X-Vss-Activityid": "1", "Authorization": "Basic YXp1cmU6cy1henVyZQ==" })),
        ("generic", json!({ "X-Gitops-Signature-256": signed("s-generic") })),
    ]
}

#[test]
fn only_who_knows_the_secret_is_genuine() {
    let check = |given: &Value, body: &str, secrets: &Secrets| {
        let headers = headers(given);
        delivery::verify(claim(&headers).unwrap(), &headers, body.as_bytes(), secrets)
    };
    for (name, given) in genuine("{}") {
        assert_eq!(check(&given, "{}", &secrets()), Ok(()), "{name}");
        let other = Secrets { azure_username: SecretText::new("azure".into()), ..all_secrets("other") };
        assert!(matches!(check(&given, "{}", &other), Err(Refusal::NotGenuine(_))), "{name}: another secret");
        if given.to_string().contains("ignature") {
            assert!(check(&given, "{} ", &secrets()).is_err(), "{name}: another body");
        }
        let mut bare = given.clone();
        let proofs = [
            "X-Hub-Signature-256",
            "X-Gitlab-Token",
            "X-Hub-Signature",
            "X-Gogs-Signature",
            "X-Forgejo-Signature",
            "Authorization",
        ];
        bare.as_object_mut().unwrap().retain(|header, _| !proofs.contains(&header.as_str()));
        if bare != given {
            assert!(check(&bare, "{}", &secrets()).is_err(), "{name}: no proof");
        }
        let open = check(&bare, "{}", &Secrets::default());
        assert_eq!(open.is_ok(), name != "generic", "{name}: without a secret nothing is checked, except ours");
    }
}

fn all_secrets(text: &str) -> Secrets {
    let secret = || SecretText::new(text.to_owned());
    Secrets {
        github: secret(),
        gitlab: secret(),
        bitbucket_uuid: secret(),
        bitbucket_server: secret(),
        gogs: secret(),
        azure_username: secret(),
        azure_password: secret(),
        generic: secret(),
    }
}

#[test]
fn urls_of_pages_and_of_applications_are_matched() {
    let page = "https://git.example/Org/Shop";
    for url in [
        "https://git.example/org/shop",
        "https://git.example/org/shop.git",
        "http://user@git.example:8080/org/shop/",
        "git@git.example:org/shop.git",
        "ssh://git@git.example:2222/org/shop",
        "ssh://git@ssh.git.example/org/shop",
        "ssh://git@altssh.git.example:443/org/shop.git",
        "git@git.example:22/org/shop",
    ] {
        assert!(matching::names(page, url), "{url}");
    }
    for url in [
        "https://git.example/org/shop2",
        "https://git.example/x/org/shop",
        "https://evil.example/git.example/org/shop",
        "https://other.example/org/shop",
        "git@git.example.evil:org/shop",
        "file:///git.example/org/shop",
        "",
    ] {
        assert!(!matching::names(page, url), "{url}");
    }
    assert!(matching::names("https://git.example:8443/org/shop", "https://git.example/org/shop"), "the port of the page");
    assert!(matching::names("ssh://git@stash.example:7999/team/shop.git", "ssh://git@stash.example:7999/team/shop"));
    assert!(matching::names("https://dev.azure.com/o/My%20P/_git/r", "https://o@dev.azure.com/o/My P/_git/r"));
}

fn app(spec: Value, paths: Option<&str>) -> DynamicObject {
    let annotations = paths.map(|paths| json!({ "argocd.argoproj.io/manifest-generate-paths": paths })).unwrap_or_default();
    let metadata = json!({ "name": "web", "namespace": "argocd", "annotations": annotations });
    serde_json::from_value(
        json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": spec }),
    )
    .unwrap()
}

fn concerns(app: &DynamicObject, revision: &str, touched_head: bool, files: &[&str]) -> bool {
    let push = Push {
        repositories: vec!["https://git.example/org/shop".into()],
        revision: revision.into(),
        touched_head,
        files: files.iter().map(|file| (*file).to_owned()).collect(),
    };
    !matching::repositories(&push, [app]).is_empty()
}

#[test]
fn revisions_are_matched_as_the_original_does() {
    let at = |revision: &str| {
        app(json!({ "source": { "repoURL": "https://git.example/org/shop.git", "targetRevision": revision } }), None)
    };
    for (target, pushed, head, hit) in [
        ("", "main", true, true),
        ("HEAD", "main", true, true),
        ("", "feature", false, false),
        ("main", "main", true, true),
        ("main", "feature", false, false),
        ("refs/heads/main", "main", false, true),
        ("refs/tags/v1", "v1", false, true),
        // No difference between a branch and a tag of one name.
        ("v1", "v1", false, true),
        ("1.2.*", "1.2.9", false, true),
        ("1.2.*", "1.3.0", false, false),
        ("1.2.*", "main", true, false),
        ("team/feature", "team/feature", false, true),
    ] {
        assert_eq!(concerns(&at(target), pushed, head, &[]), hit, "{target} {pushed}");
    }
    let prefixed = app(
        json!({ "source": { "repoURL": "https://git.example/org/shop", "targetRevision": "1.*", "tagPrefix": "web/" } }),
        None,
    );
    assert!(concerns(&prefixed, "web/1.4.0", false, &[]));
}

#[test]
fn all_sources_count() {
    let other = json!({ "repoURL": "https://git.example/org/other", "path": "x" });
    let own = json!({ "repoURL": "git@git.example:org/shop.git", "ref": "values" });
    assert!(concerns(&app(json!({ "sources": [other, own] }), None), "main", true, &[]));
    assert!(concerns(&app(json!({ "sourceHydrator": { "drySource": own } }), None), "main", true, &[]));
    assert!(!concerns(&app(json!({ "source": other }), None), "main", true, &[]));
    assert!(!concerns(&app(json!({}), None), "main", true, &[]));
}

#[test]
fn annotated_paths_filter_by_folder_file_and_pattern() {
    let with =
        |paths: &str| app(json!({ "source": { "repoURL": "https://git.example/org/shop", "path": "apps/web" } }), Some(paths));
    for (paths, files, hit) in [
        (".", &["apps/web/a.yaml"][..], true),
        (".", &["apps/web"], true),
        (".", &["apps/website/a.yaml"], false),
        (".;/shared", &["shared/x/y"], true),
        ("../base", &["apps/base/k.yaml"], true),
        ("/shared/*.yaml", &["shared/a.yaml"], true),
        ("/shared/*.yaml", &["shared/deep/a.yaml"], false),
        (".", &["other"], false),
        (" ; ", &["other"], true),
        (".", &[], true),
        ("/", &["anything"], true),
    ] {
        assert_eq!(concerns(&with(paths), "main", true, files), hit, "{paths} {files:?}");
    }
}

#[test]
fn images_are_matched_by_repository_and_tag() {
    let event = Event::Image { repository: "ghcr.io/org/charts/web".into(), tag: "1.2.3".into() };
    let reads = |source: Value| matching::reads_image(&app(json!({ "source": source }), None), &event);
    assert!(reads(json!({ "repoURL": "oci://GHCR.io/org/charts/web/", "targetRevision": "1.2.3" })));
    assert!(reads(json!({ "repoURL": "ghcr.io/org/charts", "chart": "web", "targetRevision": "1.*" })));
    assert!(!reads(json!({ "repoURL": "oci://ghcr.io/org/charts/web", "targetRevision": "1.2.4" })));
    assert!(!reads(json!({ "repoURL": "oci://ghcr.io/org/charts/other", "targetRevision": "*" })));
}

async fn post(deliveries: &Deliveries, headers: &Value, body: &str) -> StatusCode {
    let mut request = Request::post("/api/webhook").body(Body::from(body.to_owned())).unwrap();
    *request.headers_mut() = self::headers(headers);
    routes(deliveries.clone()).oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn answers_are_those_of_the_original() {
    let (deliveries, mut events) = Deliveries::new(1000);
    *deliveries.secrets().write().unwrap() = secrets();
    let body =
        json!({ "ref": "refs/heads/main", "repository": { "html_url": "https://h/a", "default_branch": "main" } }).to_string();
    let signed = |event: &str, body: &str| json!({ "X-GitHub-Event": event, "X-Hub-Signature-256": format!("sha256={}", hmac("s-github", body)) });
    assert_eq!(post(&deliveries, &signed("push", &body), &body).await, StatusCode::OK);
    assert!(matches!(events.try_recv().unwrap(), Event::Push(push) if push.revision == "main"));
    assert_eq!(post(&deliveries, &signed("push", "other"), &body).await, StatusCode::BAD_REQUEST);
    assert_eq!(post(&deliveries, &signed("package", "other"), &body).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(&deliveries, &signed("ping", "{}"), "{}").await, StatusCode::OK);
    assert_eq!(post(&deliveries, &signed("push", "{"), "{").await, StatusCode::BAD_REQUEST);
    assert_eq!(post(&deliveries, &json!({}), &body).await, StatusCode::BAD_REQUEST);
    let long = " ".repeat(1001);
    assert_eq!(post(&deliveries, &signed("push", &long), &long).await, StatusCode::PAYLOAD_TOO_LARGE);
    let get = Request::get("/api/webhook").body(Body::empty()).unwrap();
    assert_eq!(routes(deliveries.clone()).oneshot(get).await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(events.try_recv().is_err(), "nothing but the genuine push gets on");
}
