//! The controller opens a stock of SealedSecrets: cold, with a new one among them, and after a restart.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use kubectl_gitops::keys::{KeyPolicy, KeySecret, backup, generate};
use kubectl_gitops::resource::yaml;
use kubectl_gitops::ui::stream;
use serde_json::{Value, json};

use crate::clients::cpu_of;
use crate::figures::Figures;
use crate::support::controller::release_program;
use crate::support::install::{SERVICE_ACCOUNT, install};
use crate::support::plane::Plane;
use crate::support::{Cluster, ControllerProcess, eventually};

const CONTROL: &str = "argocd";
const STOCK: &str = "stock";
const FLOOR: &str = "floor";
const ITEMS: usize = 2;
/// Requests of the bare client at a time.
const WRITERS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(300);
/// Most private-key operations per item.
const OPERATIONS: f64 = 1.05;
/// Longest wall time, as a multiple of the floor.
const WALL: f64 = 1.5;

/// Measures with some number of keys, of which the newest has sealed everything.
pub async fn measure(figures: &mut Figures, failures: &mut Vec<String>, keys: usize, count: usize) {
    stream::say(&format!("bench: making {keys} keys and sealing {count} Secrets"));
    let mut plane = Plane::start().unwrap_or_else(|failure| panic!("{}: {}", failure.what, failure.causes.join(": ")));
    let cluster = plane.cluster().expect("the plane has just become ready");
    let admin = cluster.admin().await;
    for namespace in [CONTROL, STOCK, FLOOR] {
        let metadata = ObjectMeta { name: Some(namespace.to_owned()), ..Default::default() };
        let namespaces: Api<Namespace> = Api::all(admin.clone());
        namespaces.create(&PostParams::default(), &Namespace { metadata, ..Default::default() }).await.expect("it is new");
    }
    install(&cluster, CONTROL).await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let certificate = store_keys(&admin, keys, folder.path()).await;
    let sealed = seal(folder.path(), &certificate, count);
    let rsa = {
        let verify = &mut Command::new(release_program("kubectl-gitops"));
        let verify = verify.args(["verify", "--key"]).arg(folder.path().join("keys.yaml"));
        cpu_of(verify, &folder.path().join("sealed.yaml")) / processors()
    };
    let writes = write_floor(&admin, count).await;
    create(&admin, &sealed[..count]).await;

    let name = |metric: &str| format!("open.{keys}_keys.{metric}");
    let begun = Instant::now();
    let mut controller = ControllerProcess::start_program(release_program("gitops-controller"), &cluster, CONTROL).await;
    plane.guard(controller.process().id());
    reached(&controller, "unseal_requests_total", count / 3).await;
    let new = Instant::now();
    create(&admin, &sealed[count..]).await;
    let secrets: Api<Secret> = Api::namespaced(admin.clone(), STOCK);
    while secrets.get_metadata_opt(&format!("s{count}")).await.expect("the API server answers").is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    figures.add(&name("new_one_during_the_backlog"), new.elapsed().as_secs_f64() * 1000.0, "ms");
    // The controller counts for itself; a list of thousands of objects each moment would be part of what is measured.
    reached(&controller, "unseal_requests_total", count + 1).await;
    all_opened(&admin, count + 1).await;
    let wall = begun.elapsed().as_secs_f64();
    let operations = metric(&controller, "gitops_private_key_operations_total").await;
    let per_item = operations / ((count + 1) * ITEMS) as f64;
    figures.add(&name("wall"), wall, "s");
    figures.add(&name("floor.rsa"), rsa, "s");
    figures.add(&name("floor.writes"), writes, "s");
    figures.add(&name("wall_by_floor"), wall / (rsa + writes), "of the floor");
    figures.add(&name("operations_per_item"), per_item, "private-key operations");
    if per_item > OPERATIONS {
        failures.push(format!("{per_item:.2} private-key operations per item with {keys} keys, more than {OPERATIONS}"));
    }
    if wall > WALL * (rsa + writes) {
        stream::say(&format!("note: with {keys} keys the wall time is above {WALL} of the floor"));
    }
    restart(figures, failures, &cluster, &mut controller, &name("restart")).await;
}

async fn restart(
    figures: &mut Figures,
    failures: &mut Vec<String>,
    cluster: &Cluster,
    controller: &mut ControllerProcess,
    name: &str,
) {
    let mark = cluster.audit().mark().await;
    controller.restart();
    controller.wait_ready().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let operations = metric(controller, "gitops_private_key_operations_total").await;
    let user = format!("system:serviceaccount:{CONTROL}:{SERVICE_ACCOUNT}");
    let requests = cluster.audit().of_user_since(&user, mark).await;
    let reads = ["get", "list", "watch"];
    let writes = requests
        .iter()
        .filter(|entry| ["sealedsecrets", "secrets"].contains(&entry.resource.as_str()) && !reads.contains(&entry.verb.as_str()))
        .count();
    figures.add(&format!("{name}.private_key_operations"), operations, "");
    figures.add(&format!("{name}.writes"), writes as f64, "requests");
    if operations > 0.0 || writes > 0 {
        failures.push(format!("after a restart with nothing changed: {operations} private-key operations, {writes} writes"));
    }
}

fn processors() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
}

/// Stores keys whose certificates are a month apart; gives the newest certificate.
async fn store_keys(admin: &Client, keys: usize, folder: &Path) -> String {
    let secrets: Api<KeySecret> = Api::namespaced(admin.clone(), CONTROL);
    let (policy, now) = (KeyPolicy::default(), Timestamp::now());
    let mut stored = Vec::new();
    let mut certificate = String::new();
    for months in (0..keys).rev() {
        let since = now - SignedDuration::from_hours(24 * 28 * months as i64);
        let key = generate(&policy, since).expect("a key can be made");
        certificate.clone_from(&key.certificate.pem);
        stored.push(secrets.create(&PostParams::default(), &KeySecret::for_new_key(&key, &policy)).await.expect("it is new"));
    }
    std::fs::write(folder.join("keys.yaml"), backup::to_list(&stored)).expect("the folder is writable");
    certificate
}

/// Seals the stock, and one more.
fn seal(folder: &Path, certificate: &str, count: usize) -> Vec<Value> {
    let one = |number: usize| {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: s{number}\n  namespace: {STOCK}\nstringData:\n  a: first\n  b: second\n"
        )
    };
    std::fs::write(folder.join("plain.yaml"), (0..=count).map(one).collect::<String>()).expect("the folder is writable");
    std::fs::write(folder.join("cert.pem"), certificate).expect("the folder is writable");
    let mut seal = Command::new(release_program("kubectl-gitops"));
    seal.args(["seal", "--cert"]).arg(folder.join("cert.pem")).arg("-f").arg(folder.join("plain.yaml"));
    let output = seal.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("YAML is UTF-8");
    std::fs::write(folder.join("sealed.yaml"), &text).expect("the folder is writable");
    yaml::parse_stream(&text).expect("it is YAML").into_iter().map(|document| document.value).collect()
}

async fn create(admin: &Client, objects: &[Value]) {
    let kind = GroupVersionKind::gvk("bitnami.com", "v1alpha1", "SealedSecret");
    let resource = ApiResource::from_gvk_with_plural(&kind, "sealedsecrets");
    let api: Api<DynamicObject> = Api::namespaced_with(admin.clone(), STOCK, &resource);
    let created = futures::stream::iter(objects).map(|object| {
        let (api, object) = (api.clone(), serde_json::from_value(object.clone()).expect("it is an object"));
        async move { api.create(&PostParams::default(), &object).await.expect("it is new") }
    });
    created.buffer_unordered(8).for_each(|_| std::future::ready(())).await;
}

/// Seconds for as many writes as opening needs, by a client that does nothing else: each Secret, and a status for each.
async fn write_floor(admin: &Client, count: usize) -> f64 {
    let api: Api<Secret> = Api::namespaced(admin.clone(), FLOOR);
    let begun = Instant::now();
    let written = futures::stream::iter(0..count).map(|number| {
        let api = api.clone();
        async move {
            let name = format!("s{number}");
            let secret = json!({"metadata": {"name": name}, "stringData": {"a": "first", "b": "second"}});
            let secret: Secret = serde_json::from_value(secret).expect("it is a Secret");
            api.create(&PostParams::default(), &secret).await.expect("it is new");
            let note = json!({"metadata": {"annotations": {"status": "True"}}});
            api.patch(&name, &PatchParams::default(), &Patch::Merge(note)).await.expect("it is there");
        }
    });
    written.buffer_unordered(WRITERS).for_each(|()| std::future::ready(())).await;
    begun.elapsed().as_secs_f64()
}

async fn metric(controller: &ControllerProcess, name: &str) -> f64 {
    let (_, text) = controller.get("/metrics").await;
    let line = text.lines().find(|line| line.split(' ').next().is_some_and(|metric| metric.ends_with(name)));
    line.and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or_default()
}

async fn reached(controller: &ControllerProcess, name: &str, count: usize) {
    let begun = Instant::now();
    while metric(controller, name).await < count as f64 {
        assert!(begun.elapsed() < TIMEOUT, "the controller opens nothing: {}", controller.log());
        // Seldom: what it costs to answer is taken from the work that is measured.
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn all_opened(admin: &Client, count: usize) {
    let kind = GroupVersionKind::gvk("bitnami.com", "v1alpha1", "SealedSecret");
    let resource = ApiResource::from_gvk_with_plural(&kind, "sealedsecrets");
    let api: Api<DynamicObject> = Api::namespaced_with(admin.clone(), STOCK, &resource);
    let secrets: Api<Secret> = Api::namespaced(admin.clone(), STOCK);
    eventually("every SealedSecret to be opened", TIMEOUT, || async {
        // Metadata first: it is small, and most of the time it already says no.
        let made = secrets.list_metadata(&Default::default()).await.map_err(|cause| cause.to_string())?.items.len();
        if made < count {
            tokio::time::sleep(Duration::from_millis(200)).await;
            return Err(format!("{made} of {count} Secrets"));
        }
        let objects = api.list(&Default::default()).await.map_err(|cause| cause.to_string())?.items;
        let synced = objects.iter().filter(|object| object.data["status"]["conditions"][0]["status"] == "True").count();
        if synced == count { Ok(()) } else { Err(format!("{synced} of {count} are Synced")) }
    })
    .await;
}
