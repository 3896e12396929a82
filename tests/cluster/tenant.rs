//! Attempts to leave the fence of an AppProject, and what stops each.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kubectl_gitops::api::AppProject;
use serde_json::{Value, json};

use crate::application::{Bench, SOON, config_map};
use crate::support::eventually;

/// One attempt: the file in Git, and a part of the message that stops it.
struct Attempt {
    name: &'static str,
    manifest: String,
    stopped_by: String,
}

fn attempts(control: &str) -> Vec<Attempt> {
    let attempt = |name, manifest: &str, stopped_by: String| Attempt { name, manifest: manifest.to_owned(), stopped_by };
    let elsewhere = format!("namespace {control} is not permitted in project 'team'");
    let cluster_role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: escape}\nrules: []\n";
    let listed = format!("apiVersion: v1\nkind: List\nitems:\n- {}", cluster_role.trim_end().replace('\n', "\n  "));
    let child = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: child, namespace: {control}}}\n\
         spec: {{project: default, source: {{repoURL: x, path: y}}, destination: {{name: in-cluster}}}}\n"
    );
    let stray = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: stray, namespace: {control}}}\n");
    let hook = stray.replace("metadata: {", "metadata: {annotations: {argocd.argoproj.io/hook: PreSync}, ");
    let generated = hook.replace("name: stray", "generateName: stray-");
    let project = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {{name: team, namespace: {control}}}\nspec: {{}}\n"
    );
    vec![
        attempt("esc-namespace", &stray, elsewhere.clone()),
        attempt("esc-hook", &hook, elsewhere.clone()),
        attempt("esc-generated-hook", &generated, elsewhere.clone()),
        attempt("esc-cluster-kind", cluster_role, "ClusterRole is not permitted in project team".into()),
        attempt("esc-list", &listed, "ClusterRole is not permitted in project team".into()),
        attempt("esc-app-of-apps", &child, elsewhere.clone()),
        attempt("esc-own-project", &project, elsewhere),
    ]
}

#[tokio::test]
async fn no_attempt_leaves_the_fence() {
    let bench = Bench::start().await;
    let (control, destination) = (bench.control.name().to_owned(), bench.destination.name().to_owned());
    let (own, foreign) = (bench.git.repo("team"), bench.git.repo("foreign"));
    let attempts = attempts(&control);
    for attempt in &attempts {
        own.write(&format!("{}/x.yaml", attempt.name), &attempt.manifest);
    }
    own.write("esc-prune/x.yaml", &config_map("own", "1"));
    own.commit("attempts");
    foreign.write("app/x.yaml", &config_map("foreign", "1")).commit("first");
    let fence = json!({ "metadata": { "name": "team" }, "spec": {
        "sourceRepos": [own.url()], "destinations": [{ "server": "https://kubernetes.default.svc", "namespace": destination }] } });
    let projects: Api<DynamicObject> =
        Api::namespaced_with(bench.client.clone(), &bench.control, &ApiResource::erase::<AppProject>(&()));
    projects.create(&PostParams::default(), &serde_json::from_value(typed(fence)).unwrap()).await.unwrap();
    // A mark in somebody else's namespace that says that the tenant's Application manages it.
    let maps: Api<ConfigMap> = Api::namespaced(bench.client.clone(), &control);
    let mark = format!("esc-prune:/ConfigMap:{control}/victim");
    let victim = json!({ "metadata": { "name": "victim", "annotations": { "argocd.argoproj.io/tracking-id": mark } } });
    maps.create(&PostParams::default(), &serde_json::from_value(victim).unwrap()).await.unwrap();

    let app = |name: &str, path: &str, url: &str| -> Value {
        let mut app = bench.app(name, url);
        app["spec"]["project"] = json!("team");
        app["spec"]["source"]["path"] = json!(path);
        // Hooks alone are no reason to sync.
        app["operation"] = json!({ "initiatedBy": { "username": "tenant" }, "sync": {} });
        app
    };
    for attempt in &attempts {
        bench.create(&app(attempt.name, attempt.name, own.url())).await;
    }
    bench.create(&app("esc-repository", "app", foreign.url())).await;
    let mut outside = app("esc-destination", "esc-prune", own.url());
    outside["spec"]["destination"]["namespace"] = json!(control);
    bench.create(&outside).await;
    bench.create(&app("esc-prune", "esc-prune", own.url())).await;

    bench.wait_condition("esc-repository", "InvalidSpecError", "is not permitted in project 'team'").await;
    bench.wait_condition("esc-destination", "InvalidSpecError", "do not match any of the allowed destinations").await;
    for attempt in &attempts {
        eventually(&format!("{} to be stopped by {:?}", attempt.name, attempt.stopped_by), SOON, || async {
            let status = serde_json::to_string(&bench.status(attempt.name).await).unwrap();
            if status.contains(&attempt.stopped_by) { Ok(()) } else { Err(status) }
        })
        .await;
    }
    // Somebody else's mark does not stop the tenant either.
    bench
        .wait("esc-prune", "synced", |status| status.operation_state.as_ref().is_some_and(|state| state.phase == "Succeeded"))
        .await;

    assert!(maps.get_opt("victim").await.unwrap().is_some(), "a mark gives no right to delete");
    assert!(maps.get_opt("stray").await.unwrap().is_none());
    let left = maps.list(&Default::default()).await.unwrap();
    assert!(left.items.iter().all(|map| !map.metadata.name.as_deref().unwrap_or_default().starts_with("stray")));
    let roles: Api<ClusterRole> = Api::all(bench.client.clone());
    assert!(roles.get_opt("escape").await.unwrap().is_none());
    assert!(bench.apps().get_opt("child").await.unwrap().is_none());
    let team = projects.get("team").await.unwrap();
    assert_eq!(team.data["spec"]["sourceRepos"], json!([own.url()]), "the fence is as it was");
}

fn typed(mut project: Value) -> Value {
    project["apiVersion"] = json!("argoproj.io/v1alpha1");
    project["kind"] = json!("AppProject");
    project
}
