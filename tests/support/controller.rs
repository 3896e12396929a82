//! Our controller as a process, under its own ServiceAccount, as in a cluster.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use super::cluster::Cluster;
use super::eventually::eventually;
use super::http;
use super::install::{SERVICE_ACCOUNT, install};
use super::ports::free_port;
use super::process::{Process, tail};
use super::tools::tools;

/// A controller looks after every SealedSecret of its cluster, so two of different control namespaces would quarrel. Tests that
/// start one take turns.
static TURN: Mutex<()> = Mutex::const_new(());

/// A running controller. It is killed on drop; its caches live as long as this value, so that a restart finds them.
#[derive(Debug)]
pub struct ControllerProcess {
    process: Process,
    program: PathBuf,
    args: Vec<String>,
    address: String,
    folder: TempDir,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl ControllerProcess {
    /// Installs what is shipped, with `namespace` as the control namespace, and starts the controller under its ServiceAccount.
    ///
    /// Waits until no other test of this program runs one.
    pub async fn start(cluster: &Cluster, namespace: &str, extra_args: &[&str]) -> Self {
        let turn = TURN.lock().await;
        Self { _turn: Some(turn), ..Self::start_another(cluster, namespace, extra_args).await }
    }

    /// As [`start`](Self::start), beside a controller that runs already.
    pub async fn start_another(cluster: &Cluster, namespace: &str, extra_args: &[&str]) -> Self {
        Self::launch(program("gitops-controller"), cluster, namespace, extra_args).await
    }

    /// As [`start`](Self::start), with another build of the controller.
    pub async fn start_program(program: PathBuf, cluster: &Cluster, namespace: &str) -> Self {
        let turn = TURN.lock().await;
        Self { _turn: Some(turn), ..Self::launch(program, cluster, namespace, &[]).await }
    }

    async fn launch(program: PathBuf, cluster: &Cluster, namespace: &str, extra_args: &[&str]) -> Self {
        install(cluster, namespace).await;
        let kubeconfig = cluster.kubeconfig_for_service_account(namespace, SERVICE_ACCOUNT).await;
        let folder = TempDir::with_prefix("gitops-controller-").expect("a temporary folder can be made");
        let wanted = extra_args.iter().find_map(|arg| arg.strip_prefix("--listen-address="));
        let address = wanted.map_or_else(|| format!("127.0.0.1:{}", free_port()), str::to_owned);
        let mut args = vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--control-namespace={namespace}"),
            format!("--cache-dir={}", folder.path().join("cache").display()),
        ];
        args.extend(extra_args.iter().map(|arg| (*arg).to_owned()));
        if wanted.is_none() {
            args.push(format!("--listen-address={address}"));
        }
        let process = spawn(&program, &args, &folder);
        Self { process, program, args, address, folder, _turn: None }
    }

    /// Kills the controller if it still runs, and starts it again with the same arguments and caches.
    pub fn restart(&mut self) {
        self.process.kill_9();
        self.process = spawn(&self.program, &self.args, &self.folder);
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Panics
    /// When it does not within a minute, with the end of the controller's log.
    pub async fn wait_ready(&self) {
        let log = log_path(&self.folder);
        eventually("the controller to be ready", Duration::from_secs(60), || async {
            match self.get("/readyz").await {
                (200, _) => Ok(()),
                (code, body) => Err(format!("/readyz says {code} {body}\n{}", tail(&log, 20))),
            }
        })
        .await;
    }

    /// Gets a path of the controller's HTTP server; code 0 means that nobody answers.
    pub async fn get(&self, path: &str) -> (u16, String) {
        http::get(&self.address, path).await.unwrap_or_else(|cause| (0, cause.to_string()))
    }

    /// `host:port` of the controller's HTTP server.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process, to kill, terminate or wait for it.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Everything it has logged since the first start.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn spawn(program: &Path, args: &[String], folder: &TempDir) -> Process {
    let mut command = Command::new(program);
    // As in the image: the pinned kustomize is found first.
    let path = std::env::var("PATH").unwrap_or_default();
    command.args(args).env("PATH", format!("{}:{path}", tools().bin().display()));
    Process::spawn(command, &log_path(folder))
}

fn log_path(folder: &TempDir) -> PathBuf {
    folder.path().join("controller.log")
}

/// The path of one of our own programs: two folders above a test's or an example's executable.
///
/// # Panics
/// When it has not been built.
pub fn program(name: &str) -> PathBuf {
    built(&profile().join(name), "cargo build --bins --examples")
}

/// The path of one of our own programs as it is shipped: optimised.
///
/// # Panics
/// When it has not been built.
pub fn release_program(name: &str) -> PathBuf {
    built(&profile().with_file_name("release").join(name), "cargo build --release --bins")
}

fn built(path: &Path, how: &str) -> PathBuf {
    assert!(path.is_file(), "{} has not been built; hint: run `{how}`", path.display());
    path.to_owned()
}

/// The folder of the profile that this program was built with.
fn profile() -> PathBuf {
    let current = std::env::current_exe().expect("the path of this program is known");
    current.ancestors().nth(2).expect("cargo puts tests and examples below the profile's folder").to_owned()
}
