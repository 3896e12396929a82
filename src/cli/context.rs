//! What every command needs: the kubectl flags, a client, the namespaces.

use clap::Args;

use super::Failure;

/// Flags that every command takes, as kubectl's.
#[derive(Debug, Clone, Default, Args)]
pub struct GlobalFlags {
    /// Path to the kubeconfig file.
    #[arg(long, global = true)]
    pub kubeconfig: Option<std::path::PathBuf>,
    /// Name of the kubeconfig context to use.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Namespace of the object named on the command line.
    #[arg(short = 'n', long, global = true)]
    pub namespace: Option<String>,
    /// Namespace of the controller.
    #[arg(long, global = true, env = "GITOPS_CONTROLLER_NAMESPACE", default_value = "argocd")]
    pub controller_namespace: String,
}

/// What every command needs.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The global flags.
    pub flags: GlobalFlags,
}

impl Context {
    /// Makes a client from the kubeconfig and the flags. Standard input must have been read before.
    ///
    /// # Errors
    /// When there is no usable kubeconfig or context.
    pub async fn client(&self) -> Result<kube::Client, Failure> {
        Err(Failure::new("not built yet"))
    }

    /// Namespace of the current kubeconfig context, unless `-n` says another.
    ///
    /// # Errors
    /// When there is no usable kubeconfig.
    pub fn context_namespace(&self) -> Result<Option<String>, Failure> {
        Ok(self.flags.namespace.clone())
    }
}
