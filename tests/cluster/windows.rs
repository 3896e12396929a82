//! Sync windows and impersonation on a real API server.

use kube::api::{Api, Patch, PatchParams};
use kubectl_gitops::api::AppProject;
use serde_json::{Value, json};

use crate::application::{Bench, config_map};
use crate::support::install::apply;

impl Bench {
    /// Changes the project `default`.
    async fn project(&self, spec: &Value) {
        let projects: Api<AppProject> = Api::namespaced(self.client.clone(), &self.control);
        projects.patch("default", &PatchParams::default(), &Patch::Merge(json!({ "spec": spec }))).await.unwrap();
    }
}

#[tokio::test]
async fn a_window_holds_syncs_and_lets_them_go_on_when_it_ends() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("windows");
    repo.write("app/settings.yaml", &config_map("settings", "one"));
    let first = repo.commit("first");
    let deny = json!({ "kind": "deny", "schedule": "* * * * *", "duration": "24h", "applications": ["*"] });
    bench.project(&json!({ "syncWindows": [deny] })).await;
    bench.create(&bench.app("windows", repo.url())).await;
    let held =
        bench.wait("windows", "OutOfSync", |status| status.sync.as_ref().is_some_and(|sync| sync.status == "OutOfSync")).await;
    assert!(held.operation_state.is_none() && held.conditions.is_empty(), "{held:?}");
    // A sync by hand waits as well, and is not failed.
    let operation = json!({ "operation": { "sync": {} } });
    bench.apps().patch("windows", &PatchParams::default(), &Patch::Merge(operation)).await.unwrap();
    bench
        .wait("windows", "held", |status| {
            status
                .operation_state
                .as_ref()
                .is_some_and(|state| state.phase == "Running" && state.message == "Sync operation blocked by sync window")
        })
        .await;
    let mut manual = deny.clone();
    manual["manualSync"] = true.into();
    bench.project(&json!({ "syncWindows": [manual] })).await;
    bench.wait_synced("windows", &first).await;
    // Automation is still held, until there is no window any more.
    repo.write("app/settings.yaml", &config_map("settings", "two"));
    let second = repo.commit("second");
    bench.wait("windows", "OutOfSync again", |status| status.sync.as_ref().is_some_and(|sync| sync.status == "OutOfSync")).await;
    bench.project(&json!({ "syncWindows": null })).await;
    bench.wait_synced("windows", &second).await;
    let broken = json!({ "kind": "deny", "schedule": "@daily", "duration": "1h", "applications": ["*"] });
    bench.project(&json!({ "syncWindows": [broken] })).await;
    repo.write("app/settings.yaml", &config_map("settings", "three"));
    repo.commit("third");
    bench.wait_condition("windows", "SyncError", "sync window `deny:@daily:1h` cannot be read").await;
}

#[tokio::test]
async fn a_sync_acts_as_the_service_account_of_the_project() {
    let bench = Bench::start().await;
    let namespace = bench.destination.name().to_owned();
    let repo = bench.git.repo("impersonation");
    repo.write("app/settings.yaml", &config_map("settings", "one"));
    let first = repo.commit("first");
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(bench.client.clone(), &bench.control);
    let on = json!({ "data": { "application.sync.impersonation.enabled": "true" } });
    maps.patch("argocd-cm", &PatchParams::default(), &Patch::Merge(on)).await.unwrap();
    let name = format!("impersonation-{}", bench.control.name());
    let rules = json!([{ "apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"] }]);
    let rbac = "rbac.authorization.k8s.io/v1";
    apply(&bench.client, &json!({ "apiVersion": rbac, "kind": "ClusterRole", "metadata": { "name": name }, "rules": rules }))
        .await;
    let controller = json!([{ "kind": "ServiceAccount", "name": "gitops-controller", "namespace": bench.control.name() }]);
    let binding = json!({ "apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name }, "subjects": controller });
    apply(&bench.client, &binding).await;

    let mut app = bench.app("impersonation", repo.url());
    app["spec"]["syncPolicy"] = json!({});
    app["operation"] = json!({ "sync": {} });
    bench.create(&app).await;
    let text = "no matching service account found for destination server";
    bench.wait("impersonation", "refused", |status| state_is(status, "Error", text)).await;

    let accounts = json!([{ "server": "*", "namespace": namespace, "defaultServiceAccount": "deployer" }]);
    bench.project(&json!({ "destinationServiceAccounts": accounts })).await;
    let again = json!({ "operation": { "sync": {} }, "status": { "operationState": null } });
    bench.apps().patch("impersonation", &PatchParams::default(), &Patch::Merge(again.clone())).await.unwrap();
    let user = format!("User \"system:serviceaccount:{namespace}:deployer\" cannot");
    bench.wait("impersonation", "forbidden", |status| state_is(status, "Failed", &user)).await;

    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "deployer", "namespace": namespace } });
    apply(&bench.client, &account).await;
    let may = json!([{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch", "update"] }]);
    let role =
        json!({ "apiVersion": rbac, "kind": "Role", "metadata": { "name": "deployer", "namespace": namespace }, "rules": may });
    apply(&bench.client, &role).await;
    let binding = json!({ "apiVersion": rbac, "kind": "RoleBinding", "metadata": { "name": "deployer", "namespace": namespace },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deployer" },
        "subjects": [{ "kind": "ServiceAccount", "name": "deployer", "namespace": namespace }] });
    apply(&bench.client, &binding).await;
    bench.apps().patch("impersonation", &PatchParams::default(), &Patch::Merge(again)).await.unwrap();
    bench.wait_synced("impersonation", &first).await;
}

fn state_is(status: &kubectl_gitops::api::application::ApplicationStatus, phase: &str, text: &str) -> bool {
    let shown = |state: &kubectl_gitops::api::application::OperationState| {
        let results = state.sync_result.iter().flat_map(|result| &result.resources).map(|one| one.message.as_str());
        state.phase == phase && (state.message.contains(text) || results.into_iter().any(|message| message.contains(text)))
    };
    status.operation_state.as_ref().is_some_and(shown)
}
