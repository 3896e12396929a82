//! The flags that every command takes, named as kubectl names them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::duration;

/// A value that must not reach a log or an error; its `Debug` form shows nothing of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Flags that every command takes, as kubectl's.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Kubernetes options")]
pub struct GlobalFlags {
    /// Namespace of the object named on the command line
    // The other two are argocd's.
    #[arg(short = 'n', long, global = true, value_name = "NAMESPACE", short_alias = 'N', alias = "app-namespace")]
    pub namespace: Option<String>,
    /// Name of the kubeconfig context to use
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Path to the kubeconfig file
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub kubeconfig: Option<PathBuf>,
    /// Name of the kubeconfig cluster to use
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub cluster: Option<String>,
    /// Name of the kubeconfig user to use
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub user: Option<String>,
    /// Address of the Kubernetes API server
    #[arg(short = 's', long, global = true, value_name = "URL", hide_short_help = true)]
    pub server: Option<String>,
    /// Bearer token for the API server
    #[arg(long, global = true, value_name = "TOKEN", hide_short_help = true, value_parser = hidden)]
    pub token: Option<Hidden>,
    /// User to impersonate
    #[arg(long = "as", global = true, value_name = "USER", hide_short_help = true)]
    pub impersonate: Option<String>,
    /// Group to impersonate; may be given several times
    #[arg(long = "as-group", global = true, value_name = "GROUP", hide_short_help = true)]
    pub impersonate_groups: Vec<String>,
    /// UID to impersonate
    #[arg(long = "as-uid", global = true, value_name = "UID", hide_short_help = true)]
    pub impersonate_uid: Option<String>,
    /// File with the certificate authority of the API server
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub certificate_authority: Option<PathBuf>,
    /// File with the client certificate
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub client_certificate: Option<PathBuf>,
    /// File with the client key
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub client_key: Option<PathBuf>,
    /// Name that the certificate of the API server must carry
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub tls_server_name: Option<String>,
    /// Accept any certificate of the API server
    #[arg(long, global = true, value_name = "BOOL", hide_short_help = true, action = ArgAction::Set,
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub insecure_skip_tls_verify: Option<bool>,
    /// How long to wait for one answer of the API server, for example 30s; 0 waits for ever
    #[arg(long, global = true, value_name = "DURATION", hide_short_help = true, value_parser = duration::parse)]
    pub request_timeout: Option<Duration>,
    /// End with 2 when the API server sends a warning
    #[arg(long, global = true, value_name = "BOOL", hide_short_help = true, action = ArgAction::Set,
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub warnings_as_errors: Option<bool>,
    /// Namespace of the controller
    #[arg(
        long,
        global = true,
        value_name = "NAMESPACE",
        hide_short_help = true,
        alias = "control-namespace",
        env = "GITOPS_CONTROLLER_NAMESPACE",
        hide_env_values = true,
        default_value = "argocd"
    )]
    pub controller_namespace: String,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", hide_short_help = true, default_value = "auto")]
    pub color: Color,
    #[command(flatten)]
    #[doc(hidden)]
    pub ignored: IgnoredFlags,
}

/// Flags of kubectl that mean nothing here; they are accepted so that wrappers keep working.
#[derive(Debug, Clone, Default, Args)]
pub struct IgnoredFlags {
    #[arg(long = "cache-dir", global = true, hide = true)]
    cache_dir: Option<PathBuf>,
    #[arg(long = "disable-compression", global = true, hide = true, action = ArgAction::Set,
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    disable_compression: Option<bool>,
    #[arg(long = "match-server-version", global = true, hide = true, action = ArgAction::Set,
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    match_server_version: Option<bool>,
    #[arg(long = "log-flush-frequency", global = true, hide = true)]
    log_flush_frequency: Option<String>,
    #[arg(long = "profile", global = true, hide = true)]
    profile: Option<String>,
    #[arg(long = "profile-output", global = true, hide = true)]
    profile_output: Option<String>,
    #[arg(long = "username", global = true, hide = true)]
    username: Option<String>,
    #[arg(long = "password", global = true, hide = true, value_parser = hidden)]
    password: Option<Hidden>,
    #[arg(short = 'v', long = "v", global = true, hide = true)]
    verbosity: Option<i32>,
    #[arg(long = "vmodule", global = true, hide = true)]
    vmodule: Option<String>,
}

fn hidden(text: &str) -> Result<Hidden, std::convert::Infallible> {
    Ok(Hidden(text.to_owned()))
}
