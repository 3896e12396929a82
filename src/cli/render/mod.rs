//! `render`: the manifests of an Application or of a folder, as the controller would make them.

mod load;
mod show;

use std::path::PathBuf;

use clap::Args;

use super::app::SourceOptions;
use super::output::Output;
use super::{CommandResult, Context, Exit};
use crate::render::Tools;

/// Print the manifests of an Application, or of a folder on this machine.
///
/// A folder is rendered as it is, uncommitted files included, and needs no cluster; with -f the options of an Application in a file
/// apply. Of an Application the target revision is fetched and rendered here. Values of Secrets are hidden unless --show-secrets.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops render apps/web --kustomize-image web:1.2")]
pub struct RenderArgs {
    /// The Application, or a folder with manifests, a kustomization or a chart; a folder that exists comes first
    #[arg(value_name = "NAME|PATH", default_value_if("file", clap::builder::ArgPredicate::IsPresent, "."))]
    target: String,
    /// File with an Application whose source to render, from the work tree of PATH
    #[arg(short = 'f', long, value_name = "FILE", alias = "app")]
    file: Option<PathBuf>,
    /// Commit, tag, branch or version, instead of the target revision
    #[arg(long, value_name = "REVISION", conflicts_with = "file")]
    revision: Option<String>,
    /// Say instead what was read, what rendered it, and under which key it is remembered
    #[arg(long)]
    explain: bool,
    /// Show the values of Secrets
    #[arg(long)]
    show_secrets: bool,
    /// Write one file per object into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "explain")]
    output_dir: Option<PathBuf>,
    #[command(flatten)]
    options: SourceOptions,
    /// Version of Kubernetes that charts of a folder see
    #[arg(long, value_name = "VERSION")]
    kube_version: Option<String>,
    /// Kind or version that charts of a folder see, as GROUP/VERSION or GROUP/VERSION/KIND; may be given several times
    #[arg(long, value_name = "VERSION")]
    api_versions: Vec<String>,
    /// Options of kustomize's build for a folder, as in kustomize.buildOptions; may be given several times
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    kustomize_build_option: Vec<String>,
    /// Output format: json, yaml or name
    #[arg(short, long, value_name = "FORMAT", value_parser = parse_output)]
    output: Option<Output>,
}

fn parse_output(text: &str) -> Result<Output, String> {
    match Output::parse_object(text) {
        Ok(Output::Wide) | Err(_) => Err("offered are: json, yaml, name".into()),
        Ok(output) => Ok(output),
    }
}

impl RenderArgs {
    fn tools(&self) -> Tools {
        Tools { kustomize_build_options: self.kustomize_build_option.clone(), ..Tools::default() }
    }
}

/// Renders.
///
/// # Errors
/// When a source cannot be read or rendered, or the cluster cannot be asked for the Application.
pub async fn run(args: RenderArgs, cx: &Context) -> CommandResult {
    let answer = load::load(&args, cx).await?;
    if args.explain {
        show::explain(&answer, args.output)?;
    } else {
        show::manifests(answer, &args)?;
    }
    Ok(Exit::Done)
}
