//! The steps, in order.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use serde_json::json;
use tempfile::TempDir;

use crate::files::{
    APPLICATION, BANNER, BANNER_NAME, DEPLOYMENT, FIXED, KUSTOMIZATION, NAMESPACE, SEALED, SECRET, WORKLOAD, application,
    deployment, kustomization, secret,
};
use crate::narrator::{Failed, Narrator, show};
use crate::support::install::{self, SERVICE_ACCOUNT, apply};
use crate::support::plane::Plane;
use crate::support::{ControllerProcess, GitServer};
use crate::world::{Object, World};

/// The control namespace.
const CONTROL: &str = "argocd";

/// How long the last step watches the controller do nothing.
const QUIET: Duration = Duration::from_secs(5);

const APP: Object = ("argoproj.io/v1alpha1", "Application", CONTROL, APPLICATION);
const DEPLOYED: Object = ("apps/v1", "Deployment", NAMESPACE, WORKLOAD);
const PRUNED: Object = ("v1", "ConfigMap", NAMESPACE, BANNER_NAME);
const OPENED: Object = ("v1", "Secret", NAMESPACE, SECRET);

/// Goes through all steps.
///
/// # Errors
/// At the first that does not hold.
pub async fn tell(narrator: &mut Narrator) -> Result<World, Failed> {
    let world = set_up(narrator).await?;
    let password = format!("{:032x}", rand::random::<u128>());
    narrator.step("seal a production secret", seal(&world, &password)).await?;
    narrator.task("first sync", "commit and apply the Application", deploy(&world)).await?;
    narrator.step("the secret is in the cluster, and not in Git", opened(&world, &password)).await?;
    narrator.task("commit to live", "a commit rolls out", commit(&world)).await?;
    narrator.task("drift healed", "a change by hand is undone", drift(&world)).await?;
    narrator.task("pruned", "what leaves Git leaves the cluster", prune(&world)).await?;
    narrator.task("secret opened", "a deleted Secret comes back", lost_secret(&world, &password)).await?;
    narrator.task("backup proven", "back up the sealing keys and prove it", backup(&world, &password)).await?;
    narrator.step("nothing changes, so nothing is asked", quiet(&world)).await?;
    Ok(world)
}

async fn set_up(narrator: &mut Narrator) -> Result<World, Failed> {
    let (mut plane, cluster) = narrator
        .step("start a Kubernetes control plane", async {
            let plane = Plane::start().map_err(|failure| {
                let causes: String = failure.causes.iter().map(|cause| format!("\ncause: {cause}")).collect();
                format!("{}{causes}{}", failure.what, failure.hint.map(|hint| format!("\nhint:  {hint}")).unwrap_or_default())
            })?;
            let cluster = plane.cluster().ok_or("it ended at once")?;
            let server = cluster.server();
            Ok(((plane, cluster), server))
        })
        .await?;
    let admin = cluster.admin().await;
    narrator
        .step("install CRDs and rights as shipped", async {
            let namespaces: Api<Namespace> = Api::all(admin.clone());
            let metadata = ObjectMeta { name: Some(CONTROL.to_owned()), ..Default::default() };
            let namespace = Namespace { metadata, ..Default::default() };
            namespaces.create(&PostParams::default(), &namespace).await.map_err(|cause| cause.to_string())?;
            install::install(&cluster, CONTROL).await;
            // Every two minutes is right for a forge and wrong for an audience.
            let settings = json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "argocd-cm", "namespace": CONTROL, "labels": {"app.kubernetes.io/part-of": "argocd"}},
                "data": {"timeout.reconciliation": "2s", "timeout.reconciliation.jitter": "0s"},
            });
            apply(&admin, &settings).await;
            Ok(((), format!("deploy/crds, deploy/rbac*.yaml in namespace {CONTROL}")))
        })
        .await?;
    let controller = narrator
        .step("start the controller under its ServiceAccount", async {
            let mut controller = ControllerProcess::start(&cluster, CONTROL, &[]).await;
            plane.guard(controller.process().id());
            controller.wait_ready().await;
            let memory = resident_mib(controller.process().id().pid);
            Ok((controller, format!("system:serviceaccount:{CONTROL}:{SERVICE_ACCOUNT}, {memory} MiB resident")))
        })
        .await?;
    let (git, repo) = narrator
        .step("serve a Git repository", async {
            let git = GitServer::start();
            let repo = git.repo("payments");
            for (path, text) in FIXED {
                repo.write(path, text);
            }
            repo.write(DEPLOYMENT, &deployment(2)).write(KUSTOMIZATION, &kustomization(true));
            let url = repo.url().to_owned();
            Ok(((git, repo), url))
        })
        .await?;
    let folder = TempDir::with_prefix("gitops-demo-").expect("a temporary folder can be made");
    Ok(World { controller, git, repo, cluster, admin, folder, _plane: plane })
}

async fn seal(world: &World, password: &str) -> Result<((), String), String> {
    let target = format!("{NAMESPACE}/{SECRET}");
    let sealed = world.gitops(&["seal", "--as-name", &target, "--output", "yaml"], &secret(password))?;
    if sealed.contains(password) || !sealed.contains("encryptedData") {
        return Err("what `seal` printed is not a sealed secret".to_owned());
    }
    world.repo.write(SEALED, &sealed);
    Ok(((), format!("strict scope, for {NAMESPACE}/{SECRET}")))
}

async fn deploy(world: &World) -> Result<((), String), String> {
    show("git commit && git push");
    let commit = world.repo.commit("payment-service in production");
    show(&format!("kubectl apply -f {APPLICATION}.yaml"));
    apply(&world.admin, &application(world.repo.url())).await;
    settled(world, &commit).await?;
    replicas(world, 2).await?;
    Ok(((), format!("{} is Synced to {} and Healthy", APPLICATION, &commit[..7])))
}

async fn opened(world: &World, password: &str) -> Result<((), String), String> {
    secret_holds(world, password).await?;
    let in_git = crate::support::git::git(world.repo.tree(), &["log", "--patch", "--all"]);
    let logged = world.controller.log();
    if in_git.contains(password) || logged.contains(password) {
        return Err("the password is in Git or in the controller's log".to_owned());
    }
    Ok(((), format!("Secret {NAMESPACE}/{SECRET} holds what was sealed")))
}

async fn commit(world: &World) -> Result<((), String), String> {
    world.repo.write(DEPLOYMENT, &deployment(3));
    show("git commit && git push");
    let commit = world.repo.commit("three replicas");
    settled(world, &commit).await?;
    replicas(world, 3).await?;
    Ok(((), format!("2 -> 3 replicas with {}", &commit[..7])))
}

async fn drift(world: &World) -> Result<((), String), String> {
    let before = world.get(DEPLOYED).await?.metadata.generation;
    world.kubectl(&["--namespace", NAMESPACE, "scale", "deployment", WORKLOAD, "--replicas=1"])?;
    // Scaling is one change and healing another, so the generation tells "healed" from "not even scaled".
    let healed = before.map(|generation| generation + 2);
    world
        .until(DEPLOYED, |live| {
            let done = live.metadata.generation >= healed;
            if done { Ok(()) } else { Err(format!("replicas are still {}", live.data["spec"]["replicas"])) }
        })
        .await?;
    replicas(world, 3).await?;
    Ok(((), "1 -> 3 replicas without a commit".to_owned()))
}

async fn prune(world: &World) -> Result<((), String), String> {
    world.get(PRUNED).await.map_err(|cause| format!("it is not there before: {cause}"))?;
    world.repo.remove(BANNER).write(KUSTOMIZATION, &kustomization(false));
    show("git rm sale-banner.yaml && git commit --all && git push");
    let commit = world.repo.commit("the sale is over");
    world.until_gone(PRUNED).await?;
    settled(world, &commit).await?;
    Ok(((), format!("ConfigMap {BANNER_NAME} is gone with {}", &commit[..7])))
}

async fn lost_secret(world: &World, password: &str) -> Result<((), String), String> {
    world.kubectl(&["--namespace", NAMESPACE, "delete", "secret", SECRET])?;
    secret_holds(world, password).await?;
    Ok(((), format!("Secret {SECRET} from its SealedSecret, after it was deleted")))
}

async fn backup(world: &World, password: &str) -> Result<((), String), String> {
    let passphrase = world.file("passphrase");
    std::fs::write(&passphrase, format!("{:032x}\n", rand::random::<u128>())).map_err(|cause| cause.to_string())?;
    let (file, repo) = (world.file("keys.age"), world.repo.tree().display().to_string());
    let (file, passphrase) = (file.display().to_string(), passphrase.display().to_string());
    world.gitops(&["keys", "backup", "--passphrase-file", &passphrase, "--to", &file], "")?;
    let bytes = std::fs::read(&file).map_err(|cause| cause.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("PRIVATE KEY") || text.contains(password) {
        return Err("the backup is not encrypted".to_owned());
    }
    let proof = world.gitops(&["keys", "verify-backup", &file, "--passphrase-file", &passphrase, "--repo", &repo], "")?;
    if !proof.contains("1/1") {
        return Err(format!("not everything is recoverable: {proof}"));
    }
    Ok(((), proof.lines().last().unwrap_or_default().to_owned()))
}

async fn quiet(world: &World) -> Result<((), String), String> {
    let audit = world.cluster.audit();
    let mark = audit.mark().await;
    let polls = world.git.ls_refs("payments");
    tokio::time::sleep(QUIET).await;
    let user = format!("system:serviceaccount:{CONTROL}:{SERVICE_ACCOUNT}");
    let mut requests = BTreeMap::<String, usize>::new();
    for entry in audit.of_user_since(&user, mark).await {
        // A watch that ends after its time and is taken up again is not a question.
        if entry.verb != "watch" {
            *requests.entry(format!("{} {}", entry.verb, entry.resource)).or_default() += 1;
        }
    }
    if requests.is_empty() {
        let polls = world.git.ls_refs("payments") - polls;
        return Ok(((), format!("{} s: no API request beside open watches, {polls} polls of Git", QUIET.as_secs())));
    }
    Err(format!("the controller asked: {requests:?}"))
}

/// Waits until the Application is Synced to a commit and Healthy.
async fn settled(world: &World, commit: &str) -> Result<(), String> {
    let check = |live: &kube::api::DynamicObject| {
        let status = &live.data["status"];
        let seen = (&status["sync"]["status"], &status["health"]["status"], &status["sync"]["revision"]);
        if seen == (&json!("Synced"), &json!("Healthy"), &json!(commit)) {
            return Ok(());
        }
        let message = &status["operationState"]["message"];
        Err(format!(
            "sync {}, health {}, revision {}, operation {message}, conditions {}",
            seen.0, seen.1, seen.2, status["conditions"]
        ))
    };
    world.until(APP, check).await
}

async fn replicas(world: &World, wanted: u64) -> Result<(), String> {
    world
        .until(DEPLOYED, |live| {
            let available = live.data["status"]["availableReplicas"].as_u64().unwrap_or_default();
            let desired = live.data["spec"]["replicas"].as_u64().unwrap_or_default();
            if (available, desired) == (wanted, wanted) { Ok(()) } else { Err(format!("{available} of {desired} available")) }
        })
        .await
}

async fn secret_holds(world: &World, password: &str) -> Result<(), String> {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(password);
    world
        .until(OPENED, |live| {
            let value = live.data["data"]["DATABASE_PASSWORD"].as_str();
            // The value itself stays out of the message.
            if value == Some(&encoded) { Ok(()) } else { Err("its value is not the one that was sealed".to_owned()) }
        })
        .await
}

/// Resident memory of a process, rounded to MiB.
fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok());
    kib.map_or(0, |kib| kib / 1024)
}
