//! Charts and artifacts on a real API server: from Git, from a Helm repository, from a registry, with values from elsewhere.

use std::path::Path;
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kubectl_gitops::api::application::ApplicationStatus;
use serde_json::json;

use crate::application::{Bench, SOON, config_map};
use crate::support::eventually;
use crate::support::packages::{CHART_LAYER, ChartServer, IMAGE_LAYER, Packed, RegistryServer, pack};
use crate::support::tools;

fn guestbook() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/render/helm/guestbook/input/app"))
}

/// The guestbook as `helm package` packs it, under another version.
fn packed(version: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut helm = Command::new(tools().bin().join("helm"));
    let output = helm.args(["package", "--version", version]).arg(guestbook()).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(folder.path().join(format!("guestbook-{version}.tgz"))).unwrap()
}

impl Bench {
    async fn replicas(&self, name: &str) -> Option<i32> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), &self.destination);
        deployments.get(name).await.unwrap().spec.replicas
    }

    async fn wait_synced_to(&self, name: &str, revisions: &[&str]) -> ApplicationStatus {
        self.wait(name, &format!("Synced and Healthy at {revisions:?}"), |status| {
            let sync = status.sync.clone().unwrap_or_default();
            let health = status.health.clone().unwrap_or_default();
            sync.status == "Synced" && sync.revisions == revisions && health.status == "Healthy"
        })
        .await
    }
}

#[tokio::test]
async fn a_chart_from_git_is_applied_with_its_hooks_and_follows_its_values() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("guestbook");
    let copied = Command::new("cp").arg("-a").arg(guestbook()).arg(repo.tree()).status().unwrap();
    assert!(copied.success());
    repo.write("values/prod.yaml", "replicas: 2\n");
    let first = repo.commit("first");
    let mut app = bench.app("web", repo.url());
    app["spec"]["source"]["helm"] = json!({ "valueFiles": ["/values/prod.yaml"],
        "parameters": [{ "name": "service.port", "value": "8080" }], "releaseName": "book" });
    bench.create(&app).await;
    let status = bench.wait_synced("web", &first).await;
    assert_eq!(status.source_type.as_deref(), Some("Helm"));
    let mut kinds: Vec<&str> = status.resources.iter().map(|resource| resource.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["Deployment", "Job", "Service", "StatefulSet"]);
    assert_eq!(bench.replicas("book-guestbook").await, Some(2));
    let results = status.operation_state.unwrap().sync_result.unwrap().resources;
    let hook = results.iter().find(|result| result.kind == "Job").unwrap();
    assert_eq!(
        (hook.hook_type.as_str(), hook.hook_phase.as_str(), hook.sync_phase.as_str()),
        ("PreSync", "Succeeded", "PreSync")
    );
    let jobs: Api<Job> = Api::namespaced(bench.client.clone(), &bench.destination);
    assert!(jobs.get_opt("book-migrate").await.unwrap().is_some());
    let pods: Api<Pod> = Api::namespaced(bench.client.clone(), &bench.destination);
    assert!(pods.get_opt("book-test").await.unwrap().is_none(), "a test of the chart is no part of the application");

    repo.write("values/prod.yaml", "replicas: 3\n");
    let second = repo.commit("more replicas");
    bench.wait_synced("web", &second).await;
    assert_eq!(bench.replicas("book-guestbook").await, Some(3));

    // Nothing that was wrong harms what runs.
    repo.write("app/templates/bad.yaml", "a: b\n{{ fail \"no host was given\" }}\n");
    repo.commit("broken");
    let status = bench.wait_condition("web", "ComparisonError", "bad.yaml:2").await;
    assert!(status.conditions.iter().any(|condition| condition.message.contains("no host was given")));
    repo.write("app/templates/bad.yaml", "{{- if .Values.never }}\n{{ randAlpha 5 }}\n{{- end }}\n");
    let third = repo.commit("mended, with something random");
    bench.wait_synced("web", &third).await;
    bench.wait_condition("web", "UnsupportedFeatureWarning", "bad.yaml` calls randAlpha").await;
}

#[tokio::test]
async fn a_chart_of_a_repository_with_values_from_git_moves_with_either() {
    let bench = Bench::start().await;
    let server = ChartServer::start();
    server.publish("guestbook", "0.3.1", packed("0.3.1"));
    server.publish("guestbook", "1.0.0", packed("1.0.0"));
    let values = bench.git.repo("values");
    values.write("prod/web.yaml", "replicas: 2\n");
    let first = values.commit("first");
    let mut app = bench.app("web", values.url());
    app["spec"].as_object_mut().unwrap().remove("source");
    app["spec"]["sources"] = json!([
        { "repoURL": server.url(), "chart": "guestbook", "targetRevision": "0.x",
            "helm": { "valueFiles": ["$values/prod/web.yaml"], "ignoreMissingValueFiles": true } },
        { "repoURL": values.url(), "targetRevision": "HEAD", "ref": "values" },
    ]);
    bench.create(&app).await;
    let status = bench.wait_synced_to("web", &["0.3.1", &first]).await;
    assert_eq!(status.source_types, ["Helm", ""]);
    assert_eq!(bench.replicas("web-guestbook").await, Some(2));
    let result = status.operation_state.unwrap().sync_result.unwrap();
    assert_eq!(result.revisions, ["0.3.1", first.as_str()]);

    values.write("prod/web.yaml", "replicas: 4\n");
    let second = values.commit("more replicas");
    bench.wait_synced_to("web", &["0.3.1", &second]).await;
    assert_eq!(bench.replicas("web-guestbook").await, Some(4));

    // The next poll of the index finds a newer version.
    server.publish("guestbook", "0.4.0", packed("0.4.0"));
    bench.wait_synced_to("web", &["0.4.0", &second]).await;
    let deployments: Api<Deployment> = Api::namespaced(bench.client.clone(), &bench.destination);
    eventually("the label of the new version", SOON, || async {
        let labels = deployments.get("web-guestbook").await.unwrap().metadata.labels.unwrap();
        if labels["helm.sh/chart"] == "guestbook-0.4.0" { Ok(()) } else { Err(format!("{labels:?}")) }
    })
    .await;

    let mut wrong = bench.app("wrong", values.url());
    wrong["spec"]["source"] = json!({ "repoURL": server.url(), "chart": "guestbook", "targetRevision": "7.x" });
    bench.create(&wrong).await;
    bench.wait_condition("wrong", "ComparisonError", "no version of `guestbook` for `7.x`").await;
}

#[tokio::test]
async fn charts_and_artifacts_of_a_registry_are_applied() {
    let bench = Bench::start().await;
    let registry = RegistryServer::start();
    registry.push("org/guestbook", "0.3.1", &[(CHART_LAYER, packed("0.3.1"))]);
    let manifests = |value: &str| vec![(IMAGE_LAYER, pack(&[Packed::file("deploy/cm.yaml", &config_map("from-oci", value))]))];
    let first = registry.push("org/manifests", "stable", &manifests("one"));
    let mut app = bench.app("chart", &format!("{}/org", registry.address));
    app["spec"]["source"] =
        json!({ "repoURL": format!("{}/org", registry.address), "chart": "guestbook", "targetRevision": "0.3.*" });
    bench.create(&app).await;
    let mut artifact = bench.app("artifact", "");
    artifact["spec"]["source"] =
        json!({ "repoURL": format!("oci://{}/org/manifests", registry.address), "targetRevision": "stable", "path": "deploy" });
    bench.create(&artifact).await;
    bench.wait_synced("chart", "0.3.1").await;
    bench.wait_synced("artifact", &first).await;
    assert_eq!(bench.config_maps().get("from-oci").await.unwrap().data.unwrap()["k"], "one");
    // The tag moves.
    let second = registry.push("org/manifests", "stable", &manifests("two"));
    bench.wait_synced("artifact", &second).await;
    assert_eq!(bench.config_maps().get("from-oci").await.unwrap().data.unwrap()["k"], "two");
}
