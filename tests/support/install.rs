//! Installs what is shipped in `deploy/`, as it is shipped, except for the control namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::eventually::eventually;
use super::tools::repository;

/// The ServiceAccount of the shipped manifests.
pub const SERVICE_ACCOUNT: &str = "gitops-controller";

/// The control namespace of the shipped manifests.
const SHIPPED_NAMESPACE: &str = "argocd";

const TIMEOUT: Duration = Duration::from_secs(30);

/// Applies the CRDs and the controller's ServiceAccount and rights, with `namespace` as the control namespace. It may be repeated.
///
/// # Panics
/// When the API server refuses something.
pub async fn install(cluster: &Cluster, namespace: &str) {
    let admin = cluster.admin().await;
    crds(&admin).await;
    rights(&admin, namespace).await;
}

/// Applies the CRDs and waits until the API server serves them.
pub async fn crds(admin: &Client) {
    let manifests: Vec<Value> = files(&deploy().join("crds")).iter().flat_map(|path| read(path)).collect();
    for manifest in &manifests {
        apply(admin, manifest).await;
    }
    for manifest in &manifests {
        established(admin, manifest).await;
    }
}

/// Applies ServiceAccount, roles and bindings.
pub async fn rights(admin: &Client, namespace: &str) {
    let namespaces: Api<Namespace> = Api::all(admin.clone());
    let uid = namespaces.get(namespace).await.expect("the control namespace exists").metadata.uid;
    let owner = json!([{"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": uid}]);
    for name in ["rbac.yaml", "rbac-deploy.yaml"] {
        for mut manifest in read(&deploy().join(name)) {
            move_to(&mut manifest, namespace, &owner);
            apply(admin, &manifest).await;
        }
    }
    aggregated(admin).await;
}

/// Puts one manifest into another control namespace. A ClusterRoleBinding gets a name of its own and goes away with the namespace.
fn move_to(manifest: &mut Value, namespace: &str, owner: &Value) {
    let subjects = manifest.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten();
    subjects.for_each(|subject| rename(subject, namespace));
    rename(&mut manifest["metadata"], namespace);
    if manifest["kind"] == "ClusterRoleBinding" {
        let name = manifest["metadata"]["name"].as_str().expect("every manifest has a name");
        manifest["metadata"]["name"] = format!("{name}-{namespace}").into();
        manifest["metadata"]["ownerReferences"] = owner.clone();
    }
}

fn rename(holder: &mut Value, namespace: &str) {
    if let Some(value) = holder.get_mut("namespace").filter(|value| *value == SHIPPED_NAMESPACE) {
        *value = namespace.into();
    }
}

/// Applies one manifest server-side.
///
/// # Panics
/// When the API server refuses it.
pub async fn apply(admin: &Client, manifest: &Value) {
    let (api, name) = api_of(admin, manifest);
    let params = PatchParams::apply("install").force();
    let applied = api.patch(&name, &params, &Patch::Apply(manifest)).await;
    applied.unwrap_or_else(|cause| panic!("cannot apply {} {name}: {cause}", manifest["kind"]));
}

/// The API for a manifest's kind and namespace, and its name. Plurals are guessed, which is right for all kinds we ship.
fn api_of(admin: &Client, manifest: &Value) -> (Api<DynamicObject>, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&manifest["apiVersion"]), text(&manifest["kind"]));
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
    let api = match manifest["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(admin.clone(), namespace, &resource),
        None => Api::all_with(admin.clone(), &resource),
    };
    (api, text(&manifest["metadata"]["name"]))
}

async fn established(admin: &Client, manifest: &Value) {
    let (api, name) = api_of(admin, manifest);
    eventually(&format!("CustomResourceDefinition {name} to be established"), TIMEOUT, || async {
        let live = api.get(&name).await.map_err(|cause| cause.to_string())?;
        let conditions = live.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let done = conditions.iter().any(|condition| condition["type"] == "Established" && condition["status"] == "True");
        if done { Ok(()) } else { Err(format!("{conditions:?}")) }
    })
    .await;
}

/// A ClusterRole with an aggregation rule is filled by a controller, a moment later.
async fn aggregated(admin: &Client) {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"});
    let (roles, _) = api_of(admin, &role);
    eventually("the aggregated ClusterRole to have rules", TIMEOUT, || async {
        let live = roles.get("gitops-controller-deploy").await.map_err(|cause| cause.to_string())?;
        let filled = live.data["rules"].as_array().is_some_and(|rules| !rules.is_empty());
        if filled { Ok(()) } else { Err("it has none yet".to_owned()) }
    })
    .await;
}

fn deploy() -> PathBuf {
    repository().join("deploy")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|cause| panic!("cannot read {}: {cause}", folder.display()));
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn read(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|cause| panic!("cannot read {}: {cause}", path.display()));
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap_or_else(|cause| panic!("{}: {cause}", path.display())))
        .filter(|document| !document.is_null())
        .collect()
}
