//! The shipped manifests with the controller in kube-system, where kubeseal looks when it is told nothing.

use std::fs;
use std::path::Path;

use kubectl_gitops::resource::yaml;
use serde_json::{Value, json};

const HEAD: &str = "\
# Generated from the manifests beside it: `make generate`.
#
# For a cluster that Sealed Secrets looked after: the controller runs in kube-system, behind the Service that `kubeseal` asks for
# when it is told nothing. Applications, projects and settings stay in argocd; sealing keys stay where they are.
#
# kubectl apply -f deploy/crds -f deploy/namespace.yaml
# kubectl -n kube-system scale deployment sealed-secrets-controller --replicas=0
# kubectl apply -f deploy/optional/in-kube-system.yaml
#
# The pod carries the label that Sealed Secrets' own Service selects. The way back: scale this Deployment to 0 and theirs to 1; keys
# and Secrets are the same. It has to be this namespace: a Service selects pods of its own, and the API server's proxy follows
# Endpoints to no other.
";

/// The manifests as one YAML text.
pub fn manifests(deploy: &Path) -> String {
    let files = ["rbac.yaml", "rbac-deploy.yaml", "deployment.yaml", "services.yaml", "optional/kubeseal-service.yaml"];
    let texts = files.map(|file| fs::read_to_string(deploy.join(file)).expect("the shipped manifests can be read"));
    let documents = texts.iter().flat_map(|text| yaml::parse_stream(text).expect("the shipped manifests are YAML"));
    let moved = documents.map(|document| format!("---\n{}", yaml::to_yaml(&moved(document.value))));
    HEAD.to_owned() + &moved.collect::<String>()
}

fn moved(mut object: Value) -> Value {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    // What it may do in argocd stays there; it itself, and what leads to it, goes.
    if matches!(kind.as_str(), "ServiceAccount" | "Deployment" | "Service") || name == "gitops-kubeseal" {
        object["metadata"]["namespace"] = json!("kube-system");
    }
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        if subject["kind"] == "ServiceAccount" {
            subject["namespace"] = json!("kube-system");
        }
    }
    if kind == "Deployment" {
        let template = &mut object["spec"]["template"];
        template["metadata"]["labels"]["name"] = json!("sealed-secrets-controller");
        if let Some(args) = template["spec"]["containers"][0]["args"].as_array_mut() {
            args.push(json!("--control-namespace=argocd"));
        }
    }
    if kind == "Service" && name == "sealed-secrets-controller" {
        object["spec"]["selector"] = json!({ "name": "sealed-secrets-controller" });
    }
    object
}
