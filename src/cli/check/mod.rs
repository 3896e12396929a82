//! `check`: what the controller would say of objects in files, without a cluster.

mod diff;
mod health;
pub(super) mod input;

use clap::Subcommand;

use super::{CommandResult, Context};

/// The checks.
#[derive(Debug, Subcommand)]
pub(super) enum CheckCommand {
    Health(health::HealthArgs),
    Diff(diff::DiffArgs),
}

/// Runs one of them.
///
/// # Errors
/// As the command says.
pub(super) async fn run(command: CheckCommand, cx: &Context) -> CommandResult {
    match command {
        CheckCommand::Health(args) => health::run(args, cx).await,
        CheckCommand::Diff(args) => diff::run(args, cx).await,
    }
}
