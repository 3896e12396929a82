//! The shipped CustomResourceDefinitions on a real API server.
//!
//! `tests/fixtures/crds`: `complete-*` has every field that the originals know, and all of them must come back; `accepted-*` must
//! be accepted; `refused-*` must be refused.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::deploy::install;
use crate::support::{Cluster, eventually};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Waits until the API server serves the installed definitions and found nothing wrong with their schemas.
pub async fn wait_until_established(cluster: &Cluster) {
    let definitions: Api<DynamicObject> = Api::all_with(cluster.admin().await, &definition_resource());
    for crd in kubectl_gitops::api::crd::all() {
        let name = crd["metadata"]["name"].as_str().unwrap().to_owned();
        eventually(&format!("{name} to be established"), Duration::from_secs(30), || async {
            let conditions =
                definitions.get(&name).await.map_err(|error| error.to_string())?.data["status"]["conditions"].clone();
            let list = conditions.as_array().cloned().unwrap_or_default();
            assert!(!list.iter().any(|one| one["type"] == "NonStructuralSchema"), "{name}: {conditions}");
            let established = list.iter().any(|one| one["type"] == "Established" && one["status"] == "True");
            if established { Ok(()) } else { Err(conditions.to_string()) }
        })
        .await;
    }
}

fn definition_resource() -> ApiResource {
    ApiResource {
        group: "apiextensions.k8s.io".into(),
        version: "v1".into(),
        api_version: "apiextensions.k8s.io/v1".into(),
        kind: "CustomResourceDefinition".into(),
        plural: "customresourcedefinitions".into(),
    }
}

struct Case {
    name: String,
    object: Value,
}

fn cases(prefix: &str) -> Vec<Case> {
    let mut found: Vec<Case> = fs::read_dir(root().join("tests/fixtures/crds"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
        .map(|path| Case {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            object: serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap(),
        })
        .collect();
    found.sort_by(|one, next| one.name.cmp(&next.name));
    assert!(!found.is_empty(), "no case {prefix}*");
    found
}

async fn api_of(cluster: &Cluster, namespace: &str, object: &Value) -> Api<DynamicObject> {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap();
    let kind = object["kind"].as_str().unwrap();
    let resource = ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: api_version.into(),
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
    };
    Api::namespaced_with(cluster.admin().await, namespace, &resource)
}

/// Creates the object, then its status where that is a subresource, and returns what the API server kept.
async fn create(api: &Api<DynamicObject>, object: &Value) -> kube::Result<Value> {
    let sent: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let name = sent.metadata.name.clone().unwrap();
    let mut kept = serde_json::to_value(api.create(&PostParams::default(), &sent).await?).unwrap();
    if kept.get("status").is_none() && object.get("status").is_some() {
        let status = Patch::Merge(json!({ "status": object["status"] }));
        kept = serde_json::to_value(api.patch_status(&name, &PatchParams::default(), &status).await?).unwrap();
    }
    Ok(kept)
}

#[tokio::test]
async fn every_field_of_the_originals_is_kept() {
    let cluster = Cluster::shared().await;
    install(&cluster).await;
    let namespace = cluster.namespace("crds-complete").await;
    for case in cases("complete-") {
        let api = api_of(&cluster, &namespace, &case.object).await;
        let kept = create(&api, &case.object).await.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let mut lost = Vec::new();
        missing_from(&kept, &case.object, &case.name, &mut lost);
        assert!(lost.is_empty(), "{}", lost.join("\n"));
    }
}

#[tokio::test]
async fn what_the_originals_accept_is_accepted_and_what_they_refuse_refused() {
    let cluster = Cluster::shared().await;
    install(&cluster).await;
    let namespace = cluster.namespace("crds-validation").await;
    for case in cases("accepted-") {
        let api = api_of(&cluster, &namespace, &case.object).await;
        create(&api, &case.object).await.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    }
    for case in cases("refused-") {
        let api = api_of(&cluster, &namespace, &case.object).await;
        match create(&api, &case.object).await {
            Err(kube::Error::Api(status)) if status.code == 422 => {}
            other => panic!("{}: {other:?}", case.name),
        }
    }
}

/// Argo CD's clients write the status with the rest of the object, so the main resource must take it.
#[tokio::test]
async fn an_application_status_is_written_through_the_main_resource() {
    let cluster = Cluster::shared().await;
    install(&cluster).await;
    let namespace = cluster.namespace("crds-status").await;
    let application = cases("complete-application").remove(0).object;
    let api = api_of(&cluster, &namespace, &application).await;
    create(&api, &application).await.unwrap();
    let change = Patch::Merge(json!({ "status": { "sync": { "status": "Synced" } } }));
    let changed = api.patch("complete", &PatchParams::default(), &change).await.unwrap();
    assert_eq!(changed.data["status"]["sync"]["status"], "Synced");
    let refused = api.patch_status("complete", &PatchParams::default(), &change).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 404), "{refused}");
}

/// Lists the paths of `wanted` whose values are not in `kept`; what the API server adds does not matter.
fn missing_from(kept: &Value, wanted: &Value, path: &str, lost: &mut Vec<String>) {
    match (kept, wanted) {
        (Value::Object(kept), Value::Object(wanted)) => {
            for (key, value) in wanted {
                missing_from(kept.get(key).unwrap_or(&Value::Null), value, &format!("{path}.{key}"), lost);
            }
        }
        (Value::Array(kept), Value::Array(wanted)) if kept.len() == wanted.len() => {
            for (at, (kept, wanted)) in kept.iter().zip(wanted).enumerate() {
                missing_from(kept, wanted, &format!("{path}[{at}]"), lost);
            }
        }
        _ if kept == wanted => {}
        _ => lost.push(format!("{path}: sent {wanted}, kept {kept}")),
    }
}
