//! `check health`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::input;
use crate::cli::output::{Output, print_in_stream};
use crate::cli::{CommandResult, Context, Exit};
use crate::health::{self, Health, HealthCode};
use crate::resource::Object;
use crate::ui::{stream, text};

/// Say how healthy the controller would find live objects in files, without a cluster.
///
/// Prints one line per object. The status is empty where a kind has no health, which counts as healthy.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kubectl get deployment web -o yaml | kubectl gitops check health -f - --config argocd-cm.yaml"
)]
pub struct HealthArgs {
    /// File with live objects; `-` is standard input
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    filename: Vec<PathBuf>,
    /// ConfigMap argocd-cm with health scripts
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

/// Assesses them with the controller's own function.
///
/// # Errors
/// When a file cannot be read. A script that fails is an answer: `Unknown`, with its error.
pub async fn run(args: HealthArgs, _cx: &Context) -> CommandResult {
    let customisations = input::customisations(args.config.as_deref())?;
    let now = jiff::Timestamp::now().as_second();
    for file in &args.filename {
        for object in input::objects(file)? {
            let health = health::assess_with(&object, &customisations, now)
                .unwrap_or_else(|error| Some(Health::new(HealthCode::Unknown, error.to_string())));
            print(&object, health.as_ref(), args.output)?;
        }
    }
    Ok(Exit::Done)
}

fn print(object: &Object, health: Option<&Health>, output: Option<Output>) -> Result<(), crate::cli::Failure> {
    let status = health.map_or("", |health| health.status.as_str());
    let message = health.map_or("", |health| health.message.as_str());
    if let Some(output) = output {
        return print_in_stream(output, &json!({ "status": status, "message": message }));
    }
    let status = if status.is_empty() { "none" } else { status };
    stream::out(&format!("{}\n", text::clean(format!("{}: {status}  {message}", object.key()).trim_end())));
    Ok(())
}
