//! The command line: one file per command, one folder per noun.

mod context;
mod exit;

pub use context::{Context, GlobalFlags};
pub use exit::{CommandResult, Exit, Failure};
