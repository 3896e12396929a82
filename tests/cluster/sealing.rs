//! Sealing on a real API server, with the real kubeseal on the other side.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use kubectl_gitops::controller::sealedsecret::{self, SealingContext, SealingOptions};
use kubectl_gitops::resource::{Object, yaml};
use kubectl_gitops::sealing::{Certificate, Scope, SealedFor, SessionKey, Target, seal_secret};
use serde_json::{Value, json};

use crate::support::install::{SERVICE_ACCOUNT, install};
use crate::support::{Cluster, Process, TestNamespace, eventually, tools};

/// A plaintext that must show up in Secrets and nowhere else.
pub const MARKER: &str = "marker-7c1f";
pub const SOON: Duration = Duration::from_secs(30);

/// One namespace with a sealing controller of its own, under the shipped ServiceAccount: it keeps its keys there and opens there.
pub struct Bench {
    pub cluster: Cluster,
    pub namespace: TestNamespace,
    pub client: kube::Client,
    cx: Arc<SealingContext>,
    account: kube::Client,
    controller: tokio::task::JoinHandle<()>,
}

impl Bench {
    /// With a key that is there already: making one takes seconds.
    pub async fn start() -> Self {
        Self::start_with(|namespace| vec![key_secret(namespace, "new")]).await
    }

    pub async fn start_with(keys: impl Fn(&str) -> Vec<Value>) -> Self {
        let cluster = Cluster::shared().await;
        let namespace = cluster.namespace("sealing").await;
        install(&cluster, &namespace).await;
        let client = cluster.admin().await;
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
        for key in keys(&namespace) {
            secrets.create(&PostParams::default(), &serde_json::from_value(key).unwrap()).await.unwrap();
        }
        let account = cluster.client(&cluster.kubeconfig_for_service_account(&namespace, SERVICE_ACCOUNT).await).await;
        let (cx, controller) = controller(&account, &namespace);
        let bench = Self { cluster, namespace, client, cx, account, controller };
        bench.wait_ready().await;
        bench
    }

    /// Ends the controller as a crash would, and starts another.
    pub async fn restart(&mut self) {
        self.stop();
        (self.cx, self.controller) = controller(&self.account, &self.namespace);
        self.wait_ready().await;
    }

    /// As [`Self::restart`], with other options.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut SealingOptions)) {
        self.stop();
        let mut options = SealingOptions { namespaces: vec![self.namespace.name().to_owned()], ..SealingOptions::default() };
        options.other_key_namespaces.clear();
        change(&mut options);
        let cx = SealingContext::new(self.account.clone(), self.namespace.name().to_owned()).with_options(options);
        (self.cx, self.controller) = running(cx);
        self.wait_ready().await;
    }

    pub fn stop(&self) {
        self.controller.abort();
    }

    async fn wait_ready(&self) {
        eventually("the controller to be ready", SOON, || async { if self.cx.is_ready() { Ok(()) } else { Err("it is not") } })
            .await;
    }

    pub fn certificate(&self) -> String {
        self.cx.certificate().unwrap()
    }

    pub fn sealed_secrets(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("bitnami.com", "v1alpha1", "SealedSecret");
        let resource = ApiResource::from_gvk_with_plural(&kind, "sealedsecrets");
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn apply(&self, sealed: &Value) -> DynamicObject {
        let name = sealed["metadata"]["name"].as_str().unwrap();
        let parameters = PatchParams::apply("test").force();
        self.sealed_secrets().patch(name, &parameters, &Patch::Apply(sealed)).await.unwrap()
    }

    pub async fn create_secret(&self, secret: Value) {
        let parameters = PostParams { field_manager: Some("somebody".into()), ..PostParams::default() };
        self.secrets().create(&parameters, &serde_json::from_value(secret).unwrap()).await.unwrap();
    }

    /// Waits until the SealedSecret has this status, and returns its condition.
    pub async fn condition(&self, name: &str, status: &str, part_of_message: &str) -> Value {
        let api = self.sealed_secrets();
        eventually(&format!("{name} to be Synced={status} {part_of_message:?}"), SOON, || async {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            let condition = object.data["status"]["conditions"][0].clone();
            let message = condition["message"].as_str().unwrap_or_default();
            let current = object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation;
            if current && condition["status"] == status && message.contains(part_of_message) {
                Ok(condition)
            } else {
                Err(condition.to_string())
            }
        })
        .await
    }

    pub async fn value(&self, name: &str, key: &str, expected: &str) -> Secret {
        let api = self.secrets();
        eventually(&format!("{key} of Secret {name} to be {expected:?}"), SOON, || async {
            let secret = api.get(name).await.map_err(|error| error.to_string())?;
            let value =
                secret.data.as_ref().and_then(|data| data.get(key)).map(|value| String::from_utf8_lossy(&value.0).into_owned());
            if value.as_deref() == Some(expected) { Ok(secret) } else { Err(format!("{value:?}")) }
        })
        .await
    }

    /// The Secret, once it is there.
    async fn made(&self, name: &str) -> Secret {
        let api = self.secrets();
        eventually(&format!("Secret {name}"), SOON, || async { api.get(name).await.map_err(|error| error.to_string()) }).await
    }

    pub async fn events(&self) -> Vec<(String, String)> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let events = api.list(&ListParams::default()).await.unwrap().items;
        events.into_iter().map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default())).collect()
    }

    /// Waits for the counts: a write is counted when its answer is there, which is after others can see it.
    async fn counted(&self, expected: (u64, u64, u64), what: &str) {
        eventually(what, SOON, || async {
            let counts = self.counts();
            if counts == expected { Ok(()) } else { Err(format!("{counts:?} instead of {expected:?}")) }
        })
        .await;
    }

    fn counts(&self) -> (u64, u64, u64) {
        let counters = self.cx.counters();
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        (read(&counters.private_key_operations), read(&counters.secret_writes), read(&counters.status_writes))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.controller.abort();
    }
}

fn controller(client: &kube::Client, namespace: &str) -> (Arc<SealingContext>, tokio::task::JoinHandle<()>) {
    running(SealingContext::new(client.clone(), namespace.to_owned()).only_in(namespace))
}

fn running(cx: SealingContext) -> (Arc<SealingContext>, tokio::task::JoinHandle<()>) {
    let cx = Arc::new(cx);
    let running = Arc::clone(&cx);
    (cx, tokio::spawn(async move { panic!("{}", sealedsecret::run(running).await.unwrap_err()) }))
}

pub fn secret(namespace: &str, name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": {"password": value}})
}

/// Runs kubeseal with files instead of a cluster.
fn kubeseal(args: &[&str], certificate: Option<&str>, input: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(tools().kubeseal());
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(certificate) = certificate {
        let path = folder.path().join("cert.pem");
        std::fs::write(&path, certificate).unwrap();
        command.arg("--cert").arg(path);
    }
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "kubeseal {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

pub fn kubeseal_secret(certificate: &str, secret: &Value, args: &[&str]) -> Value {
    serde_json::from_slice(&kubeseal(args, Some(certificate), &secret.to_string()).stdout).unwrap()
}

fn fixture(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sealing").join(path)).unwrap()
}

/// A key Secret made of a committed test key.
pub fn key_secret(namespace: &str, key: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {
            "name": format!("restored-{key}"), "namespace": namespace,
            "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"},
        },
        "stringData": {"tls.key": fixture(&format!("keys/test-only-{key}.key")), "tls.crt": fixture(&format!("keys/test-only-{key}.crt"))},
    })
}

#[tokio::test]
async fn the_first_key_is_made_published_and_opens_what_kubeseal_seals() {
    let bench = Bench::start_with(|_| Vec::new()).await;
    let maps: Api<ConfigMap> = Api::namespaced(bench.client.clone(), &bench.namespace);
    let data = maps.get("gitops-sealing-certificate").await.unwrap().data.unwrap();
    assert_eq!(data["cert.pem"], bench.certificate());
    assert_eq!(data["fingerprint"], Certificate::from_pem(&bench.certificate()).unwrap().fingerprint);

    for scope in ["strict", "namespace-wide", "cluster-wide"] {
        let sealed = kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, scope, MARKER), &["--scope", scope]);
        let object = bench.apply(&sealed).await;
        let opened = bench.value(scope, "password", MARKER).await;
        let owner = &opened.metadata.owner_references.unwrap()[0];
        assert_eq!(
            (owner.kind.as_str(), Some(&owner.uid), owner.controller),
            ("SealedSecret", object.metadata.uid.as_ref(), Some(true))
        );
        bench.condition(scope, "True", "").await;
    }
    bench.wait_for_event("Unsealed", "SealedSecret unsealed successfully").await;
}

#[tokio::test]
async fn a_restart_with_nothing_changed_neither_decrypts_nor_writes_nor_asks() {
    let mut bench = Bench::start().await;
    for name in ["a", "b", "c"] {
        bench.apply(&kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, name, MARKER), &[])).await;
    }
    for name in ["a", "b", "c"] {
        bench.condition(name, "True", "").await;
    }
    bench.counted((3, 3, 3), "one operation, one Secret and one status each").await;
    let mark = bench.cluster.audit().mark().await;
    bench.restart().await;
    // A new object passes through the same queue behind the old ones.
    bench.apply(&kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "last", MARKER), &[])).await;
    bench.condition("last", "True", "").await;
    bench.counted((1, 1, 1), "only for the new one").await;
    let user = format!("system:serviceaccount:{}:{SERVICE_ACCOUNT}", bench.namespace.name());
    let requests = bench.cluster.audit().of_user_since(&user, mark).await;
    let about_old_ones: Vec<_> = requests.iter().filter(|entry| ["a", "b", "c"].contains(&entry.name.as_str())).collect();
    assert!(about_old_ones.is_empty(), "{about_old_ones:?}");
}

#[tokio::test]
async fn a_secret_sealed_for_another_name_says_what_to_change_and_heals() {
    let bench = Bench::start().await;
    let mut sealed = kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "db", MARKER), &[]);
    sealed["metadata"]["name"] = "prod-db".into();
    bench.apply(&sealed).await;
    let condition = bench.condition("prod-db", "False", "it was sealed for").await;
    assert_eq!(condition["reason"], "UnsealFailed");
    let expected = format!(
        "no key could decrypt secret (password): it was sealed for {0}/db, but this object is {0}/prod-db (hint: seal it again for namespace {0} and name prod-db",
        bench.namespace.name()
    );
    assert!(condition["message"].as_str().unwrap().starts_with(&expected), "{condition}");
    // The event comes after the status.
    let (_, note) = eventually("the event", SOON, || async {
        bench.events().await.into_iter().find(|(reason, _)| reason == "ErrUnsealFailed").ok_or("none")
    })
    .await;
    assert!(note.starts_with("Failed to unseal: no key could decrypt secret (password)"), "{note}");
    assert!(bench.secrets().get_opt("prod-db").await.unwrap().is_none());

    let sealed = kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "prod-db", MARKER), &[]);
    bench.apply(&sealed).await;
    bench.value("prod-db", "password", MARKER).await;
    bench.condition("prod-db", "True", "").await;
}

#[tokio::test]
async fn a_missing_scope_annotation_heals_as_soon_as_it_is_added() {
    let bench = Bench::start().await;
    let mut sealed = kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "db", MARKER), &["--scope", "cluster-wide"]);
    let annotations = sealed["metadata"].as_object_mut().unwrap().remove("annotations").unwrap();
    bench.apply(&sealed).await;
    bench.condition("db", "False", "set the annotation sealedsecrets.bitnami.com/cluster-wide").await;
    sealed["metadata"]["annotations"] = annotations;
    bench.apply(&sealed).await;
    bench.condition("db", "True", "").await;
}

#[tokio::test]
async fn a_restored_key_opens_what_waited_for_it_without_a_restart() {
    let bench = Bench::start().await;
    let sealed = kubeseal_secret(&fixture("keys/test-only-old.crt"), &secret(&bench.namespace, "db", MARKER), &[]);
    bench.apply(&sealed).await;
    bench.condition("db", "False", "no key could decrypt secret (password)").await;
    let active = bench.certificate();
    bench.create_secret(key_secret(&bench.namespace, "old")).await;
    bench.condition("db", "True", "").await;
    assert_eq!(bench.certificate(), active, "an older key opens but does not become active");
}

#[tokio::test]
async fn a_broken_key_is_skipped_and_the_others_work() {
    let bench = Bench::start_with(|namespace| {
        let mut broken = key_secret(namespace, "new");
        broken["stringData"]["tls.crt"] = fixture("keys/test-only-small.crt").into();
        vec![broken, key_secret(namespace, "old")]
    })
    .await;
    bench.apply(&kubeseal_secret(&fixture("keys/test-only-old.crt"), &secret(&bench.namespace, "db", MARKER), &[])).await;
    bench.condition("db", "True", "").await;
    eventually("an event about the broken key", SOON, || async {
        let events = bench.events().await;
        let about = |(reason, note): &(String, String)| {
            reason == "BrokenSealingKey" && note.starts_with("tls.crt and tls.key do not belong together")
        };
        if events.iter().any(about) { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_foreign_secret_stays_untouched_until_it_goes_or_may_be_managed() {
    let bench = Bench::start().await;
    let mark = bench.cluster.audit().mark().await;
    for name in ["gone", "managed"] {
        bench.create_secret(secret(&bench.namespace, name, "theirs")).await;
        bench.apply(&kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, name, MARKER), &[])).await;
        bench.condition(name, "False", &format!("Resource \"{name}\" already exists and is not managed by SealedSecret")).await;
        bench.value(name, "password", "theirs").await;
    }
    assert_eq!(bench.counts().0, 2, "a key is used once, and not again for what may not be written");
    let user = format!("system:serviceaccount:{}:{SERVICE_ACCOUNT}", bench.namespace.name());
    eventually("watches of both, so that their end is noticed at once", SOON, || async {
        let requests = bench.cluster.audit().of_user_since(&user, mark).await;
        let watches = requests.iter().filter(|entry| entry.verb == "watch" && entry.resource == "secrets");
        let names: Vec<_> = watches.map(|entry| entry.name.clone()).collect();
        if ["gone", "managed"].iter().all(|name| names.iter().any(|watched| watched == name)) {
            Ok(())
        } else {
            Err(names.join(", "))
        }
    })
    .await;
    bench.secrets().delete("gone", &DeleteParams::default()).await.unwrap();
    bench.value("gone", "password", MARKER).await;
    let managed = json!({"metadata": {"annotations": {"sealedsecrets.bitnami.com/managed": "true"}}});
    bench.secrets().patch("managed", &PatchParams::default(), &Patch::Merge(managed)).await.unwrap();
    let adopted = bench.value("managed", "password", MARKER).await;
    assert_eq!(adopted.metadata.owner_references.unwrap()[0].kind, "SealedSecret");
    bench.condition("managed", "True", "").await;
}

#[tokio::test]
async fn a_patched_secret_keeps_what_it_had() {
    let bench = Bench::start().await;
    let mut present = secret(&bench.namespace, "db", "theirs");
    present["stringData"]["user"] = "app".into();
    present["metadata"]["annotations"] = json!({"sealedsecrets.bitnami.com/patch": "true"});
    bench.create_secret(present).await;
    bench.apply(&kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "db", MARKER), &[])).await;
    let patched = bench.value("db", "password", MARKER).await;
    assert_eq!(patched.data.unwrap()["user"].0, b"app");
    assert!(patched.metadata.owner_references.is_none());
    bench.condition("db", "True", "").await;
}

#[tokio::test]
async fn a_deleted_or_edited_secret_comes_back() {
    let bench = Bench::start().await;
    bench.apply(&kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "db", MARKER), &[])).await;
    let first = bench.value("db", "password", MARKER).await;
    bench.condition("db", "True", "").await;
    bench.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    let second = eventually("the Secret to come back", SOON, || async {
        let secret = bench.secrets().get("db").await.map_err(|error| error.to_string())?;
        if secret.metadata.uid == first.metadata.uid { Err("it is still the old one".to_owned()) } else { Ok(secret) }
    })
    .await;
    assert!(second.metadata.owner_references.is_some());
    for edit in [
        json!({"stringData": {"password": "edited"}}),
        json!({"stringData": {"extra": "x"}}),
        json!({"data": {"password": null}}),
    ] {
        bench.secrets().patch("db", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
        eventually("the edit to be undone", SOON, || async {
            let data = bench.secrets().get("db").await.map_err(|error| error.to_string())?.data.unwrap_or_default();
            let keys: Vec<_> = data.keys().cloned().collect();
            if keys == ["password"] && data["password"].0 == MARKER.as_bytes() { Ok(()) } else { Err(format!("{keys:?}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_sealed_secret_may_ask_for_its_secret_to_be_left_alone() {
    let bench = Bench::start().await;
    let sealed = |value: &str| {
        let mut sealed = kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "db", value), &[]);
        sealed["metadata"]["annotations"] = json!({"kubectl-gitops.io/heal": "false"});
        sealed
    };
    bench.apply(&sealed("first")).await;
    bench.value("db", "password", "first").await;
    bench.condition("db", "True", "").await;
    let edit = json!({"stringData": {"password": "edited"}});
    bench.secrets().patch("db", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    // Another object behind it shows that the edit has been looked at.
    bench.apply(&kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "next", MARKER), &[])).await;
    bench.condition("next", "True", "").await;
    bench.value("db", "password", "edited").await;
    bench.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    bench.apply(&kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "last", MARKER), &[])).await;
    bench.condition("last", "True", "").await;
    assert!(bench.secrets().get_opt("db").await.unwrap().is_none());
    // A change of the SealedSecret itself is followed.
    bench.apply(&sealed(MARKER)).await;
    bench.value("db", "password", MARKER).await;
}

#[tokio::test]
async fn what_is_new_does_not_wait_behind_a_backlog() {
    let mut bench = Bench::start().await;
    bench.controller.abort();
    let stock: Vec<String> = (0..120).map(|number| format!("old-{number}")).collect();
    let sealed = kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "any", MARKER), &["--scope", "cluster-wide"]);
    for name in &stock {
        let mut sealed = sealed.clone();
        sealed["metadata"]["name"] = name.as_str().into();
        sealed["spec"]["template"]["metadata"]["name"] = name.as_str().into();
        bench.apply(&sealed).await;
    }
    let new = kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "new", MARKER), &[]);
    bench.restart().await;
    let asked = bench.apply(&new).await.metadata.resource_version.unwrap().parse::<u64>().unwrap();
    bench.counted((121, 121, 121), "everything to be opened in the end").await;
    let secrets = bench.secrets().list(&ListParams::default()).await.unwrap().items;
    // Each was written once, so the versions say in which order.
    let version = |secret: &Secret| secret.metadata.resource_version.as_deref().unwrap().parse::<u64>().unwrap();
    let opened = version(secrets.iter().find(|secret| secret.metadata.name.as_deref() == Some("new")).unwrap());
    let stood_before_it = secrets.iter().filter(|secret| (asked..opened).contains(&version(secret))).count();
    let later = secrets.iter().filter(|secret| version(secret) > opened).count();
    assert!(
        later > 0 && stood_before_it <= 20,
        "{stood_before_it} old ones were opened while the new one waited, {later} after it"
    );
}

#[tokio::test]
async fn secrets_of_the_original_controller_are_taken_over_without_a_change() {
    let mut bench = Bench::start().await;
    bench.controller.abort();
    let object = bench.apply(&kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "db", MARKER), &[])).await;
    let mut theirs = secret(&bench.namespace, "db", MARKER);
    theirs["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "name": "db", "uid": object.metadata.uid, "controller": true,
    }]);
    bench.create_secret(theirs).await;
    let before = bench.secrets().get("db").await.unwrap();
    bench.restart().await;
    bench.condition("db", "True", "").await;
    let after = bench.secrets().get("db").await.unwrap();
    assert_eq!((before.metadata.uid, before.data, before.type_), (after.metadata.uid, after.data, after.type_));
    bench.restart().await;
    bench.apply(&kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "last", MARKER), &[])).await;
    bench.condition("last", "True", "").await;
    bench.counted((1, 1, 1), "the second start finds everything in order").await;
}

#[tokio::test]
async fn secrets_made_from_templates_equal_those_of_the_original_controller() {
    let mut bench = Bench::start().await;
    bench.controller.abort();
    let original = OriginalController::start(&bench).await;
    let items = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": &*bench.namespace},
        "stringData": {"password": MARKER, "user": "app", "port": "5432", "config": "{\"a\": [1, 2.5]}"},
    });
    let mut sealed = kubeseal_secret(&bench.certificate(), &items, &[]);
    let templates =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sealing-templates/templates.yaml"))
            .unwrap();
    sealed["spec"]["template"]["data"] = yaml::parse_one(&templates).unwrap();
    let mut failing = kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "failing", MARKER), &[]);
    failing["spec"]["template"]["data"] = json!({"bad": "a\n {{ .nope | b64enc }}", "worse": "{{ if }}"});
    bench.apply(&sealed).await;
    bench.apply(&failing).await;
    let theirs = bench.made("db").await;
    let their_verdict = bench.condition("failing", "False", "b64enc").await;
    original.stop();
    for name in ["db", "failing"] {
        bench.sealed_secrets().delete(name, &DeleteParams::default()).await.unwrap();
    }
    // Garbage collection takes the Secret away with its owner, or has not come to it yet.
    let _ = bench.secrets().delete("db", &DeleteParams::default()).await;
    bench.restart().await;
    bench.apply(&sealed).await;
    bench.apply(&failing).await;
    let ours = bench.made("db").await;
    assert_eq!((&ours.data, &ours.type_), (&theirs.data, &theirs.type_));
    assert!(ours.data.unwrap().len() > yaml::parse_one(&templates).unwrap().as_object().unwrap().len(), "inputs stay");
    let our_verdict = bench.condition("failing", "False", "b64enc").await;
    for line in their_verdict["message"].as_str().unwrap().lines() {
        assert!(our_verdict["message"].as_str().unwrap().contains(line), "{their_verdict} but {our_verdict}");
    }
    bench.restart().await;
    bench.condition("db", "True", "").await;
    bench.apply(&kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "last", MARKER), &[])).await;
    bench.condition("last", "True", "").await;
    assert_eq!(bench.made("db").await.metadata.resource_version, ours.metadata.resource_version, "rendered once");
}

#[tokio::test]
async fn an_edited_template_changes_the_secret_and_a_failing_one_leaves_it() {
    let bench = Bench::start().await;
    let mut sealed = kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "db", MARKER), &[]);
    sealed["spec"]["template"]["data"] = json!({"token": "{{ randAlphaNum 20 }}", "url": "first {{ .password }}"});
    bench.apply(&sealed).await;
    let first = bench.value("db", "url", &format!("first {MARKER}")).await;
    sealed["spec"]["template"]["data"]["url"] = "{{ fail .password }}".into();
    bench.apply(&sealed).await;
    let condition = bench.condition("db", "False", "error calling fail").await;
    assert!(!condition.to_string().contains(MARKER), "{condition}");
    bench.wait_for_event("ErrUnsealFailed", "Failed to unseal: template: url").await;
    assert!(!format!("{:?}", bench.events().await).contains(MARKER));
    assert_eq!(bench.secrets().get("db").await.unwrap().data, first.data, "all or nothing");
    sealed["spec"]["template"]["data"]["url"] = "second".into();
    bench.apply(&sealed).await;
    let second = bench.value("db", "url", "second").await;
    assert_ne!(first.data.unwrap()["token"], second.data.unwrap()["token"], "a change renders all of it again");
}

/// The Sealed Secrets controller that we compare ourselves with, in one namespace. It takes its account from fixed paths only, so
/// it runs where those can be mounted without touching the machine.
struct OriginalController {
    process: Process,
    _folder: tempfile::TempDir,
}

impl OriginalController {
    async fn start(bench: &Bench) -> Self {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "original"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": &*bench.namespace}],
        });
        let bindings: Api<RoleBinding> = Api::namespaced(bench.client.clone(), &bench.namespace);
        bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let account = bench.cluster.kubeconfig_for_service_account(&bench.namespace, SERVICE_ACCOUNT).await;
        let account = yaml::parse_one(&std::fs::read_to_string(account).unwrap()).unwrap();
        std::fs::write(folder.path().join("token"), account["users"][0]["user"]["token"].as_str().unwrap()).unwrap();
        std::fs::write(folder.path().join("ca.crt"), bench.cluster.authority()).unwrap();
        let server = bench.cluster.server().parse::<http::Uri>().unwrap();
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-euc", MOUNTED])
            .env("ACCOUNT", folder.path())
            .env("CONTROLLER", tools().sealed_secrets_controller())
            .env("POD_NAMESPACE", &*bench.namespace)
            .env("KUBERNETES_SERVICE_HOST", server.host().unwrap())
            .env("KUBERNETES_SERVICE_PORT", server.port_u16().unwrap().to_string());
        let log = folder.path().join("log");
        Self { process: Process::spawn(command, &log), _folder: folder }
    }

    fn stop(mut self) {
        self.process.kill_9();
    }
}

impl Drop for OriginalController {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "a failed test shows what the other side said")]
            {
                eprintln!("the original controller said:\n{}", self.process.log());
            }
        }
    }
}

/// Puts the account where the original looks for it, in a mount namespace of its own.
const MOUNTED: &str = r#"
account=$(cat "$ACCOUNT/token"); authority=$(cat "$ACCOUNT/ca.crt")
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
printf '%s' "$account" > /run/secrets/kubernetes.io/serviceaccount/token
printf '%s\n' "$authority" > /run/secrets/kubernetes.io/serviceaccount/ca.crt
exec "$CONTROLLER" --all-namespaces=false --listen-addr 127.0.0.1:0 --listen-metrics-addr 127.0.0.1:0
"#;

#[tokio::test]
async fn a_secret_without_owner_reference_is_kept_up_to_date_and_outlives_the_sealed_one() {
    let bench = Bench::start().await;
    let sealed = |value: &str| {
        let mut secret = secret(&bench.namespace, "db", value);
        secret["metadata"]["annotations"] = json!({"sealedsecrets.bitnami.com/skip-set-owner-references": "true"});
        kubeseal_secret(&bench.certificate(), &secret, &[])
    };
    bench.apply(&sealed("first")).await;
    let opened = bench.value("db", "password", "first").await;
    assert!(opened.metadata.owner_references.is_none());
    bench.apply(&sealed(MARKER)).await;
    bench.value("db", "password", MARKER).await;
    bench.condition("db", "True", "").await;
}

#[tokio::test]
async fn plaintext_reaches_the_secret_and_nothing_else() {
    let bench = Bench::start().await;
    let mut broken = kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "broken", MARKER), &[]);
    broken["spec"]["encryptedData"]["other"] = "AgB!".into();
    bench.apply(&broken).await;
    bench.condition("broken", "False", "illegal base64 data at input byte 3 (other)").await;
    bench.apply(&kubeseal_secret(&bench.certificate(), &secret(&bench.namespace, "whole", MARKER), &[])).await;
    bench.condition("whole", "True", "").await;
    assert!(bench.secrets().get_opt("broken").await.unwrap().is_none(), "all items or none");
    for (reason, note) in [("ErrUnsealFailed", "Failed to unseal: "), ("Unsealed", "SealedSecret unsealed successfully")] {
        bench.wait_for_event(reason, note).await;
    }
    let sealed = bench.sealed_secrets().list(&ListParams::default()).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(bench.client.clone(), &bench.namespace);
    let maps = maps.list(&ListParams::default()).await.unwrap();
    let mut shown = serde_json::to_string(&sealed).unwrap() + &serde_json::to_string(&maps).unwrap();
    shown += &format!("{:?}", bench.events().await);
    let encoded = kubectl_gitops::sealing::encode_base64(MARKER.as_bytes());
    assert!(!shown.contains(MARKER) && !shown.contains(&encoded), "{shown}");
}

#[test]
fn kubeseal_opens_what_we_seal() {
    let certificate = Certificate::from_pem(&fixture("keys/test-only-new.crt")).unwrap();
    let large = "x".repeat(70_000);
    for scope in [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide] {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": "db", "namespace": "web"},
            "data": {"binary": "AAEC//79gICA"}, "stringData": {"empty": "", "large": large, "password": MARKER},
        });
        let mut number = 0;
        let mut session_key = || {
            number += 1;
            SessionKey::new([number; 32])
        };
        let place = SealedFor::itself(Target::new("web", "db", scope));
        let sealed = seal_secret(&Object::from_value(secret).unwrap(), &place, &certificate, &mut session_key).unwrap();
        let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sealing/keys/test-only-new.key");
        let args = ["--recovery-unseal", "--recovery-private-key", key.to_str().unwrap()];
        let output = kubeseal(&args, None, &yaml::to_yaml(&sealed.into_value()));
        let opened: Secret = serde_json::from_slice(&output.stdout).unwrap();
        let data = opened.data.unwrap();
        assert_eq!(data["password"].0, MARKER.as_bytes(), "{scope}");
        assert_eq!(data["large"].0, large.as_bytes(), "{scope}");
        assert_eq!(data["binary"].0, [0, 1, 2, 255, 254, 253, 128, 128, 128], "{scope}");
        assert!(data.contains_key("empty"), "{scope}");
    }
}
