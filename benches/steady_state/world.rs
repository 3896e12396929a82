//! What runs during the benchmark.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use serde_json::json;

use crate::fleet;
use crate::support::controller::release_program;
use crate::support::install::{SERVICE_ACCOUNT, apply};
use crate::support::plane::Plane;
use crate::support::{Cluster, ControllerProcess, GitRepo, GitServer};

/// The control namespace.
pub const CONTROL: &str = "argocd";

/// Everything that runs. The order of the fields is the order in which it ends.
pub struct World {
    /// The controller's release build.
    pub controller: ControllerProcess,
    /// The Git server.
    pub git: GitServer,
    /// The one repository.
    pub repo: GitRepo,
    /// Clients of the plane.
    pub cluster: Cluster,
    /// An administrator's client.
    pub admin: kube::Client,
    _plane: Plane,
}

impl World {
    /// Starts everything; the controller is ready and has no Application.
    pub async fn start() -> Self {
        let mut plane = Plane::start().unwrap_or_else(|failure| panic!("{}: {}", failure.what, failure.causes.join(": ")));
        let cluster = plane.cluster().expect("the plane has just become ready");
        let admin = cluster.admin().await;
        create_control_namespace(&admin).await;
        // Shorter than the default, so that a short window sees several polls; without jitter their number is the same each time.
        let settings = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "argocd-cm", "namespace": CONTROL},
            "data": {"timeout.reconciliation": "30s", "timeout.reconciliation.jitter": "0s"},
        });
        apply(&admin, &settings).await;
        let git = GitServer::start();
        let repo = fleet::repository(&git);
        let mut controller = ControllerProcess::start_program(release_program("gitops-controller"), &cluster, CONTROL).await;
        plane.guard(controller.process().id());
        controller.wait_ready().await;
        Self { controller, git, repo, cluster, admin, _plane: plane }
    }

    /// The controller's user, as the audit log names it.
    pub fn user() -> String {
        format!("system:serviceaccount:{CONTROL}:{SERVICE_ACCOUNT}")
    }
}

async fn create_control_namespace(admin: &kube::Client) {
    let metadata = ObjectMeta { name: Some(CONTROL.to_owned()), ..Default::default() };
    let namespace = Namespace { metadata, ..Default::default() };
    let namespaces: Api<Namespace> = Api::all(admin.clone());
    namespaces.create(&PostParams::default(), &namespace).await.expect("a new plane has no control namespace");
}
