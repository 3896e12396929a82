//! Commands about Applications.

pub mod adopt;
mod change;
pub mod create;
pub mod delete;
pub mod diff;
pub mod drift;
pub mod follow;
pub mod get;
pub mod history;
pub mod list;
mod model;
mod options;
pub mod pause;
pub mod refresh;
pub mod rollback;
mod select;
pub mod set;
pub mod status;
pub mod sync;
pub mod wait;
mod windows;
pub mod workshop;

pub use change::Change;
pub use model::{App, path_or_chart, revisions, short};
pub use options::SourceOptions;
pub use select::{AppRef, Selection, api, api_all, each_page, get, list as list_apps};

use clap::Subcommand;

use super::{CommandResult, Context};

#[derive(Debug, Subcommand)]
pub(super) enum AppCommand {
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    Get(get::GetArgs),
    Status(status::StatusArgs),
    Diff(diff::DiffArgs),
    Drift(drift::DriftArgs),
    #[command(alias = "capture")]
    Adopt(adopt::AdoptArgs),
    #[command(alias = "reconcile")]
    Sync(Box<sync::SyncArgs>),
    Wait(wait::WaitArgs),
    History(history::HistoryArgs),
    Refresh(refresh::RefreshArgs),
    #[command(alias = "manifests")]
    Render(Box<super::render::RenderArgs>),
    Rollback(rollback::RollbackArgs),
    Create(Box<create::CreateArgs>),
    Set(Box<set::SetArgs>),
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
    Pause(pause::PauseArgs),
    Resume(pause::ResumeArgs),
}

pub(super) async fn run(command: AppCommand, cx: &Context) -> CommandResult {
    match command {
        AppCommand::List(args) => list::run(args, cx).await,
        AppCommand::Get(args) => get::run(args, cx).await,
        AppCommand::Diff(args) => diff::run(args, cx).await,
        AppCommand::Drift(args) => drift::run(args, cx).await,
        AppCommand::Adopt(args) => adopt::run(args, cx).await,
        AppCommand::Status(args) => status::run(args, cx).await,
        AppCommand::Sync(args) => sync::run(*args, cx).await,
        AppCommand::Wait(args) => wait::run(args, cx).await,
        AppCommand::History(args) => history::run(args, cx).await,
        AppCommand::Refresh(args) => refresh::run(args, cx).await,
        AppCommand::Render(args) => super::render::run(*args, cx).await,
        AppCommand::Rollback(args) => rollback::run(args, cx).await,
        AppCommand::Create(args) => create::run(*args, cx).await,
        AppCommand::Set(args) => set::run(*args, cx).await,
        AppCommand::Delete(args) => delete::run(args, cx).await,
        AppCommand::Pause(args) => pause::pause(args, cx).await,
        AppCommand::Resume(args) => pause::resume(args, cx).await,
    }
}
