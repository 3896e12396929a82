//! `seal` and `keys` as a user runs them, against a real API server.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kubectl_gitops::keys::backup::{Unlock, decrypt};
use kubectl_gitops::resource::yaml;
use serde_json::{Value, json};

use crate::sealing::{Bench, MARKER, SOON};
use crate::support::{eventually, tools};

pub const IDENTITY: &str = "tests/fixtures/keys/test-only-identity.txt";

/// What a command printed and how it ended.
pub struct Answer {
    pub stdout: String,
    pub stderr: String,
    pub exit: Option<i32>,
}

impl Answer {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let answer = Self { exit: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert!(!answer.stdout.contains(MARKER) && !answer.stderr.contains(MARKER), "plaintext was printed");
        assert!(!answer.stdout.contains("PRIVATE KEY") && !answer.stderr.contains("PRIVATE KEY"), "a key was printed");
        answer
    }

    pub fn done(self) -> Self {
        assert_eq!(self.exit, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }
}

/// Runs the program as a user with this kubeconfig; the controller's namespace is the test's.
pub fn gitops(kubeconfig: &Path, namespace: &str, args: &[&str], stdin: &str) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
    command
        .env_clear()
        .env("KUBECONFIG", kubeconfig)
        .env("GITOPS_KEY_NAMESPACE", namespace)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(args).args(["--controller-namespace", namespace]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The program may refuse before it reads.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    Answer::of(child.wait_with_output().unwrap())
}

pub fn recipient() -> String {
    let identity = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(IDENTITY)).unwrap();
    identity.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
}

pub fn secret(name: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  password: {MARKER}\n")
}

/// Somebody who may read the published certificate and nothing else.
async fn ordinary_user(bench: &Bench) -> std::path::PathBuf {
    let read_certificate = json!({
        "metadata": {"name": "seal"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["gitops-sealing-certificate"], "verbs": ["get"]}],
    });
    let binding = json!({
        "metadata": {"name": "seal"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "seal"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": bench.namespace.name()}],
    });
    let roles: Api<Role> = Api::namespaced(bench.client.clone(), &bench.namespace);
    let bindings: Api<RoleBinding> = Api::namespaced(bench.client.clone(), &bench.namespace);
    roles.create(&PostParams::default(), &serde_json::from_value(read_certificate).unwrap()).await.unwrap();
    bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
    bench.cluster.kubeconfig_for_service_account(&bench.namespace, "default").await
}

#[tokio::test]
async fn an_ordinary_user_seals_with_the_published_certificate() {
    let bench = Bench::start().await;
    let user = ordinary_user(&bench).await;
    let sealed = eventually("the new rights to count", SOON, || async {
        let answer = gitops(&user, &bench.namespace, &["seal", "-n", &bench.namespace], &secret("db"));
        if answer.exit == Some(0) { Ok(answer) } else { Err(answer.stderr) }
    })
    .await;
    let says = format!("sealing db for namespace \"{}\" (from -n), scope strict, key sha256:", bench.namespace.name());
    assert!(sealed.stderr.starts_with(&says), "{}", sealed.stderr);
    bench.apply(&yaml::parse_one(&sealed.stdout).unwrap()).await;
    bench.value("db", "password", MARKER).await;

    let certificate = gitops(&user, &bench.namespace, &["keys", "cert"], "").done();
    assert_eq!(certificate.stdout, bench.certificate());
    let refused = gitops(&user, &bench.namespace, &["keys", "list"], "");
    assert_eq!(refused.exit, Some(2));
    assert!(refused.stderr.contains("cannot list sealing keys"), "{}", refused.stderr);
}

/// The whole way of an overlay: seal for the final name, let the real kustomize rename, apply, open; then prove it offline.
#[tokio::test]
async fn a_secret_of_a_kustomize_overlay_opens_under_its_final_name() {
    let bench = Bench::start().await;
    let admin = bench.cluster.kubeconfig_path();
    let repository = tempfile::tempdir().unwrap();
    let path = |name: &str| repository.path().join(name);
    fs::create_dir_all(path("base")).unwrap();
    fs::create_dir_all(path("prod")).unwrap();
    let final_name = format!("{}/prod-db", bench.namespace.name());
    let file = path("base/db.yaml");
    let args = ["seal", "--as-name", &final_name, "-w", file.to_str().unwrap()];
    gitops(&admin, &bench.namespace, &args, &secret("db")).done();
    fs::write(path("base/kustomization.yaml"), "resources: [db.yaml]\n").unwrap();
    let overlay = format!("namePrefix: prod-\nnamespace: {}\nresources: [../base]\n", bench.namespace.name());
    fs::write(path("prod/kustomization.yaml"), overlay).unwrap();

    let built = Command::new(tools().kustomize()).arg("build").arg(path("prod")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    bench.apply(&yaml::parse_one(&String::from_utf8(built.stdout).unwrap()).unwrap()).await;
    bench.value("prod-db", "password", MARKER).await;
    bench.condition("prod-db", "True", "").await;

    let backup = path("backup.age");
    gitops(&admin, &bench.namespace, &["keys", "backup", "--to", backup.to_str().unwrap(), "-r", &recipient()], "").done();
    let repo = repository.path().to_str().unwrap();
    let drill = ["keys", "verify-backup", backup.to_str().unwrap(), "--repo", repo, "--identity", IDENTITY];
    let drilled = gitops(Path::new("/nowhere"), &bench.namespace, &drill, "").done();
    assert_eq!(drilled.stdout, format!("✔ base/db.yaml:1 db opens as {final_name}\n1/1 recoverable\n").replace('✔', "ok"));
}

#[tokio::test]
async fn a_backup_is_private_noted_and_restored_by_kubectl_alone() {
    let bench = Bench::start().await;
    let admin = bench.cluster.kubeconfig_path();
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.age");
    let to = backup.to_str().unwrap();
    let made = gitops(&admin, &bench.namespace, &["keys", "backup", "--to", to, "-r", &recipient()], "").done();
    assert!(made.stderr.contains("noted on the key Secrets"), "{}", made.stderr);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = gitops(&admin, &bench.namespace, &["keys", "backup", "--to", to, "-r", &recipient()], "");
    assert_eq!(again.exit, Some(2), "{}", again.stderr);
    let listed = gitops(&admin, &bench.namespace, &["keys", "list", "-o", "json"], "").done();
    let report: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!((&report["keys"][0]["state"], report["keys"].as_array().unwrap().len()), (&json!("active"), 1));
    assert!(report["keys"][0]["backup"]["at"].is_string(), "{report}");

    // Lose the key, then do what the runbook says; `age -d` is played by the same library.
    let keys: Api<Secret> = Api::namespaced(bench.client.clone(), &bench.namespace);
    let selector = ListParams::default().labels("sealedsecrets.bitnami.com/sealed-secrets-key=active");
    keys.delete_collection(&DeleteParams::default(), &selector).await.unwrap();
    let identity = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(IDENTITY)).unwrap();
    let plaintext = decrypt(&fs::read(&backup).unwrap(), Unlock::Identities(identity.into())).unwrap();
    let mut kubectl = Command::new(tools().kubectl());
    kubectl.args(["apply", "-f", "-", "--kubeconfig"]).arg(&admin).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = kubectl.spawn().unwrap();
    child.stdin.take().unwrap().write_all(plaintext.as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    let restored = keys.get("restored-new").await.unwrap();
    assert_eq!(restored.type_.as_deref(), Some("kubernetes.io/tls"));
}
