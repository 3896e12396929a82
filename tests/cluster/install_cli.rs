//! `install` and `uninstall` against a real API server, beside an installation that other tests use.

use std::process::Output;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, ListParams};
use serde_json::Value;
use tokio::process::Command;

use crate::deploy;
use crate::support::controller::program;
use crate::support::install::SERVICE_ACCOUNT;
use crate::support::ports::free_port;
use crate::support::{Cluster, ControllerProcess, Process, TestNamespace, eventually};

const CONTROLLER: &str = "gitops-controller";

struct Place {
    cluster: Cluster,
    namespace: TestNamespace,
}

impl Place {
    async fn new() -> Self {
        let cluster = Cluster::shared().await;
        // Its bindings keep the shared ClusterRoles in use while this test takes its own away.
        deploy::install(&cluster).await;
        let namespace = cluster.namespace("install-cli").await;
        Self { cluster, namespace }
    }

    async fn run(&self, arguments: &[&str]) -> Seen {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
        command.env_clear().env("KUBECONFIG", self.cluster.kubeconfig_path()).env("HOME", "/nonexistent");
        command.args(arguments).args(["--controller-namespace", self.namespace.name()]).kill_on_drop(true);
        Seen::from(command.output().await.unwrap())
    }
}

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

/// The pod is only simulated here; the process beside it does the controller's part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_comes_and_goes_and_keeps_what_cannot_be_made_again() {
    let place = Place::new().await;
    let client = place.cluster.admin().await;
    let namespace = place.namespace.name();

    let refused = place.run(&["install"]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("another gitops-controller runs already: deployment argocd/gitops-controller"), "{refused:?}");
    let refused = place.run(&["install", "--beside-others", "--as", "stranger"]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("you may not patch namespaces; nothing was changed"), "{refused:?}");

    let checked = place.run(&["install", "--beside-others", "--dry-run=server"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let deployments = Api::<Deployment>::namespaced(client.clone(), namespace);
    assert!(deployments.get_opt(CONTROLLER).await.unwrap().is_none(), "a dry run stored something");

    // First, because tests with a controller take turns.
    let controller = ControllerProcess::start(&place.cluster, namespace, &[]).await;
    let seen = place.run(&["install", "--beside-others", "--timeout", "90s", "-o", "json"]).await;
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let report: Value = serde_json::from_str(&seen.out).unwrap();
    assert!(report["fingerprint"].as_str().is_some_and(|text| text.starts_with("sha256:")), "{report}");
    let bindings = Api::<ClusterRoleBinding>::all(client.clone());
    assert!(bindings.get_opt(&format!("gitops-controller-deploy-{namespace}")).await.unwrap().is_some());

    let again = place.run(&["install", "--beside-others", "--wait=false"]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(!again.out.contains("created"), "{again:?}");

    let doctor = place.run(&["doctor", "--section", "cluster,keys", "-o", "json"]).await;
    let report: Value = serde_json::from_str(&doctor.out).unwrap();
    let check = |id: &str| report["checks"].as_array().unwrap().iter().find(|check| check["id"] == id).unwrap()["status"].clone();
    for id in ["api", "clock", "crds", "controller", "rights", "keys", "certificate"] {
        assert_eq!(check(id), "ok", "{id}: {report}");
    }
    assert_eq!((check("one-controller"), check("backup")), ("fail".into(), "warn".into()), "{report}");

    drop(controller);
    let planned = place.run(&["uninstall", "--dry-run=server"]).await;
    assert!(planned.out.contains("Deployment") && planned.out.contains("would be deleted"), "{planned:?}");
    let asked = place.run(&["uninstall"]).await;
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(deployments.get_opt(CONTROLLER).await.unwrap().is_some());

    let gone = place.run(&["uninstall", "--yes"]).await;
    assert_eq!(gone.code, Some(0), "{gone:?}");
    assert!(gone.err.contains(&format!("kept: 1 sealing keys in {namespace}")), "{gone:?}");
    assert!(deployments.get_opt(CONTROLLER).await.unwrap().is_none());
    assert!(bindings.get_opt(&format!("gitops-controller-deploy-{namespace}")).await.unwrap().is_none());
    let role = Api::<ClusterRole>::all(client.clone()).get_opt("gitops-controller-deploy").await.unwrap();
    assert!(role.is_some(), "the other installation lost its role");
    let keys = ListParams::default().labels("sealedsecrets.bitnami.com/sealed-secrets-key");
    assert_eq!(Api::<Secret>::namespaced(client, namespace).list(&keys).await.unwrap().items.len(), 1);
    let nothing = place.run(&["uninstall", "--yes"]).await;
    assert!(nothing.err.contains("there is no installation"), "{nothing:?}");
}

/// The flags are those of the Deployment, the account is the installation's: with more rights it would prove nothing.
#[tokio::test]
async fn with_the_namespaced_profile_the_controller_needs_no_right_elsewhere() {
    let place = Place::new().await;
    let namespace = place.namespace.name();
    let printed = place.run(&["install", "--profile", "namespaced", "--dry-run=client", "-o", "json"]).await;
    let list: Value = serde_json::from_str(&printed.out).unwrap();
    let deployment = list["items"].as_array().unwrap().iter().find(|object| object["kind"] == "Deployment").unwrap();
    let flags = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap().clone();
    let flags = flags.iter().map(|flag| flag.as_str().unwrap().to_owned());

    let seen = place.run(&["install", "--profile", "namespaced", "--beside-others", "--wait=false"]).await;
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert!(!seen.out.contains("ClusterRole"), "{seen:?}");
    let account = place.cluster.kubeconfig_for_service_account(namespace, SERVICE_ACCOUNT).await;
    let secrets = Api::<Secret>::namespaced(place.cluster.client(&account).await, "default");
    assert!(secrets.list(&ListParams::default()).await.is_err(), "it may read Secrets elsewhere");

    let folder = tempfile::tempdir().unwrap();
    let mut controller = std::process::Command::new(program("gitops-controller"));
    controller.args(flags.filter(|flag| !flag.starts_with("--listen-address") && !flag.starts_with("--cache-dir")));
    controller.arg(format!("--kubeconfig={}", account.display())).arg(format!("--control-namespace={namespace}"));
    controller.arg(format!("--cache-dir={}", folder.path().display())).arg(format!("--listen-address=127.0.0.1:{}", free_port()));
    let process = Process::spawn(controller, &folder.path().join("log"));
    let maps = Api::<ConfigMap>::namespaced(place.cluster.admin().await, namespace);
    eventually("the certificate to be published", Duration::from_secs(40), || async {
        maps.get("gitops-sealing-certificate").await.map_err(|cause| format!("{cause}\n{}", process.log()))
    })
    .await;
}
