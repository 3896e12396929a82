//! The life of sealing keys in a real cluster: made once, renewed, taken over, backed up.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, ListParams, PostParams};
use kubectl_gitops::controller::sealedsecret::{self, SealingContext, SealingOptions};
use kubectl_gitops::keys::claim::claim;
use kubectl_gitops::keys::{KeyPolicy, backup, stored_backup};
use kubectl_gitops::sealing::Certificate;
use serde_json::{Value, json};

use crate::sealing::{MARKER, SOON, key_secret, kubeseal_secret, secret};
use crate::sealing_cli::{IDENTITY, gitops, recipient};
use crate::support::install::{SERVICE_ACCOUNT, install};
use crate::support::original::OriginalController;
use crate::support::service::{expose, own_socket};
use crate::support::{Cluster, ControllerProcess, TestNamespace, eventually, tools};

const SERVICE: &str = "sealed-secrets-controller";
const KEYS: &str = "sealedsecrets.bitnami.com/sealed-secrets-key=active";

/// A namespace with the rights of a controller, and as many controllers as a test wants.
struct World {
    cluster: Cluster,
    namespace: TestNamespace,
    admin: kube::Client,
    account: kube::Client,
}

struct Controller {
    cx: Arc<SealingContext>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    async fn start() -> Self {
        let cluster = Cluster::shared().await;
        let namespace = cluster.namespace("keys").await;
        install(&cluster, &namespace).await;
        let admin = cluster.admin().await;
        let account = cluster.client(&cluster.kubeconfig_for_service_account(&namespace, SERVICE_ACCOUNT).await).await;
        Self { cluster, namespace, admin, account }
    }

    /// Options that touch nothing of the tests beside this one, with keys that are made quickly.
    fn options(&self, identity: &str) -> SealingOptions {
        SealingOptions {
            namespaces: vec![self.namespace.name().to_owned()],
            other_key_namespaces: Vec::new(),
            identity: identity.to_owned(),
            key_policy: KeyPolicy { bits: 2048, ..KeyPolicy::default() },
            ..SealingOptions::default()
        }
    }

    fn controller(&self, options: SealingOptions) -> Controller {
        self.controller_of(self.account.clone(), options)
    }

    /// One with the rights of another account.
    fn controller_of(&self, account: kube::Client, options: SealingOptions) -> Controller {
        let cx = Arc::new(SealingContext::new(account, self.namespace.name().to_owned()).with_options(options));
        let running = Arc::clone(&cx);
        Controller { cx, task: tokio::spawn(async move { panic!("{}", sealedsecret::run(running).await.unwrap_err()) }) }
    }

    /// Binds the account `default` of the control namespace to a role, which is made if rules are given.
    async fn grant(&self, namespace: &str, role: Value, rules: Option<Value>) {
        let name = role["name"].as_str().unwrap();
        if let Some(rules) = rules {
            let roles: Api<Role> = Api::namespaced(self.admin.clone(), namespace);
            let role = json!({"metadata": {"name": name}, "rules": rules});
            roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
        }
        let mut role_ref = role.clone();
        role_ref["apiGroup"] = "rbac.authorization.k8s.io".into();
        let subject = json!({"kind": "ServiceAccount", "name": "default", "namespace": self.namespace.name()});
        let binding = json!({"metadata": {"name": format!("default-{name}")}, "roleRef": role_ref, "subjects": [subject]});
        let bindings: Api<RoleBinding> = Api::namespaced(self.admin.clone(), namespace);
        bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
    }

    async fn add_key(&self, namespace: &str, key: Value) {
        let secrets: Api<Secret> = Api::namespaced(self.admin.clone(), namespace);
        secrets.create(&PostParams::default(), &serde_json::from_value(key).unwrap()).await.unwrap();
    }

    async fn keys(&self, namespace: &str) -> Vec<Secret> {
        let secrets: Api<Secret> = Api::namespaced(self.admin.clone(), namespace);
        secrets.list(&ListParams::default().labels(KEYS)).await.unwrap().items
    }

    async fn apply(&self, sealed: &Value) {
        self.apply_in(&self.namespace, sealed).await;
    }

    async fn apply_in(&self, namespace: &str, sealed: &Value) {
        let kind = kube::core::GroupVersionKind::gvk("bitnami.com", "v1alpha1", "SealedSecret");
        let resource = kube::api::ApiResource::from_gvk_with_plural(&kind, "sealedsecrets");
        let api: Api<kube::api::DynamicObject> = Api::namespaced_with(self.admin.clone(), namespace, &resource);
        let name = sealed["metadata"]["name"].as_str().unwrap();
        api.patch(name, &kube::api::PatchParams::apply("test").force(), &kube::api::Patch::Apply(sealed)).await.unwrap();
    }

    async fn opened(&self, name: &str) {
        self.opened_in(&self.namespace, name).await;
    }

    async fn opened_in(&self, namespace: &str, name: &str) {
        let secrets: Api<Secret> = Api::namespaced(self.admin.clone(), namespace);
        eventually(&format!("Secret {name}"), SOON, || async {
            let secret = secrets.get(name).await.map_err(|error| error.to_string())?;
            let value = secret.data.as_ref().and_then(|data| data.get("password")).map(|value| value.0.clone());
            if value.as_deref() == Some(MARKER.as_bytes()) { Ok(()) } else { Err(format!("{value:?}")) }
        })
        .await;
    }
}

impl Controller {
    async fn ready(&self) -> String {
        eventually("the controller to be ready", SOON, || async { if self.cx.is_ready() { Ok(()) } else { Err("it is not") } })
            .await;
        self.cx.certificate().unwrap()
    }

    /// Waits until another certificate is served than `before`.
    async fn renewed(&self, before: &str) -> String {
        eventually("another certificate", SOON, || async {
            self.cx.certificate().filter(|certificate| certificate != before).ok_or("it is still the old one")
        })
        .await
    }
}

#[tokio::test]
async fn two_controllers_that_start_at_once_make_one_key() {
    let world = World::start().await;
    let (first, second) = (world.controller(world.options("a")), world.controller(world.options("b")));
    let certificates = (first.ready().await, second.ready().await);
    assert_eq!(certificates.0, certificates.1);
    assert_eq!(world.keys(&world.namespace).await.len(), 1);
}

#[tokio::test]
async fn a_key_is_renewed_once_and_the_old_one_keeps_opening() {
    let world = World::start().await;
    world.add_key(&world.namespace, key_secret(&world.namespace, "old")).await;
    let mut options = world.options("a");
    // The test key is from long before.
    options.key_policy.renew_after = Some(Duration::from_secs(3600));
    options.key_policy.prefix = "team-keys".into();
    options.key_policy.labels = [("team".to_owned(), "a".to_owned())].into();
    let before = key_secret("", "old")["stringData"]["tls.crt"].as_str().unwrap().to_owned();
    let controller = world.controller(options.clone());
    controller.ready().await;
    let certificate = controller.renewed(&before).await;
    let keys = world.keys(&world.namespace).await;
    let made: Vec<_> = keys.iter().filter(|key| key.metadata.name.as_deref().unwrap().starts_with("team-keys")).collect();
    assert_eq!((keys.len(), made.len()), (2, 1));
    assert_eq!(made[0].metadata.labels.as_ref().unwrap()["team"], "a");
    for (name, certificate) in [("by-old", &before), ("by-new", &certificate)] {
        world.apply(&kubeseal_secret(certificate, &secret(&world.namespace, name, MARKER), &[])).await;
        world.opened(name).await;
    }
    drop(controller);
    let again = world.controller(options);
    assert_eq!(again.ready().await, certificate);
    again.cx.ask_for_key();
    again.renewed(&certificate).await;
    assert_eq!(world.keys(&world.namespace).await.len(), 3, "a restart makes none, and asking makes one");
}

#[tokio::test]
async fn keys_of_sealed_secrets_are_used_where_they_are() {
    let world = World::start().await;
    let theirs = world.cluster.namespace("theirs").await;
    world.add_key(&theirs, key_secret(&theirs, "new")).await;
    let mut options = world.options("a");
    options.key_policy.renew_after = None;
    options.other_key_namespaces = vec![theirs.name().to_owned(), "no-such-namespace".to_owned()];
    let controller = world.controller(options);
    let certificate = controller.ready().await;
    assert_eq!(certificate.trim(), key_secret("", "new")["stringData"]["tls.crt"].as_str().unwrap().trim());
    assert!(world.keys(&world.namespace).await.is_empty(), "there is a key already");
    world.apply(&kubeseal_secret(&certificate, &secret(&world.namespace, "db", MARKER), &[])).await;
    world.opened("db").await;
    controller.cx.ask_for_key();
    controller.renewed(&certificate).await;
    assert_eq!(world.keys(&theirs).await.len(), 2, "a new key goes where Sealed Secrets finds it");
    assert!(world.keys(&world.namespace).await.is_empty());
}

#[tokio::test]
async fn a_backup_for_the_configured_recipients_is_kept_in_the_cluster() {
    let world = World::start().await;
    world.add_key(&world.namespace, key_secret(&world.namespace, "new")).await;
    let identity = age::x25519::Identity::generate();
    let mut options = world.options("a");
    options.key_policy.renew_after = None;
    options.backup_recipients = vec![identity.to_public().to_string()];
    let controller = world.controller(options);
    let certificate = controller.ready().await;
    controller.cx.ask_for_key();
    controller.renewed(&certificate).await;
    eventually("a backup of both keys", SOON, || async {
        let file = stored_backup::read(&world.admin, &world.namespace).await.map_err(|error| error.to_string())?;
        let file = file.ok_or("there is no backup")?;
        let text = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
        let list = backup::decrypt(&file.file, backup::Unlock::Identities(text.into())).map_err(|error| error.to_string())?;
        let keys = backup::from_list(&list).map_err(|error| error.to_string())?;
        if keys.len() == 2 { Ok(()) } else { Err(format!("{} keys", keys.len())) }
    })
    .await;
}

/// Somebody who may fetch the stored backup, and not one key.
async fn keeper_of_backups(world: &World) -> PathBuf {
    let rule = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": [stored_backup::NAME], "verbs": ["get"]});
    world.grant(&world.namespace, json!({"kind": "Role", "name": "keeper"}), Some(json!([rule]))).await;
    world.cluster.kubeconfig_for_service_account(&world.namespace, "default").await
}

#[tokio::test]
async fn the_backup_in_the_cluster_is_fetched_without_the_right_to_read_keys() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("keys.age");
    let to = to.to_str().unwrap();
    let fetch = ["keys", "backup", "--from-cluster", "--to", to];
    let admin = world.cluster.kubeconfig_path();
    let none = gitops(&admin, &world.namespace, &fetch, "");
    assert!(none.exit == Some(2) && none.stderr.contains("no backup is kept in"), "{}", none.stderr);

    world.add_key(&world.namespace, key_secret(&world.namespace, "new")).await;
    let mut options = world.options("a");
    options.key_policy.renew_after = None;
    options.backup_recipients = vec![recipient()];
    let _controller = world.controller(options);
    let keeper = keeper_of_backups(&world).await;
    let fetched = eventually("the backup to be fetched", SOON, || async {
        let answer = gitops(&keeper, &world.namespace, &fetch, "");
        if answer.exit == Some(0) { Ok(answer) } else { Err(answer.stderr) }
    })
    .await;
    assert!(fetched.stderr.contains(&format!("opens for {}", recipient())), "{}", fetched.stderr);
    assert!(fetched.stderr.contains("fetched the backup of 20") && fetched.stderr.contains("with 1 key"), "{}", fetched.stderr);
    // Without the right to note it, the file is good all the same.
    assert!(fetched.stderr.contains("warning: cannot note the backup"), "{}", fetched.stderr);
    let identity = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(IDENTITY)).unwrap();
    let file = std::fs::read(to).unwrap();
    let list = backup::decrypt(&file, backup::Unlock::Identities(identity.into())).unwrap();
    assert_eq!(backup::from_list(&list).unwrap()[0].name(), "restored-new");
    let again = gitops(&admin, &world.namespace, &fetch, "");
    assert!(again.exit == Some(2) && again.stderr.contains("exists already"), "{}", again.stderr);

    let listed = || {
        let listed = gitops(&admin, &world.namespace, &["keys", "list", "-o", "json"], "").done();
        serde_json::from_str::<Value>(&listed.stdout).unwrap()["keys"][0]["backup"]["file"].clone()
    };
    assert_eq!(listed(), Value::Null, "what only the cluster has is no backup of it");
    let noted = gitops(&admin, &world.namespace, &[&fetch[..], &["--overwrite"]].concat(), "").done();
    assert!(noted.stderr.contains("noted on the key Secrets"), "{}", noted.stderr);
    assert_eq!(listed(), backup::fingerprint(&file));
    // A key that came later is missed.
    world.add_key(&world.namespace, key_secret(&world.namespace, "old")).await;
    let late = gitops(&admin, &world.namespace, &[&fetch[..], &["--overwrite"]].concat(), "").done();
    let warning = format!("warning: key {}/restored-old is not in it", world.namespace.name());
    assert!(late.stderr.contains(&warning) && !late.stderr.contains("restored-new is not"), "{}", late.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_key_is_like_the_controllers_and_never_made_beside_it() {
    let world = World::start().await;
    world.add_key(&world.namespace, key_secret(&world.namespace, "new")).await;
    let mut options = world.options("a");
    options.key_policy.renew_after = None;
    options.key_policy.prefix = "team-keys".into();
    options.key_policy.lifetime = Duration::from_secs(48 * 3600);
    options.key_policy.labels = [("team".to_owned(), "a".to_owned())].into();
    let controller = world.controller(options);
    controller.ready().await;
    let admin = world.cluster.kubeconfig_path();

    let other = claim(&world.admin, &world.namespace, "other", Timestamp::now(), false).await.unwrap().unwrap();
    let held = gitops(&admin, &world.namespace, &["keys", "rotate", "--timeout", "1s"], "");
    assert!(held.exit == Some(2) && held.stderr.contains("another maker of sealing keys is at work"), "{}", held.stderr);
    assert_eq!(world.keys(&world.namespace).await.len(), 1);
    other.release().await;

    let rotated = gitops(&admin, &world.namespace, &["keys", "rotate"], "").done();
    assert!(rotated.stderr.contains("making a key of 2048 bits"), "{}", rotated.stderr);
    let keys = world.keys(&world.namespace).await;
    let made = keys.iter().find(|key| key.metadata.name.as_deref().unwrap().starts_with("team-keys")).unwrap();
    assert_eq!(made.metadata.labels.as_ref().unwrap()["team"], "a");
    let pem = String::from_utf8(made.data.as_ref().unwrap()["tls.crt"].0.clone()).unwrap();
    let certificate = Certificate::from_pem(&pem).unwrap();
    assert_eq!(certificate.not_after.duration_since(certificate.not_before), SignedDuration::from_hours(48));
    let free = claim(&world.admin, &world.namespace, "other", Timestamp::now(), false).await.unwrap();
    assert!(free.is_some(), "the right to make keys is given back");
}

#[tokio::test]
async fn additional_namespaces_need_rights_in_these_only_and_may_come_later() {
    let world = World::start().await;
    let (early, late, other) =
        (world.cluster.namespace("early").await, world.cluster.namespace("late").await, world.cluster.namespace("other").await);
    world.add_key(&world.namespace, key_secret(&world.namespace, "new")).await;
    let sealing = json!({"kind": "ClusterRole", "name": "gitops-controller-sealing"});
    world.grant(&world.namespace, json!({"kind": "Role", "name": "gitops-controller"}), None).await;
    for namespace in [&world.namespace, &early] {
        world.grant(namespace, sealing.clone(), None).await;
    }
    let mut options = world.options("a");
    options.key_policy.renew_after = None;
    options.namespaces = [&world.namespace, &early, &late].map(|namespace| namespace.name().to_owned()).to_vec();
    let narrow = world.cluster.client(&world.cluster.kubeconfig_for_service_account(&world.namespace, "default").await).await;
    let controller = world.controller_of(narrow, options);
    let certificate = controller.ready().await;
    for namespace in [&world.namespace, &early, &late, &other] {
        world.apply_in(namespace, &kubeseal_secret(&certificate, &secret(namespace, "db", MARKER), &[])).await;
    }
    world.opened("db").await;
    world.opened_in(&early, "db").await;
    // Healing looks there too.
    let secrets: Api<Secret> = Api::namespaced(world.admin.clone(), &early);
    secrets.delete("db", &Default::default()).await.unwrap();
    world.opened_in(&early, "db").await;
    for namespace in [&late, &other] {
        let secrets: Api<Secret> = Api::namespaced(world.admin.clone(), namespace);
        assert!(secrets.get_opt("db").await.unwrap().is_none());
    }
    world.grant(&late, sealing, None).await;
    world.opened_in(&late, "db").await;
}

/// kubeseal with no flag but the namespace that stands for kube-system here.
fn kubeseal_in(world: &World, namespace: &str, args: &[&str], stdin: &str) -> Result<String, String> {
    let mut command = Command::new(tools().kubeseal());
    command.args(["--controller-namespace", namespace]).args(args);
    command.env_clear().env("KUBECONFIG", world.cluster.kubeconfig_path()).env("HOME", "/nonexistent");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The program may refuse before it reads.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn sealed_secrets_is_replaced_and_comes_back_with_its_keys_secrets_and_client() {
    let world = World::start().await;
    // Stands for kube-system: the original's keys, its Service, and the SealedSecrets.
    let theirs = world.cluster.namespace("theirs").await;
    let secrets: Api<Secret> = Api::namespaced(world.admin.clone(), &theirs);
    let seal = |name: &str| kubeseal_in(&world, &theirs, &[], &secret(&theirs, name, MARKER).to_string());
    let opened = async |name: &str| {
        eventually(&format!("Secret {name}"), SOON, || async {
            let secret = secrets.get(name).await.map_err(|error| error.to_string())?;
            let value = secret.data.as_ref().and_then(|data| data.get("password")).map(|value| value.0.clone());
            if value.as_deref() == Some(MARKER.as_bytes()) { Ok(secret.metadata.uid) } else { Err(format!("{value:?}")) }
        })
        .await
    };

    // Theirs.
    world.add_key(&theirs, key_secret(&theirs, "new")).await;
    let socket = own_socket();
    let original = OriginalController::start(&world.cluster, &theirs, &socket.to_string()).await;
    expose(&world.admin, &theirs, SERVICE, "", socket).await;
    world.apply_in(&theirs, &serde_json::from_str(&seal("first").unwrap()).unwrap()).await;
    let first = opened("first").await;
    drop(original);

    // Ours, behind the same Service: deploy/optional/in-kube-system puts the pod where the Service finds it.
    let socket = own_socket();
    let args = |extra: &[&str]| -> Vec<String> {
        let fixed = [
            format!("--listen-address={socket}"),
            format!("--sealing-namespace={}", theirs.name()),
            format!("--key-namespace={}", theirs.name()),
            "--key-size=2048".to_owned(),
        ];
        fixed.into_iter().chain(extra.iter().map(|arg| (*arg).to_owned())).collect()
    };
    let start = async |extra: &[&str]| {
        let args = args(extra);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let controller = ControllerProcess::start(&world.cluster, &world.namespace, &args).await;
        controller.wait_ready().await;
        expose(&world.admin, &theirs, SERVICE, "", socket).await;
        controller
    };
    let ours = start(&["--key-renew-period=0"]).await;
    world.apply_in(&theirs, &serde_json::from_str(&seal("second").unwrap()).unwrap()).await;
    let second = opened("second").await;
    let old = kubeseal_in(&world, &theirs, &["--fetch-cert"], "").unwrap();
    drop(ours);
    let cutoff = format!("--key-cutoff-time={}", jiff::Zoned::now().strftime("%a, %d %b %Y %H:%M:%S %z"));
    let ours = start(&["--key-renew-period=0", &cutoff]).await;
    let new = eventually("a new certificate", SOON, || async {
        kubeseal_in(&world, &theirs, &["--fetch-cert"], "").and_then(|new| if new == old { Err(new) } else { Ok(new) })
    })
    .await;
    assert_eq!(world.keys(&theirs).await.len(), 2, "the new key is where the original finds it");
    assert!(world.keys(&world.namespace).await.is_empty());
    drop(ours);

    // And back: the original opens what was sealed with our key, and leaves the others as they are.
    let socket = own_socket();
    let _original = OriginalController::start(&world.cluster, &theirs, &socket.to_string()).await;
    world.apply_in(&theirs, &kubeseal_secret(&new, &secret(&theirs, "third", MARKER), &[])).await;
    opened("third").await;
    assert_eq!((opened("first").await, opened("second").await), (first, second), "no Secret was made anew");
}
