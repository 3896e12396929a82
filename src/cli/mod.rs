//! The command line: one file per command, one folder per noun.

mod access;
pub mod app;
mod check;
mod context;
pub mod duration;
mod exit;
mod flags;
pub mod keys;
mod kubeconfig;
pub mod output;
pub mod reference;
mod reserved;
mod root;
pub mod seal;
pub mod version;
mod warnings;

pub use context::Context;
pub use exit::{CommandResult, Exit, Failure};
pub use flags::{Color, GlobalFlags};
pub use root::{Root, command, main};
