//! The Applications: the same five kinds of objects each, in a namespace of its own, from one folder each of one repository.

use std::time::Duration;

use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kubectl_gitops::api::Application;
use serde_json::json;

use crate::support::{GitRepo, GitServer, eventually, install};
use crate::world::{CONTROL, World};

/// How many Applications.
pub const APPLICATIONS: usize = 20;
/// How many objects each has in Git.
pub const OBJECTS: usize = 5;
/// The repository's name.
pub const REPOSITORY: &str = "fleet";

const TIMEOUT: Duration = Duration::from_secs(180);

/// Makes the repository, with everything in one commit.
pub fn repository(git: &GitServer) -> GitRepo {
    let repo = git.repo(REPOSITORY);
    for name in names() {
        for (file, text) in manifests(&name) {
            repo.write(&format!("{name}/{file}"), &text);
        }
    }
    repo.commit("the fleet");
    repo
}

/// Applies all Applications, one after the other as `kubectl apply` does.
pub async fn apply(world: &World) {
    for name in names() {
        install::apply(&world.admin, &application(&name, world.repo.url())).await;
    }
}

/// Waits until all are Synced and Healthy, and their operations done.
pub async fn settled(world: &World) {
    let resource = ApiResource::erase::<Application>(&());
    let applications: Api<DynamicObject> = Api::namespaced_with(world.admin.clone(), CONTROL, &resource);
    eventually("all Applications to be Synced and Healthy", TIMEOUT, || async {
        let list = applications.list(&ListParams::default()).await.map_err(|cause| cause.to_string())?;
        let missing: Vec<String> = list.items.iter().filter(|app| !is_settled(app)).map(describe).collect();
        if list.items.len() == APPLICATIONS && missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
    })
    .await;
}

fn is_settled(app: &DynamicObject) -> bool {
    let status = &app.data["status"];
    let seen = (&status["sync"]["status"], &status["health"]["status"], &status["operationState"]["phase"]);
    seen == (&json!("Synced"), &json!("Healthy"), &json!("Succeeded"))
}

fn describe(app: &DynamicObject) -> String {
    let (name, status) = (app.metadata.name.as_deref().unwrap_or_default(), &app.data["status"]);
    let message = &status["operationState"]["message"];
    format!("{name}: sync {}, health {}, {message}", status["sync"]["status"], status["health"]["status"])
}

fn names() -> impl Iterator<Item = String> {
    (1..=APPLICATIONS).map(|number| format!("service-{number:02}"))
}

fn application(name: &str, repo_url: &str) -> serde_json::Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": CONTROL},
        "spec": {
            "project": "default",
            "source": {"repoURL": repo_url, "path": name, "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}, "syncOptions": ["CreateNamespace=true"]},
        },
    })
}

/// Plain manifests as people write them: the API server fills in defaults, so live and target state differ in many fields.
fn manifests(name: &str) -> [(&'static str, String); OBJECTS] {
    let head = |api_version: &str, kind: &str| format!("apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: {name}\n");
    [
        ("serviceaccount.yaml", head("v1", "ServiceAccount")),
        ("configmap.yaml", head("v1", "ConfigMap") + &format!("data:\n  LOG_LEVEL: info\n  NAME: {name}\n")),
        ("secret.yaml", head("v1", "Secret") + "stringData:\n  token: not-a-secret\n"),
        ("service.yaml", head("v1", "Service") + &service_spec(name)),
        ("deployment.yaml", head("apps/v1", "Deployment") + &deployment_spec(name)),
    ]
}

fn service_spec(name: &str) -> String {
    format!(
        "\
spec:
  selector:
    app: {name}
  ports:
    - name: http
      port: 80
      targetPort: http
"
    )
}

fn deployment_spec(name: &str) -> String {
    format!(
        "\
spec:
  replicas: 1
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      labels:
        app: {name}
    spec:
      serviceAccountName: {name}
      containers:
        - name: main
          image: registry.example/{name}:1.0.0
          envFrom:
            - configMapRef:
                name: {name}
            - secretRef:
                name: {name}
          ports:
            - name: http
              containerPort: 8080
          resources:
            requests:
              cpu: 100m
              memory: 64Mi
"
    )
}
