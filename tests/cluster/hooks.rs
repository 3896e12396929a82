//! Hooks, approvals and other ways of writing, on a real API server.
//!
//! A hook that has to wait is a Pod that no node takes: it stays pending until the test says how it ended.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kubectl_gitops::api::application::{ApplicationStatus, ResourceResult};
use serde_json::{Value, json};

use crate::application::{Bench, SOON, config_map, repository};
use crate::support::eventually;

const FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";

fn annotated(kind: &str, name: &str, annotations: &[(&str, &str)], spec: &str) -> String {
    let api = if kind == "Job" { "batch/v1" } else { "v1" };
    let lines: String = annotations.iter().map(|(key, value)| format!("    argocd.argoproj.io/{key}: {value:?}\n")).collect();
    format!("apiVersion: {api}\nkind: {kind}\nmetadata:\n  {name}\n  annotations:\n{lines}{spec}")
}

/// A Job whose pod the test cluster completes at once.
fn job(name: &str, image: &str, annotations: &[(&str, &str)]) -> String {
    let spec = format!(
        "spec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{{ name: main, image: registry.example/{image} }}]\n"
    );
    annotated("Job", name, annotations, &spec)
}

fn waiting_pod(name: &str, annotations: &[(&str, &str)]) -> String {
    let spec = "spec:\n  restartPolicy: Never\n  nodeSelector: { nobody: here }\n  containers: [{ name: main, image: registry.example/hook:1 }]\n";
    annotated("Pod", &format!("name: {name}"), annotations, spec)
}

impl Bench {
    fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), &self.destination)
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.destination)
    }

    async fn end_pod(&self, name: &str, phase: &str) {
        let status = Patch::Merge(json!({ "status": { "phase": phase } }));
        self.pods().patch_status(name, &PatchParams::default(), &status).await.unwrap();
    }

    async fn pod_uid(&self, name: &str) -> String {
        let pod = eventually("the hook to be created", SOON, || async { self.pods().get(name).await }).await;
        pod.metadata.uid.unwrap()
    }

    /// Creates an Application that syncs only when it is asked to.
    async fn create_manual(&self, name: &str, url: &str) {
        let mut app = self.app(name, url);
        app["spec"].as_object_mut().unwrap().remove("syncPolicy");
        self.create(&app).await;
        self.wait(name, "compared", |status| status.sync.is_some()).await;
    }

    async fn request(&self, name: &str, sync: &Value) {
        let operation = json!({ "operation": { "sync": sync }, "status": { "operationState": null } });
        self.apps().patch(name, &PatchParams::default(), &Patch::Merge(operation)).await.unwrap();
    }

    async fn wait_message(&self, name: &str, text: &str) -> ApplicationStatus {
        self.wait(name, &format!("at {text:?}"), |status| {
            status.operation_state.as_ref().is_some_and(|state| state.message.contains(text))
        })
        .await
    }

    async fn wait_phase(&self, name: &str, phase: &str) -> ApplicationStatus {
        self.wait(name, phase, |status| status.operation_state.as_ref().is_some_and(|state| state.phase == phase)).await
    }

    /// Changes an Application in a way that only wakes its controller.
    async fn annotate(&self, name: &str) {
        let now = Timestamp::now().to_string();
        let change = json!({ "metadata": { "annotations": { "example.com/woken": now } } });
        self.apps().patch(name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    }

    async fn approve(&self, name: &str) {
        let now = Timestamp::now().to_string();
        let approval = json!({ "metadata": { "annotations": { "argocd.argoproj.io/deletion-approved": now } } });
        self.apps().patch(name, &PatchParams::default(), &Patch::Merge(approval)).await.unwrap();
    }
}

fn results(status: &ApplicationStatus) -> Vec<ResourceResult> {
    status.operation_state.clone().unwrap().sync_result.unwrap_or_default().resources
}

fn shown(status: &ApplicationStatus) -> Vec<String> {
    let line = |one: &ResourceResult| format!("{} {} {} {}", one.sync_phase, one.name, one.hook_type, one.hook_phase);
    results(status).iter().map(line).collect()
}

#[tokio::test]
async fn phases_run_in_order_and_hooks_go_by_their_policies() {
    let bench = Bench::start().await;
    let repo = repository(&bench, "phases");
    repo.write("app/a-smoke.yaml", &job("generateName: smoke-", "smoke:1", &[("hook", "PostSync")]));
    repo.write("app/migrate.yaml", &job("name: migrate", "migrate:1", &[("hook", "PreSync")]));
    let gone = [("hook", "PreSync"), ("hook-delete-policy", "HookSucceeded"), ("sync-wave", "-1")];
    repo.write("app/prepare.yaml", &job("name: prepare", "prepare:1", &gone));
    repo.write("app/bye.yaml", &job("name: bye", "bye:1", &[("hook", "PreDelete")]));
    let first = repo.commit("first");
    bench.create(&bench.app("phases", repo.url())).await;
    let status = bench.wait_synced("phases", &first).await;
    assert!(status.conditions.is_empty(), "{:?}", status.conditions);
    let state = status.operation_state.clone().unwrap();
    let started: Timestamp = state.started_at.parse().unwrap();
    let smoke = format!("smoke-{}-postsync-{}", &first[..7], started.as_second());
    let expected = [
        "PreSync prepare PreSync Succeeded".to_owned(),
        "PreSync migrate PreSync Succeeded".to_owned(),
        "Sync settings  Running".to_owned(),
        "Sync web  Running".to_owned(),
        format!("PostSync {smoke} PostSync Succeeded"),
    ];
    assert_eq!(shown(&status), expected);
    assert_eq!(state.message, "successfully synced (no more tasks)");
    let resources: Vec<_> = status.resources.iter().filter(|one| one.hook).map(|one| one.status.as_str()).collect();
    assert!(!resources.is_empty() && resources.iter().all(|status| status.is_empty()), "hooks are listed and do not count");

    eventually("the hook with HookSucceeded to be gone", SOON, || async {
        if bench.jobs().get_opt("prepare").await.unwrap().is_none() { Ok(()) } else { Err("it is there") }
    })
    .await;
    let migrate = bench.jobs().get("migrate").await.unwrap();
    let after = bench.jobs().get(&smoke).await.unwrap();
    assert!(migrate.metadata.creation_timestamp <= after.metadata.creation_timestamp);
    for hook in [&migrate, &after] {
        assert!(!hook.metadata.finalizers.clone().unwrap_or_default().iter().any(|one| one == FINALIZER));
    }

    // The next sync runs them again: what is there goes first.
    repo.write("app/settings.yaml", &config_map("settings", "two"));
    let second = repo.commit("second");
    let status = bench.wait_synced("phases", &second).await;
    assert_eq!(results(&status).len(), 5);
    let again = bench.jobs().get("migrate").await.unwrap();
    assert_ne!(again.metadata.uid, migrate.metadata.uid);
    assert!(bench.jobs().get_opt(&smoke).await.unwrap().is_some(), "a generated one is neither deleted nor pruned");
}

#[tokio::test]
async fn a_failed_presync_hook_stops_the_sync_and_runs_the_failure_hooks() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("failing");
    repo.write("app/settings.yaml", &config_map("settings", "one"));
    repo.write("app/migrate.yaml", &waiting_pod("migrate", &[("hook", "PreSync"), ("hook-delete-policy", "HookFailed")]));
    repo.write("app/page.yaml", &waiting_pod("page", &[("hook", "SyncFail")]));
    repo.commit("first");
    bench.create_manual("failing", repo.url()).await;
    bench.request("failing", &json!({})).await;
    bench.wait_message("failing", "waiting for completion of hook /Pod/migrate").await;
    bench.end_pod("migrate", "Failed").await;
    let status = bench.wait_message("failing", "waiting for completion of hook /Pod/page").await;
    assert_eq!(status.operation_state.clone().unwrap().phase, "Running");
    bench.end_pod("page", "Succeeded").await;
    let status = bench.wait_phase("failing", "Failed").await;
    assert_eq!(shown(&status), ["PreSync migrate PreSync Failed", "SyncFail page SyncFail Succeeded"]);
    let message = status.operation_state.unwrap().message;
    assert!(message.ends_with("reason: /Pod/migrate: the hook failed"), "{message}");
    assert!(bench.config_maps().get_opt("settings").await.unwrap().is_none(), "the Sync phase never starts");
    assert!(bench.pods().get_opt("page").await.unwrap().is_some());
    eventually("the hook with HookFailed to be gone", SOON, || async {
        if bench.pods().get_opt("migrate").await.unwrap().is_none() { Ok(()) } else { Err("it is there") }
    })
    .await;
}

#[tokio::test]
async fn a_hook_that_runs_while_the_controller_is_killed_runs_once() {
    let mut bench = Bench::start().await;
    let repo = bench.git.repo("killed-hook");
    repo.write("app/settings.yaml", &config_map("settings", "one"));
    repo.write("app/migrate.yaml", &waiting_pod("migrate", &[("hook", "PreSync")]));
    repo.commit("first");
    bench.create_manual("killed-hook", repo.url()).await;
    bench.request("killed-hook", &json!({})).await;
    // As soon as the object is there: most likely before its creation could be recorded.
    let uid = bench.pod_uid("migrate").await;
    for _ in 0..3 {
        bench.controller.restart();
        bench.wait_message("killed-hook", "waiting for completion of hook /Pod/migrate").await;
        assert_eq!(bench.pod_uid("migrate").await, uid);
    }
    // The hook ends while nobody looks.
    bench.controller.process().kill_9();
    bench.end_pod("migrate", "Succeeded").await;
    bench.controller.restart();
    let status = bench.wait_phase("killed-hook", "Succeeded").await;
    assert_eq!(shown(&status)[0], "PreSync migrate PreSync Succeeded");
    assert_eq!(bench.pod_uid("migrate").await, uid);
    assert!(bench.config_maps().get_opt("settings").await.unwrap().is_some());
}

#[tokio::test]
async fn a_hook_whose_creation_could_not_be_recorded_is_recognised() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("unrecorded");
    repo.write("app/migrate.yaml", &waiting_pod("migrate", &[("hook", "PreSync")]));
    repo.commit("first");
    bench.create_manual("unrecorded", repo.url()).await;
    // What a controller leaves behind that dies between the creation and its record.
    let started = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let pod = json!({
        "metadata": { "name": "migrate", "finalizers": [FINALIZER],
            "annotations": { "kubectl-gitops.io/operation": format!("{started}/PreSync/0") } },
        "spec": { "restartPolicy": "Never", "nodeSelector": { "nobody": "here" },
            "containers": [{ "name": "main", "image": "registry.example/hook:1" }] },
    });
    bench.pods().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let uid = bench.pod_uid("migrate").await;
    let state = json!({ "operation": { "sync": {} }, "phase": "Running", "startedAt": started });
    let operation = json!({ "operation": { "sync": {} }, "status": { "operationState": state } });
    bench.apps().patch("unrecorded", &PatchParams::default(), &Patch::Merge(operation)).await.unwrap();
    bench.wait_message("unrecorded", "waiting for completion of hook /Pod/migrate").await;
    bench.end_pod("migrate", "Succeeded").await;
    let status = bench.wait_phase("unrecorded", "Succeeded").await;
    assert_eq!(shown(&status), ["PreSync migrate PreSync Succeeded"]);
    let pod = bench.pods().get("migrate").await.unwrap();
    assert_eq!(pod.metadata.uid.unwrap(), uid, "it is neither deleted nor created again");
    assert_eq!(pod.metadata.finalizers, None);
}

#[tokio::test]
async fn a_shared_object_fails_the_sync_that_asks_for_it() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("shared");
    repo.write("app/settings.yaml", &config_map("settings", "one"));
    repo.commit("first");
    for name in ["owner", "intruder"] {
        bench.create_manual(name, repo.url()).await;
    }
    bench.request("owner", &json!({})).await;
    bench.wait_phase("owner", "Succeeded").await;
    bench.request("intruder", &json!({ "syncOptions": ["FailOnSharedResource=true"] })).await;
    let status = bench.wait_phase("intruder", "Failed").await;
    let message = status.operation_state.unwrap().message;
    assert!(message.starts_with("Shared resource found: "), "{message}");
    let tracking = bench.config_maps().get("settings").await.unwrap().metadata.annotations.unwrap();
    assert!(tracking["argocd.argoproj.io/tracking-id"].starts_with("owner:"));
}

#[tokio::test]
async fn termination_deletes_the_running_hook() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("terminated");
    repo.write("app/settings.yaml", &config_map("settings", "one"));
    repo.write("app/migrate.yaml", &waiting_pod("migrate", &[("hook", "PreSync")]));
    repo.commit("first");
    bench.create_manual("terminated", repo.url()).await;
    bench.request("terminated", &json!({})).await;
    bench.wait_message("terminated", "waiting for completion of hook").await;
    let terminate = Patch::Merge(json!({ "status": { "operationState": { "phase": "Terminating" } } }));
    bench.apps().patch("terminated", &PatchParams::default(), &terminate).await.unwrap();
    let status = bench.wait_phase("terminated", "Failed").await;
    assert_eq!(status.operation_state.unwrap().message, "Operation terminated");
    eventually("the hook to be gone", SOON, || async {
        if bench.pods().get_opt("migrate").await.unwrap().is_none() { Ok(()) } else { Err("it is there") }
    })
    .await;
    assert!(bench.config_maps().get_opt("settings").await.unwrap().is_none());
}

#[tokio::test]
async fn deletions_that_ask_for_an_approval_wait_for_it() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("guarded");
    let guarded = |name: &str, options: &str| {
        annotated("ConfigMap", &format!("name: {name}"), &[("sync-options", options)], "data: { k: v }\n")
    };
    repo.write("app/pruned.yaml", &guarded("pruned", "Prune=confirm"));
    repo.write("app/kept.yaml", &guarded("kept", "Delete=confirm"));
    let first = repo.commit("first");
    let mut app = bench.app("guarded", repo.url());
    app["metadata"]["finalizers"] = json!(["resources-finalizer.argocd.argoproj.io"]);
    bench.create(&app).await;
    bench.wait_synced("guarded", &first).await;

    // An approval from before the operation does not count.
    bench.approve("guarded").await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    repo.remove("app/pruned.yaml");
    let second = repo.commit("second");
    let status = bench.wait_message("guarded", "waiting for pruning confirmation of /ConfigMap/pruned").await;
    assert_eq!(status.operation_state.unwrap().phase, "Running");
    assert!(bench.config_maps().get_opt("pruned").await.unwrap().is_some());
    bench.approve("guarded").await;
    bench.wait_synced("guarded", &second).await;
    assert!(bench.config_maps().get_opt("pruned").await.unwrap().is_none());

    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    bench.apps().delete("guarded", &DeleteParams::default()).await.unwrap();
    bench.wait_condition("guarded", "DeletionInfo", "kept").await;
    assert!(bench.config_maps().get_opt("kept").await.unwrap().is_some());
    bench.approve("guarded").await;
    eventually("the application and its object to be gone", SOON, || async {
        let app = bench.apps().get_opt("guarded").await.unwrap();
        let map = bench.config_maps().get_opt("kept").await.unwrap();
        if app.is_none() && map.is_none() { Ok(()) } else { Err("something is left") }
    })
    .await;
}

#[tokio::test]
async fn replace_and_force_overcome_what_apply_cannot_change() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("forced");
    let write = |image: &str, data: &str| {
        repo.write("app/plain.yaml", &job("name: plain", image, &[("sync-options", "Replace=false")]));
        repo.write("app/force.yaml", &job("name: force", image, &[("sync-options", "Force=true")]));
        repo.write("app/both.yaml", &job("name: both", image, &[("sync-options", "Force=true,Replace=true")]));
        repo.write("app/map.yaml", &annotated("ConfigMap", "name: map", &[("sync-options", "Replace=true")], data));
    };
    write("main:1", "data: { a: one, b: one }\n");
    repo.commit("first");
    bench.create_manual("forced", repo.url()).await;
    bench.request("forced", &json!({})).await;
    bench.wait_phase("forced", "Succeeded").await;
    let uid = async |name: &str| bench.jobs().get(name).await.unwrap().metadata.uid;
    let before = [uid("plain").await, uid("force").await, uid("both").await];

    // The template of a Job cannot be changed.
    write("main:2", "data: { a: two }\n");
    repo.commit("second");
    bench.request("forced", &json!({})).await;
    let status = bench.wait_phase("forced", "Failed").await;
    let outcome = |name: &str| results(&status).into_iter().find(|one| one.name == name).unwrap_or_default();
    assert_eq!(outcome("plain").status, "SyncFailed");
    assert!(outcome("plain").message.contains("immutable"), "{}", outcome("plain").message);
    assert_eq!(outcome("force").message, "job.batch/force replaced");
    assert_eq!(outcome("both").message, "job.batch/both replaced");
    assert_eq!(outcome("map").message, "configmap/map replaced");
    let after = [uid("plain").await, uid("force").await, uid("both").await];
    assert_eq!(before[0], after[0]);
    assert!(before[1] != after[1] && before[2] != after[2]);
    let data = bench.config_maps().get("map").await.unwrap().data.unwrap();
    assert_eq!(data.into_iter().collect::<Vec<_>>(), [("a".to_owned(), "two".to_owned())]);

    // What a replacement wrote is ours: it is noticed when it leaves Git.
    write("main:2", "immutable: false\n");
    let third = repo.commit("third");
    let status = bench
        .wait("forced", "compared at the third commit", |status| status.sync.as_ref().is_some_and(|sync| sync.revision == third))
        .await;
    let map = status.resources.iter().find(|one| one.name == "map").unwrap();
    assert_eq!(map.status, "OutOfSync");
}

/// PreDelete hooks run before anything goes, PostDelete hooks after everything is gone, each once for this deletion.
#[tokio::test]
async fn deletion_hooks_run_around_the_deletion_of_the_objects() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("farewell");
    repo.write("app/settings.yaml", &config_map("settings", "one"));
    let before = [("hook", "PreSync,PreDelete"), ("hook-delete-policy", "BeforeHookCreation")];
    repo.write("app/backup.yaml", &waiting_pod("backup", &before));
    let after = [("hook", "PostDelete"), ("hook-delete-policy", "HookSucceeded")];
    repo.write("app/bye.yaml", &job("name: bye", "bye:1", &after));
    repo.write("app/stay.yaml", &job("name: stay", "stay:1", &[("hook", "PostDelete")]));
    repo.commit("first");
    let mut app = bench.app("farewell", repo.url());
    app["metadata"]["finalizers"] = json!(["resources-finalizer.argocd.argoproj.io"]);
    bench.create(&app).await;
    let uid_of_sync = bench.pod_uid("backup").await;
    bench.end_pod("backup", "Succeeded").await;
    bench.wait_phase("farewell", "Succeeded").await;
    let finalizers = bench.apps().get("farewell").await.unwrap().metadata.finalizers.unwrap();
    assert_eq!(finalizers.len(), 5, "{finalizers:?}");
    assert!(bench.jobs().get_opt("bye").await.unwrap().is_none(), "it is no time to go");

    bench.apps().delete("farewell", &DeleteParams::default()).await.unwrap();
    eventually("the PreDelete hook to run again", SOON, || async {
        match bench.pods().get("backup").await {
            Ok(pod) if pod.metadata.uid.as_deref() != Some(&uid_of_sync) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(bench.config_maps().get_opt("settings").await.unwrap().is_some(), "nothing goes before the hook is over");
    bench.end_pod("backup", "Failed").await;
    bench.wait_condition("farewell", "DeletionError", "PreDelete hook Pod").await;
    let again = bench.pods();
    bench.annotate("farewell").await;
    eventually("the failed hook to be created anew", SOON, || async {
        let phase = again.get("backup").await.map_err(|error| error.to_string())?.status.unwrap_or_default().phase;
        if phase.as_deref() == Some("Failed") { Err("the failed one is there".to_owned()) } else { Ok(()) }
    })
    .await;
    bench.end_pod("backup", "Succeeded").await;
    eventually("the Application to be gone", SOON, || async {
        match bench.apps().get_opt("farewell").await.unwrap() {
            None => Ok(()),
            Some(app) => Err(format!("{:?} {}", app.metadata.finalizers, app.data["status"]["conditions"])),
        }
    })
    .await;
    assert!(bench.config_maps().get_opt("settings").await.unwrap().is_none());
    assert!(bench.jobs().get_opt("bye").await.unwrap().is_none_or(|job| job.metadata.deletion_timestamp.is_some()));
    let stays = bench.jobs().get("stay").await.unwrap();
    assert!(stays.metadata.finalizers.unwrap_or_default().iter().all(|one| one != FINALIZER), "nothing holds it");
}
