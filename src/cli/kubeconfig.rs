//! Which cluster, user and namespace a command talks to: kubectl's loading rules and its override flags.
//!
//! Unlike kubectl we never fall back to `localhost:8080`, and never to the service account of the pod we run in: a command
//! that changes a cluster must know which one it is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{AuthInfo, Cluster, ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::config::{Context as KubeContext, NamedAuthInfo, NamedCluster, NamedContext};

use crate::advice::{Advice, Remedy};
use crate::ui::nearest::nearest;

use super::{GlobalFlags, kuberc};

/// Why there is no usable connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// No kubeconfig file exists.
    #[error("no kubeconfig at {}", list(.looked_at))]
    NoKubeconfig {
        /// Files that were looked for.
        looked_at: Vec<PathBuf>,
    },
    /// Neither the flag nor the file chooses a context.
    #[error("the kubeconfig names no current context{}", known_names(.known))]
    NoContext {
        /// Contexts of the file.
        known: Vec<String>,
    },
    /// The context does not exist.
    #[error("context {name:?} is not in {} {}", list(.files), known_names(.known).trim_start())]
    UnknownContext {
        /// The context asked for.
        name: String,
        /// Files that were read.
        files: Vec<PathBuf>,
        /// Contexts of the files.
        known: Vec<String>,
    },
    /// The cluster or user that the context or a flag names does not exist.
    #[error("{what} {name:?} is not in the kubeconfig{}", known_names(.known))]
    UnknownEntry {
        /// `cluster` or `user`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What exists.
        known: Vec<String>,
    },
    /// The credential plugin wants a terminal.
    #[error("the credential plugin {command:?} always asks questions, and standard input is not a terminal")]
    PluginNeedsTerminal {
        /// The program.
        command: String,
    },
    /// The user's kuberc does not let the credential plugin run.
    #[error("the credential plugin {command:?} may not be run: {reason}")]
    PluginRefused {
        /// The program.
        command: String,
        /// What the kuberc says.
        reason: String,
    },
    /// The file cannot be read or understood.
    #[error("cannot use the kubeconfig")]
    Unreadable(#[from] KubeconfigError),
}

impl Advice for ConnectionError {
    fn remedy(&self) -> Remedy {
        Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoKubeconfig { .. } => Some("set KUBECONFIG, or pass --kubeconfig FILE".into()),
            Self::NoContext { .. } => Some("kubectl config use-context NAME, or pass --context NAME".into()),
            Self::UnknownContext { name, known, .. } => {
                nearest(name, known.iter().map(String::as_str)).map(|close| format!("did you mean --context {close}?"))
            }
            Self::UnknownEntry { what, name, known } => {
                nearest(name, known.iter().map(String::as_str)).map(|close| format!("did you mean the {what} {close:?}?"))
            }
            Self::PluginNeedsTerminal { .. } => Some("run the command in a terminal, with the input in a file".into()),
            Self::PluginRefused { .. } => Some("kubectl refuses it too; allow it with: kubectl kuberc set --help".into()),
            Self::Unreadable(_) => Some("kubectl config view".into()),
        }
    }
}

fn list(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn known_names(names: &[String]) -> String {
    if names.is_empty() { " (it has none)".into() } else { format!(" (known: {})", names.join(", ")) }
}

/// The merged kubeconfig and the files it came from.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The merged content.
    pub content: Kubeconfig,
    /// Files that were read.
    pub files: Vec<PathBuf>,
}

/// The files to read, as kubectl chooses them: flag, then `KUBECONFIG`, then `~/.kube/config`.
///
/// Of a list only the files that exist count; a file named by the flag must exist.
#[must_use]
pub fn candidates(flag: Option<&Path>, environment: Option<&OsStr>, home: Option<&Path>) -> Vec<PathBuf> {
    if let Some(file) = flag {
        return vec![file.to_owned()];
    }
    let listed: Vec<PathBuf> =
        environment.map(std::env::split_paths).into_iter().flatten().filter(|path| !path.as_os_str().is_empty()).collect();
    if listed.is_empty() { home.map(|home| home.join(".kube/config")).into_iter().collect() } else { listed }
}

/// Reads and merges the kubeconfig files.
///
/// # Errors
/// When no file exists or one cannot be understood.
pub fn load(flags: &GlobalFlags) -> Result<Loaded, ConnectionError> {
    let looked_at =
        candidates(flags.kubeconfig.as_deref(), std::env::var_os("KUBECONFIG").as_deref(), std::env::home_dir().as_deref());
    let files: Vec<PathBuf> = looked_at.iter().filter(|file| file.exists()).cloned().collect();
    if files.is_empty() {
        return Err(ConnectionError::NoKubeconfig { looked_at });
    }
    let mut content = Kubeconfig::default();
    for file in &files {
        content = content.merge(Kubeconfig::read_from(file)?)?;
    }
    Ok(Loaded { content, files })
}

/// The part of a kubeconfig that is in force, with the override flags applied.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    /// Name of the context; empty when `--server` works without a kubeconfig.
    pub context_name: String,
    /// Namespace of the context, if it sets one.
    pub namespace: Option<String>,
    /// Name of the user entry.
    pub user_name: Option<String>,
    cluster: Cluster,
    user: AuthInfo,
}

/// Chooses the context, cluster and user that the flags and the file say, and applies the override flags.
///
/// # Errors
/// When a name does not exist.
pub fn select(loaded: &Loaded, flags: &GlobalFlags) -> Result<Selected, ConnectionError> {
    let context = choose_context(loaded, flags.context.as_deref())?;
    let (context_name, context) = context;
    let cluster_name = flags.cluster.as_ref().unwrap_or(&context.cluster);
    let user_name = flags.user.clone().or_else(|| context.user.clone()).filter(|name| !name.is_empty());
    let mut selected = Selected {
        context_name,
        namespace: context.namespace.clone().filter(|namespace| !namespace.is_empty()),
        cluster: find_cluster(&loaded.content, cluster_name)?,
        user: user_name.as_ref().map_or_else(|| Ok(AuthInfo::default()), |name| find_user(&loaded.content, name))?,
        user_name,
    };
    apply_overrides(&mut selected, flags);
    Ok(selected)
}

/// What the flags say when there is no kubeconfig at all but `--server` names the cluster.
#[must_use]
pub fn from_flags_only(flags: &GlobalFlags) -> Selected {
    let mut selected = Selected::default();
    apply_overrides(&mut selected, flags);
    selected
}

fn choose_context(loaded: &Loaded, flag: Option<&str>) -> Result<(String, KubeContext), ConnectionError> {
    let contexts = &loaded.content.contexts;
    let known = || contexts.iter().map(|context| context.name.clone()).collect::<Vec<_>>();
    let name = flag.or(loaded.content.current_context.as_deref()).filter(|name| !name.is_empty());
    let Some(name) = name else { return Err(ConnectionError::NoContext { known: known() }) };
    let found = contexts.iter().find(|context| context.name == name).and_then(|context| context.context.clone());
    match found {
        Some(context) => Ok((name.to_owned(), context)),
        None => Err(ConnectionError::UnknownContext { name: name.to_owned(), files: loaded.files.clone(), known: known() }),
    }
}

fn find_cluster(config: &Kubeconfig, name: &str) -> Result<Cluster, ConnectionError> {
    config.clusters.iter().find(|cluster| cluster.name == name).map(|found| found.cluster.clone().unwrap_or_default()).ok_or_else(
        || ConnectionError::UnknownEntry {
            what: "cluster",
            name: name.to_owned(),
            known: config.clusters.iter().map(|cluster| cluster.name.clone()).collect(),
        },
    )
}

fn find_user(config: &Kubeconfig, name: &str) -> Result<AuthInfo, ConnectionError> {
    config.auth_infos.iter().find(|user| user.name == name).map(|found| found.auth_info.clone().unwrap_or_default()).ok_or_else(
        || ConnectionError::UnknownEntry {
            what: "user",
            name: name.to_owned(),
            known: config.auth_infos.iter().map(|user| user.name.clone()).collect(),
        },
    )
}

fn apply_overrides(selected: &mut Selected, flags: &GlobalFlags) {
    let Selected { cluster, user, .. } = selected;
    if let Some(server) = &flags.server {
        cluster.server = Some(server.clone());
    }
    if let Some(file) = &flags.certificate_authority {
        cluster.certificate_authority = Some(file.display().to_string());
        cluster.certificate_authority_data = None;
    }
    if let Some(name) = &flags.tls_server_name {
        cluster.tls_server_name = Some(name.clone());
    }
    if let Some(insecure) = flags.insecure_skip_tls_verify {
        cluster.insecure_skip_tls_verify = Some(insecure);
        if insecure {
            cluster.certificate_authority = None;
            cluster.certificate_authority_data = None;
        }
    }
    if let Some(token) = &flags.token {
        // The flag replaces whatever else would produce a token.
        user.token = Some(token.0.clone().into());
        user.token_file = None;
        user.exec = None;
        user.auth_provider = None;
    }
    if let Some(file) = &flags.client_certificate {
        user.client_certificate = Some(file.display().to_string());
        user.client_certificate_data = None;
    }
    if let Some(file) = &flags.client_key {
        user.client_key = Some(file.display().to_string());
        user.client_key_data = None;
    }
    if flags.impersonate.is_some() {
        user.impersonate.clone_from(&flags.impersonate);
    }
    if flags.impersonate_uid.is_some() {
        user.impersonate_uid.clone_from(&flags.impersonate_uid);
    }
    if !flags.impersonate_groups.is_empty() {
        user.impersonate_groups = Some(flags.impersonate_groups.clone());
    }
}

impl Selected {
    /// Address of the API server, empty when nothing names one.
    #[must_use]
    pub fn server(&self) -> &str {
        self.cluster.server.as_deref().unwrap_or_default()
    }

    /// The program that makes the credentials, if the user has one.
    #[must_use]
    pub fn credential_program(&self) -> Option<&str> {
        self.user.exec.as_ref().and_then(|exec| exec.command.as_deref())
    }

    /// Keeps to what the user's kuberc says about credential plugins.
    ///
    /// # Errors
    /// When it does not let this one run.
    pub fn respect_kuberc(&self, file: Option<&Path>) -> Result<(), ConnectionError> {
        let (Some(command), Some(file)) = (self.credential_program(), file) else { return Ok(()) };
        let refused = |reason| ConnectionError::PluginRefused { command: command.to_owned(), reason };
        kuberc::check(command, file, kuberc::lookup).map_err(refused)
    }

    /// Keeps credential plugins away from our standard input when it is not a terminal: it may hold a Secret.
    ///
    /// # Errors
    /// When the plugin insists on asking questions.
    pub fn protect_stdin(&mut self, stdin_is_terminal: bool) -> Result<(), ConnectionError> {
        let Some(exec) = self.user.exec.as_mut().filter(|_| !stdin_is_terminal) else { return Ok(()) };
        if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
            return Err(ConnectionError::PluginNeedsTerminal { command: exec.command.clone().unwrap_or_default() });
        }
        exec.interactive_mode = Some(ExecInteractiveMode::Never);
        Ok(())
    }

    /// The client configuration. A request time limit is for single answers, so watches must not use it.
    ///
    /// # Errors
    /// When a certificate, key or address cannot be read.
    pub async fn into_config(self, request_timeout: Option<Duration>) -> Result<kube::Config, ConnectionError> {
        const ONLY: &str = "selected";
        let kubeconfig = Kubeconfig {
            clusters: vec![NamedCluster { name: ONLY.into(), cluster: Some(self.cluster), ..NamedCluster::default() }],
            auth_infos: vec![NamedAuthInfo { name: ONLY.into(), auth_info: Some(self.user), ..NamedAuthInfo::default() }],
            contexts: vec![NamedContext {
                name: ONLY.into(),
                context: Some(KubeContext {
                    cluster: ONLY.into(),
                    user: Some(ONLY.into()),
                    namespace: self.namespace,
                    ..KubeContext::default()
                }),
                ..NamedContext::default()
            }],
            current_context: Some(ONLY.into()),
            ..Kubeconfig::default()
        };
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        if let Some(limit) = request_timeout.filter(|limit| !limit.is_zero()) {
            config.read_timeout = Some(limit);
            config.reset_reader_on_write = true;
        }
        Ok(config)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::flags::Hidden;
    use super::*;

    fn loaded() -> Loaded {
        let content = Kubeconfig::from_yaml(
            "apiVersion: v1
kind: Config
current-context: dev
contexts:
- {name: dev, context: {cluster: c1, user: u1, namespace: team}}
- {name: prod-eu, context: {cluster: c2, user: u1}}
clusters:
- {name: c1, cluster: {server: 'https://one:6443', certificate-authority-data: QUFB}}
- {name: c2, cluster: {server: 'https://two:6443'}}
users:
- {name: u1, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: login, interactiveMode: IfAvailable}}}
",
        )
        .unwrap();
        Loaded { content, files: vec!["/home/me/.kube/config".into()] }
    }

    #[test]
    fn the_flag_beats_the_variable_and_the_variable_the_home() {
        let home = Path::new("/home/me");
        let list = OsStr::new("/a::/b");
        assert_eq!(candidates(Some(Path::new("/f")), Some(list), Some(home)), [PathBuf::from("/f")]);
        assert_eq!(candidates(None, Some(list), Some(home)), [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(candidates(None, Some(OsStr::new("")), Some(home)), [PathBuf::from("/home/me/.kube/config")]);
    }

    #[test]
    fn the_current_context_is_used_and_the_flag_replaces_it() {
        let selected = select(&loaded(), &GlobalFlags::default()).unwrap();
        assert_eq!((selected.server(), selected.namespace.as_deref()), ("https://one:6443", Some("team")));
        let flags = GlobalFlags { context: Some("prod-eu".into()), ..GlobalFlags::default() };
        assert_eq!(select(&loaded(), &flags).unwrap().server(), "https://two:6443");
    }

    #[test]
    fn an_unknown_context_lists_the_known_ones_and_the_nearest() {
        let flags = GlobalFlags { context: Some("prod".into()), ..GlobalFlags::default() };
        let error = select(&loaded(), &flags).unwrap_err();
        assert_eq!(error.to_string(), "context \"prod\" is not in /home/me/.kube/config (known: dev, prod-eu)");
        assert_eq!(error.hint().as_deref(), Some("did you mean --context prod-eu?"));
    }

    #[test]
    fn a_token_flag_replaces_the_credential_plugin() {
        let flags = GlobalFlags { token: Some(Hidden("marker-token".into())), ..GlobalFlags::default() };
        let selected = select(&loaded(), &flags).unwrap();
        assert!(selected.user.exec.is_none() && selected.user.token.is_some());
        assert!(!format!("{flags:?}{selected:?}").contains("marker-token"));
    }

    #[test]
    fn a_credential_plugin_never_gets_piped_input() {
        let mut selected = select(&loaded(), &GlobalFlags::default()).unwrap();
        selected.protect_stdin(true).unwrap();
        let mode = |selected: &Selected| selected.user.exec.as_ref().unwrap().interactive_mode.clone();
        assert_eq!(mode(&selected), Some(ExecInteractiveMode::IfAvailable));
        selected.protect_stdin(false).unwrap();
        assert_eq!(mode(&selected), Some(ExecInteractiveMode::Never));
        selected.user.exec.as_mut().unwrap().interactive_mode = Some(ExecInteractiveMode::Always);
        assert!(matches!(selected.protect_stdin(false), Err(ConnectionError::PluginNeedsTerminal { .. })));
    }
}
