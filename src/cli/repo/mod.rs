//! Commands about registered repositories: the Secrets that say how they are reached.

mod add;
mod input;
mod list;
mod place;
mod rm;
mod secret;
mod test_access;

use clap::Subcommand;

use super::{CommandResult, Context};

/// The commands about repositories.
#[derive(Debug, Subcommand)]
pub(super) enum RepoCommand {
    Add(Box<add::AddArgs>),
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    #[command(alias = "delete")]
    Rm(rm::RmArgs),
}

/// Runs one of them.
///
/// # Errors
/// As the command says.
pub(super) async fn run(command: RepoCommand, cx: &Context) -> CommandResult {
    match command {
        RepoCommand::Add(args) => add::run(*args, cx).await,
        RepoCommand::List(args) => list::run(args, cx).await,
        RepoCommand::Rm(args) => rm::run(args, cx).await,
    }
}
