//! The command lines of the plane's programs.

use std::path::PathBuf;

use kubectl_gitops::cli::Failure;

use super::Layout;
use crate::support::ports::free_port;
use crate::support::tools::{Tools, kwok_stages};

/// A program and its arguments.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The name its log and its record carry.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// The ports of one plane, all on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    etcd: u16,
    etcd_peer: u16,
    /// The API server's.
    pub api: u16,
    controller_manager: u16,
    scheduler: u16,
}

impl Ports {
    /// Takes free ones.
    pub fn free() -> Self {
        Self {
            etcd: free_port(),
            etcd_peer: free_port(),
            api: free_port(),
            controller_manager: free_port(),
            scheduler: free_port(),
        }
    }
}

/// Controllers that tests rely on: namespaces that go away, garbage collection, ServiceAccounts, and workloads that progress.
const CONTROLLERS: &[&str] = &[
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "resourcequota-controller",
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "daemonset-controller",
    "job-controller",
    "cronjob-controller",
    "endpointslice-controller",
    "pod-garbage-collector-controller",
    "persistentvolume-binder-controller",
    "persistentvolumeclaim-protection-controller",
    "horizontal-pod-autoscaler-controller",
    "disruption-controller",
    "ttl-after-finished-controller",
];

/// etcd and the API server; the API server waits for etcd by itself.
///
/// # Errors
/// When a program has not been built.
pub fn stores(layout: &Layout, tools: &Tools, ports: Ports) -> Result<Vec<Invocation>, Failure> {
    Ok(vec![etcd(layout, tools, ports)?, api_server(layout, tools, ports)?])
}

/// What needs an API server that answers: the controller manager ends when it does not find one within ten seconds.
///
/// # Errors
/// When a program has not been built or kwok's stages cannot be found.
pub fn controllers(layout: &Layout, tools: &Tools, ports: Ports) -> Result<Vec<Invocation>, Failure> {
    Ok(vec![controller_manager(layout, tools, ports)?, scheduler(layout, tools, ports)?, kwok(layout, tools)?])
}

fn etcd(layout: &Layout, tools: &Tools, ports: Ports) -> Result<Invocation, Failure> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    invocation(
        tools,
        "etcd",
        [
            format!("--data-dir={}", layout.data.display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            "--log-level=warn".to_owned(),
            // The data lives as long as the plane.
            "--unsafe-no-fsync".to_owned(),
        ],
    )
}

fn api_server(layout: &Layout, tools: &Tools, ports: Ports) -> Result<Invocation, Failure> {
    invocation(
        tools,
        "kube-apiserver",
        [
            format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", ports.api),
            // Derived from the network interfaces otherwise, which fails where there are none but loopback; and a loopback
            // endpoint, which is invalid, must then not be published.
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--cert-dir={}", layout.pki("").display()),
            format!("--tls-cert-file={}", layout.pki("apiserver.crt").display()),
            format!("--tls-private-key-file={}", layout.pki("apiserver.key").display()),
            format!("--client-ca-file={}", layout.pki("ca.crt").display()),
            format!("--token-auth-file={}", layout.file("tokens.csv").display()),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", layout.pki("sa.pub").display()),
            format!("--service-account-signing-key-file={}", layout.pki("sa.key").display()),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--event-ttl=10m".to_owned(),
            // The node is ready as soon as kwok has seen it; nobody would take the taint off.
            "--disable-admission-plugins=TaintNodesByCondition".to_owned(),
            format!("--audit-policy-file={}", layout.file("audit-policy.yaml").display()),
            format!("--audit-log-path={}", layout.audit_log().display()),
            "--audit-log-maxsize=1000".to_owned(),
        ],
    )
}

fn controller_manager(layout: &Layout, tools: &Tools, ports: Ports) -> Result<Invocation, Failure> {
    invocation(
        tools,
        "kube-controller-manager",
        [
            format!("--kubeconfig={}", layout.file("kube-controller-manager.kubeconfig").display()),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", ports.controller_manager),
            format!("--cert-dir={}", layout.file("kube-controller-manager").display()),
            format!("--service-account-private-key-file={}", layout.pki("sa.key").display()),
            format!("--root-ca-file={}", layout.pki("ca.crt").display()),
            "--use-service-account-credentials=true".to_owned(),
            "--kube-api-qps=500".to_owned(),
            "--kube-api-burst=1000".to_owned(),
            "--concurrent-gc-syncs=20".to_owned(),
            format!("--controllers={}", CONTROLLERS.join(",")),
        ],
    )
}

fn scheduler(layout: &Layout, tools: &Tools, ports: Ports) -> Result<Invocation, Failure> {
    invocation(
        tools,
        "kube-scheduler",
        [
            format!("--kubeconfig={}", layout.file("kube-scheduler.kubeconfig").display()),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", ports.scheduler),
            format!("--cert-dir={}", layout.file("kube-scheduler").display()),
        ],
    )
}

/// kwok plays the kubelet with its own fast stages: a scheduled pod is Running and Ready at once, a Job's pod completes.
fn kwok(layout: &Layout, tools: &Tools) -> Result<Invocation, Failure> {
    let stages = kwok_stages()?;
    let stage = |file: &str| format!("--config={}", stages.join(file).display());
    invocation(
        tools,
        "kwok",
        [
            format!("--kubeconfig={}", layout.file("kwok.kubeconfig").display()),
            "--manage-all-nodes".to_owned(),
            stage("node/fast/node-initialize.yaml"),
            stage("pod/fast/pod-ready.yaml"),
            stage("pod/fast/pod-complete.yaml"),
            stage("pod/fast/pod-delete.yaml"),
        ],
    )
}

fn invocation<const N: usize>(tools: &Tools, name: &'static str, args: [String; N]) -> Result<Invocation, Failure> {
    Ok(Invocation { name, program: tools.find(name)?, args: args.into() })
}
