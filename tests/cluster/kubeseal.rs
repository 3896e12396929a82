//! Two clients and two controllers, each with each, through the real API server's Service proxy.
//!
//! ```text
//! kubectl gitops seal, kubeseal (original), kubeseal (ours) ──> kube-apiserver ──proxy──> gitops-controller or the original controller
//! ```

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kubectl_gitops::resource::yaml;
use kubectl_gitops::sealing::encode_base64;
use serde_json::{Value, json};

use crate::sealing::{MARKER, SOON, key_secret};
use crate::support::original::OriginalController;
use crate::support::service::{expose, own_socket};
use crate::support::{Cluster, ControllerProcess, TestNamespace, eventually, tools};

const SERVICE: &str = "sealed-secrets-controller";

/// Who looks after the namespace; kept alive.
#[expect(dead_code, reason = "held until the test ends")]
enum Controller {
    Ours(ControllerProcess),
    Original(OriginalController),
}

/// A namespace with a controller that has one key, reachable under the name that kubeseal expects.
struct Bench {
    cluster: Cluster,
    namespace: TestNamespace,
    client: kube::Client,
    _controller: Controller,
}

impl Bench {
    async fn ours(key: &str) -> Self {
        let (cluster, namespace, client) = Self::with_key(key).await;
        let socket = own_socket();
        let listen = format!("--listen-address={socket}");
        let only = format!("--sealing-namespace={}", namespace.name());
        let controller = ControllerProcess::start(&cluster, &namespace, &[&listen, &only]).await;
        controller.wait_ready().await;
        expose(&client, &namespace, SERVICE, "", socket).await;
        Self { cluster, namespace, client, _controller: Controller::Ours(controller) }
    }

    async fn original(key: &str) -> Self {
        let (cluster, namespace, client) = Self::with_key(key).await;
        let socket = own_socket();
        let controller = OriginalController::start(&cluster, &namespace, &socket.to_string()).await;
        expose(&client, &namespace, SERVICE, "", socket).await;
        Self { cluster, namespace, client, _controller: Controller::Original(controller) }
    }

    async fn with_key(key: &str) -> (Cluster, TestNamespace, kube::Client) {
        let cluster = Cluster::shared().await;
        let namespace = cluster.namespace("kubeseal").await;
        let client = cluster.admin().await;
        create_key(&client, &namespace, key).await;
        (cluster, namespace, client)
    }

    fn run(&self, program: PathBuf, args: &[&str], stdin: &str) -> Output {
        let controller = ["--controller-namespace", self.namespace.name(), "--controller-name", SERVICE];
        self.run_alone(program, &[args, &controller].concat(), stdin)
    }

    fn run_alone(&self, program: PathBuf, args: &[&str], stdin: &str) -> Output {
        let mut command = Command::new(program);
        command.args(args).env_clear().env("KUBECONFIG", self.cluster.kubeconfig_path()).env("HOME", "/nonexistent");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The program may refuse before it reads.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn done(&self, program: PathBuf, args: &[&str], stdin: &str) -> String {
        let output = self.run(program, args, stdin);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {stderr}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(!stdout.contains(MARKER) && !stderr.contains(MARKER), "plaintext was printed");
        stdout
    }

    async fn apply(&self, sealed: &Value) {
        let kind = GroupVersionKind::gvk("bitnami.com", "v1alpha1", "SealedSecret");
        let resource = ApiResource::from_gvk_with_plural(&kind, "sealedsecrets");
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let name = sealed["metadata"]["name"].as_str().unwrap();
        api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(sealed)).await.unwrap();
    }

    async fn opened(&self, name: &str, expected: &BTreeMap<String, Vec<u8>>) -> Secret {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        eventually(&format!("Secret {name} with its values"), SOON, || async {
            let secret = api.get(name).await.map_err(|error| error.to_string())?;
            let data = secret.data.clone().unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
            if data.collect::<BTreeMap<_, _>>() == *expected { Ok(secret) } else { Err("other values".to_owned()) }
        })
        .await
    }
}

async fn create_key(client: &kube::Client, namespace: &str, key: &str) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let key = serde_json::from_value(key_secret(namespace, key)).unwrap();
    secrets.create(&PostParams::default(), &key).await.unwrap();
}

/// A client, and how it is told to seal.
#[derive(Clone, Copy)]
enum Client {
    Gitops,
    Kubeseal,
    DropIn,
}

impl Client {
    fn program(self) -> PathBuf {
        match self {
            Self::Gitops => env!("CARGO_BIN_EXE_kubectl-gitops").into(),
            Self::Kubeseal => tools().kubeseal(),
            Self::DropIn => drop_in(),
        }
    }

    fn seal(self, scope: &str) -> Vec<&str> {
        let first: &[&str] = if matches!(self, Self::Gitops) { &["seal"] } else { &[] };
        [first, &["--scope", scope]].concat()
    }
}

/// Our program under the name that makes it a drop-in.
fn drop_in() -> PathBuf {
    static FOLDER: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kubectl-gitops"), folder.path().join("kubeseal")).unwrap();
        folder
    });
    folder.path().join("kubeseal")
}

fn values() -> BTreeMap<String, Vec<u8>> {
    [
        ("binary", vec![0, 1, 2, 255, 254, 128]),
        ("empty", Vec::new()),
        ("large", vec![b'x'; 70_000]),
        ("password", MARKER.as_bytes().to_vec()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

fn secret(namespace: &str, name: &str) -> Value {
    let data: BTreeMap<_, _> = values().into_iter().map(|(key, value)| (key, encode_base64(&value))).collect();
    let metadata = json!({"name": name, "namespace": namespace, "labels": {"app": "db"}});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data})
}

/// Every scope, values of every sort; the certificate comes through the proxy.
async fn seals_and_opens(client: Client, bench: &Bench) {
    for scope in ["strict", "namespace-wide", "cluster-wide"] {
        let text = bench.done(client.program(), &client.seal(scope), &secret(&bench.namespace, scope).to_string());
        bench.apply(&yaml::parse_one(&text).unwrap()).await;
    }
    for name in ["strict", "namespace-wide", "cluster-wide"] {
        let opened = bench.opened(name, &values()).await;
        assert_eq!(opened.metadata.labels.unwrap()["app"], "db");
    }
}

#[tokio::test]
async fn gitops_seals_and_our_controller_opens_with_4096_and_2048_bits() {
    for key in ["new", "small"] {
        seals_and_opens(Client::Gitops, &Bench::ours(key).await).await;
    }
}

#[tokio::test]
async fn gitops_seals_and_the_original_controller_opens_with_4096_and_2048_bits() {
    for key in ["new", "small"] {
        seals_and_opens(Client::Gitops, &Bench::original(key).await).await;
    }
}

#[tokio::test]
async fn kubeseal_seals_and_our_controller_opens_with_4096_and_2048_bits() {
    for key in ["new", "small"] {
        seals_and_opens(Client::Kubeseal, &Bench::ours(key).await).await;
    }
}

#[tokio::test]
async fn kubeseal_seals_and_the_original_controller_opens_with_4096_and_2048_bits() {
    for key in ["new", "small"] {
        seals_and_opens(Client::Kubeseal, &Bench::original(key).await).await;
    }
}

#[tokio::test]
async fn the_drop_in_seals_for_both_controllers() {
    seals_and_opens(Client::DropIn, &Bench::ours("new").await).await;
    seals_and_opens(Client::DropIn, &Bench::original("new").await).await;
}

/// The client's whole way: certificate, seal, check, new key, re-encrypt, apply.
async fn asks_the_controller(client: Client, bench: &Bench, is_ours: bool) {
    let program = client.program();
    let certificate = bench.done(program.clone(), &["--fetch-cert"], "");
    assert_eq!(certificate.trim(), key_secret("", "old")["stringData"]["tls.crt"].as_str().unwrap().trim());
    let sealed = bench.done(program.clone(), &[], &secret(&bench.namespace, "db").to_string());
    bench.done(program.clone(), &["--validate"], &sealed);

    let mut moved: Value = serde_json::from_str(&sealed).unwrap();
    moved["metadata"]["name"] = "moved".into();
    let refused = bench.run(program.clone(), &["--validate"], &moved.to_string());
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&refused.stderr), "error: unable to decrypt sealed secret: moved\n");

    if is_ours {
        create_key(&bench.client, &bench.namespace, "new").await;
        eventually("the new key to be the active one", SOON, || async {
            let now = bench.done(program.clone(), &["--fetch-cert"], "");
            if now == certificate { Err("it is the old one") } else { Ok(()) }
        })
        .await;
    }
    // More than may be asked at once: the client waits when it is told to.
    let mut text = sealed.clone();
    for _ in 0..4 {
        text = bench.done(program.clone(), &["--re-encrypt"], &text);
    }
    let (before, after): (Value, Value) = (serde_json::from_str(&sealed).unwrap(), serde_json::from_str(&text).unwrap());
    assert_eq!(after["kind"], "SealedSecret");
    for key in values().keys() {
        assert_ne!(before["spec"]["encryptedData"][key], after["spec"]["encryptedData"][key], "{key}");
    }
    bench.apply(&after).await;
    let opened = bench.opened("db", &values()).await;
    // The original's rotate loses the template's labels.
    let labels = opened.metadata.labels.unwrap_or_default();
    assert_eq!(labels.get("app").map(String::as_str), is_ours.then_some("db"));

    let refused = bench.run(program, &["--re-encrypt"], &moved.to_string());
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).starts_with("error: cannot re-encrypt secret: "));
}

#[tokio::test]
async fn kubeseal_validates_and_reencrypts_with_our_controller() {
    asks_the_controller(Client::Kubeseal, &Bench::ours("old").await, true).await;
}

#[tokio::test]
async fn the_drop_in_validates_and_reencrypts_with_our_controller() {
    asks_the_controller(Client::DropIn, &Bench::ours("old").await, true).await;
}

#[tokio::test]
async fn the_drop_in_validates_and_reencrypts_with_the_original_controller() {
    asks_the_controller(Client::DropIn, &Bench::original("old").await, false).await;
}

/// A repository beside a cluster: sealing again, verifying, explaining and resealing with nothing but the controller's help.
#[tokio::test]
async fn a_repository_is_sealed_verified_explained_and_resealed_by_the_controller() {
    let bench = Bench::ours("old").await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (file, moved) = (path("db.yaml"), path("moved.yaml"));
    let text =
        |output: &Output| format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let gitops = |args: &[&str], stdin: &str| {
        let output = bench.run(Client::Gitops.program(), args, stdin);
        assert!(!text(&output).contains(MARKER), "plaintext was printed");
        output
    };
    let explain = |name: &str| {
        let object = format!("{}/{name}", bench.namespace.name());
        let output = bench.run_alone(Client::Gitops.program(), &["explain", &object], "");
        (output.status.code(), text(&output))
    };
    let plain = |note: &str| {
        let mut secret = secret(&bench.namespace, "db");
        secret["stringData"] = json!({"note": note});
        secret.to_string()
    };

    assert_eq!(gitops(&["seal", "-w", &file], &plain("1")).status.code(), Some(0));
    let first = format!("# mine\n{}", std::fs::read_to_string(&file).unwrap());
    std::fs::write(&file, &first).unwrap();
    assert_eq!(gitops(&["verify", &file, "--online"], "").status.code(), Some(0));
    // More than the controller lets one client ask at once: it is waited for.
    for copy in ["a", "b", "c", "d", "e"] {
        std::fs::create_dir_all(path(copy)).unwrap();
        std::fs::copy(&file, path(&format!("{copy}/db.yaml"))).unwrap();
    }
    let all = gitops(&["verify", &path(""), "--online"], "");
    assert!(all.status.success() && text(&all).contains("6 of them SealedSecrets"), "{}", text(&all));
    std::fs::write(&moved, first.replacen("name: db", "name: moved", 1)).unwrap();
    let refused = gitops(&["verify", &moved, "--online"], "");
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("undecryptable"), "{}", text(&refused));

    let (code, said) = explain("db");
    assert!(code == Some(2) && said.contains("there is no SealedSecret"), "{said}");
    let apply = async |file: &str| bench.apply(&yaml::parse_one(&std::fs::read_to_string(file).unwrap()).unwrap()).await;
    apply(&file).await;
    apply(&moved).await;
    let explained = async |name: &'static str, expected: i32, words: &'static str| {
        eventually("the controller to have looked at it", SOON, || async {
            let (code, said) = explain(name);
            if code == Some(expected) && said.contains(words) { Ok(()) } else { Err(said) }
        })
        .await;
    };
    explained("db", 0, "the controller opened it").await;
    explained("moved", 1, "no key could decrypt").await;

    // The live Secret shows which values are the same.
    assert_eq!(gitops(&["seal", "-w", &file, "--check"], &plain("1")).status.code(), Some(0));
    let sealed = gitops(&["seal", "-w", &file], &plain("2"));
    assert!(text(&sealed).contains("1 keys changed, 4 kept"), "{}", text(&sealed));
    let second = std::fs::read_to_string(&file).unwrap();
    assert_eq!(first.lines().zip(second.lines()).filter(|(old, new)| old != new).count(), 1, "the line of `note`");

    create_key(&bench.client, &bench.namespace, "new").await;
    eventually("resealing to change the items", SOON, || async {
        let resealed = gitops(&["reseal", &file], "");
        let words = text(&resealed);
        if words.contains("resealed 1") { Ok(()) } else { Err(words) }
    })
    .await;
    let third = std::fs::read_to_string(&file).unwrap();
    assert!(third.starts_with("# mine\n"), "{third}");
    assert_eq!(second.lines().zip(third.lines()).filter(|(old, new)| old != new).count(), 5, "the five items");
    apply(&file).await;
    let mut expected = values();
    expected.insert("note".to_owned(), b"2".to_vec());
    bench.opened("db", &expected).await;
}
