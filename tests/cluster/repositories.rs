//! Private repositories: Secrets that say how they are reached, and the `repo` commands that write them.

use std::process::Stdio;

use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::application::{Bench, config_map};
use crate::support::git::GitServer;

/// Passwords that may be in their Secret and nowhere else.
const RIGHT: &str = "marker-right-7d1c";
const WRONG: &str = "marker-wrong-90aa";

fn secrets(bench: &Bench) -> Api<Secret> {
    Api::namespaced(bench.client.clone(), &bench.control)
}

async fn register(bench: &Bench, name: &str, fields: Value) {
    let labels = json!({ "argocd.argoproj.io/secret-type": "repository" });
    let secret =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "labels": labels }, "stringData": fields });
    secrets(bench).create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
}

async fn change(bench: &Bench, name: &str, fields: Value) {
    let patch = Patch::Merge(json!({ "stringData": fields }));
    secrets(bench).patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// Everything that people and programs may read, but for the Secrets themselves.
async fn readable(bench: &Bench) -> String {
    let apps = bench.apps().list(&ListParams::default()).await.unwrap();
    let events: Api<Event> = Api::namespaced(bench.client.clone(), &bench.control);
    let events = events.list(&ListParams::default()).await.unwrap();
    let metrics = bench.controller.get("/metrics").await.1;
    format!("{}\n{}\n{metrics}\n{}", json!(apps.items), json!(events.items), bench.controller.log())
}

#[tokio::test]
async fn a_private_repository_is_reached_once_its_secret_is_right_without_a_restart() {
    let bench = Bench::start().await;
    let git = GitServer::start_private("reader", RIGHT);
    let repo = git.repo("private");
    let first = repo.write("app/cm.yaml", &config_map("settings", "1")).commit("first");
    bench.create(&bench.app("web", repo.url())).await;

    let status = bench.wait_condition("web", "ComparisonError", "was denied").await;
    let message = &status.conditions.iter().find(|one| one.type_ == "ComparisonError").unwrap().message;
    assert!(message.contains(repo.url()) && message.contains("repo list"), "{message}");

    register(&bench, "shop", json!({ "url": repo.url(), "username": "reader", "password": WRONG })).await;
    bench.wait_condition("web", "ComparisonError", "Secret `shop`").await;
    change(&bench, "shop", json!({ "insecure": "maybe", "password": RIGHT })).await;
    bench.wait_condition("web", "ComparisonError", "field `insecure` of Secret `shop`").await;
    change(&bench, "shop", json!({ "insecure": "" })).await;
    bench.wait_synced("web", &first).await;

    let second = repo.write("app/cm.yaml", &config_map("settings", "2")).commit("second");
    bench.wait_synced("web", &second).await;
    let readable = readable(&bench).await;
    let leak = readable.lines().find(|line| line.contains(RIGHT) || line.contains(WRONG));
    assert_eq!(leak, None);
}

#[tokio::test]
async fn a_template_serves_all_repositories_below_it_and_projects_keep_theirs() {
    let bench = Bench::start().await;
    let git = GitServer::start_private("reader", RIGHT);
    let repo = git.repo("shop");
    let first = repo.write("app/cm.yaml", &config_map("settings", "1")).commit("first");
    // Another project's: it must not be used.
    register(&bench, "other", json!({ "url": repo.url(), "project": "other", "username": "reader", "password": RIGHT })).await;
    bench.create(&bench.app("web", repo.url())).await;
    bench.wait_condition("web", "ComparisonError", "was denied").await;

    let host = repo.url().trim_end_matches("shop.git");
    let (code, text) =
        repo_command(&bench, &["add", host, "--template", "--username", "reader", "--password-stdin"], RIGHT).await;
    assert_eq!(code, Some(0), "{text}");
    bench.wait_synced("web", &first).await;
}

/// Runs `kubectl gitops repo ...` and gives its exit code and everything that it says, which never holds a password.
async fn repo_command(bench: &Bench, arguments: &[&str], stdin: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
    command.env_clear().env("KUBECONFIG", bench.cluster.kubeconfig_path()).env("HOME", "/nonexistent");
    command.arg("repo").args(arguments).arg(format!("--controller-namespace={}", bench.control.name()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains(RIGHT) && !text.contains(WRONG), "a password was printed: {text}");
    (output.status.code(), text)
}

#[tokio::test]
async fn the_repo_commands_test_access_before_they_write() {
    let bench = Bench::start().await;
    let git = GitServer::start_private("reader", RIGHT);
    let repo = git.repo("private");
    let first = repo.write("app/cm.yaml", &config_map("settings", "1")).commit("first");
    let add = ["add", repo.url(), "--username", "reader", "--password-stdin"];
    let run = async |arguments: &[&str], stdin: &str| repo_command(&bench, arguments, stdin).await;

    let (code, text) = run(&add, WRONG).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("cannot reach the repository") && text.contains("was denied"), "{text}");
    let (code, text) = run(&["list"], "").await;
    assert_eq!(code, Some(0));
    assert!(text.contains("No repositories are registered"), "{text}");

    let (code, text) = run(&add, RIGHT).await;
    assert_eq!(code, Some(0), "{text}");
    bench.create(&bench.app("web", repo.url())).await;
    bench.wait_synced("web", &first).await;
    let (code, text) = run(&add, RIGHT).await;
    assert!(code == Some(2) && text.contains("registered already") && text.contains("--upsert"), "{text}");
    assert_eq!(run(&[&add[..], &["--upsert"]].concat(), RIGHT).await.0, Some(0));

    let (code, text) = run(&["list", "--test", "-o", "json"], "").await;
    assert_eq!(code, Some(0), "{text}");
    let listed: Value = serde_json::from_str(&text).unwrap();
    let one = &listed["repositories"][0];
    assert_eq!((&one["url"], &one["login"], &one["reached"]), (&json!(repo.url()), &json!("password"), &json!(true)), "{text}");

    let (code, text) = run(&["rm", repo.url()], "").await;
    assert!(code == Some(2) && text.contains("--yes"), "{text}");
    assert_eq!(run(&["rm", repo.url(), "--yes"], "").await.0, Some(0));
    let (code, text) = run(&["rm", repo.url(), "--yes"], "").await;
    assert!(code == Some(2) && text.contains("is not registered"), "{text}");
    bench.wait_condition("web", "ComparisonError", "was denied").await;
}
