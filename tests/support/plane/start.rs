//! Starting a plane: programs in order, each step waited for.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use kubectl_gitops::cli::Failure;
use tokio::process::{Child, Command};

use super::Layout;
use super::commands::{self, Invocation, Ports};
use super::files;
use super::record::{Entry, Record};
use crate::support::cluster::client;
use crate::support::eventually::poll;
use crate::support::process::tail;
use crate::support::signal::ProcessId;
use crate::support::tools::Tools;

/// Generous: on a busy machine with two cores the API server alone has been seen to take half a minute.
const STEP_TIMEOUT: Duration = Duration::from_secs(120);

/// The name of the only node.
pub const NODE: &str = "node-1";

/// A program of the plane that runs as a child of this process.
#[derive(Debug)]
pub struct Running {
    /// The program's name.
    pub name: &'static str,
    /// The child.
    pub child: Child,
}

/// Starts everything and waits until it serves; returns one line about what runs.
///
/// Whatever has been started is in `running` and in the record, also when this fails or is dropped half-way.
///
/// # Errors
/// When a program is missing, ends, or does not become ready in time.
pub async fn start(
    record: &mut Record,
    running: &mut Vec<Running>,
    progress: &(dyn Fn(String) + Sync),
) -> Result<String, Failure> {
    let layout = record.layout.clone();
    let tools = Tools::locate()?;
    let ports = Ports::free();
    files::write(&layout, ports.api)?;
    let controllers = commands::controllers(&layout, &tools, ports)?;
    for program in commands::stores(&layout, &tools, ports)? {
        spawn(&program, record, running)?;
    }
    step(&layout, "kube-apiserver", "the API server is ready", running, api_is_ready(&layout)).await?;
    progress("API server is ready".to_owned());
    for program in controllers {
        spawn(&program, record, running)?;
    }
    step(&layout, "kube-controller-manager", "the controllers work", running, controllers_work(&layout)).await?;
    step(&layout, "kwok", "the node is ready", running, node_is_ready(&layout)).await?;
    versions(&layout).await
}

fn spawn(program: &Invocation, record: &mut Record, running: &mut Vec<Running>) -> Result<(), Failure> {
    let failed = |cause: std::io::Error| Failure::new(format!("cannot start {}", program.program.display())).with_cause(&cause);
    let log = File::create(record.layout.log(program.name)).map_err(failed)?;
    let child = Command::new(&program.program)
        .args(&program.args)
        // Nothing of the user's environment changes what the plane does; proxies least of all.
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", &record.layout.dir)
        .current_dir(&record.layout.dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(failed)?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let id = child.id().and_then(ProcessId::of).expect("a child stays in /proc until it has been waited for");
    running.push(Running { name: program.name, child });
    record.processes.push(Entry { name: program.name.to_owned(), id });
    record.write()
}

/// Waits for one step, or for the first program that ends meanwhile.
async fn step(
    layout: &Layout,
    program: &'static str,
    what: &str,
    running: &mut [Running],
    waiting: impl Future<Output = Result<(), String>>,
) -> Result<(), Failure> {
    tokio::select! {
        done = waiting => done.map_err(|last| explain(layout, program, format!("waited {} s until {what}: {last}", STEP_TIMEOUT.as_secs()))),
        name = first_to_end(running) => Err(explain(layout, name, format!("{name} ended"))),
    }
}

/// Waits until one of the programs ends and returns its name.
pub async fn first_to_end(running: &mut [Running]) -> &'static str {
    let ends = running.iter_mut().map(|program| {
        Box::pin(async {
            let _ = program.child.wait().await;
            program.name
        })
    });
    futures::future::select_all(ends).await.0
}

/// A failure with the end of the program's log, because the folder is about to be removed.
pub fn explain(layout: &Layout, program: &str, what: String) -> Failure {
    let mut failure = Failure::new(what);
    failure.causes.extend(tail(&layout.log(program), 5).lines().map(|line| format!("{program}: {line}")));
    failure
}

async fn api_is_ready(layout: &Layout) -> Result<(), String> {
    let admin = client(&layout.kubeconfig()).await?;
    poll(STEP_TIMEOUT, || get(&admin, "/readyz")).await.map(drop)
}

async fn controllers_work(layout: &Layout) -> Result<(), String> {
    let admin = client(&layout.kubeconfig()).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(admin, "default");
    poll(STEP_TIMEOUT, || async { accounts.get("default").await.map(drop) }).await
}

async fn node_is_ready(layout: &Layout) -> Result<(), String> {
    let nodes: Api<Node> = Api::all(client(&layout.kubeconfig()).await?);
    let node =
        Node { metadata: kube::core::ObjectMeta { name: Some(NODE.to_owned()), ..Default::default() }, ..Default::default() };
    nodes.create(&PostParams::default(), &node).await.map_err(|cause| cause.to_string())?;
    poll(STEP_TIMEOUT, || async {
        let node = nodes.get(NODE).await.map_err(|cause| cause.to_string())?;
        let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
        let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
        if ready { Ok(()) } else { Err(format!("{} has no condition Ready yet", NODE)) }
    })
    .await
}

async fn versions(layout: &Layout) -> Result<String, Failure> {
    let failed = |cause: &dyn std::error::Error| Failure::new("cannot ask for the version of the API server").with_cause(cause);
    let admin = client(&layout.kubeconfig()).await.map_err(Failure::new)?;
    let version = admin.apiserver_version().await.map_err(|cause| failed(&cause))?;
    Ok(format!("Kubernetes {}", version.git_version))
}

async fn get(admin: &kube::Client, path: &str) -> Result<String, String> {
    let request = http::Request::get(path).body(Vec::new()).expect("the path is a constant");
    admin.request_text(request).await.map_err(|cause| cause.to_string())
}
