//! What Argo CD lacks: a rollback that holds, a pause, a deletion budget, a stuck sync that gives way.

use std::process::Output;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::process::Command;

use crate::application::{Bench, SOON, config_map};
use crate::support::eventually;

const HOLD: &str = "kubectl-gitops.io/hold";

impl Bench {
    async fn plugin(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
        command.env_clear().env("HOME", "/nonexistent").args(arguments).kill_on_drop(true);
        command.arg("--kubeconfig").arg(self.cluster.kubeconfig_path());
        command.args(["--controller-namespace", self.control.name()]).output().await.unwrap()
    }

    async fn data(&self, name: &str) -> Option<String> {
        self.config_maps().get_opt(name).await.unwrap().and_then(|map| map.data?.get("k").cloned())
    }

    async fn wait_data(&self, wanted: &str) {
        eventually(&format!("the value {wanted}"), SOON, || async {
            let found = self.data("settings").await;
            if found.as_deref() == Some(wanted) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }

    async fn is_held(&self, name: &str) -> bool {
        let app = self.apps().get(name).await.unwrap();
        app.metadata.annotations.is_some_and(|all| all.contains_key(HOLD))
    }
}

#[tokio::test]
async fn a_rollback_holds_under_auto_sync_and_frees_itself_at_the_next_revision() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("rollback");
    let commit = |value: &str| {
        repo.write("app/settings.yaml", &config_map("settings", value));
        repo.commit(value)
    };
    let good = commit("good");
    bench.create(&bench.app("back", repo.url())).await;
    bench.wait_synced("back", &good).await;
    let bad = commit("bad");
    bench.wait_synced("back", &bad).await;

    let output = bench.plugin(&["rollback", "back", "--reason", "checkout answers 500"]).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(bench.data("settings").await.as_deref(), Some("good"));
    let status = bench.wait_condition("back", "AutoSyncHeldInfo", "held by a rollback from").await;
    assert!(status.conditions.iter().any(|one| one.message.contains("checkout answers 500")), "{:?}", status.conditions);
    // Neither a refresh nor drift brings the bad revision back.
    let output = bench.plugin(&["refresh", "back"]).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!((bench.data("settings").await.as_deref(), bench.is_held("back").await), (Some("good"), true));

    let better = commit("better");
    bench.wait_synced("back", &better).await;
    assert!(!bench.is_held("back").await, "it frees itself");
    assert!(bench.status("back").await.conditions.is_empty());

    // A pause holds the next revision too, until somebody resumes.
    assert!(bench.plugin(&["pause", "back", "--for", "1h", "--reason", "freeze"]).await.status.success());
    bench.wait_condition("back", "AutoSyncHeldInfo", "(freeze) until").await;
    commit("best");
    bench.wait("back", "OutOfSync", |status| status.sync.as_ref().is_some_and(|sync| sync.status == "OutOfSync")).await;
    assert_eq!(bench.data("settings").await.as_deref(), Some("better"));
    assert!(bench.plugin(&["resume", "back"]).await.status.success());
    bench.wait_data("best").await;
}

#[tokio::test]
async fn a_sync_beyond_the_deletion_budget_waits_for_an_approval_of_its_deletions() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("budget");
    for name in ["settings", "b", "c"] {
        repo.write(&format!("app/{name}.yaml"), &config_map(name, "one"));
    }
    let first = repo.commit("first");
    let mut app = bench.app("budget", repo.url());
    app["metadata"]["annotations"] = json!({ "kubectl-gitops.io/deletion-budget": "50%" });
    bench.create(&app).await;
    bench.wait_synced("budget", &first).await;
    repo.remove("app/b.yaml").remove("app/c.yaml").write("app/settings.yaml", &config_map("settings", "two"));
    let second = repo.commit("second");
    let status = bench
        .wait("budget", "held", |status| {
            status.operation_state.as_ref().is_some_and(|state| state.message.contains("2 of 3 objects would be deleted"))
        })
        .await;
    let message = status.operation_state.unwrap().message;
    assert!(message.contains("hint: approve with kubectl annotate application"), "{message}");
    assert_eq!(bench.data("settings").await.as_deref(), Some("two"), "everything else is applied");
    assert!(bench.data("b").await.is_some() && bench.data("c").await.is_some());
    let approval =
        json!({ "metadata": { "annotations": { "argocd.argoproj.io/deletion-approved": Timestamp::now().to_string() } } });
    bench.apps().patch("budget", &PatchParams::default(), &Patch::Merge(approval)).await.unwrap();
    bench.wait_synced("budget", &second).await;
    assert!(bench.data("b").await.is_none() && bench.data("c").await.is_none());
}

#[tokio::test]
async fn a_sync_that_waits_for_ever_gives_way_to_the_commit_that_mends_it() {
    let bench = Bench::start().await;
    let repo = bench.git.repo("stuck");
    // A claim that nobody binds is Progressing for ever.
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: never\n  annotations: {argocd.argoproj.io/sync-wave: '-1'}\nspec:\n  storageClassName: nobody\n  accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 1Gi}}\n";
    repo.write("app/claim.yaml", claim).write("app/settings.yaml", &config_map("settings", "one"));
    repo.commit("first");
    bench.create(&bench.app("stuck", repo.url())).await;
    bench
        .wait("stuck", "waiting", |status| {
            status.operation_state.as_ref().is_some_and(|state| state.message.starts_with("waiting for healthy state of"))
        })
        .await;
    repo.remove("app/claim.yaml");
    let second = repo.commit("second");
    bench.wait_synced("stuck", &second).await;
    assert!(bench.controller.log().contains("superseded by"), "{}", bench.controller.log());
}
