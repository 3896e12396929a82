//! The manifests that we ship parse, are complete, and ask for no more than they say.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "programs/chart.rs"]
mod chart;
#[path = "programs/in_kube_system.rs"]
mod in_kube_system;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

/// Must not be in the kustomization: a client-side apply over an existing `argocd-cm` removes settings.
const NOT_APPLIED_BY_DEFAULT: &[&str] = &["configmaps.yaml"];

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn documents(file: &Path) -> Vec<Value> {
    objects(&fs::read_to_string(file).unwrap())
}

fn objects(text: &str) -> Vec<Value> {
    let all = serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap());
    all.filter(|document| !document.is_null()).collect()
}

fn manifests(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| !path.ends_with("chart"))
        .flat_map(|path| if path.is_dir() { manifests(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml") && !path.ends_with("kustomization.yaml"))
        .collect();
    files.sort();
    files
}

fn one_of_kind(file: &str, kind: &str) -> Value {
    documents(&deploy().join(file)).into_iter().find(|object| object["kind"] == kind).unwrap()
}

#[test]
fn every_manifest_is_an_object_of_ours() {
    for file in manifests(&deploy()) {
        for object in documents(&file) {
            let what = format!("{}: {}/{}", file.display(), object["kind"], object["metadata"]["name"]);
            assert!(object["apiVersion"].is_string() && object["kind"].is_string(), "{what}");
            assert!(object["metadata"]["name"].is_string(), "{what}");
            let labelled = object["metadata"]["labels"]["app.kubernetes.io/part-of"].is_string();
            assert!(labelled || object["kind"] == "Namespace", "{what}: no label app.kubernetes.io/part-of");
        }
    }
}

#[test]
fn the_kustomization_lists_what_a_new_cluster_needs() {
    let kustomization = &documents(&deploy().join("kustomization.yaml"))[0];
    let listed: BTreeSet<String> =
        kustomization["resources"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect();
    let wanted: BTreeSet<String> = manifests(&deploy())
        .iter()
        .map(|file| file.strip_prefix(deploy()).unwrap().to_str().unwrap().to_owned())
        .filter(|file| !file.starts_with("optional/") && !NOT_APPLIED_BY_DEFAULT.contains(&file.as_str()))
        .collect();
    assert_eq!(listed, wanted);
}

#[test]
fn only_flags_that_exist_are_named() {
    let container = &one_of_kind("deployment.yaml", "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let args: Vec<&str> = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    assert!(!args.is_empty());
    // `--help` last: everything before it is checked, and nothing is started.
    let output = Command::new(env!("CARGO_BIN_EXE_gitops-controller")).args(&args).arg("--help").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in args.iter().map(|arg| arg.split('=').next().unwrap()) {
        assert!(help.contains(flag), "deployment.yaml names {flag}");
    }
}

#[test]
fn the_pod_meets_the_restricted_pod_security_standard() {
    let pod = &one_of_kind("deployment.yaml", "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    for container in pod["containers"].as_array().unwrap() {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["capabilities"]["drop"][0], "ALL");
        assert!(container["resources"]["limits"]["memory"].is_string());
    }
}

#[test]
fn the_image_carries_the_version_of_the_package() {
    let deployment = one_of_kind("deployment.yaml", "Deployment");
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    assert_eq!(image, concat!("gitops-controller:", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_manifests_for_kube_system_are_those_beside_them() {
    let written = fs::read_to_string(deploy().join("optional/in-kube-system.yaml")).unwrap();
    assert!(written == in_kube_system::manifests(&deploy()), "run `make generate`");
}

#[test]
fn services_select_the_pod_and_name_a_port_it_has() {
    let template = &one_of_kind("deployment.yaml", "Deployment")["spec"]["template"];
    let ports = template["spec"]["containers"][0]["ports"].as_array().unwrap().clone();
    for file in ["services.yaml", "optional/kubeseal-service.yaml"] {
        let service = one_of_kind(file, "Service");
        for (label, value) in service["spec"]["selector"].as_object().unwrap() {
            assert_eq!(&template["metadata"]["labels"][label], value, "{file}");
        }
        for port in service["spec"]["ports"].as_array().unwrap() {
            assert!(ports.iter().any(|one| one["name"] == port["targetPort"]), "{file}");
        }
    }
}

#[test]
fn no_rule_has_a_wildcard_unless_the_file_is_optional() {
    for file in manifests(&deploy()).iter().filter(|file| !file.to_str().unwrap().contains("/optional/")) {
        for object in documents(file) {
            for rule in object["rules"].as_array().into_iter().flatten() {
                assert!(!rule.to_string().contains("\"*\""), "{}: {rule}", file.display());
                for verb in ["escalate", "bind", "impersonate"] {
                    assert!(!rule["verbs"].as_array().unwrap().iter().any(|one| one == verb), "{}: {rule}", file.display());
                }
            }
        }
    }
}

#[test]
fn the_deploying_role_is_put_together_from_the_labelled_ones() {
    let roles: Vec<Value> =
        documents(&deploy().join("rbac-deploy.yaml")).into_iter().filter(|object| object["kind"] == "ClusterRole").collect();
    let selector = roles[0]["aggregationRule"]["clusterRoleSelectors"][0]["matchLabels"].as_object().unwrap();
    let optional = one_of_kind("optional/deploy-anything.yaml", "ClusterRole");
    for role in roles[1..].iter().chain([&optional]) {
        for (label, value) in selector {
            assert_eq!(&role["metadata"]["labels"][label], value, "{}", role["metadata"]["name"]);
        }
    }
}

/// A program of `make tools`.
fn tool(name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/build.sh");
    let output = Command::new(script).arg("--path").output().unwrap();
    Path::new(String::from_utf8(output.stdout).unwrap().trim()).join(name)
}

fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{} {arguments:?}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// By what it is, so that the order does not matter.
fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let name = |object: &Value| format!("{} {} {}", object["kind"], object["metadata"]["namespace"], object["metadata"]["name"]);
    objects.into_iter().map(|object| (name(&object), object)).collect()
}

/// What a new cluster gets, as plain manifests.
fn shipped() -> BTreeMap<String, Value> {
    let kustomization = &documents(&deploy().join("kustomization.yaml"))[0];
    let files = kustomization["resources"].as_array().unwrap().iter().map(|one| deploy().join(one.as_str().unwrap()));
    by_name(files.flat_map(|file| documents(&file)).collect())
}

fn assert_same(seen: &BTreeMap<String, Value>, wanted: &BTreeMap<String, Value>) {
    assert_eq!(seen.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (name, object) in wanted {
        assert!(seen[name] == *object, "{name} differs:\n{}\n{object}", seen[name]);
    }
}

#[test]
fn kustomize_gives_the_shipped_objects() {
    assert_same(&by_name(objects(&run(&tool("kustomize"), &["build", "deploy"]))), &shipped());
}

#[test]
fn helm_gives_the_shipped_objects() {
    for helm in ["helm", "helm3"] {
        let render = |more: &[&str]| {
            let arguments = [&["template", "gitops", "deploy/chart", "--namespace", "argocd", "--include-crds"], more].concat();
            by_name(objects(&run(&tool(helm), &arguments)))
        };
        let mut wanted = shipped();
        wanted.retain(|_, object| object["kind"] != "Namespace");
        assert_same(&render(&[]), &wanted);

        let sealing = render(&["--set", "deployApplications=false,kubesealService=true,image.repository=r.example/c"]);
        assert!(sealing.keys().all(|name| !name.contains("-deploy")), "{:?}", sealing.keys());
        assert!(sealing.keys().any(|name| name.contains("sealed-secrets-controller")));
        let deployment = sealing.values().find(|object| object["kind"] == "Deployment").unwrap();
        let image = concat!("r.example/c:", env!("CARGO_PKG_VERSION"));
        assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["image"], image);
    }
}

#[test]
fn the_chart_is_made_from_the_manifests() {
    for (name, text) in chart::files(&deploy()) {
        let written = fs::read_to_string(deploy().join("chart").join(&name)).unwrap_or_default();
        assert!(written == text, "deploy/chart/{name} is out of date: run `make generate`");
    }
}

#[test]
fn install_prints_the_shipped_objects() {
    let printed = run(Path::new(env!("CARGO_BIN_EXE_kubectl-gitops")), &["install", "--dry-run=client"]);
    assert_same(&by_name(objects(&printed)), &shipped());
    let listed = run(Path::new(env!("CARGO_BIN_EXE_kubectl-gitops")), &["install", "--dry-run=client", "-o", "json"]);
    let list: Value = serde_json::from_str(&listed).unwrap();
    assert_same(&by_name(list["items"].as_array().unwrap().clone()), &shipped());
}

/// `version` and `doctor` read it from there.
#[test]
fn the_deployment_names_its_version() {
    let deployment = one_of_kind("deployment.yaml", "Deployment");
    assert_eq!(deployment["metadata"]["labels"]["app.kubernetes.io/version"], env!("CARGO_PKG_VERSION"));
}
