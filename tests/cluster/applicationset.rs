//! ApplicationSets on a real API server: from generators to Applications, and what never deletes.

use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kubectl_gitops::api::ApplicationSet;
use serde_json::{Value, json};

use crate::application::{Bench, SOON, config_map};
use crate::support::eventually;

/// The first example of the documentation, word for word.
const FIRST_EXAMPLE: &str = include_str!("../fixtures/appset/list-the-first-example/appset.yaml");

impl Bench {
    fn sets(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.control, &ApiResource::erase::<ApplicationSet>(&()))
    }

    async fn create_set(&self, set: &Value) {
        self.sets().create(&PostParams::default(), &serde_json::from_value(set.clone()).unwrap()).await.unwrap();
    }

    async fn patch_set(&self, name: &str, patch: Value) {
        self.sets().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    async fn names(&self) -> Vec<String> {
        let apps = self.apps().list(&ListParams::default()).await.unwrap();
        apps.items.into_iter().filter_map(|app| app.metadata.name).collect()
    }

    async fn wait_names(&self, what: &str, wanted: &[&str]) {
        eventually(what, SOON, || async {
            let names = self.names().await;
            if names == wanted { Ok(()) } else { Err(format!("{names:?}, set: {}", self.set_status().await)) }
        })
        .await;
    }

    async fn set_status(&self) -> Value {
        let sets = self.sets().list(&ListParams::default()).await.unwrap();
        sets.items.into_iter().map(|set| set.data["status"].clone()).collect()
    }

    /// Waits for a condition whose message holds a text.
    async fn wait_set(&self, name: &str, kind: &str, status: &str, text: &str) -> Value {
        eventually(&format!("{kind}={status} with {text:?}"), SOON, || async {
            let set = self.sets().get(name).await.unwrap();
            let status_now = &set.data["status"];
            let found = status_now["conditions"].as_array().into_iter().flatten().any(|one| {
                one["type"] == kind && one["status"] == status && one["message"].as_str().unwrap_or_default().contains(text)
            });
            if found { Ok(status_now.clone()) } else { Err(status_now.to_string()) }
        })
        .await
    }

    /// An ApplicationSet whose Applications deploy the folder that their parameter `path` names.
    fn new_set(&self, name: &str, generators: Value, app_name: &str, path: &str, url: &str) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": { "name": name },
            "spec": {
                "generators": generators,
                "template": {
                    "metadata": { "name": app_name },
                    "spec": {
                        "project": "default",
                        "source": { "repoURL": url, "targetRevision": "HEAD", "path": path },
                        "destination": { "server": "https://kubernetes.default.svc", "namespace": self.destination.name() },
                        "syncPolicy": { "automated": {} },
                    },
                },
            },
        })
    }
}

async fn version_of(api: &Api<DynamicObject>, name: &str) -> String {
    api.get(name).await.unwrap().metadata.resource_version.unwrap()
}

#[tokio::test]
async fn the_first_example_works_as_it_stands() {
    let bench = Bench::start().await;
    let set: Value = kubectl_gitops::resource::yaml::parse_one(FIRST_EXAMPLE).unwrap();
    bench.create_set(&set).await;
    bench.wait_names("two Applications", &["engineering-dev-guestbook", "engineering-prod-guestbook"]).await;
    let status = bench.wait_set("global-guestbook", "ResourcesUpToDate", "True", "generated successfully").await;
    assert_eq!((&status["resourcesCount"], &status["health"]["status"]), (&json!(2), &json!("Healthy")), "{status}");
    let dev = bench.apps().get("engineering-dev-guestbook").await.unwrap();
    let owner = &dev.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((owner.name.as_str(), owner.controller), ("global-guestbook", Some(true)));
    assert_eq!(dev.data["spec"]["destination"], json!({ "server": "https://1.2.3.4", "namespace": "guestbook" }));
    // A manual change is undone.
    let patch = json!({ "spec": { "source": { "path": "elsewhere" } }, "metadata": { "labels": { "stray": "1" } } });
    bench.apps().patch("engineering-dev-guestbook", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    eventually("the change to be undone", SOON, || async {
        let app = bench.apps().get("engineering-dev-guestbook").await.unwrap();
        let undone =
            app.data["spec"]["source"]["path"] == "guestbook" && app.metadata.labels.is_none_or(|labels| labels.is_empty());
        undone.then_some(()).ok_or("not yet")
    })
    .await;
    // One element changes: the Application of the other is not touched.
    bench.wait_condition("engineering-prod-guestbook", "InvalidSpecError", "5.6.7.8").await;
    let untouched = version_of(&bench.apps(), "engineering-prod-guestbook").await;
    let changed = json!([{ "cluster": "engineering-dev", "url": "https://9.9.9.9" }, { "cluster": "engineering-prod", "url": "https://5.6.7.8" }]);
    bench.patch_set("global-guestbook", json!({ "spec": { "generators": [{ "list": { "elements": changed } }] } })).await;
    eventually("the destination to change", SOON, || async {
        let app = bench.apps().get("engineering-dev-guestbook").await.unwrap();
        (app.data["spec"]["destination"]["server"] == "https://9.9.9.9").then_some(()).ok_or("not yet")
    })
    .await;
    assert_eq!(version_of(&bench.apps(), "engineering-prod-guestbook").await, untouched);
    // An element goes, and its Application although nobody knows its cluster.
    bench.patch_set("global-guestbook", json!({ "spec": { "generators": [{ "list": { "elements": [changed[1]] } }] } })).await;
    bench.wait_names("one Application", &["engineering-prod-guestbook"]).await;
}

#[tokio::test]
async fn folders_become_applications_and_an_error_deletes_nothing() {
    let mut bench = Bench::start().await;
    let repo = bench.git.repo("fleet");
    repo.write("apps/one/cm.yaml", &config_map("one", "1")).write("apps/two/cm.yaml", &config_map("two", "2")).commit("two apps");
    let generators = json!([{ "git": { "repoURL": repo.url(), "revision": "HEAD", "directories": [{ "path": "apps/*" }] } }]);
    bench.create_set(&bench.new_set("folders", generators, "{{path.basename}}", "{{path}}", repo.url())).await;
    bench.wait_names("two Applications", &["one", "two"]).await;
    let first = repo.head();
    bench.wait_synced("one", &first).await;
    repo.write("apps/three/cm.yaml", &config_map("three", "3")).commit("a third one");
    bench.wait_names("three Applications", &["one", "three", "two"]).await;
    // Another generator fails: what the good one says is not acted upon either.
    let broken = json!([
        { "git": { "repoURL": repo.url(), "revision": "HEAD", "directories": [{ "path": "apps/one" }] } },
        { "git": { "repoURL": repo.url(), "revision": "no-such-branch", "directories": [{ "path": "apps/*" }] } },
    ]);
    bench.patch_set("folders", json!({ "spec": { "generators": broken } })).await;
    let status = bench.wait_set("folders", "ErrorOccurred", "True", "no-such-branch").await;
    assert_eq!((&status["health"]["status"], &status["resourcesCount"]), (&json!("Degraded"), &json!(3)), "{status}");
    assert_eq!(bench.names().await, ["one", "three", "two"]);
    // The remote is away: as good as nothing known.
    bench.git.stop();
    let away = json!([{ "git": { "repoURL": repo.url(), "revision": "other", "directories": [{ "path": "apps/one" }] } }]);
    bench.patch_set("folders", json!({ "spec": { "generators": away }, "metadata": { "annotations": { "argocd.argoproj.io/application-set-refresh": "true" } } })).await;
    bench.wait_set("folders", "ErrorOccurred", "True", "spec.generators[0].git").await;
    assert_eq!(bench.names().await, ["one", "three", "two"]);
    bench.git.resume();
    let good = json!([{ "git": { "repoURL": repo.url(), "revision": "HEAD", "directories": [{ "path": "apps/one" }] } }]);
    bench.patch_set("folders", json!({ "spec": { "generators": good } })).await;
    bench.wait_names("one Application", &["one"]).await;
    eventually("the refresh annotation to go and the count to be right", SOON, || async {
        let set = bench.sets().get("folders").await.unwrap();
        let gone = set.metadata.annotations.clone().unwrap_or_default().is_empty();
        if gone && set.data["status"]["resourcesCount"] == 1 {
            Ok(())
        } else {
            Err(format!("{:?} {}", set.metadata.annotations, set.data))
        }
    })
    .await;
}

#[tokio::test]
async fn clusters_policies_and_budgets_are_honoured() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("fleet");
    repo.write("app/cm.yaml", &config_map("x", "1")).commit("first");
    let url = repo.url();
    // A cluster comes and goes.
    let generators = json!([{ "clusters": { "selector": { "matchLabels": { "env": "dev" } } } }]);
    bench.create_set(&bench.new_set("of-clusters", generators, "app-{{name}}", "app", url)).await;
    bench.wait_set("of-clusters", "ResourcesUpToDate", "True", "").await;
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(bench.client.clone(), &bench.control);
    let secret = json!({ "metadata": { "name": "cluster-a", "labels": { "argocd.argoproj.io/secret-type": "cluster", "env": "dev" } },
        "stringData": { "name": "a", "server": "https://a.example", "config": "{\"bearerToken\":\"marker-c1u5\"}" } });
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    bench.wait_names("the cluster's Application", &["app-a"]).await;
    secrets.delete("cluster-a", &DeleteParams::default()).await.unwrap();
    bench.wait_names("no Application", &[]).await;
    bench.sets().delete("of-clusters", &DeleteParams::default()).await.unwrap();
    // Create-only: nothing is changed or deleted, and an Application that nobody owns is adopted.
    bench.create(&bench.app("kept-a", url)).await;
    let elements = |names: &[&str]| -> Value {
        json!([{ "list": { "elements": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() } }])
    };
    let mut set = bench.new_set("kept", elements(&["kept-a", "kept-b"]), "{{name}}", "app", url);
    set["spec"]["syncPolicy"] = json!({ "applicationsSync": "create-only" });
    set["metadata"]["finalizers"] = json!(["resources-finalizer.argocd.argoproj.io"]);
    bench.create_set(&set).await;
    bench.wait_names("both", &["kept-a", "kept-b"]).await;
    eventually("the adoption", SOON, || async {
        let app = bench.apps().get("kept-a").await.unwrap();
        app.metadata.owner_references.is_some().then_some(()).ok_or("no owner yet")
    })
    .await;
    bench.patch_set("kept", json!({ "spec": { "generators": elements(&["kept-c"]) } })).await;
    bench.wait_names("the new one beside the old ones", &["kept-a", "kept-b", "kept-c"]).await;
    // Deleted, the set lets its Applications go.
    bench.sets().delete("kept", &DeleteParams::default()).await.unwrap();
    eventually("the ApplicationSet to go", SOON, || async {
        bench.sets().get_opt("kept").await.unwrap().is_none().then_some(()).ok_or("still there")
    })
    .await;
    let apps = bench.apps().list(&ListParams::default()).await.unwrap();
    assert!(apps.items.iter().all(|app| app.metadata.owner_references.is_none()), "nothing is left for the garbage collector");
    assert_eq!(apps.items.len(), 3);
    bench.apps().delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    bench.wait_names("a clean table", &[]).await;
    // A budget of one: two deletions wait for an approval.
    let mut set = bench.new_set("held", elements(&["h1", "h2", "h3"]), "{{name}}", "app", url);
    set["metadata"]["annotations"] = json!({ "kubectl-gitops.io/deletion-budget": "1" });
    bench.create_set(&set).await;
    bench.wait_names("three", &["h1", "h2", "h3"]).await;
    bench.patch_set("held", json!({ "spec": { "generators": elements(&["h1"]) } })).await;
    let status = bench.wait_set("held", "DeletionHeld", "True", "2 of 3 applications").await;
    assert_eq!(bench.names().await, ["h1", "h2", "h3"]);
    assert_eq!(status["resourcesCount"], 3);
    let approval = json!({ "argocd.argoproj.io/deletion-approved": jiff::Timestamp::now().to_string() });
    bench.patch_set("held", json!({ "metadata": { "annotations": approval } })).await;
    bench.wait_names("the approved deletions", &["h1"]).await;
    assert!(!bench.controller.log().contains("marker-c1u5"), "credentials of clusters stay out of the log");
}

#[tokio::test]
async fn steps_sync_one_after_the_other_and_plugins_are_asked() {
    let bench = Bench::start_with(&["--enable-progressive-syncs"]).await;
    let repo = bench.git.repo("fleet");
    repo.write("a/cm.yaml", &config_map("a", "1")).write("b/cm.yaml", &config_map("b", "1")).commit("first");
    let elements = json!([{ "name": "a", "env": "dev" }, { "name": "b", "env": "prod" }]);
    let mut set = bench.new_set("steps", json!([{ "list": { "elements": elements } }]), "{{name}}", "{{name}}", repo.url());
    set["spec"]["template"]["metadata"]["labels"] = json!({ "env": "{{env}}" });
    let step = |env: &str| json!({ "matchExpressions": [{ "key": "env", "operator": "In", "values": [env] }] });
    set["spec"]["strategy"] =
        json!({ "type": "RollingSync", "deletionOrder": "Reverse", "rollingSync": { "steps": [step("dev"), step("prod")] } });
    bench.create_set(&set).await;
    let status = bench.wait_set("steps", "RolloutProgressing", "False", "completed").await;
    let states: Vec<_> =
        status["applicationStatus"].as_array().unwrap().iter().map(|one| (&one["step"], &one["status"])).collect();
    assert_eq!(states, [(&json!("1"), &json!("Healthy")), (&json!("2"), &json!("Healthy"))], "{status}");
    let (a, b) = (bench.apps().get("a").await.unwrap(), bench.apps().get("b").await.unwrap());
    assert_eq!(a.data["spec"]["syncPolicy"]["automated"]["enabled"], false, "the rollout syncs, nobody else");
    let state = |app: &DynamicObject, field: &str| app.data["status"]["operationState"][field].as_str().unwrap().to_owned();
    assert!(state(&a, "finishedAt") <= state(&b, "startedAt"), "the second step began before the first was done");
    assert_eq!(a.data["status"]["operationState"]["operation"]["initiatedBy"]["username"], "applicationset-controller");
    // A new commit goes the same way.
    let second = repo.write("a/cm.yaml", &config_map("a", "2")).write("b/cm.yaml", &config_map("b", "2")).commit("second");
    for name in ["a", "b"] {
        bench
            .wait(name, "at the second commit", |status| {
                status.sync.as_ref().is_some_and(|sync| sync.revision == second && sync.status == "Synced")
            })
            .await;
    }
    // Deleted, the last step goes first.
    bench.sets().delete("steps", &DeleteParams::default()).await.unwrap();
    eventually("both to go", SOON, || async {
        let names = bench.names().await;
        assert_ne!(names, ["b"], "the first step went first");
        if names.is_empty() { Ok(()) } else { Err(format!("{names:?}")) }
    })
    .await;
    plugin(&bench, repo.url()).await;
}

/// A service of the user says which Applications there are.
async fn plugin(bench: &Bench, url: &str) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let answer = |headers: axum::http::HeaderMap, body: String| async move {
        let asked: Value = serde_json::from_str(&body).unwrap_or_default();
        let welcome = headers.get("authorization").is_some_and(|value| value == "Bearer marker-p1ug")
            && asked["applicationSetName"] == "asking";
        let name = asked["input"]["parameters"]["wanted"].clone();
        let reply = json!({ "output": { "parameters": [{ "name": name }] } }).to_string();
        if welcome { (axum::http::StatusCode::OK, reply) } else { (axum::http::StatusCode::UNAUTHORIZED, String::new()) }
    };
    let router = axum::Router::new().route("/api/v1/getparams.execute", axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let object = |value: Value| serde_json::from_value(value).unwrap();
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(bench.client.clone(), &bench.control);
    let data = json!({ "baseUrl": base, "token": "$my-plugin:token", "requestTimeout": "10" });
    maps.create(&PostParams::default(), &object(json!({ "metadata": { "name": "my-plugin" }, "data": data }))).await.unwrap();
    let generators = json!([{ "plugin": { "configMapRef": { "name": "my-plugin" }, "input": { "parameters": { "wanted": "from-plugin" } }, "requeueAfterSeconds": 1 } }]);
    bench.create_set(&bench.new_set("asking", generators, "{{name}}", "a", url)).await;
    bench.wait_set("asking", "ErrorOccurred", "True", "my-plugin").await;
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(bench.client.clone(), &bench.control);
    let secret = json!({ "metadata": { "name": "my-plugin" }, "stringData": { "token": "marker-p1ug" } });
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    bench
        .patch_set("asking", json!({ "metadata": { "annotations": { "argocd.argoproj.io/application-set-refresh": "true" } } }))
        .await;
    bench.wait_names("the plugin's Application", &["from-plugin"]).await;
    assert!(!bench.set_status().await.to_string().contains("marker-p1ug") && !bench.controller.log().contains("marker-p1ug"));
}
