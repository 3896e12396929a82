//! The shipped manifests on a real API server: they apply as they are, and the controller's rights are what they say.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::crds;
use crate::support::{Cluster, eventually, tools};

const ACCOUNT: &str = "system:serviceaccount:argocd:gitops-controller";

fn kubectl(cluster: &Cluster, args: &[&str]) -> Output {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Command::new(tools().kubectl())
        .current_dir(root)
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig_path())
        .args(args)
        .output()
        .unwrap()
}

/// Installs everything as a user does, once for all tests: two at a time would race for creating the same objects.
pub async fn install(cluster: &Cluster) {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    INSTALLED
        .get_or_init(|| async {
            succeed(cluster, &["apply", "--kustomize", "deploy"]);
            crds::wait_until_established(cluster).await;
        })
        .await;
}

fn succeed(cluster: &Cluster, args: &[&str]) {
    let output = kubectl(cluster, args);
    assert!(output.status.success(), "kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
}

fn may(cluster: &Cluster, question: &str) -> bool {
    let mut args = vec!["auth", "can-i", "--quiet", "--as", ACCOUNT];
    args.extend(question.split(' '));
    kubectl(cluster, &args).status.success()
}

#[tokio::test]
async fn the_manifests_apply_and_grant_what_they_say() {
    let cluster = Cluster::shared().await;
    install(&cluster).await;
    // The controller that puts aggregated roles together needs a moment.
    eventually("the deploying role to be put together", Duration::from_secs(30), || async {
        if may(&cluster, "create deployments.apps -n anywhere") { Ok(()) } else { Err("it may not create Deployments yet") }
    })
    .await;
    let allowed = [
        "patch applications.argoproj.io -n argocd",
        "create appprojects.argoproj.io -n argocd",
        "update leases.coordination.k8s.io -n argocd",
        "list secrets --all-namespaces",
        "patch sealedsecrets.bitnami.com --subresource=status -n anywhere",
        "create events.events.k8s.io -n anywhere",
        "delete services -n anywhere",
        "create namespaces",
    ];
    for question in allowed {
        assert!(may(&cluster, question), "may not: {question}");
    }
    let refused = [
        "escalate clusterroles.rbac.authorization.k8s.io",
        "bind clusterroles.rbac.authorization.k8s.io",
        "impersonate users",
        "create validatingwebhookconfigurations.admissionregistration.k8s.io",
        "delete nodes",
        "create pods --subresource=exec -n anywhere",
        "update leases.coordination.k8s.io -n kube-system",
    ];
    for question in refused {
        assert!(!may(&cluster, question), "may: {question}");
    }
}

/// Nothing is changed: other tests share the cluster.
#[tokio::test]
async fn the_optional_manifests_are_valid() {
    let cluster = Cluster::shared().await;
    install(&cluster).await;
    for file in [
        "deploy/configmaps.yaml",
        "deploy/optional/deploy-anything.yaml",
        "deploy/optional/kubeseal-service.yaml",
        "deploy/optional/in-kube-system.yaml",
    ] {
        succeed(&cluster, &["apply", "--dry-run=server", "--filename", file]);
    }
}
