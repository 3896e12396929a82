//! What runs during the demo, and how the steps look at it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kubectl_gitops::ui::stream;
use tempfile::TempDir;

use crate::narrator::show;
use crate::support::controller::program;
use crate::support::eventually::poll;
use crate::support::plane::Plane;
use crate::support::{Cluster, ControllerProcess, GitRepo, GitServer, tools};

/// How long a change may take to arrive.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Everything that runs. The order of the fields is the order in which it ends.
pub struct World {
    /// The controller.
    pub controller: ControllerProcess,
    /// The Git server.
    pub git: GitServer,
    /// The repository.
    pub repo: GitRepo,
    /// Clients of the plane.
    pub cluster: Cluster,
    /// An administrator's client.
    pub admin: kube::Client,
    /// Backups and the like.
    pub folder: TempDir,
    /// The plane; it ends with this value.
    pub _plane: Plane,
}

impl World {
    /// Runs our plugin and returns what it printed on stdout.
    ///
    /// # Errors
    /// With what it printed on stderr when it did not exit with 0.
    pub fn gitops(&self, args: &[&str], input: &str) -> Result<String, String> {
        show(&format!("kubectl gitops {}", args.join(" ")));
        self.run(&program("kubectl-gitops"), args, input)
    }

    /// Runs kubectl, as a colleague might who does not know about Git.
    ///
    /// # Errors
    /// With what it printed on stderr when it did not exit with 0.
    pub fn kubectl(&self, args: &[&str]) -> Result<String, String> {
        show(&format!("kubectl {}", args.join(" ")));
        self.run(&tools().kubectl(), args, "")
    }

    fn run(&self, program: &Path, args: &[&str], input: &str) -> Result<String, String> {
        let failed = |cause: std::io::Error| format!("cannot run {}: {cause}", program.display());
        let mut child = Command::new(program)
            .args(args)
            .current_dir(self.folder.path())
            .env("KUBECONFIG", self.cluster.kubeconfig_path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that does not read may have ended already.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("`{}` ended with {}: {}", args.join(" "), output.status, String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// Reads any object; its kind's plural must be regular.
    pub async fn get(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<DynamicObject, String> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(self.admin.clone(), namespace, &resource);
        api.get(name).await.map_err(|cause| cause.to_string())
    }

    /// Waits until `check` is content with an object.
    ///
    /// # Errors
    /// After [`TIMEOUT`], with what it last said and the end of the controller's log.
    pub async fn until<T>(
        &self,
        (api_version, kind, namespace, name): (&str, &str, &str, &str),
        check: impl Fn(&DynamicObject) -> Result<T, String>,
    ) -> Result<T, String> {
        let waited = poll(TIMEOUT, || async { check(&self.get(api_version, kind, namespace, name).await?) }).await;
        waited.map_err(|last| {
            let log = self.controller.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(10)..].join("\n  ");
            format!("{kind} {namespace}/{name}: {last}\ncontroller's log:\n  {tail}")
        })
    }

    /// A path for a file of the demo.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Says what the reader may try now.
    pub fn invite(&self) {
        stream::out(&format!(
            "\n\
             Everything keeps running until Ctrl-C. To look around in another terminal:\n\n  \
             export KUBECONFIG={}\n  \
             export PATH={}:{}:$PATH\n  \
             kubectl gitops app list\n  \
             kubectl gitops app get {}\n  \
             # the Git repository's work tree; commit and push as usual\n  \
             cd {}\n\n",
            self.cluster.kubeconfig_path().display(),
            program("kubectl-gitops").parent().unwrap_or(Path::new(".")).display(),
            tools().bin().display(),
            crate::files::APPLICATION,
            self.repo.tree().display(),
        ));
    }
}
