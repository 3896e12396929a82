//! `keys cert`.

use clap::Args;

use super::certificate;
use crate::cli::{CommandResult, Context, Exit};
use crate::sealing::Certificate;
use crate::ui::stream;

/// Print the certificate that Secrets are sealed with.
///
/// Reads only. The certificate is public: keep it in the repository, and `kubectl gitops seal --cert` works without the cluster.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops keys cert > cert.pem")]
pub struct CertArgs {
    /// Name of the Service of a Sealed Secrets controller, asked when no certificate is published
    #[arg(long, value_name = "NAME", env = "SEALED_SECRETS_CONTROLLER_NAME", hide_env_values = true, default_value = crate::keys::store::SERVICE)]
    controller_name: String,
}

/// Prints it as PEM.
///
/// # Errors
/// When the cluster has no sealing controller, or cannot be asked.
pub async fn run(args: CertArgs, cx: &Context) -> CommandResult {
    print(&args.controller_name, cx).await
}

/// Prints the certificate of the controller behind this Service, or of the cluster.
pub async fn print(service: &str, cx: &Context) -> CommandResult {
    let certificate = Certificate::from_pem(&certificate::from_cluster(service, cx).await?)?;
    stream::out(&certificate.pem);
    let until = certificate.not_after.strftime("%Y-%m-%d");
    stream::say(&format!("key {}, valid until {until}", certificate.fingerprint));
    Ok(Exit::Done)
}
