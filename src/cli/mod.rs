//! The command line: one file per command, one folder per noun.

mod access;
pub mod app;
pub mod appset;
mod check;
mod completion;
mod context;
mod doctor;
pub mod duration;
mod exit;
pub mod explain;
mod flags;
mod install;
pub mod keys;
mod kubeconfig;
mod kuberc;
mod kubeseal;
pub mod output;
pub mod project;
pub mod reference;
pub mod render;
mod repo;
pub mod reseal;
mod reserved;
mod root;
pub mod seal;
mod secrets;
pub mod unseal;
pub mod verify;
pub mod version;
mod warnings;
mod worktree;

pub use context::Context;
pub use exit::{CommandResult, Exit, Failure};
pub use flags::{Color, GlobalFlags};
pub use root::{Root, command, main};
