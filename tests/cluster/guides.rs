//! The guides about Applications, done: every command in them is run, in order, against a controller and a Git server.

use std::path::Path;
use std::process::Command;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::application::{Bench, SOON, config_map};
use crate::deploy;
use crate::runbooks::Shell;
use crate::support::eventually;

/// Runs git in a work tree, as its owner does.
fn git(tree: &Path, arguments: &[&str]) {
    let output = Command::new("git").arg("-C").arg(tree).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_guides_about_applications_works() {
    let bench = Bench::start().await;
    deploy::install(&bench.cluster).await;
    let repo = bench.git.repo("shop");
    repo.write("app/settings.yaml", &config_map("settings", "first")).commit("first");
    for arguments in [["remote", "add", "web", repo.url()], ["config", "--local", "user.name", "test"]] {
        git(repo.tree(), &arguments);
    }
    git(repo.tree(), &["config", "--local", "user.email", "test@localhost"]);
    let folder = tempfile::tempdir().unwrap();
    // The pod of the installation is simulated; the process beside it is the controller.
    let variables = [
        ("GITOPS_CONTROLLER_NAMESPACE", bench.control.name()),
        ("GITOPS_KEY_NAMESPACE", bench.control.name()),
        ("INSTALL_OPTIONS", "--beside-others --wait=false"),
        ("APP", "shop"),
        ("NAMESPACE", bench.destination.name()),
        ("REPO", repo.tree().to_str().unwrap()),
        ("REPO_URL", repo.url()),
    ];
    let shell = Shell::new(&bench.cluster, folder.path(), &variables);
    let follow = |guide: &str| tokio::task::block_in_place(|| shell.follow(guide));

    follow("quick-start.md");
    let secrets = Api::<k8s_openapi::api::core::v1::Secret>::namespaced(bench.client.clone(), &bench.destination);
    eventually("the sealed password to be opened", SOON, || secrets.get("db")).await;

    let seen = follow("tasks.md");
    assert!(seen.contains("SealedSecret"), "the pull request's comment names what it brings: {seen}");

    let settings = Api::<ConfigMap>::namespaced(bench.client.clone(), &bench.destination);
    let by = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
    settings.patch("settings", &by, &Patch::Merge(json!({ "data": { "k": "at night" } }))).await.unwrap();
    let seen = follow("drift-at-night.md");
    assert!(seen.contains("kubectl-edit (Update)") && seen.contains("app/settings.yaml"), "{seen}");
    let value = async || settings.get("settings").await.unwrap().data.unwrap()["k"].clone();
    assert_eq!(value().await, "at night");

    follow("rollback.md");
    assert_eq!(value().await, "first");

    tokio::task::block_in_place(|| {
        shell.run("a backup", "age-keygen -o backup-identity.txt && kubectl gitops keys backup --to keys.age --recipient \"$(age-keygen -y backup-identity.txt)\"")
    });
    bench.apps().delete("shop", &DeleteParams::default()).await.unwrap();
    settings.delete("settings", &DeleteParams::default()).await.unwrap();
    let seen = follow("disaster.md");
    assert!(seen.contains(" recoverable"), "{seen}");
    assert_eq!(value().await, "first");
}
