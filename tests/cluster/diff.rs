//! `diff` against a real API server: what it shows is what a sync would do. No controller runs; the test applies what one
//! would have applied.

use std::fs;

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kubectl_gitops::api::Application;
use kubectl_gitops::cluster::{Discovery, Writer};
use kubectl_gitops::customisation::ResourceSettings;
use kubectl_gitops::diff::normalise_target;
use kubectl_gitops::resource::{GroupKind, Object};
use kubectl_gitops::sync::targets::{self, Place};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::git::{GitRepo, GitServer};
use crate::support::install::{apply, crds};
use crate::support::{Cluster, TestNamespace, tools};

/// A value that may be in its Secret and nowhere else.
pub const MARKER: &str = "marker-91c4";

/// An Application `web` with its repository, and a namespace in which its objects live.
pub struct Bench {
    pub cluster: Cluster,
    pub control: TestNamespace,
    pub destination: TestNamespace,
    pub client: kube::Client,
    pub repo: GitRepo,
    temp: tempfile::TempDir,
    _git: GitServer,
}

/// What a command printed.
#[derive(Debug)]
pub struct Seen {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Bench {
    pub async fn start() -> Self {
        let cluster = Cluster::shared().await;
        let (control, destination) = (cluster.namespace("diff").await, cluster.namespace("diffed").await);
        let client = cluster.admin().await;
        crds(&client).await;
        let git = GitServer::start();
        let repo = git.repo("web");
        let app = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": { "name": "web", "namespace": control.name() },
            "spec": { "project": "default", "source": { "repoURL": repo.url(), "targetRevision": "main", "path": "app" },
                "destination": { "name": "in-cluster", "namespace": destination.name() } } });
        apply(&client, &app).await;
        Self { cluster, control, destination, client, repo, temp: tempfile::tempdir().unwrap(), _git: git }
    }

    /// Commits files and does what a sync of them does: marked objects, our field manager, `status.resources`.
    pub async fn sync(&self, files: &[(&str, &str)]) {
        self.commit(files);
        let objects: Vec<Object> = files.iter().flat_map(|(_, text)| objects(text)).collect();
        let kinds: Vec<GroupKind> = objects.iter().map(Object::group_kind).collect();
        let discovery = Discovery::new(self.client.clone());
        discovery.ensure(&kinds).await.unwrap();
        let scope = |kind: &GroupKind| discovery.known(kind).map(|info| info.namespaced);
        let settings = ResourceSettings::default();
        let place = Place {
            instance: "web",
            namespace: &self.destination,
            server: "https://kubernetes.default.svc",
            settings: &settings,
        };
        let targets = targets::prepare(objects, place, scope);
        let writer = Writer::new(self.client.clone());
        for (key, target) in &targets.objects {
            writer.apply(&discovery.known(&key.group_kind()).unwrap(), &normalise_target(target)).await.unwrap();
        }
        let resources: Vec<Value> = (targets.objects.keys())
            .map(|key| json!({ "group": key.group, "kind": key.kind, "version": "v1", "namespace": key.namespace, "name": key.name }))
            .collect();
        let apps: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.control, &ApiResource::erase::<Application>(&()));
        let status = Patch::Merge(json!({ "status": { "resources": resources } }));
        apps.patch("web", &PatchParams::default(), &status).await.unwrap();
    }

    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            self.repo.write(path, text);
        }
        self.repo.commit("next")
    }

    async fn diff(&self, arguments: &[&str]) -> Seen {
        self.diff_with(arguments, &[]).await
    }

    async fn diff_with(&self, arguments: &[&str], variables: &[(&str, &std::ffi::OsStr)]) -> Seen {
        self.gitops_with(".", &[&["diff", "web"], arguments].concat(), variables).await
    }

    /// Runs the program in a folder, with the pinned programs on its `PATH`.
    pub async fn gitops(&self, folder: impl AsRef<std::path::Path>, arguments: &[&str]) -> Seen {
        let path = format!("{}:/usr/bin:/bin", tools().bin().display());
        self.gitops_with(folder, arguments, &[("PATH", path.as_ref())]).await
    }

    async fn gitops_with(
        &self,
        folder: impl AsRef<std::path::Path>,
        arguments: &[&str],
        variables: &[(&str, &std::ffi::OsStr)],
    ) -> Seen {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
        command.env_clear().env("HOME", "/nonexistent").env("TMPDIR", self.temp.path()).kill_on_drop(true);
        command.envs(variables.iter().copied()).current_dir(folder).args(arguments);
        command.arg("--kubeconfig").arg(self.cluster.kubeconfig_path());
        command.args(["--controller-namespace", self.control.name()]);
        let output = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let left: Vec<_> = fs::read_dir(self.temp.path()).unwrap().flatten().collect();
        assert!(left.is_empty(), "clones are left behind: {left:?}");
        Seen { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

fn objects(text: &str) -> Vec<Object> {
    let documents = serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap());
    documents.map(|value| Object::from_value(value).unwrap()).collect()
}

pub fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  k: v\n")
}

pub fn secret(password: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  user: ann\n  password: {password}\n")
}

/// A Deployment in spellings that the API server does not keep.
pub const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 0
  selector:
    matchLabels: { app: web }
  template:
    metadata:
      labels: { app: web }
    spec:
      containers:
        - name: main
          image: registry.example/web:1
          ports: [{ containerPort: 80 }]
          resources: { requests: { cpu: 0.1, memory: 1024Mi } }
";

#[tokio::test]
async fn no_difference_is_silence_also_in_another_spelling() {
    let bench = Bench::start().await;
    bench
        .sync(&[("app/web.yaml", DEPLOYMENT), ("app/map.yaml", &config_map("settings")), ("app/db.yaml", &secret(MARKER))])
        .await;
    let seen = bench.diff(&[]).await;
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), ""), "{seen:?}");
    assert!(seen.err.contains("no difference"), "{seen:?}");

    bench.commit(&[("app/web.yaml", &DEPLOYMENT.replace("cpu: 0.1, memory: 1024Mi", "cpu: 100m, memory: 1Gi"))]);
    let seen = bench.diff(&["-U"]).await;
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), ""), "{seen:?}");
    let report: Value = serde_json::from_str(&bench.diff(&["-o", "json"]).await.out).unwrap();
    assert_eq!((&report["ok"], &report["apps"][0]["objects"]), (&json!(true), &json!([])), "{report}");
}

#[tokio::test]
async fn changed_new_and_removed_objects_are_shown_field_by_field() {
    let bench = Bench::start().await;
    bench.sync(&[("app/web.yaml", DEPLOYMENT), ("app/old.yaml", &config_map("old"))]).await;
    let before = bench.commit(&[]);
    bench.repo.remove("app/old.yaml");
    let commit = bench.commit(&[("app/web.yaml", &DEPLOYMENT.replace("web:1", "web:2")), ("app/new.yaml", &config_map("new"))]);

    let seen = bench.diff(&[]).await;
    let namespace = bench.destination.name();
    let expected = format!(
        "{}/web: 1 create, 1 change, 1 delete   live against {}
+ ConfigMap {namespace}/new
~ apps/Deployment {namespace}/web
    spec.template.spec.containers[main].image
  -   registry.example/web:1
  +   registry.example/web:2
- ConfigMap {namespace}/old   needs --prune
",
        bench.control.name(),
        &commit[..7]
    );
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!((seen.code, lines(&seen.out)), (Some(1), lines(&expected)), "{seen:?}");
    assert_eq!(seen.err, "");

    let seen = bench.diff(&["-o", "json", "--exit-code=false"]).await;
    let report: Value = serde_json::from_str(&seen.out).unwrap();
    assert_eq!((seen.code, &report["ok"]), (Some(0), &json!(false)));
    let objects = report["apps"][0]["objects"].as_array().unwrap();
    let changes: Vec<(&str, &str)> =
        objects.iter().map(|one| (one["name"].as_str().unwrap(), one["change"].as_str().unwrap())).collect();
    assert!([("new", "create"), ("web", "update"), ("old", "delete")].iter().all(|change| changes.contains(change)), "{report}");
    let fields = &objects.iter().find(|one| one["name"] == "web").unwrap()["fields"];
    let image = json!([{ "path": ".spec.template.spec.containers[main].image", "change": "changed",
        "from": "registry.example/web:1", "to": "registry.example/web:2", "masked": false }]);
    assert_eq!(fields, &image);

    let seen = bench.diff(&["--revision", &before]).await;
    assert_eq!(seen.code, Some(0), "the revision that was synced does not differ: {seen:?}");
}

#[tokio::test]
async fn a_secret_shows_which_keys_change_and_no_value() {
    let bench = Bench::start().await;
    bench.sync(&[("app/db.yaml", &secret(MARKER))]).await;
    bench.commit(&[("app/db.yaml", &secret(&format!("{MARKER}-2")))]);
    for arguments in [&[] as &[&str], &["-U"], &["-o", "json"], &["-o", "yaml"]] {
        let seen = bench.diff(arguments).await;
        assert_eq!(seen.code, Some(1), "{seen:?}");
        assert!(seen.out.contains("password"), "{seen:?}");
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, MARKER);
        for value in [MARKER, encoded.trim_end_matches('='), "YW5u"] {
            assert!(!seen.out.contains(value) && !seen.err.contains(value), "{arguments:?} shows a value");
        }
    }
    let seen = bench.diff(&[]).await;
    assert!(seen.out.contains("data.password <changed>") && seen.out.contains("data.user <same>"), "{seen:?}");

    // A refusal quotes what it refuses.
    bench.commit(&[("app/db.yaml", &secret("4711001").replace("stringData", "data"))]);
    let seen = bench.diff(&[]).await;
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.err.contains("refuses Secret") && !seen.err.contains("4711001") && !seen.out.contains("4711001"), "{seen:?}");
}

#[tokio::test]
async fn what_cannot_be_found_out_ends_with_two_and_says_why() {
    let bench = Bench::start().await;
    bench.commit(&[("app/bad.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels: [\n")]);
    let seen = bench.diff(&[]).await;
    assert_eq!((seen.code, seen.out.as_str()), (Some(2), ""), "{seen:?}");
    assert!(seen.err.contains("app/bad.yaml") && seen.err.contains("hint: "), "{seen:?}");
    let seen = bench.diff(&["--revision", "no-such-branch"]).await;
    assert_eq!(seen.code, Some(2), "{seen:?}");
    assert!(seen.err.contains("no-such-branch"), "{seen:?}");
}

#[tokio::test]
async fn a_refused_change_is_shown_with_the_words_of_the_api_server() {
    let bench = Bench::start().await;
    bench.sync(&[("app/web.yaml", DEPLOYMENT)]).await;
    bench.commit(&[("app/web.yaml", &DEPLOYMENT.replace("app: web }", "app: other }"))]);
    let seen = bench.diff(&[]).await;
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.err.contains("refuses apps/Deployment") && seen.err.contains("field is immutable"), "{seen:?}");
    assert!(seen.out.contains("spec.selector.matchLabels.app\n  -   web\n  +   other\n"), "{seen:?}");
    assert!(!seen.out.contains("imagePullPolicy"), "what the API server filled in is no difference: {seen:?}");
}

#[tokio::test]
async fn without_the_right_to_a_dry_run_the_manifest_is_compared() {
    let bench = Bench::start().await;
    bench.sync(&[("app/web.yaml", DEPLOYMENT)]).await;
    bench.commit(&[("app/web.yaml", &DEPLOYMENT.replace("replicas: 0", "replicas: 3"))]);
    let reader = format!("reader-{}", bench.control.name());
    for (namespace, group, resource) in
        [(&bench.control, "argoproj.io", "applications"), (&bench.destination, "apps", "deployments")]
    {
        let meta = json!({ "name": "reader", "namespace": namespace.name() });
        let api = "rbac.authorization.k8s.io";
        apply(
            &bench.client,
            &json!({ "apiVersion": format!("{api}/v1"), "kind": "Role", "metadata": meta,
                "rules": [{ "apiGroups": [group], "resources": [resource], "verbs": ["get"] }] }),
        )
        .await;
        apply(
            &bench.client,
            &json!({ "apiVersion": format!("{api}/v1"), "kind": "RoleBinding", "metadata": meta,
                "roleRef": { "apiGroup": api, "kind": "Role", "name": "reader" },
                "subjects": [{ "apiGroup": api, "kind": "User", "name": reader }] }),
        )
        .await;
    }
    let seen = bench.diff(&["--as", &reader, "--as-group", "system:authenticated"]).await;
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(
        seen.err.contains("cannot patch resource \"deployments\"") && seen.err.contains("kubectl auth can-i patch"),
        "{seen:?}"
    );
    assert!(seen.out.contains("spec.replicas\n  -   0\n  +   3\n"), "{seen:?}");
    assert!(!seen.out.contains("imagePullPolicy"), "{seen:?}");

    let seen = bench.diff(&["--as", "stranger"]).await;
    assert_eq!((seen.code, seen.out.as_str()), (Some(2), ""), "{seen:?}");
}

#[tokio::test]
async fn a_chart_is_rendered_by_the_users_helm_and_without_one_the_error_says_so() {
    let bench = Bench::start().await;
    bench.commit(&[
        ("app/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        ("app/values.yaml", "k: v\n"),
        (
            "app/templates/cm.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {k: {{ .Values.k }}}\n",
        ),
    ]);
    let seen = bench.diff(&[]).await;
    assert_eq!(seen.code, Some(2), "{seen:?}");
    assert!(seen.err.contains("`helm` was not found") && seen.err.contains("hint: install Helm, or set GITOPS_HELM"), "{seen:?}");
    let helm = crate::support::tools().bin().join("helm");
    let seen = bench.diff_with(&[], &[("GITOPS_HELM", helm.as_os_str())]).await;
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.out.contains(&format!("+ ConfigMap {}/web", bench.destination.name())), "{seen:?}");
}
