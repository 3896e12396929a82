//! Many small Applications of one repository, and commits to it.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kubectl_gitops::api::Application;
use serde_json::json;

use crate::elapsed;
use crate::support::{GitRepo, GitServer, eventually, install};
use crate::world::{CONTROL, World};

/// The repository's name.
pub const REPOSITORY: &str = "monorepo";
/// Where all objects go: one namespace, so that the number of Applications is the only thing that grows.
const NAMESPACE: &str = "monorepo";

const TIMEOUT: Duration = Duration::from_secs(900);
/// Between two looks at an object that is about to change.
const LOOK: Duration = Duration::from_millis(1);

/// A number from the environment.
pub fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).filter(|number| *number > 0).unwrap_or(default)
}

/// How many Applications.
pub fn applications() -> usize {
    number("GITOPS_BENCH_APPS", 200)
}

/// Makes the repository, with everything in one commit.
pub fn repository(git: &GitServer) -> GitRepo {
    let repo = git.repo(REPOSITORY);
    for index in 0..applications() {
        repo.write(&format!("apps/{}/cm.yaml", name(index)), &manifest(index, "first"));
    }
    repo.write("README.md", "read by nobody\n");
    repo.commit("the monorepo");
    repo
}

fn name(index: usize) -> String {
    format!("app-{index:04}")
}

fn manifest(index: usize, text: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\ndata:\n  text: {text}\n", name(index))
}

/// Applies all Applications.
pub async fn apply(world: &World) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    install::apply(&world.admin, &namespace).await;
    for index in 0..applications() {
        let name = name(index);
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": CONTROL},
            "spec": {
                "project": "default",
                "source": {"repoURL": world.repo.url(), "path": format!("apps/{name}"), "targetRevision": "main"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE},
                "syncPolicy": {"automated": {"selfHeal": true}},
            },
        });
        install::apply(&world.admin, &application).await;
    }
}

/// Waits until all are Synced.
pub async fn settled(world: &World) {
    let applications_api = applications_api(world);
    eventually("all Applications to be Synced", TIMEOUT, || async {
        let list = applications_api.list(&ListParams::default()).await.map_err(|cause| cause.to_string())?;
        let synced = list.items.iter().filter(|app| app.data["status"]["sync"]["status"] == "Synced").count();
        if synced == applications() { Ok(()) } else { Err(format!("{synced} of {}", applications())) }
    })
    .await;
}

fn applications_api(world: &World) -> Api<DynamicObject> {
    Api::namespaced_with(world.admin.clone(), CONTROL, &ApiResource::erase::<Application>(&()))
}

fn config_maps(world: &World) -> Api<ConfigMap> {
    Api::namespaced(world.admin.clone(), NAMESPACE)
}

/// Commits a change of one Application and tells the controller; gives the milliseconds until its object has changed.
pub async fn commit(world: &World, round: usize) -> f64 {
    let index = round * 7 % applications();
    let text = format!("round-{round}");
    world.repo.write(&format!("apps/{}/cm.yaml", name(index)), &manifest(index, &text));
    world.repo.commit(&text);
    let begun = Instant::now();
    refresh(world, index).await;
    let objects = config_maps(world);
    loop {
        let object = objects.get(&name(index)).await.expect("the object is there");
        if object.data.is_some_and(|data| data.get("text") == Some(&text)) {
            return elapsed(begun);
        }
        assert!(begun.elapsed() < TIMEOUT, "{} does not change\n{}", name(index), world.controller.log());
        tokio::time::sleep(LOOK).await;
    }
}

/// Commits what no Application reads, and tells the controller.
pub async fn commit_beside(world: &World) {
    world.repo.write("README.md", "still read by nobody\n");
    world.repo.commit("beside");
    refresh(world, 0).await;
}

async fn refresh(world: &World, index: usize) {
    let patch = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}});
    let patched = applications_api(world).patch(&name(index), &PatchParams::default(), &Patch::Merge(patch)).await;
    patched.expect("an administrator may refresh");
}

/// What a commit cannot do without: a fetch of it, and one PATCH.
pub async fn floor(world: &World, rounds: usize) -> Vec<f64> {
    let clone = tempfile::tempdir().expect("a temporary folder can be made");
    let git = |arguments: &[&str]| {
        let status = std::process::Command::new("git").args(arguments).current_dir(clone.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "git {arguments:?}");
    };
    git(&["clone", "--quiet", "--bare", "--depth=1", world.repo.url(), "."]);
    let mut times = Vec::new();
    for round in 0..rounds {
        world.repo.write("floor.txt", &format!("{round}\n"));
        world.repo.commit("floor");
        let begun = Instant::now();
        git(&["fetch", "--quiet", "--depth=1", "origin", "main"]);
        let patch = json!({"metadata": {"annotations": {"floor": round.to_string()}}});
        let patched = config_maps(world).patch(&name(0), &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.expect("an administrator may patch");
        times.push(elapsed(begun));
    }
    times
}
