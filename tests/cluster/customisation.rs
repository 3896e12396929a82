//! What operators and Applications say about differences, on a real API server.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::application::{Bench, SOON, config_map, repository};
use crate::support::eventually;

impl Bench {
    async fn set(&self, key: &str, value: &str) {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.control);
        let change = json!({ "data": { key: value } });
        maps.patch("argocd-cm", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &self.destination)
    }

    async fn scale(&self, replicas: u32) {
        let scale = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        self.deployments().patch("web", &PatchParams::apply("autoscaler"), &scale).await.unwrap();
    }

    async fn wait_sync(&self, name: &str, wanted: &str) {
        self.wait(name, wanted, |status| status.sync.as_ref().is_some_and(|sync| sync.status == wanted)).await;
    }

    async fn ask(&self, name: &str, options: &[&str]) {
        let operation = json!({ "operation": { "sync": { "syncOptions": options } }, "status": { "operationState": null } });
        self.apps().patch(name, &PatchParams::default(), &Patch::Merge(operation)).await.unwrap();
        self.wait(name, "done", |status| {
            status.operation_state.as_ref().is_some_and(|state| matches!(state.phase.as_str(), "Succeeded" | "Failed"))
        })
        .await;
    }

    async fn manual(&self, name: &str, url: &str, ignore: Value) {
        let mut app = self.app(name, url);
        app["spec"]["syncPolicy"] = json!({});
        app["spec"]["ignoreDifferences"] = ignore;
        self.create(&app).await;
        self.wait(name, "compared", |status| status.sync.is_some()).await;
    }
}

#[tokio::test]
async fn settings_take_effect_without_a_restart() {
    let bench = Bench::start().await;
    let repo = repository(&bench, "settings");
    repo.commit("first");
    bench.manual("settings", repo.url(), json!([])).await;
    bench.ask("settings", &[]).await;
    bench.wait_sync("settings", "Synced").await;
    bench.scale(5).await;
    bench.wait_sync("settings", "OutOfSync").await;
    bench.set("resource.customizations.ignoreDifferences.apps_Deployment", "jsonPointers: [/spec/replicas]").await;
    bench.wait_sync("settings", "Synced").await;
    bench.set("resource.customizations.health.ConfigMap", "return {status = 'Suspended', message = 'by script'}").await;
    bench.wait("settings", "Suspended", |status| status.health.as_ref().is_some_and(|health| health.status == "Suspended")).await;
    // A broken script is told, and keeps nobody from syncing: the commit that mends it may be the next.
    bench.set("resource.customizations.health.ConfigMap", "error('no')").await;
    bench.wait_condition("settings", "ComparisonError", "Failed to assess the health of ConfigMap").await;
    bench.ask("settings", &[]).await;
    assert_eq!(bench.status("settings").await.operation_state.unwrap().phase, "Succeeded");
    bench.set("resource.exclusions", "- {kinds: [ConfigMap]}").await;
    let status = bench.wait_condition("settings", "ExcludedResourceWarning", "ConfigMap settings is excluded").await;
    assert!(status.resources.iter().all(|resource| resource.kind != "ConfigMap"), "{:?}", status.resources);
}

#[tokio::test]
async fn ignored_fields_stay_when_everything_else_is_applied() {
    let bench = Bench::start().await;
    let repo = repository(&bench, "respect");
    repo.commit("first");
    let ignore = json!([{ "group": "apps", "kind": "Deployment", "managedFieldsManagers": ["autoscaler"] }]);
    bench.manual("respect", repo.url(), ignore).await;
    bench.ask("respect", &[]).await;
    bench.scale(5).await;
    let replicas = async || bench.deployments().get("web").await.unwrap().spec.replicas;
    let image = |tag: &str| {
        let text = std::fs::read_to_string(repo.tree().join("app/web.yaml")).unwrap();
        let at = text.find("registry.example/web:").unwrap();
        format!("{}registry.example/web:{tag}\n{}", &text[..at], text[at..].split_once('\n').unwrap().1)
    };
    repo.write("app/web.yaml", &image("2"));
    repo.commit("second");
    bench.wait_sync("respect", "OutOfSync").await;
    bench.ask("respect", &["RespectIgnoreDifferences=true"]).await;
    assert_eq!(replicas().await, Some(5));
    bench.wait_sync("respect", "Synced").await;
    // Without the option a sync overwrites what is ignored.
    repo.write("app/web.yaml", &image("3"));
    repo.commit("third");
    bench.wait_sync("respect", "OutOfSync").await;
    bench.ask("respect", &[]).await;
    assert_eq!(replicas().await, Some(2));
}

#[tokio::test]
async fn an_undeclared_field_is_left_out_unless_server_side_apply_is_asked_for() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("undeclared");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: typo}\nspec: {typpe: ClusterIP, ports: [{port: 80}]}\n";
    repo.write("app/service.yaml", service);
    repo.commit("first");
    bench.manual("undeclared", repo.url(), json!([])).await;
    bench.ask("undeclared", &[]).await;
    let status = bench.wait("undeclared", "OutOfSync", |status| status.sync.as_ref().unwrap().status == "OutOfSync").await;
    let state = status.operation_state.unwrap();
    let message = &state.sync_result.unwrap().resources[0].message;
    assert_eq!(
        (state.phase.as_str(), message.as_str()),
        ("Succeeded", "service/typo created; unknown field .spec.typpe left out")
    );
    bench.ask("undeclared", &["ServerSideApply=true"]).await;
    let state = bench.status("undeclared").await.operation_state.unwrap();
    assert!(state.phase == "Failed" && state.message.contains("field not declared in schema"), "{state:?}");
}

#[tokio::test]
async fn what_was_applied_client_side_goes_when_it_leaves_git() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("adoption");
    repo.write("app/settings.yaml", &config_map("settings", "new"));
    repo.commit("first");
    let last = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "k": "old", "gone": "x" },
        "metadata": { "name": "settings", "namespace": bench.destination.name(), "annotations": {} } });
    let mut live = last.clone();
    live["metadata"]["annotations"] = json!({ "kubectl.kubernetes.io/last-applied-configuration": last.to_string() });
    let by = PostParams { field_manager: Some("kubectl-client-side-apply".into()), ..PostParams::default() };
    bench.config_maps().create(&by, &serde_json::from_value(live).unwrap()).await.unwrap();
    bench.manual("adoption", repo.url(), json!([])).await;
    bench.ask("adoption", &[]).await;
    eventually("the field that left Git to be gone", SOON, || async {
        let data = bench.config_maps().get("settings").await.unwrap().data.unwrap();
        if data == [("k".to_owned(), "new".to_owned())].into() { Ok(()) } else { Err(format!("{data:?}")) }
    })
    .await;
    bench.wait_sync("adoption", "Synced").await;
}
