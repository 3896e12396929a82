//! The guides about keys, done: every command in them is run, in order, as somebody would who copies them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ListParams};
use kubectl_gitops::resource::yaml;

use crate::sealing::{Bench, MARKER, SOON};
use crate::sealing_cli::{gitops, secret};
use crate::support::{eventually, tools};

/// The commands of a guide: its fenced blocks of shell.
fn commands(guide: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides").join(guide)).unwrap();
    let blocks: Vec<&str> = text.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(!blocks.is_empty(), "{guide} has no commands");
    blocks.join("\n")
}

/// A person at a shell, with the programs that the guides speak of.
struct Shell<'a> {
    bench: &'a Bench,
    folder: &'a Path,
    path: String,
}

impl<'a> Shell<'a> {
    fn new(bench: &'a Bench, folder: &'a Path) -> Self {
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
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        Self { bench, folder, path }
    }

    /// Runs the commands of a guide; the first that fails fails the test.
    fn follow(&self, guide: &str) -> String {
        let namespace = self.bench.namespace.name();
        let mut shell = Command::new("sh");
        shell.args(["-eux", "-c", &commands(guide)]).current_dir(self.folder).env_clear().env("PATH", &self.path);
        shell.env("HOME", self.folder).env("KUBECONFIG", self.bench.cluster.kubeconfig_path());
        for name in ["GITOPS_CONTROLLER_NAMESPACE", "GITOPS_KEY_NAMESPACE", "NAMESPACE"] {
            shell.env(name, namespace);
        }
        let output = shell.env("REPO", "shop").output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
        assert!(output.status.success(), "{guide} does not work:\n{text}");
        assert!(
            !text.contains(MARKER) && !text.contains("PRIVATE KEY") && !text.contains("AGE-SECRET-KEY"),
            "{guide} shows a secret"
        );
        text
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_guides_about_keys_works() {
    let bench = Bench::start_with(|_| Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("shop");
    fs::create_dir_all(&repo).unwrap();
    let file = repo.join("db.yaml");
    let admin = bench.cluster.kubeconfig_path();
    let args = ["seal", "-n", bench.namespace.name(), "-w", file.to_str().unwrap()];
    gitops(&admin, &bench.namespace, &args, &secret("db")).done();
    bench.apply(&yaml::parse_one(&fs::read_to_string(&file).unwrap()).unwrap()).await;
    bench.value("db", "password", MARKER).await;

    let shell = Shell::new(&bench, folder.path());
    let backup = tokio::task::block_in_place(|| shell.follow("backup.md"));
    assert_eq!(backup.matches("1/1 recoverable").count(), 2, "{backup}");

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
