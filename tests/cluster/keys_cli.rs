//! The life of sealing keys as a user leads it, against a real API server with a controller at work.
//!
//! Several threads: the controller works while a command waits for it.

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kubectl_gitops::resource::yaml;
use serde_json::{Value, json};

use crate::sealing::{Bench, MARKER, SOON};
use crate::sealing_cli::{Answer, IDENTITY, gitops, recipient, secret};
use crate::support::eventually;

const KEY_LABEL: &str = "sealedsecrets.bitnami.com/sealed-secrets-key";

/// Runs a command as the administrator, and looks whether it shows a key in any form.
fn admin(bench: &Bench, args: &[&str]) -> Answer {
    checked(gitops(&bench.cluster.kubeconfig_path(), &bench.namespace, args, ""))
}

fn checked(answer: Answer) -> Answer {
    for text in [&answer.stdout, &answer.stderr] {
        // The beginning of a key Secret's `tls.key`.
        assert!(!text.contains("LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBL") && !text.contains("AGE-SECRET-KEY"), "a key was printed");
    }
    answer
}

fn report(answer: &Answer) -> Value {
    serde_json::from_str(&answer.stdout).unwrap_or_else(|_| panic!("{}{}", answer.stdout, answer.stderr))
}

fn keys(bench: &Bench) -> Api<Secret> {
    Api::namespaced(bench.client.clone(), &bench.namespace)
}

async fn lose_all_keys(bench: &Bench) {
    keys(bench).delete_collection(&DeleteParams::default(), &ListParams::default().labels(KEY_LABEL)).await.unwrap();
}

/// Seals a Secret into `folder` and applies it; the certificate is whatever the cluster publishes.
async fn seal(bench: &Bench, folder: &Path, name: &str) {
    let file = folder.join(format!("{name}.yaml"));
    let args = ["seal", "-n", bench.namespace.name(), "-w", file.to_str().unwrap()];
    gitops(&bench.cluster.kubeconfig_path(), &bench.namespace, &args, &secret(name)).done();
    bench.apply(&yaml::parse_one(&fs::read_to_string(&file).unwrap()).unwrap()).await;
    bench.condition(name, "True", "").await;
}

/// Makes a key and says how its Secret is called.
fn rotate(bench: &Bench) -> String {
    let rotated = admin(bench, &["keys", "rotate", "-o", "json"]).done();
    let report = report(&rotated);
    assert_eq!(report["published"], true, "{report}");
    report["key"]["name"].as_str().unwrap().to_owned()
}

fn backup_and_prove(bench: &Bench, folder: &Path) -> PathBuf {
    let backup = folder.join("keys.age");
    let to = backup.to_str().unwrap();
    admin(bench, &["keys", "backup", "--to", to, "-r", &recipient(), "--overwrite"]).done();
    let drill = ["keys", "verify-backup", to, "--repo", folder.to_str().unwrap(), "--identity", IDENTITY, "--record"];
    let proven = admin(bench, &drill).done();
    assert!(proven.stderr.contains("of the cluster"), "{}", proven.stderr);
    backup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_rotated_used_proven_and_retired() {
    let bench = Bench::start().await;
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().to_str().unwrap();
    let first = rotate(&bench);
    seal(&bench, folder.path(), "db").await;
    bench.value("db", "password", MARKER).await;
    let refused = admin(&bench, &["keys", "retire", &first, "--yes"]);
    assert_eq!(refused.exit, Some(2));
    assert!(refused.stderr.contains("is the active key"), "{}", refused.stderr);

    let second = rotate(&bench);
    let needed = format!("{0}/db needs {0}/{first}", bench.namespace.name());
    let refused = admin(&bench, &["keys", "retire", &first, "--repo", repo, "--yes"]);
    assert_eq!(refused.exit, Some(1), "{}", refused.stderr);
    assert!(refused.stdout.contains(&needed) && refused.stdout.contains(&format!("db.yaml:1 {needed}")), "{}", refused.stdout);
    assert!(refused.stdout.contains("is in no backup"), "{}", refused.stdout);

    // Beside the file an unchanged value would keep its ciphertext, and with it the old key.
    fs::remove_file(folder.path().join("db.yaml")).unwrap();
    seal(&bench, folder.path(), "db").await;
    backup_and_prove(&bench, folder.path());
    let listed = report(&admin(&bench, &["keys", "list", "-o", "json"]).done());
    let key = |name: &str| listed["keys"].as_array().unwrap().iter().find(|key| key["name"] == name).unwrap().clone();
    assert_eq!((&key(&first)["state"], &key(&second)["state"]), (&json!("opens"), &json!("active")), "{listed}");
    assert_eq!((&key(&first)["objects"], &key(&second)["objects"]), (&json!(0), &json!(1)), "{listed}");
    assert_eq!(key(&first)["drill"]["file"], key(&first)["backup"]["file"], "{listed}");

    let asked = admin(&bench, &["keys", "retire", &first, "--repo", repo]);
    assert_eq!(asked.exit, Some(2));
    assert!(
        asked.stderr.contains(&format!("refusing to retire {}/{first} without --yes", bench.namespace.name())),
        "{}",
        asked.stderr
    );
    admin(&bench, &["keys", "retire", &first, "--repo", repo, "--dry-run"]).done();
    assert_eq!(keys(&bench).get(&first).await.unwrap().metadata.labels.unwrap()[KEY_LABEL], "active");
    admin(&bench, &["keys", "retire", &first, "--repo", repo, "--yes"]).done();
    let retired = keys(&bench).get(&first).await.unwrap();
    assert_eq!(retired.metadata.labels.unwrap()[KEY_LABEL], "retired");
    assert!(retired.data.unwrap().contains_key("tls.key"), "the key is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_leak_the_values_to_change_are_listed() {
    let bench = Bench::start().await;
    let folder = tempfile::tempdir().unwrap();
    seal(&bench, folder.path(), "db").await;
    let rotated = admin(&bench, &["keys", "rotate", "--compromised", "-o", "json"]).done();
    let report = report(&rotated);
    let object = format!("{}/db", bench.namespace.name());
    let affected = report["affected"].as_array().unwrap().iter().find(|one| one["object"] == object.as_str());
    let key = format!("{}/restored-new", bench.namespace.name());
    assert_eq!(affected.unwrap()["keys"], json!([key]), "{report}");
    // The old key keeps opening: nothing breaks while people change values.
    bench.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    bench.value("db", "password", MARKER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_bring_lost_keys_back_and_what_had_failed_opens() {
    let bench = Bench::start().await;
    let folder = tempfile::tempdir().unwrap();
    seal(&bench, folder.path(), "db").await;
    let backup = folder.path().join("keys.age");
    let to = backup.to_str().unwrap();
    admin(&bench, &["keys", "backup", "--to", to, "--shares", "2/3"]).done();
    let share = |index: u8| format!("{to}.share-{index}-of-3");
    let again = admin(&bench, &["keys", "backup", "--to", &format!("{to}2"), "--shares", "2/3", "--shares-to", "/nowhere"]);
    assert_eq!(again.exit, Some(2), "{}", again.stderr);
    assert!(!Path::new(&format!("{to}2")).exists(), "half a backup was written");

    lose_all_keys(&bench).await;
    bench.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    bench.condition("db", "False", "no key could decrypt secret").await;
    let few = admin(&bench, &["keys", "restore", to, "--share", &share(1)]);
    assert_eq!((few.exit, few.stdout.as_str()), (Some(2), ""), "{}", few.stderr);
    assert!(few.stderr.contains("1 of the 2 shares that are needed were given"), "{}", few.stderr);

    let args = ["keys", "restore", to, "--share", &share(3), "--share", &share(1)];
    let restored = admin(&bench, &args).done();
    assert!(restored.stdout.contains("1 key added and read back, 0 there already"), "{}", restored.stdout);
    bench.condition("db", "True", "").await;
    bench.value("db", "password", MARKER).await;
    let label = keys(&bench).get("restored-new").await.unwrap().metadata.labels.unwrap().remove(KEY_LABEL);
    assert_eq!(label.as_deref(), Some("active"));
    let again = admin(&bench, &args).done();
    assert!(again.stdout.contains("0 keys added, 1 there already"), "{}", again.stdout);
}

/// Somebody who may see the keys, and neither add nor change any.
async fn onlooker(bench: &Bench) -> PathBuf {
    let role = json!({
        "metadata": {"name": "onlooker"},
        "rules": [
            {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get", "list"]},
            {"apiGroups": ["argoproj.io"], "resources": ["applications"], "verbs": ["list"]},
        ],
    });
    let binding = json!({
        "metadata": {"name": "onlooker"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "onlooker"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": bench.namespace.name()}],
    });
    let roles: Api<Role> = Api::namespaced(bench.client.clone(), &bench.namespace);
    let bindings: Api<RoleBinding> = Api::namespaced(bench.client.clone(), &bench.namespace);
    roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
    bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
    bench.cluster.kubeconfig_for_service_account(&bench.namespace, "default").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_right_is_named_before_anything_is_written() {
    let bench = Bench::start().await;
    let folder = tempfile::tempdir().unwrap();
    seal(&bench, folder.path(), "db").await;
    let backup = backup_and_prove(&bench, folder.path());
    lose_all_keys(&bench).await;
    eventually("the controller to have made a key of its own", SOON, || async {
        let there = keys(&bench).list(&ListParams::default().labels(KEY_LABEL)).await.unwrap().items;
        if there.is_empty() { Err("there is none") } else { Ok(()) }
    })
    .await;
    let user = onlooker(&bench).await;
    let namespace = bench.namespace.name();
    let refused = |args: Vec<String>, right: &'static str| {
        let user = user.clone();
        let hint = format!("kubectl auth can-i {right}").replace("NAMESPACE", namespace);
        async move {
            eventually("the refusal to name the right", SOON, || async {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let answer = checked(gitops(&user, namespace, &args, ""));
                let named = answer.exit == Some(2) && answer.stderr.contains(&hint);
                if named { Ok(()) } else { Err(format!("{:?} {}", answer.exit, answer.stderr)) }
            })
            .await;
        }
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let restore = format!("keys restore {} --identity {IDENTITY}", backup.display());
    refused(words(&restore), "create secrets -n NAMESPACE").await;
    refused(words(&format!("{restore} --dry-run")), "create secrets -n NAMESPACE").await;
    refused(words("keys rotate --dry-run"), "create secrets -n NAMESPACE").await;
    refused(words("keys rotate --compromised"), "list sealedsecrets.bitnami.com -A").await;

    // What may not be counted is told, and does not hide the rest.
    let listed = checked(gitops(&user, namespace, &["keys", "list"], "")).done();
    assert!(
        listed.stdout.contains("<unknown>") && listed.stderr.contains("is not known: cannot list SealedSecrets"),
        "{}{}",
        listed.stdout,
        listed.stderr
    );
    let status = checked(gitops(&user, namespace, &["status", "-n", namespace], "")).done();
    assert!(status.stderr.contains("is in no backup"), "{}", status.stderr);
}
