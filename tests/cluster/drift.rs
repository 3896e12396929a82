//! What people change in a cluster: who did it, and how it comes back to Git. No controller runs; the test does what one would.

use std::fs;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kubectl_gitops::api::Application;
use serde_json::{Value, json};

use crate::diff::{Bench, DEPLOYMENT, MARKER, config_map, secret};
use crate::support::git::GitRepo;

/// Records a revision as synced, as the controller does after a successful sync.
async fn record(bench: &Bench, revision: &str) {
    let apps: Api<DynamicObject> =
        Api::namespaced_with(bench.client.clone(), &bench.control, &ApiResource::erase::<Application>(&()));
    let history = json!([{ "id": 0, "revision": revision, "deployedAt": "2026-11-25T12:00:00Z",
        "source": { "repoURL": bench.repo.url(), "path": "app" } }]);
    apps.patch("web", &PatchParams::default(), &Patch::Merge(json!({ "status": { "history": history } }))).await.unwrap();
}

/// Changes the live Deployment as a person with an editor does.
async fn edit(bench: &Bench, change: &Value) {
    let deployments = Api::<Deployment>::namespaced(bench.client.clone(), &bench.destination);
    let by = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
    deployments.patch("web", &by, &Patch::Strategic(change)).await.unwrap();
}

/// The work tree knows the URL that the Application names.
fn name_remote(repo: &GitRepo) {
    let output = std::process::Command::new("git").arg("-C").arg(repo.tree()).args(["remote", "add", "web", repo.url()]).output();
    assert!(output.unwrap().status.success());
}

fn file(bench: &Bench, path: &str) -> String {
    fs::read_to_string(bench.repo.tree().join(path)).unwrap()
}

#[tokio::test]
async fn every_drifted_field_names_its_writer_and_new_commits_are_no_drift() {
    let bench = Bench::start().await;
    bench.sync(&[("app/web.yaml", DEPLOYMENT), ("app/db.yaml", &secret(MARKER))]).await;
    record(&bench, &bench.repo.head()).await;
    let seen = bench.gitops(".", &["drift", "web"]).await;
    assert_eq!(seen.code, Some(0), "{seen:?}");

    edit(&bench, &json!({ "spec": { "replicas": 2 } })).await;
    let secrets =
        Api::<DynamicObject>::namespaced_with(bench.client.clone(), &bench.destination, &ApiResource::erase::<Secret>(&()));
    let by = PatchParams { field_manager: Some("rotator".into()), ..PatchParams::default() };
    secrets.patch("db", &by, &Patch::Merge(json!({ "stringData": { "password": format!("{MARKER}-2") } }))).await.unwrap();
    bench.commit(&[("app/web.yaml", &DEPLOYMENT.replace("web:1", "web:2"))]);

    let seen = bench.gitops(".", &["drift", "web"]).await;
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.out.contains(".spec.replicas  0 -> 2   kubectl-edit (Update) 20"), "{seen:?}");
    assert!(seen.out.contains(".data.password  <changed>   rotator (Update)"), "{seen:?}");
    assert!(!seen.out.contains("image"), "a new commit is no drift: {seen:?}");

    let log = bench.cluster.audit_log();
    let seen = bench.gitops(".", &["drift", "web", "--audit-log", log.to_str().unwrap(), "-o", "json"]).await;
    let report: Value = serde_json::from_str(&seen.out).unwrap();
    let of = |path: &str| report["items"].as_array().unwrap().iter().find(|item| item["path"] == path).unwrap().clone();
    let replicas = of(".spec.replicas");
    assert_eq!(
        (&replicas["git"], &replicas["live"], &replicas["operation"]),
        (&json!(0), &json!(2), &json!("Update")),
        "{report}"
    );
    assert!(replicas["user"].is_string() && replicas["time"].is_string(), "{report}");
    let password = of(".data.password");
    assert!(password["masked"] == true && password.get("live").is_none(), "{report}");
    assert!(!seen.out.contains(MARKER) && !seen.err.contains(MARKER));

    let seen = bench.gitops(".", &["drift", "web", "--by", "nobody"]).await;
    assert_eq!(seen.code, Some(0), "{seen:?}");
}

#[tokio::test]
async fn a_live_change_becomes_the_smallest_edit_of_the_manifest() {
    let bench = Bench::start().await;
    let manifest = DEPLOYMENT.replace("replicas: 0", "replicas: 0   # scaled down at night");
    bench.sync(&[("app/web.yaml", &manifest), ("app/map.yaml", &config_map("settings"))]).await;
    record(&bench, &bench.repo.head()).await;
    name_remote(&bench.repo);
    edit(&bench, &json!({ "spec": { "replicas": 2, "template": { "spec": { "containers": [{ "name": "main", "image": "registry.example/web:2" }] } } } })).await;

    let tree = bench.repo.tree();
    let seen = bench.gitops(tree, &["adopt", "web", "--dry-run"]).await;
    assert_eq!((seen.code, file(&bench, "app/web.yaml")), (Some(0), manifest.clone()), "{seen:?}");
    assert!(seen.out.contains("app/web.yaml would be changed"), "{seen:?}");

    let seen = bench.gitops(tree, &["adopt", "web", "Deployment/web"]).await;
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert_eq!(file(&bench, "app/web.yaml"), manifest.replace("replicas: 0 ", "replicas: 2 ").replace("web:1", "web:2"));
    let seen = bench.gitops(tree.join("app"), &["diff"]).await;
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), ""), "{seen:?}");

    // Now the files are ahead of what was synced; what is there for another reason must not be taken back.
    let seen = bench.gitops(tree, &["adopt", "web"]).await;
    assert_eq!(seen.code, Some(2), "{seen:?}");
    assert!(seen.err.contains("gives other manifests"), "{seen:?}");
}

#[tokio::test]
async fn a_kustomization_gets_its_image_changed_and_the_rest_as_a_patch() {
    let bench = Bench::start().await;
    bench.sync(&[("app/web.yaml", DEPLOYMENT)]).await;
    let kustomization = "resources:\n- web.yaml\n# by the pipeline\nimages:\n- name: registry.example/web\n  newTag: \"1\"\n";
    bench.commit(&[("app/kustomization.yaml", kustomization)]);
    record(&bench, &bench.repo.head()).await;
    name_remote(&bench.repo);
    edit(&bench, &json!({ "spec": { "replicas": 2, "template": { "spec": { "containers": [{ "name": "main", "image": "registry.example/web:2" }] } } } })).await;

    let seen = bench.gitops(bench.repo.tree(), &["adopt", "web", "-o", "json"]).await;
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let report: Value = serde_json::from_str(&seen.out).unwrap();
    assert_eq!(report["files"], json!(["app/adopted-deployment-web.yaml", "app/kustomization.yaml"]), "{report}");
    let expected = kustomization.replace("\"1\"", "\"2\"")
        + "patches:\n- path: adopted-deployment-web.yaml\n  target:\n    group: apps\n    kind: Deployment\n    name: web\n";
    assert_eq!(file(&bench, "app/kustomization.yaml"), expected);
    let seen = bench.gitops(bench.repo.tree(), &["diff"]).await;
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), ""), "{seen:?}");
}

#[tokio::test]
async fn what_cannot_go_to_git_is_listed_with_the_reason() {
    let bench = Bench::start().await;
    bench.sync(&[("app/web.yaml", DEPLOYMENT), ("app/db.yaml", &secret(MARKER))]).await;
    record(&bench, &bench.repo.head()).await;
    name_remote(&bench.repo);
    let deployments = Api::<Deployment>::namespaced(bench.client.clone(), &bench.destination);
    let scaler = PatchParams { field_manager: Some("kube-controller-manager".into()), ..PatchParams::default() };
    deployments.patch_scale("web", &scaler, &Patch::Merge(json!({ "spec": { "replicas": 3 } }))).await.unwrap();
    let secrets = Api::<Secret>::namespaced(bench.client.clone(), &bench.destination);
    secrets
        .patch("db", &PatchParams::default(), &Patch::Merge(json!({ "stringData": { "password": "marker-91c4-b" } })))
        .await
        .unwrap();

    let before = file(&bench, "app/db.yaml");
    let seen = bench.gitops(bench.repo.tree(), &["adopt", "web"]).await;
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.out.contains("is written by kube-controller-manager, not by a person"), "{seen:?}");
    assert!(seen.out.contains("kubectl gitops seal") && !seen.out.contains("marker-91c4"), "{seen:?}");
    assert_eq!(file(&bench, "app/db.yaml"), before);

    let forced = bench.gitops(bench.repo.tree(), &["adopt", "web", "Deployment/web", "--force-field", "spec.replicas"]).await;
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert!(file(&bench, "app/web.yaml").contains("replicas: 3"));
}

#[tokio::test]
async fn uncommitted_files_are_compared_with_the_cluster() {
    let bench = Bench::start().await;
    bench.sync(&[("app/web.yaml", DEPLOYMENT)]).await;
    name_remote(&bench.repo);
    bench.repo.write("app/web.yaml", &DEPLOYMENT.replace("web:1", "web:2")).write("app/new.yaml", &config_map("new"));
    let tree = bench.repo.tree();
    for (folder, arguments) in [(tree.join("app"), &["diff"][..]), (tree.to_owned(), &["diff", "web", "--local", "app"])] {
        let seen = bench.gitops(folder, arguments).await;
        assert_eq!(seen.code, Some(1), "{seen:?}");
        assert!(seen.out.contains("1 create, 1 change") && seen.out.contains("registry.example/web:2"), "{seen:?}");
    }
    let seen = bench.gitops(tree, &["diff", "web"]).await;
    assert_eq!(seen.code, Some(0), "the remote has none of it: {seen:?}");
    fs::create_dir_all(tree.join("docs")).unwrap();
    let seen = bench.gitops(tree.join("docs"), &["diff"]).await;
    assert_eq!(seen.code, Some(2), "{seen:?}");
    assert!(seen.err.contains("no Application uses") && seen.err.contains("hint:"), "{seen:?}");
}

/// The key is a test's own, so that the test can look inside; the certificate is pinned in the repository.
#[tokio::test]
async fn a_secret_that_was_changed_in_the_cluster_comes_to_git_sealed() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sealing/keys/test-only-new");
    let bench = Bench::start().await;
    bench.repo.write(".gitops/cert.pem", &fs::read_to_string(format!("{keys}.crt")).unwrap());
    bench.repo.write("plain.yaml", &secret("before"));
    let tree = bench.repo.tree();
    let seal = bench.gitops(tree, &["seal", "-n", bench.destination.name(), "-w", "app/db.yaml", "plain.yaml"]).await;
    assert_eq!(seal.code, Some(0), "{seal:?}");
    bench.repo.remove("plain.yaml");
    fs::remove_file(tree.join("plain.yaml")).unwrap();
    let sealed = format!("# rotated by hand\n{}", file(&bench, "app/db.yaml"));
    bench.sync(&[("app/db.yaml", &sealed)]).await;
    record(&bench, &bench.repo.head()).await;
    name_remote(&bench.repo);
    let secrets = Api::<Secret>::namespaced(bench.client.clone(), &bench.destination);
    let live = json!({ "metadata": { "name": "db" }, "stringData": { "user": "ann", "password": MARKER } });
    secrets.create(&PostParams::default(), &serde_json::from_value(live).unwrap()).await.unwrap();

    let seen = bench.gitops(tree, &["adopt", "web", "Secret/db"]).await;
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert!(seen.out.contains("encryptedData.password") && !seen.out.contains(MARKER) && !seen.err.contains(MARKER), "{seen:?}");
    let adopted = file(&bench, "app/db.yaml");
    assert!(adopted.starts_with("# rotated by hand\n") && adopted != sealed && !adopted.contains(MARKER), "{adopted}");
    let opened = bench.gitops(tree, &["unseal", "-f", "app/db.yaml", "--key", &format!("{keys}.key"), "-o", "json"]).await;
    let value: Value = serde_json::from_str(&opened.out).unwrap();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, MARKER);
    assert_eq!(value["data"]["password"], encoded, "{}", opened.err);
}
