//! A push is live without the wait for the poll, and a burst of deliveries is one fetch.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::application::{Bench, config_map};
use crate::support::http;

const SECRET: &str = "marker-webhook-41e7";

fn signed(body: &str) -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = aws_lc_rs::hmac::sign(&key, body.as_bytes());
    format!("sha256={}", signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[tokio::test]
async fn a_push_is_live_without_the_poll_and_a_burst_is_one_fetch() {
    let bench = Bench::start_polling("1h").await;
    let repo = bench.git.repo("shop");
    let first = repo.write("app/cm.yaml", &config_map("settings", "1")).commit("first");
    bench.create(&bench.app("web", repo.url())).await;
    bench.wait_synced("web", &first).await;
    let page = repo.url().trim_end_matches(".git").to_owned();
    let body = json!({ "ref": "refs/heads/main", "repository": { "html_url": page, "default_branch": "main" },
        "commits": [{ "modified": ["app/cm.yaml"] }] })
    .to_string();
    let deliver = async |signature: &str| {
        let headers = [("X-GitHub-Event", "push"), ("X-Hub-Signature-256", signature)];
        http::post(bench.controller.address(), "/api/webhook", &headers, &body).await.unwrap().0
    };

    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "argocd-secret" },
        "stringData": { "webhook.github.secret": SECRET } });
    let secrets: Api<Secret> = Api::namespaced(bench.client.clone(), &bench.control);
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    // Once the secret is known, a delivery that is not signed is refused.
    crate::support::eventually("unsigned deliveries to be refused", crate::application::SOON, || async {
        match deliver("").await {
            400 => Ok(()),
            code => Err(format!("answered {code}")),
        }
    })
    .await;

    let second = repo.write("app/cm.yaml", &config_map("settings", "2")).commit("second");
    let (listings, fetches) = (bench.git.ls_refs("shop"), bench.git.fetches("shop"));
    let signature = signed(&body);
    let codes = futures::future::join_all((0..20).map(|_| deliver(&signature))).await;
    assert!(codes.iter().all(|code| *code == 200), "{codes:?}");
    bench.wait_synced("web", &second).await;
    let asked = bench.git.ls_refs("shop") - listings;
    // Those that wait while one runs are one; how many that are is a matter of the machine's load.
    assert!(asked < 10, "20 deliveries were {asked} listings");
    assert_eq!(bench.git.fetches("shop") - fetches, 1, "{:?}", bench.git.requests());
    assert!(!bench.controller.log().contains(SECRET));
}
