//! Commands about Applications.

pub mod get;
pub mod list;
mod model;
mod select;

pub use model::App;
pub use select::{AppRef, Selection};

use clap::Subcommand;

use super::{CommandResult, Context};

/// Commands about Applications.
#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// List Applications, worst first
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show one Application: where it comes from, where it goes, what state it is in
    Get(get::GetArgs),
}

/// Runs a command of the noun `app`.
///
/// # Errors
/// What the command says.
pub async fn run(command: AppCommand, cx: &Context) -> CommandResult {
    match command {
        AppCommand::List(args) => list::run(args, cx).await,
        AppCommand::Get(args) => get::run(args, cx).await,
    }
}
