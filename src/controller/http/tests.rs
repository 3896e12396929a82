//! The routes as a client sees them, without a cluster.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::convert::Infallible;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::api::SealedSecret;
use crate::sealing::fixtures::{certificate, keyring};
use crate::sealing::{CLUSTER_WIDE, Scope, SealedFor, SessionKey, Target, Trial, opens_as, seal_secret};

const MARKER: &str = "marker-secret";

/// Routes over test keys; the first is the newest.
fn routes(keys: &[&str], limit: Limit) -> (Router, Arc<SealingContext>) {
    let nobody = tower::service_fn(|_: Request<kube::client::Body>| async {
        Ok::<_, Infallible>(axum::http::Response::new(kube::client::Body::empty()))
    });
    let cx = Arc::new(SealingContext::new(kube::Client::new(nobody, "default"), "argocd".into()));
    cx.use_keyring(keyring(keys));
    let pages = Pages { ready: Arc::new(|| true), metrics: Arc::new(|| Some("# EOF\n".into())) };
    (router(pages, Arc::clone(&cx), limit), cx)
}

fn generous() -> Limit {
    Limit { burst: 1000, ..Limit::default() }
}

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn ask_as(router: &Router, client: &str, method: &str, path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::builder().method(method).uri(path).header("X-Forwarded-For", client).body(body.into()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    assert!(!body.contains(MARKER) && !format!("{:?}", head.headers).contains(MARKER), "plaintext in an answer");
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

async fn ask(router: &Router, path: &str, body: impl Into<Body>) -> Answer {
    ask_as(router, "10.0.0.1", "POST", path, body).await
}

fn sealed(key: &str, scope: Scope) -> Value {
    let secret = json!({
        "kind": "Secret", "metadata": {"name": "db", "namespace": "web", "labels": {"app": "db"}},
        "stringData": {"password": MARKER, "user": MARKER},
    });
    let mut next = 0;
    let mut session_key = || {
        next += 1;
        SessionKey::new([next; 32])
    };
    let place = SealedFor::itself(Target::new("web", "db", scope));
    let secret = crate::resource::Object::from_value(secret).unwrap();
    seal_secret(&secret, &place, &certificate(key), &mut session_key).unwrap().into_value()
}

#[tokio::test]
async fn the_certificate_is_the_active_ones_and_none_is_an_error() {
    let (router, _) = routes(&["old", "new"], generous());
    for method in ["GET", "POST", "PUT"] {
        let answer = ask_as(&router, "", method, "/v1/cert.pem", "").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-pem-file"), "{method}");
        assert_eq!(answer.body, certificate("new").pem);
    }
    let (router, _) = routes(&[], generous());
    let answer = ask(&router, "/v1/cert.pem", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (500, "cannot get certificate\n"));
}

#[tokio::test]
async fn other_paths_are_answered_as_go_answers_them() {
    let (router, _) = routes(&["new"], generous());
    for path in ["/", "/v1/", "/v1/unseal", "/v2/rotate"] {
        let answer = ask(&router, path, "").await;
        let seen = (answer.status, answer.header("content-type"), answer.body.as_str());
        assert_eq!(seen, (404, "text/plain; charset=utf-8", "404 page not found\n"), "{path}");
    }
    assert_eq!(ask(&router, "/healthz", "").await.body, "ok\n");
}

#[tokio::test]
async fn verify_says_yes_no_or_what_is_this() {
    let (router, _) = routes(&["old", "new"], generous());
    let good = sealed("old", Scope::Strict);
    let mut renamed = good.clone();
    renamed["metadata"]["name"] = "other".into();
    let mut wider = good.clone();
    wider["metadata"]["annotations"] = json!({CLUSTER_WIDE: "true"});
    let mut bad_base64 = good.clone();
    bad_base64["spec"]["encryptedData"]["user"] = "!".into();
    let mut empty_legacy = good.clone();
    empty_legacy["spec"]["data"] = "".into();
    let mut broken_template = good.clone();
    broken_template["spec"]["template"]["data"] = json!({"x": "{{ fail .password }}"});
    let yaml = crate::resource::yaml::to_yaml(&good);
    let cases = [
        (200, good.to_string()),
        (200, yaml.clone()),
        (200, broken_template.to_string()),
        (409, renamed.to_string()),
        (409, wider.to_string()),
        (409, bad_base64.to_string()),
        (409, empty_legacy.to_string()),
        (409, sealed("small", Scope::Strict).to_string()),
        (500, format!("{yaml}---\n{yaml}")),
        (500, String::new()),
        (500, "{".to_owned()),
        (500, good.to_string().replace("SealedSecret", "Secret")),
    ];
    for (status, body) in cases {
        let answer = ask(&router, "/v1/verify", body.clone()).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{body}");
    }
    let get = ask_as(&router, "", "GET", "/v1/verify", good.to_string()).await;
    assert_eq!(get.status, 200, "the method does not matter");
}

#[tokio::test]
async fn all_refusals_look_alike() {
    let (router, _) = routes(&["new"], generous());
    let good = sealed("new", Scope::Strict);
    let mut renamed = good.clone();
    renamed["metadata"]["name"] = "other".into();
    for path in ["/v1/verify", "/v1/rotate"] {
        let mut shapes = Vec::new();
        for refused in [&renamed, &sealed("old", Scope::Strict)] {
            let answer = ask(&router, path, refused.to_string()).await;
            let mut headers: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
            headers.sort();
            shapes.push((answer.status, headers, answer.body));
        }
        assert_eq!(shapes[0], shapes[1], "{path}: known key but wrong place, and unknown key");
    }
}

#[tokio::test]
async fn rotate_puts_the_same_object_under_the_newest_key() {
    let (router, cx) = routes(&["old", "new"], generous());
    for scope in [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide] {
        let mut before = sealed("old", scope);
        before["metadata"]["labels"] = json!({"own": "label"});
        before["spec"]["template"]["data"] = json!({"config": "{{ fail .password }}"});
        let answer = ask(&router, "/v1/rotate", before.to_string()).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; charset=utf-8"));
        assert!(!answer.body.ends_with('\n'));
        let after: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(after.get("kind").is_none() && after.get("apiVersion").is_none());
        assert_eq!(
            (&after["metadata"], &after["spec"]["template"]),
            (&before["metadata"], &before["spec"]["template"]),
            "{scope}"
        );
        let object: SealedSecret = serde_json::from_value(after).unwrap();
        let target = Target::new("web", "db", scope);
        assert!(opens_as(&object, &target, &keyring(&["new"]), &mut Trial::default()), "{scope}");
    }
    assert!(cx.counters().private_key_operations.load(std::sync::atomic::Ordering::Relaxed) >= 6);
}

/// CVE-2026-22728.
#[tokio::test]
async fn rotate_never_widens_a_scope() {
    let (router, _) = routes(&["new"], generous());
    let strict = sealed("new", Scope::Strict);
    let mut by_template = strict.clone();
    by_template["spec"]["template"]["metadata"]["annotations"] = json!({CLUSTER_WIDE: "true"});
    let answer = ask(&router, "/v1/rotate", by_template.to_string()).await;
    let object: SealedSecret = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(Scope::of(&object.metadata), Scope::Strict);
    let anywhere = Target::new("attacker", "db", Scope::ClusterWide);
    assert!(!opens_as(&object, &anywhere, &keyring(&["new"]), &mut Trial::default()));
    let mut by_metadata = strict.clone();
    by_metadata["metadata"]["annotations"] = json!({CLUSTER_WIDE: "true"});
    let mut by_namespace = strict;
    by_namespace["metadata"]["namespace"] = "attacker".into();
    for attempt in [by_metadata, by_namespace] {
        let answer = ask(&router, "/v1/rotate", attempt.to_string()).await;
        assert_eq!((answer.status, answer.body.as_str()), (500, ""));
    }
}

#[tokio::test]
async fn whoever_asks_too_often_must_wait_on_each_route() {
    let (router, cx) = routes(&["new"], Limit::default());
    let body = sealed("new", Scope::Strict).to_string();
    for path in ["/v1/verify", "/v1/rotate"] {
        let first = ask(&router, path, body.clone()).await;
        let seen =
            ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"].map(|name| first.header(name));
        assert_eq!((first.status, seen), (200, ["3", "2", "1", ""]), "{path}");
        // How many pass depends on how long they take; the arithmetic has tests of its own.
        let mut refused = ask(&router, path, "").await;
        while refused.status != 429 {
            refused = ask(&router, path, "").await;
        }
        let seen = ["x-ratelimit-remaining", "retry-after", "content-type"].map(|name| refused.header(name));
        assert_eq!((seen, refused.body.as_str()), (["0", "1", "text/plain; charset=utf-8"], "limit exceeded\n"));
        assert_eq!(ask_as(&router, "10.0.0.1, 10.0.0.2", "POST", path, body.clone()).await.status, 200, "another client");
        let same = ask_as(&router, "invented, 10.0.0.1", "POST", path, "").await;
        assert_ne!(same.header("x-ratelimit-remaining"), "2", "the same client under an invented address");
    }
    assert_eq!(ask(&router, "/v1/cert.pem", "").await.status, 200, "not limited");
    let mut registry = prometheus_client::registry::Registry::default();
    cx.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for labels in [r#"{path="/v1/verify",code="200",method="post"} 2"#, r#"{path="/v1/cert.pem",code="200",method="post"} 1"#] {
        assert!(text.contains(&format!("sealed_secrets_controller_http_requests_total{labels}\n")), "{text}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_or_breaks_off_is_refused() {
    let (router, _) = routes(&["new"], generous());
    let long = vec![b' '; sealing::MAX_BODY_BYTES + 1];
    assert_eq!(ask(&router, "/v1/verify", long.clone()).await.status, 413);
    assert_eq!(ask(&router, "/v1/rotate", long).await.status, 413);
    let broken = || Body::from_stream(futures::stream::iter([Ok("{"), Err(std::io::Error::other("gone"))]));
    assert_eq!(ask(&router, "/v1/verify", broken()).await.status, 400);
    assert_eq!(ask(&router, "/v1/rotate", broken()).await.status, 400);
}
