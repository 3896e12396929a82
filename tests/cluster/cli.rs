//! The commands against a real API server: its lists, watches, conflicts and refusals. The tests play the controller's part.

use std::process::Output;
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kubectl_gitops::api::Application;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::install::{apply, crds, install};
use crate::support::{Cluster, TestNamespace, eventually};

const REVISION: &str = "3f2c1d9e8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e";

/// A namespace with one Application in it.
struct Place {
    cluster: Cluster,
    namespace: TestNamespace,
    applications: Api<DynamicObject>,
}

impl Place {
    async fn new(hint: &str) -> Self {
        let cluster = Cluster::shared().await;
        let namespace = cluster.namespace(hint).await;
        let admin = cluster.admin().await;
        crds(&admin).await;
        let resource = ApiResource::erase::<Application>(&());
        let applications = Api::namespaced_with(admin.clone(), &namespace, &resource);
        apply(
            &admin,
            &json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": { "name": "web", "namespace": namespace.name(), "labels": { "team": "shop" } },
            "spec": { "project": "default", "destination": { "name": "in-cluster", "namespace": "web" },
                "source": { "repoURL": "https://git.example/web.git", "path": "apps/web", "targetRevision": "main" },
                "syncPolicy": { "syncOptions": ["CreateNamespace=true"] } } }),
        )
        .await;
        Self { cluster, namespace, applications }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
        command.env_clear().env("KUBECONFIG", self.cluster.kubeconfig_path()).env("HOME", "/nonexistent");
        command.args(arguments).args(["-n", self.namespace.name()]).kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Seen {
        Seen::from(self.command(arguments).output().await.unwrap())
    }

    async fn patch(&self, patch: Value) {
        self.applications.patch("web", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Waits until the Application looks as described.
    async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(what, Duration::from_secs(20), || async {
            let live = serde_json::to_value(self.applications.get("web").await.map_err(|cause| cause.to_string())?).unwrap();
            if holds(&live) { Ok(live) } else { Err(live.to_string()) }
        })
        .await
    }

    /// Does what a controller does with a requested operation and the refresh that follows it.
    async fn play_controller(&self) {
        self.until("an operation", |live| live["operation"].is_object()).await;
        let state = |phase: &str| {
            json!({ "phase": phase, "message": "successfully synced (all tasks run)", "operation": { "sync": {} },
                "startedAt": "2026-11-25T12:00:00Z", "finishedAt": (phase != "Running").then_some("2026-11-25T12:00:14Z"),
                "syncResult": { "revision": REVISION, "source": { "repoURL": "https://git.example/web.git" }, "resources": [
                    { "group": "", "version": "v1", "kind": "Service", "namespace": "web", "name": "web", "status": "Synced",
                      "message": "service/web created", "hookPhase": "Running", "syncPhase": "Sync" } ] } })
        };
        self.patch(json!({ "status": { "operationState": state("Running") } })).await;
        self.patch(json!({ "operation": null, "status": { "operationState": state("Succeeded") } })).await;
        self.until("a refresh", |live| live["metadata"]["annotations"]["argocd.argoproj.io/refresh"] == "normal").await;
        self.patch(json!({ "metadata": { "annotations": { "argocd.argoproj.io/refresh": null } },
            "status": { "health": { "status": "Healthy" }, "sync": { "status": "Synced", "revision": REVISION,
                "comparedTo": { "destination": {}, "source": { "repoURL": "https://git.example/web.git" } } } } }))
            .await;
    }
}

/// What a command printed.
#[derive(Debug)]
struct Seen {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Seen {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

#[tokio::test]
async fn sync_requests_the_operation_and_follows_it_to_the_end() {
    let place = Place::new("cli-sync").await;
    let (seen, ()) = tokio::join!(place.run(&["sync", "web", "--timeout", "20s"]), place.play_controller());
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert_eq!(seen.out, "ok web synced to 3f2c1d9 in 14s: 1 created 0 configured 0 unchanged 0 pruned; Healthy\n");

    let listed = place.run(&["app", "list", "-l", "team=shop", "--no-headers"]).await;
    assert!(listed.out.starts_with("web   default   Synced   Healthy   3f2c1d9   "), "{listed:?}");
}

#[tokio::test]
async fn of_two_syncs_at_once_one_starts_and_the_other_says_so() {
    let place = Place::new("cli-race").await;
    let start = || place.run(&["sync", "web", "--async"]);
    let (one, other) = tokio::join!(start(), start());
    let mut codes = [one.code, other.code];
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(2)], "{one:?} {other:?}");
    let refused = if one.code == Some(2) { one } else { other };
    assert!(refused.err.contains("web: another operation is running"), "{refused:?}");
}

#[tokio::test]
async fn wait_hears_of_changes_and_of_the_deletion() {
    let place = Place::new("cli-wait").await;
    let healthy = place.command(&["wait", "web", "--for", "healthy", "--timeout", "20s"]).output();
    let change = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        place.patch(json!({ "status": { "health": { "status": "Healthy" } } })).await;
    };
    let (seen, ()) = tokio::join!(healthy, change);
    assert_eq!(Seen::from(seen.unwrap()).code, Some(0));

    let deleted = place.command(&["wait", "web", "--for", "deleted", "--timeout", "20s"]).output();
    let delete = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        place.applications.delete("web", &kube::api::DeleteParams::default()).await.unwrap();
    };
    let (seen, ()) = tokio::join!(deleted, delete);
    assert_eq!(Seen::from(seen.unwrap()).code, Some(0));
    let gone = place.run(&["app", "get", "web"]).await;
    assert_eq!((gone.code, gone.out.as_str()), (Some(2), ""), "{gone:?}");
}

#[tokio::test]
async fn watching_costs_one_list_and_one_watch() {
    let place = Place::new("cli-cost").await;
    let audit = place.cluster.audit();
    let mark = audit.mark().await;
    let seen = place.run(&["wait", "web", "--for", "healthy", "--timeout", "2s"]).await;
    assert_eq!(seen.code, Some(3), "{seen:?}");
    let requests = audit.since(mark).await;
    let ours: Vec<String> = requests
        .iter()
        .filter(|entry| entry.namespace == place.namespace.name() && entry.resource == "applications")
        .map(|entry| entry.verb.clone())
        .collect();
    let number = |verb: &str| ours.iter().filter(|one| *one == verb).count();
    // The end of a watch is logged as well, but perhaps not yet.
    assert!(number("list") == 1 && matches!(number("watch"), 1 | 2) && number("get") == 0, "{ours:?}");
}

#[tokio::test]
async fn a_refusal_names_the_verb_and_what_to_do() {
    let place = Place::new("cli-refused").await;
    install(&place.cluster, &place.namespace).await;
    for (command, verb) in [(["app", "list"], "list"), (["wait", "web"], "list"), (["history", "web"], "get")] {
        let mut command = place.command(&command);
        let seen = Seen::from(command.args(["--as", "stranger", "--as-group", "visitors"]).output().await.unwrap());
        assert_eq!(seen.code, Some(2), "{seen:?}");
        assert!(seen.err.contains(&format!("User \"stranger\" cannot {verb}")) && seen.err.contains("hint: "), "{seen:?}");
    }
}

/// Asked as kubectl asks; the second answer comes from memory, so the cluster is asked once.
#[tokio::test]
async fn names_are_completed_from_the_cluster_and_remembered() {
    let place = Place::new("cli-complete").await;
    let home = tempfile::tempdir().unwrap();
    let ask = async |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
        command.arg0("kubectl_complete-gitops").env_clear().env("KUBECONFIG", place.cluster.kubeconfig_path());
        command.env("HOME", home.path()).args(words);
        String::from_utf8(command.output().await.unwrap().stdout).unwrap()
    };
    let namespace = place.namespace.name();
    // The first question may come while the machine is busy; a name that is late is left out, and asked for again.
    eventually("the name to be offered", Duration::from_secs(20), async || {
        let answer = ask(&["-n", namespace, "app", "get", "w"]).await;
        if answer == "web\n:4\n" { Ok(()) } else { Err(answer) }
    })
    .await;
    place.applications.delete("web", &kube::api::DeleteParams::default()).await.unwrap();
    assert_eq!(ask(&["-n", namespace, "sync", ""]).await, "web\n:4\n");
    assert_eq!(ask(&["-n", namespace, "sync", "web", ""]).await, ":4\n", "what is there already is not offered again");
}
