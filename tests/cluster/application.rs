//! Applications on a real API server: from a commit to live state, and what bad input gets.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kubectl_gitops::api::Application;
use kubectl_gitops::api::application::ApplicationStatus;
use serde_json::{Value, json};

use crate::support::git::{GitRepo, GitServer};
use crate::support::{Cluster, ControllerProcess, TestNamespace, eventually};

pub const SOON: Duration = Duration::from_secs(40);
/// A value that may be in its Secret and nowhere else.
const MARKER: &str = "marker-5be1";

/// A control namespace with its controller, a Git server, and a namespace to deploy to.
pub struct Bench {
    pub cluster: Cluster,
    pub control: TestNamespace,
    pub destination: TestNamespace,
    pub client: kube::Client,
    pub git: GitServer,
    pub controller: ControllerProcess,
}

impl Bench {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// As [`start`](Self::start), with more arguments of the controller.
    pub async fn start_with(extra_args: &[&str]) -> Self {
        Self::launch("1s", extra_args).await
    }

    /// With a poll of every repository only so often.
    pub async fn start_polling(interval: &str) -> Self {
        Self::launch(interval, &[]).await
    }

    async fn launch(interval: &str, extra_args: &[&str]) -> Self {
        let cluster = Cluster::shared().await;
        let control = cluster.namespace("control").await;
        let destination = cluster.namespace("apps").await;
        let client = cluster.admin().await;
        let settings = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "argocd-cm" },
            "data": { "timeout.reconciliation": interval, "timeout.reconciliation.jitter": "0s" } });
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &control);
        maps.create(&PostParams::default(), &serde_json::from_value(settings).unwrap()).await.unwrap();
        // Making a key takes seconds, and sealing has tests of its own.
        let key = crate::sealing::key_secret(&control, "new");
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &control);
        secrets.create(&PostParams::default(), &serde_json::from_value(key).unwrap()).await.unwrap();
        let sealing = format!("--sealing-namespace={}", destination.name());
        let args: Vec<&str> = std::iter::once(sealing.as_str()).chain(extra_args.iter().copied()).collect();
        let controller = ControllerProcess::start(&cluster, &control, &args).await;
        controller.wait_ready().await;
        Self { cluster, control, destination, client, git: GitServer::start(), controller }
    }

    pub fn apps(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.control, &ApiResource::erase::<Application>(&()))
    }

    pub fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.destination)
    }

    /// An Application of a repository's folder `app`, syncing by itself.
    pub fn app(&self, name: &str, url: &str) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": { "name": name },
            "spec": {
                "project": "default",
                "source": { "repoURL": url, "targetRevision": "HEAD", "path": "app" },
                "destination": { "server": "https://kubernetes.default.svc", "namespace": self.destination.name() },
                "syncPolicy": { "automated": { "prune": true, "selfHeal": true } },
            },
        })
    }

    pub async fn create(&self, app: &Value) {
        self.apps().create(&PostParams::default(), &serde_json::from_value(app.clone()).unwrap()).await.unwrap();
    }

    pub async fn status(&self, name: &str) -> ApplicationStatus {
        let app = self.apps().get(name).await.unwrap();
        serde_json::from_value(app.data["status"].clone()).unwrap_or_default()
    }

    /// Waits until an Application's status is as `wanted` says, and returns it.
    pub async fn wait(&self, name: &str, what: &str, wanted: impl Fn(&ApplicationStatus) -> bool) -> ApplicationStatus {
        eventually(&format!("{name} to be {what}"), SOON, || async {
            let status = self.status(name).await;
            if wanted(&status) { Ok(status) } else { Err(serde_json::to_string(&status).unwrap()) }
        })
        .await
    }

    pub async fn wait_synced(&self, name: &str, revision: &str) -> ApplicationStatus {
        self.wait(name, &format!("Synced and Healthy at {revision}"), |status| {
            let sync = status.sync.clone().unwrap_or_default();
            let health = status.health.clone().unwrap_or_default();
            let done = status.operation_state.as_ref().is_some_and(|state| state.phase == "Succeeded");
            sync.status == "Synced" && sync.revision == revision && health.status == "Healthy" && done
        })
        .await
    }

    pub async fn wait_condition(&self, name: &str, kind: &str, text: &str) -> ApplicationStatus {
        self.wait(name, &format!("{kind} with {text:?}"), |status| {
            status.conditions.iter().any(|condition| condition.type_ == kind && condition.message.contains(text))
        })
        .await
    }
}

pub fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  k: {value:?}\n")
}

fn deployment(name: &str, replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  replicas: {replicas}
  selector:
    matchLabels: {{ app: {name} }}
  template:
    metadata:
      labels: {{ app: {name} }}
    spec:
      containers:
        - name: main
          image: registry.example/{name}:1
          # Canonical forms differ from these: they must not count as drift.
          resources: {{ requests: {{ cpu: 0.1, memory: 1024Mi }} }}
"
    )
}

pub fn repository(bench: &Bench, name: &str) -> GitRepo {
    let repo = bench.git.repo(name);
    repo.write("app/settings.yaml", &config_map("settings", "one")).write("app/web.yaml", &deployment("web", 2));
    repo
}

#[tokio::test]
async fn a_commit_becomes_live_state_drift_is_healed_and_leftovers_are_pruned() {
    let bench = Bench::start().await;
    let repo = repository(&bench, "main-job");
    let first = repo.commit("first");
    bench.create(&bench.app("web", repo.url())).await;
    let status = bench.wait_synced("web", &first).await;
    assert_eq!(status.history.len(), 1);
    assert_eq!(status.source_type.as_deref(), Some("Directory"));
    let listed: Vec<&str> = status.resources.iter().map(|resource| resource.kind.as_str()).collect();
    assert_eq!(listed, ["ConfigMap", "Deployment"]);

    // A commit becomes live state, and what left Git goes.
    repo.write("app/settings.yaml", &config_map("settings", "two")).write("app/extra.yaml", &config_map("extra", "x"));
    let second = repo.commit("second");
    bench.wait_synced("web", &second).await;
    assert_eq!(bench.config_maps().get("settings").await.unwrap().data.unwrap()["k"], "two");
    repo.remove("app/extra.yaml");
    let third = repo.commit("third");
    bench.wait_synced("web", &third).await;
    eventually("the pruned ConfigMap to be gone", SOON, || async {
        match bench.config_maps().get_opt("extra").await.unwrap() {
            None => Ok(()),
            Some(_) => Err("it is there"),
        }
    })
    .await;

    // A hand edit is undone, and self-heal is neither history nor a full sync.
    let deployments: Api<Deployment> = Api::namespaced(bench.client.clone(), &bench.destination);
    let scale = Patch::Merge(json!({ "spec": { "replicas": 7 } }));
    deployments.patch("web", &PatchParams::default(), &scale).await.unwrap();
    eventually("the replicas to be healed", SOON, || async {
        let replicas = deployments.get("web").await.unwrap().spec.replicas;
        if replicas == Some(2) { Ok(()) } else { Err(format!("{replicas:?}")) }
    })
    .await;
    let status = bench.wait_synced("web", &third).await;
    assert_eq!(status.history.len(), 3, "self-heal writes no history");
    let sync = status.operation_state.unwrap().operation.sync.unwrap();
    assert_eq!(sync.self_heal_attempts_count, 1);
    assert_eq!(sync.resources.len(), 1);

    // A deleted object comes back.
    bench.config_maps().delete("settings", &DeleteParams::default()).await.unwrap();
    eventually("the deleted ConfigMap to be back", SOON, || async { bench.config_maps().get("settings").await.map(|_| ()) })
        .await;
}

#[tokio::test]
async fn bad_input_gets_a_condition_that_names_what_to_change_and_harms_nobody_else() {
    let mut bench = Bench::start().await;
    let good = repository(&bench, "good");
    let first = good.commit("first");
    let broken = bench.git.repo("broken");
    broken.write("app/bad.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels: [\n");
    broken.write("overlay/kustomization.yaml", "resources:\n  - missing.yaml\n");
    broken.write(
        "forbidden/flow.yaml",
        "apiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: FlowSchema\nmetadata:\n  name: forbidden-by-rbac\nspec:\n  priorityLevelConfiguration:\n    name: exempt\n",
    );
    broken.write("unknown/widget.yaml", "apiVersion: nobody.example/v1\nkind: Widget\nmetadata:\n  name: w\n");
    broken.commit("first");

    let edit = |name: &str, pointer: &str, value: Value| {
        let mut app = bench.app(name, broken.url());
        *app.pointer_mut(pointer).unwrap() = value;
        app
    };
    let cases: Vec<(Value, &str, &str)> = vec![
        (edit("unreachable", "/spec/source/repoURL", json!("http://127.0.0.1:1/nobody.git")), "ComparisonError", "127.0.0.1:1"),
        (edit("no-revision", "/spec/source/targetRevision", json!("no-such-branch")), "ComparisonError", "no-such-branch"),
        (edit("no-path", "/spec/source/path", json!("no/such/folder")), "ComparisonError", "no/such/folder"),
        (bench.app("bad-yaml", broken.url()), "ComparisonError", "bad.yaml"),
        (edit("bad-kustomization", "/spec/source/path", json!("overlay")), "ComparisonError", "missing.yaml"),
        (edit("no-project", "/spec/project", json!("nobody")), "InvalidSpecError", "project nobody which does not exist"),
        (
            edit("no-cluster", "/spec/destination/server", json!("https://1.2.3.4")),
            "InvalidSpecError",
            "cluster 'https://1.2.3.4' has not been configured",
        ),
        (edit("forbidden", "/spec/source/path", json!("forbidden")), "ComparisonError", "aggregate-to-deploy"),
    ];
    for (app, _, _) in &cases {
        bench.create(app).await;
    }
    for (app, kind, text) in &cases {
        let name = app["metadata"]["name"].as_str().unwrap();
        let status = bench.wait_condition(name, kind, text).await;
        assert_eq!(status.sync.unwrap_or_default().status, "Unknown", "{name}");
        assert!(status.operation_state.is_none(), "{name} must not be synced");
    }
    // A kind that is not installed is found by the sync, as in Argo CD.
    let unknown = edit("unknown-kind", "/spec/source/path", json!("unknown"));
    bench.create(&unknown).await;
    bench
        .wait("unknown-kind", "failed for the missing kind", |status| {
            status.operation_state.as_ref().is_some_and(|state| state.message.contains("nobody.example/Widget"))
        })
        .await;

    // The controller goes on with all others, and a source that breaks later prunes nothing.
    bench.create(&bench.app("good", good.url())).await;
    bench.wait_synced("good", &first).await;
    good.write("app/web.yaml", "kind: [\napiVersion: x\nmetadata: {}\n");
    good.commit("broken");
    bench.wait_condition("good", "ComparisonError", "web.yaml").await;
    bench.git.stop();
    let deployments: Api<Deployment> = Api::namespaced(bench.client.clone(), &bench.destination);
    assert!(deployments.get_opt("web").await.unwrap().is_some(), "nothing is pruned while the source is broken");
    bench.git.resume();
    good.write("app/web.yaml", &deployment("web", 1));
    let mended = good.commit("mended");
    bench.wait_synced("good", &mended).await;
    assert!(bench.status("good").await.conditions.is_empty());
}

#[tokio::test]
async fn a_manual_sync_through_the_resource_follows_the_protocol() {
    let bench = Bench::start().await;
    let repo = repository(&bench, "manual");
    let first = repo.commit("first");
    let mut app = bench.app("manual", repo.url());
    app["spec"].as_object_mut().unwrap().remove("syncPolicy");
    bench.create(&app).await;
    bench
        .wait("manual", "OutOfSync and Missing", |status| {
            status.sync.as_ref().is_some_and(|sync| sync.status == "OutOfSync")
                && status.health.as_ref().is_some_and(|health| health.status == "Missing")
        })
        .await;
    let operation = json!({ "operation": { "initiatedBy": { "username": "test" }, "sync": {} } });
    bench.apps().patch("manual", &PatchParams::default(), &Patch::Merge(operation)).await.unwrap();
    let status = bench.wait_synced("manual", &first).await;
    assert!(bench.apps().get("manual").await.unwrap().data.get("operation").is_none(), "the operation is cleared");
    let state = status.operation_state.unwrap();
    assert_eq!(state.message, "successfully synced (all tasks run)");
    let result = state.sync_result.unwrap();
    assert_eq!(result.revision, first);
    let messages: Vec<&str> = result.resources.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(messages, ["configmap/settings created", "deployment.apps/web created"]);

    // An operation without prune leaves what left Git, and says so.
    repo.remove("app/settings.yaml");
    let second = repo.commit("second");
    bench
        .wait("manual", "OutOfSync at the second commit", |status| {
            status.sync.as_ref().is_some_and(|sync| sync.revision == second && sync.status == "OutOfSync")
        })
        .await;
    let operation = json!({ "operation": { "sync": {} } });
    bench.apps().patch("manual", &PatchParams::default(), &Patch::Merge(operation)).await.unwrap();
    let status = bench
        .wait("manual", "synced without prune", |status| {
            status.operation_state.as_ref().is_some_and(|state| {
                state.phase == "Succeeded" && state.sync_result.as_ref().is_some_and(|result| result.revision == second)
            })
        })
        .await;
    let kept = status.operation_state.unwrap().sync_result.unwrap().resources;
    let kept = kept.iter().find(|one| one.name == "settings").unwrap();
    assert_eq!((kept.status.as_str(), kept.message.as_str()), ("PruneSkipped", "ignored (requires pruning)"));
    assert!(bench.config_maps().get_opt("settings").await.unwrap().is_some());
    assert!(bench.status("manual").await.resources.iter().any(|one| one.requires_pruning));
}

#[tokio::test]
async fn killing_the_controller_at_any_moment_loses_nothing() {
    let mut bench = Bench::start().await;
    let repo = bench.git.repo("killed");
    for wave in 0..4 {
        let annotations = format!("\n  annotations:\n    argocd.argoproj.io/sync-wave: \"{wave}\"\ndata:");
        let text = config_map(&format!("wave-{wave}"), "x").replace("\ndata:", &annotations);
        repo.write(&format!("app/wave-{wave}.yaml"), &text);
    }
    repo.commit("first");
    bench.create(&bench.app("killed", repo.url())).await;
    // Twelve points, spread over the time from the commit to the end of its sync.
    for round in 0..12_u64 {
        repo.write("app/changing.yaml", &config_map("changing", &round.to_string()));
        if round % 3 == 2 {
            repo.remove("app/wave-3.yaml");
        } else {
            repo.write("app/wave-3.yaml", &config_map("wave-3", "x"));
        }
        let revision = repo.commit("next");
        tokio::time::sleep(Duration::from_millis(100 * round)).await;
        bench.controller.restart();
        bench.wait_synced("killed", &revision).await;
        let live = bench.config_maps().get("changing").await.unwrap().data.unwrap();
        assert_eq!(live["k"], round.to_string());
    }
    let status = bench.status("killed").await;
    let mut revisions: Vec<String> = status.history.iter().map(|entry| entry.revision.clone()).collect();
    revisions.dedup();
    assert_eq!(revisions.len(), status.history.len(), "no revision is recorded twice");
}

#[tokio::test]
async fn steady_state_writes_nothing_and_asks_nothing() {
    let bench = Bench::start().await;
    let repo = repository(&bench, "steady");
    let first = repo.commit("first");
    let mut namespaces = Vec::new();
    for number in 0..5 {
        let name = format!("steady-{number}");
        let own = bench.cluster.namespace("steady").await;
        let mut app = bench.app(&name, repo.url());
        app["spec"]["destination"]["namespace"] = own.name().into();
        bench.create(&app).await;
        bench.wait_synced(&name, &first).await;
        namespaces.push(own);
    }
    let user = format!("system:serviceaccount:{}:gitops-controller", bench.control.name());
    // Rollouts settle first: what they write may still be looked at.
    let mark = eventually("five quiet seconds", SOON, || async {
        let mark = bench.cluster.audit().mark().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let seen = bench.cluster.audit().of_user_since(&user, mark).await;
        if seen.iter().all(|entry| entry.verb == "watch") { Ok(mark) } else { Err(format!("{} requests", seen.len())) }
    })
    .await;
    let before = bench.git.ls_refs("steady");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let requests = bench.cluster.audit().of_user_since(&user, mark).await;
    let other: Vec<String> = requests.iter().filter(|entry| entry.verb != "watch").map(|entry| format!("{entry:?}")).collect();
    assert!(other.is_empty(), "{other:#?}");
    let polls = bench.git.ls_refs("steady") - before;
    assert!((5..=11).contains(&polls), "one ls-refs per repository and poll of one second, not per application: {polls}");
    assert_eq!(bench.git.fetches("steady"), 1, "one fetch for five applications");
}

#[tokio::test]
async fn deleting_an_application_with_its_finalizer_deletes_its_objects() {
    let bench = Bench::start().await;
    let repo = repository(&bench, "deleted");
    let first = repo.commit("first");
    let mut app = bench.app("deleted", repo.url());
    app["metadata"]["finalizers"] = json!(["resources-finalizer.argocd.argoproj.io"]);
    bench.create(&app).await;
    bench.wait_synced("deleted", &first).await;
    bench.apps().delete("deleted", &DeleteParams::default()).await.unwrap();
    eventually("the application and its objects to be gone", SOON, || async {
        let app = bench.apps().get_opt("deleted").await.unwrap();
        let map = bench.config_maps().get_opt("settings").await.unwrap();
        let deployments: Api<Deployment> = Api::namespaced(bench.client.clone(), &bench.destination);
        let left = deployments.list(&ListParams::default()).await.unwrap().items.len();
        if app.is_none() && map.is_none() && left == 0 { Ok(()) } else { Err("something is left") }
    })
    .await;
}

#[tokio::test]
async fn secret_values_reach_neither_status_nor_events_nor_logs() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("secrets");
    let secret = |value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: plain\ntype: example.com/fixed\nstringData:\n  k: {value}\n")
    };
    repo.write("app/secret.yaml", &secret(MARKER));
    let first = repo.commit("first");
    bench.create(&bench.app("secrets", repo.url())).await;
    bench.wait_synced("secrets", &first).await;
    // A change that the API server refuses: its words must not carry the value either.
    repo.write("app/secret.yaml", &secret(&format!("{MARKER}-2")).replace("example.com/fixed", "example.com/other"));
    repo.commit("refused");
    bench
        .wait("secrets", "failed", |status| {
            status.operation_state.as_ref().is_some_and(|state| state.message.contains("immutable"))
        })
        .await;
    // Nor when the value itself is what it refuses, and quotes.
    repo.write("app/secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: plain\nstringData:\n  pin: 48291377\n");
    let pin = repo.commit("a number");
    bench
        .wait("secrets", "failed for the number", |status| {
            status.operation_state.as_ref().is_some_and(|state| {
                let revision = state.sync_result.as_ref().map(|result| result.revision.as_str());
                revision == Some(&pin) && state.message.contains("plain")
            })
        })
        .await;
    let app = serde_json::to_string(&bench.apps().get("secrets").await.unwrap()).unwrap();
    let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(bench.client.clone(), &bench.control);
    let events = serde_json::to_string(&events.list(&ListParams::default()).await.unwrap().items).unwrap();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, MARKER);
    let encoded = encoded.trim_end_matches('=');
    for (place, text) in [("Application", app), ("Events", events), ("log", bench.controller.log())] {
        assert!(!text.contains(MARKER) && !text.contains(encoded), "the value is in the {place}");
        assert!(!text.contains("48291377"), "the number is in the {place}: {text}");
    }
}

#[tokio::test]
async fn an_empty_source_deletes_nothing_by_itself_also_after_a_restart() {
    let mut bench = Bench::start().await;
    let repo = repository(&bench, "emptied");
    let first = repo.commit("first");
    bench.create(&bench.app("emptied", repo.url())).await;
    bench.wait_synced("emptied", &first).await;
    repo.remove("app/settings.yaml").remove("app/web.yaml").write("app/README.md", "nothing to deploy\n");
    repo.commit("emptied");
    let wanted = "auto-sync will wipe out all resources";
    bench.wait_condition("emptied", "SyncError", wanted).await;
    bench.controller.restart();
    bench.controller.wait_ready().await;
    let refresh = json!({ "metadata": { "annotations": { "argocd.argoproj.io/refresh": "hard" } } });
    bench.apps().patch("emptied", &PatchParams::default(), &Patch::Merge(refresh)).await.unwrap();
    eventually("the refresh to be answered", SOON, || async {
        let app = bench.apps().get("emptied").await.unwrap();
        let asked = app.metadata.annotations.is_some_and(|all| all.contains_key("argocd.argoproj.io/refresh"));
        if asked { Err("the annotation is there") } else { Ok(()) }
    })
    .await;
    let status = bench.wait_condition("emptied", "SyncError", wanted).await;
    assert_eq!(status.sync.unwrap().status, "OutOfSync");
    assert_eq!(status.resources.iter().filter(|one| one.requires_pruning).count(), 2);
    assert!(bench.config_maps().get_opt("settings").await.unwrap().is_some());
}
