//! The guides about keys, done: every command in them is run, in order, as somebody would who copies them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::api::{Api, DeleteParams, ListParams};
use kubectl_gitops::keys::stored_backup;
use kubectl_gitops::resource::yaml;
use serde_json::{Value, json};

use crate::sealing::{Bench, MARKER, SOON, key_secret, kubeseal_secret};
use crate::sealing_cli::{gitops, recipient, secret};
use crate::support::install::install;
use crate::support::original::OriginalController;
use crate::support::service::own_socket;
use crate::support::{Cluster, ControllerProcess, eventually, tools};

fn guide(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides").join(name)).unwrap()
}

/// The commands of a text: its fenced blocks of shell.
fn commands(text: &str) -> String {
    let blocks: Vec<&str> = text.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(!blocks.is_empty(), "no commands in {text}");
    blocks.join("\n")
}

/// A guide's sections by heading; what stands before the first is under the empty one.
fn sections(guide: &str) -> BTreeMap<String, String> {
    let parts = guide.split("\n## ").enumerate();
    let named = parts.map(|(index, part)| if index == 0 { ("", part) } else { part.split_once('\n').unwrap() });
    named.map(|(heading, text)| (heading.to_owned(), format!("\n{text}"))).collect()
}

/// A person at a shell, with the programs that the guides speak of.
pub struct Shell<'a> {
    kubeconfig: PathBuf,
    folder: &'a Path,
    path: String,
    variables: Vec<(&'static str, String)>,
}

impl<'a> Shell<'a> {
    pub fn new(cluster: &Cluster, folder: &'a Path, variables: &[(&'static str, &str)]) -> Self {
        let programs = folder.join("bin");
        fs::create_dir_all(&programs).unwrap();
        let built = Path::new(env!("CARGO_BIN_EXE_kubectl-gitops")).parent().unwrap();
        let links: [(&str, PathBuf); 4] = [
            ("kubectl-gitops", env!("CARGO_BIN_EXE_kubectl-gitops").into()),
            ("kubectl", tools().kubectl()),
            ("age", built.join("examples/age")),
            ("age-keygen", built.join("examples/age")),
        ];
        for (name, target) in links {
            assert!(target.exists(), "{} is not built", target.display());
            std::os::unix::fs::symlink(target, programs.join(name)).unwrap();
        }
        let path = format!("{}:{}:{}", programs.display(), tools().bin().display(), std::env::var("PATH").unwrap());
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { kubeconfig: cluster.kubeconfig_path(), folder, path, variables }
    }

    /// Runs the commands of a guide; the first that fails fails the test.
    pub fn follow(&self, name: &str) -> String {
        self.run(name, &commands(&guide(name)))
    }

    /// Runs commands; the name is for the failure.
    pub fn run(&self, guide: &str, commands: &str) -> String {
        let mut shell = Command::new("sh");
        shell.args(["-eux", "-c", commands]).current_dir(self.folder).env_clear().env("PATH", &self.path);
        shell.env("HOME", self.folder).env("KUBECONFIG", &self.kubeconfig);
        shell.env("REPO", "shop").envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = shell.output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
        assert!(output.status.success(), "{guide} does not work:\n{text}");
        assert!(
            !text.contains(MARKER) && !text.contains("PRIVATE KEY") && !text.contains("AGE-SECRET-KEY"),
            "{guide} shows a secret"
        );
        text
    }
}

fn drill(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("drill.json")).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_guides_about_keys_works() {
    let mut bench = Bench::start_with(|_| Vec::new()).await;
    bench.restart_with(|options| options.backup_recipients = vec![recipient()]).await;
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("shop");
    fs::create_dir_all(&repo).unwrap();
    let file = repo.join("db.yaml");
    let admin = bench.cluster.kubeconfig_path();
    let args = ["seal", "-n", bench.namespace.name(), "-w", file.to_str().unwrap()];
    gitops(&admin, &bench.namespace, &args, &secret("db")).done();
    bench.apply(&yaml::parse_one(&fs::read_to_string(&file).unwrap()).unwrap()).await;
    bench.value("db", "password", MARKER).await;

    let namespace = bench.namespace.name();
    let variables = ["GITOPS_CONTROLLER_NAMESPACE", "GITOPS_KEY_NAMESPACE", "NAMESPACE"].map(|name| (name, namespace));
    let shell = Shell::new(&bench.cluster, folder.path(), &variables);
    eventually("the controller to keep a backup", SOON, || async {
        bench.secrets().get(stored_backup::NAME).await.map_err(|error| error.to_string())
    })
    .await;
    let backup = tokio::task::block_in_place(|| shell.follow("backup.md"));
    assert_eq!(backup.matches("1/1 recoverable").count(), 2, "{backup}");
    assert!(backup.contains(&format!("opens for {}", recipient())), "{backup}");
    assert_eq!(drill(folder.path())["ok"], true);

    // The disaster: no key is left, and the controller makes a new one that opens nothing.
    let keys: Api<Secret> = Api::namespaced(bench.client.clone(), &bench.namespace);
    let selector = ListParams::default().labels("sealedsecrets.bitnami.com/sealed-secrets-key");
    keys.delete_collection(&DeleteParams::default(), &selector).await.unwrap();
    eventually("the controller to have made a key, in an earlier second than what is restored", SOON, || async {
        let made = keys.list(&selector).await.unwrap().items.into_iter().find_map(|key| key.metadata.creation_timestamp);
        let made = made.ok_or("it has not")?.0;
        if Timestamp::now().as_second() > made.as_second() { Ok(()) } else { Err("it is the same second") }
    })
    .await;
    let restored = tokio::task::block_in_place(|| shell.follow("restore-keys.md"));
    assert!(restored.contains("1 key added and read back"), "{restored}");

    let rotated = tokio::task::block_in_place(|| shell.follow("rotate-keys.md"));
    assert!(rotated.contains("its certificate is published") && rotated.contains(" retired; none of "), "{rotated}");

    let leaked = tokio::task::block_in_place(|| shell.follow("key-leak.md"));
    assert!(leaked.contains(&format!("{}/db ", bench.namespace.name())), "{leaked}");
    let labels: Vec<String> = keys
        .list(&selector)
        .await
        .unwrap()
        .items
        .into_iter()
        .filter_map(|key| key.metadata.labels?.remove("sealedsecrets.bitnami.com/sealed-secrets-key"))
        .collect();
    assert_eq!(labels.iter().filter(|label| *label == "active").count(), 1, "{labels:?}");
    eventually("the leaked value to be gone", SOON, || async {
        let data = bench.secrets().get("db").await.unwrap().data.unwrap();
        if data["password"].0 == MARKER.as_bytes() { Err("it is still in use") } else { Ok(()) }
    })
    .await;
}

async fn replicas(client: &kube::Client, namespace: &str, name: &str) -> Option<i32> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    deployments.get(name).await.unwrap().spec.replicas
}

/// The folder `deploy` of the guide, without what the whole cluster shares and every test has: definitions, rights, the namespace.
fn deploy(folder: &Path, namespace: &str) {
    fs::create_dir(folder.join("deploy")).unwrap();
    for name in ["deployment.yaml", "services.yaml"] {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
        fs::copy(shipped, folder.join("deploy").join(name)).unwrap();
    }
    let kustomization = format!("namespace: {namespace}\nresources: [deployment.yaml, services.yaml]\n");
    fs::write(folder.join("deploy/kustomization.yaml"), kustomization).unwrap();
}

/// No pods run here: a Deployment says what should, and the test starts and ends the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guide_from_sealed_secrets_leads_there_and_back() {
    let cluster = Cluster::shared().await;
    let (ours, theirs) = (cluster.namespace("ours").await, cluster.namespace("theirs").await);
    install(&cluster, &ours).await;
    let admin = cluster.admin().await;
    let secrets: Api<Secret> = Api::namespaced(admin.clone(), &theirs);
    secrets.create(&PostParams::default(), &serde_json::from_value(key_secret(&theirs, "new")).unwrap()).await.unwrap();
    let labels = json!({"app": "sealed-secrets"});
    let original = json!({
        "metadata": {"name": "sealed-secrets-controller"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "controller", "image": "sealed-secrets"}]},
        }},
    });
    let deployments: Api<Deployment> = Api::namespaced(admin.clone(), &theirs);
    deployments.create(&PostParams::default(), &serde_json::from_value(original).unwrap()).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("shop")).unwrap();
    deploy(folder.path(), &ours);
    let certificate = key_secret("", "new")["stringData"]["tls.crt"].as_str().unwrap().to_owned();
    let sealed = kubeseal_secret(&certificate, &crate::sealing::secret(&theirs, "db", MARKER), &[]).to_string();
    fs::write(folder.path().join("shop/db.yaml"), &sealed).unwrap();
    let key_namespaces = format!("{},{}", ours.name(), theirs.name());
    let variables = [
        ("SEALED_SECRETS_NAMESPACE", theirs.name()),
        ("NAMESPACE", theirs.name()),
        ("GITOPS_CONTROLLER_NAMESPACE", ours.name()),
        ("GITOPS_KEY_NAMESPACE", &key_namespaces),
    ];
    let shell = Shell::new(&cluster, folder.path(), &variables);
    let sections = sections(&guide("moving-from-sealed-secrets.md"));
    let follow = |heading: &str| {
        let commands = commands(&format!("{}{}", sections[""], sections[heading]));
        tokio::task::block_in_place(|| shell.run(heading, &commands))
    };
    assert_eq!(sections.len(), 6, "each section is run: {:?}", sections.keys());

    let theirs_runs = OriginalController::start(&cluster, &theirs, &own_socket().to_string()).await;
    tokio::task::block_in_place(|| shell.run("apply", "kubectl apply -f shop/db.yaml"));
    let opened =
        eventually("the original to open", SOON, || async { secrets.get("db").await.map_err(|error| error.to_string()) }).await;
    let before = follow("Before");
    assert!(before.contains("recoverable"), "{before}");
    follow("Over");
    assert_eq!(replicas(&admin, &theirs, "sealed-secrets-controller").await, Some(0));
    assert_eq!(replicas(&admin, &ours, "gitops-controller").await, Some(1));
    drop(theirs_runs);

    let arguments = [format!("--sealing-namespace={}", theirs.name()), format!("--key-namespace={}", theirs.name())];
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    arguments.push("--key-renew-period=0");
    let ours_runs = ControllerProcess::start(&cluster, &ours, &arguments).await;
    ours_runs.wait_ready().await;
    let look = follow("Look");
    assert!(look.contains("restored-new"), "{look}");
    let now = secrets.get("db").await.unwrap();
    assert_eq!((now.metadata.uid, now.data), (opened.metadata.uid, opened.data), "the Secret is the one from before");
    follow("Back");
    assert_eq!(replicas(&admin, &theirs, "sealed-secrets-controller").await, Some(1));
    assert_eq!(replicas(&admin, &ours, "gitops-controller").await, Some(0));
    drop(ours_runs);
    let _theirs_run = OriginalController::start(&cluster, &theirs, &own_socket().to_string()).await;
    follow("Look again");
}
