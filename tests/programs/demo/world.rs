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

use crate::files::{APPLICATION, DEPLOYMENT, NAMESPACE};
use crate::narrator::show;
use crate::support::controller::program;
use crate::support::eventually::poll;
use crate::support::plane::Plane;
use crate::support::{Cluster, ControllerProcess, GitRepo, GitServer, tools};

/// How long a change may take to arrive.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Which object: API version, kind, namespace, name.
pub type Object = (&'static str, &'static str, &'static str, &'static str);

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
        let redirected = if input.is_empty() { "" } else { " < secret.yaml" };
        show(&format!("kubectl gitops {}{redirected}", args.join(" ")));
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

    /// Reads an object.
    ///
    /// # Errors
    /// When there is none, or the API server does not answer.
    pub async fn get(&self, object: Object) -> Result<DynamicObject, String> {
        self.api(object).get(object.3).await.map_err(|cause| cause.to_string())
    }

    /// Waits until `check` is content with an object.
    ///
    /// # Errors
    /// After [`TIMEOUT`], with what it last said and the end of the controller's log.
    pub async fn until<T>(&self, object: Object, check: impl Fn(&DynamicObject) -> Result<T, String>) -> Result<T, String> {
        let waited = poll(TIMEOUT, || async { check(&self.get(object).await?) }).await;
        waited.map_err(|last| self.late(object, &last))
    }

    /// Waits until there is no such object.
    ///
    /// # Errors
    /// After [`TIMEOUT`], with the end of the controller's log.
    pub async fn until_gone(&self, object: Object) -> Result<(), String> {
        let api = self.api(object);
        let waited = poll(TIMEOUT, || async {
            let live = api.get_opt(object.3).await.map_err(|cause| cause.to_string())?;
            live.map_or(Ok(()), |_| Err("it is still there".to_owned()))
        });
        waited.await.map_err(|last| self.late(object, &last))
    }

    /// The kind's plural must be regular.
    fn api(&self, (api_version, kind, namespace, _): Object) -> Api<DynamicObject> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.admin.clone(), namespace, &resource)
    }

    fn late(&self, (_, kind, namespace, name): Object, last: &str) -> String {
        let log = self.controller.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(10)..].join("\n  ");
        format!("{kind} {namespace}/{name}: {last}\ncontroller's log:\n  {tail}")
    }

    /// A path for a file of the demo.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Says what the reader may try now.
    pub fn invite(&self) {
        stream::out(&format!(
            "\n\
             Everything keeps running until Ctrl-C. To try it yourself, in another terminal:\n\n  \
             export KUBECONFIG={kubeconfig}\n  \
             export PATH={ours}:{tools}:$PATH\n  \
             kubectl gitops status\n  \
             kubectl gitops app get {application}\n  \
             kubectl --namespace {namespace} get deployments,pods,secrets,sealedsecrets\n\n\
             `status` notes that there is no controller in the cluster: here it runs beside it.\n\
             Change a file in the Git repository's work tree, and watch the change arrive:\n\n  \
             cd {tree}\n  \
             sed -i 's/replicas: .*/replicas: 5/' {deployment}\n  \
             git -c user.name=me -c user.email=me@localhost commit --all --message 'five replicas' && git push origin main\n  \
             kubectl gitops refresh {application} && kubectl gitops wait {application}\n  \
             kubectl --namespace {namespace} get deployments\n\n",
            kubeconfig = self.cluster.kubeconfig_path().display(),
            ours = program("kubectl-gitops").parent().unwrap_or(Path::new(".")).display(),
            tools = tools().bin().display(),
            application = APPLICATION,
            namespace = NAMESPACE,
            tree = self.repo.tree().display(),
            deployment = DEPLOYMENT,
        ));
    }
}
