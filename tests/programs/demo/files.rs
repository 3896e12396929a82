//! What is in the demo's Git repository: a service with a base and a production overlay, as Kustomize users lay it out.

/// Folder of the overlay.
pub const OVERLAY: &str = "apps/payment-service/overlays/prod";
/// Where the sealed secret goes.
pub const SEALED: &str = "apps/payment-service/overlays/prod/credentials.sealed.yaml";
/// The base's Deployment.
pub const DEPLOYMENT: &str = "apps/payment-service/base/deployment.yaml";
/// What the overlay is made of.
pub const KUSTOMIZATION: &str = "apps/payment-service/overlays/prod/kustomization.yaml";
/// An object that a later commit removes.
pub const BANNER: &str = "apps/payment-service/overlays/prod/sale-banner.yaml";
/// The namespace the overlay deploys to.
pub const NAMESPACE: &str = "payment-backend";
/// The Deployment's name after the overlay's prefix.
pub const WORKLOAD: &str = "prod-payment-service";
/// The Secret's name after the overlay's prefix.
pub const SECRET: &str = "prod-payment-credentials";
/// The name of [`BANNER`]'s ConfigMap after the overlay's prefix.
pub const BANNER_NAME: &str = "prod-sale-banner";
/// The Application's name.
pub const APPLICATION: &str = "payment-service-prod";

/// Files that do not change during the demo.
pub const FIXED: [(&str, &str); 4] = [
    ("README.md", "Manifests of the payment team.\n"),
    (
        "apps/payment-service/base/kustomization.yaml",
        "\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - deployment.yaml
  - service.yaml
",
    ),
    (
        "apps/payment-service/base/service.yaml",
        "\
apiVersion: v1
kind: Service
metadata:
  name: payment-service
spec:
  selector:
    app: payment-service
  ports:
    - port: 80
      targetPort: 8080
",
    ),
    (
        BANNER,
        "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: sale-banner
data:
  text: Ends on Sunday.
",
    ),
];

/// The overlay, with or without the object that a later commit removes.
pub fn kustomization(with_banner: bool) -> String {
    let banner = if with_banner { "  - sale-banner.yaml\n" } else { "" };
    format!(
        "\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: payment-backend
namePrefix: prod-
resources:
  - ../../base
  - credentials.sealed.yaml
{banner}"
    )
}

/// The Deployment with a number of replicas. It names the Secret as the cluster will know it: Kustomize does not know that a
/// SealedSecret becomes a Secret, so it renames the one and leaves references to the other alone.
pub fn deployment(replicas: u32) -> String {
    format!(
        "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: payment-service
spec:
  replicas: {replicas}
  selector:
    matchLabels:
      app: payment-service
  template:
    metadata:
      labels:
        app: payment-service
    spec:
      containers:
        - name: payment-service
          image: registry.example/payment-service:1.4.2
          ports:
            - containerPort: 8080
          envFrom:
            - secretRef:
                name: {SECRET}
"
    )
}

/// The Secret before it is sealed, under the name that the overlay makes [`SECRET`] of; only its sealed form is committed.
pub fn secret(password: &str) -> String {
    format!(
        "\
apiVersion: v1
kind: Secret
metadata:
  name: payment-credentials
stringData:
  DATABASE_PASSWORD: {password}
"
    )
}

/// The Application: what Argo CD's users write.
pub fn application(repo_url: &str) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": APPLICATION, "namespace": "argocd", "finalizers": ["resources-finalizer.argocd.argoproj.io"]},
        "spec": {
            "project": "default",
            "source": {"repoURL": repo_url, "path": OVERLAY, "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE},
            "syncPolicy": {
                "automated": {"prune": true, "selfHeal": true},
                "syncOptions": ["CreateNamespace=true"],
            },
        },
    })
}
