//! The controller: parses flags, sets up logs and the client, runs the loops.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kubectl_gitops::advice::{Advice, causes};
use kubectl_gitops::controller::applicationset::AppsetFlags;
use kubectl_gitops::controller::sealedsecret::SealingFlags;
use kubectl_gitops::controller::{self, Limit, Options};
use tracing_subscriber::EnvFilter;

/// Keeps the cluster as Git says: syncs Applications, opens SealedSecrets.
#[derive(Debug, Parser)]
#[command(name = "gitops-controller", version)]
struct Flags {
    /// Path to a kubeconfig file; without it the in-cluster configuration is used.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Namespace of Applications, projects, settings and sealing keys.
    #[arg(long, env = "POD_NAMESPACE", default_value = "argocd")]
    control_namespace: String,
    /// Where /healthz, /readyz, /metrics and the API for kubeseal are served.
    #[arg(long, alias = "listen-addr", default_value = "0.0.0.0:8080", value_parser = parse_address)]
    listen_address: SocketAddr,
    /// Requests per second to /v1/verify and to /v1/rotate that one client may make in the long run.
    #[arg(long, env = "SEALED_SECRETS_RATE_LIMIT", default_value = "2")]
    rate_limit: NonZeroU32,
    /// Requests to /v1/verify and to /v1/rotate that one client may make at once, besides the first.
    #[arg(long, env = "SEALED_SECRETS_RATE_LIMIT_BURST", default_value = "2")]
    rate_limit_burst: u32,
    /// Folder for mirrors of repositories and render results; may be lost at any time.
    #[arg(long, default_value = "/tmp/gitops-controller")]
    cache_dir: PathBuf,
    /// Form of the log lines.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Least level that is logged: error, warn, info, debug or trace.
    #[arg(long, default_value = "info")]
    log_level: String,
    #[command(flatten)]
    sealing: SealingFlags,
    #[command(flatten)]
    appsets: AppsetFlags,
}

/// `:8080`, as Go programs write it, means every address.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    full.parse().map_err(|_| "write it like 0.0.0.0:8080".to_owned())
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// One readable line per record.
    Text,
    /// One JSON object per line.
    Json,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    start_logging(&flags);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::from(2);
        }
    };
    runtime.block_on(async {
        tokio::select! {
            code = run(flags) => code,
            () = stopped() => {
                tracing::info!("stopped");
                ExitCode::SUCCESS
            }
        }
    })
}

fn start_logging(flags: &Flags) {
    let filter = EnvFilter::try_new(&flags.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match flags.log_format {
        LogFormat::Text => builder.with_ansi(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}

async fn run(flags: Flags) -> ExitCode {
    // One TLS provider for everything; an error only says that one is set already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = match client(flags.kubeconfig.as_deref()).await {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(cause = causes(error.as_ref()).join(": "), "cannot make a client: {error}");
            return ExitCode::from(2);
        }
    };
    for flag in flags.sealing.without_effect() {
        tracing::warn!("no effect: {flag}");
    }
    let options = Options {
        sealing: flags.sealing.options(&flags.control_namespace, identity()),
        appsets: flags
            .appsets
            .options(std::env::var("ARGOCD_APPLICATIONSET_CONTROLLER_POLICY").is_ok_and(|policy| !policy.is_empty())),
        control_namespace: flags.control_namespace,
        listen_address: flags.listen_address,
        rate_limit: Limit { per_second: flags.rate_limit, burst: flags.rate_limit_burst },
        cache_dir: flags.cache_dir,
    };
    match controller::run(client, options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(cause = causes(&error).join(": "), hint = error.hint(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Who this process is among several controllers: its pod, or a name of its own where there is none.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    format!("{host}-{}-{:08x}", std::process::id(), rand::random::<u32>())
}

async fn client(kubeconfig: Option<&std::path::Path>) -> Result<Client, Box<dyn std::error::Error + Send + Sync>> {
    let config = match kubeconfig {
        Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await?,
        None => Config::incluster()?,
    };
    Ok(Client::try_from(config)?)
}

/// Resolves when the process is asked to end.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
