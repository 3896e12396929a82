//! Exit codes and the error that a command ends with.

use std::error::Error;

use crate::advice::{Advice, causes};

/// Exit codes; they are documented and stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or no difference.
    Done = 0,
    /// Ran fine and the answer is no: differs, unhealthy, check failed, sync failed.
    No = 1,
    /// Could not run: usage, file, access, not found, no cluster.
    CouldNotRun = 2,
    /// Timed out while waiting.
    TimedOut = 3,
    /// Interrupted by Ctrl-C.
    Interrupted = 130,
}

/// What a command gives back.
pub type CommandResult = Result<Exit, Failure>;

/// A command's error, ready to print as `error:`, `cause:` and `hint:` lines.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What failed, with the object.
    pub what: String,
    /// Causes, outermost first.
    pub causes: Vec<String>,
    /// What to do, usually a command to paste.
    pub hint: Option<String>,
    /// Exit code.
    pub exit: Exit,
}

impl Failure {
    /// Makes a failure that could not run.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), causes: Vec::new(), hint: None, exit: Exit::CouldNotRun }
    }

    /// Says before what failed where it did: a file, or a file and its line.
    #[must_use]
    pub fn at(mut self, place: impl std::fmt::Display) -> Self {
        self.what = format!("{place}: {}", self.what);
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a cause and its own causes.
    #[must_use]
    pub fn with_cause(mut self, cause: &dyn Error) -> Self {
        self.causes.push(cause.to_string());
        self.causes.extend(causes(cause));
        self
    }

    /// Changes the exit code.
    #[must_use]
    pub const fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl<E: Advice + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { what: error.to_string(), causes: causes(&error), hint: error.hint(), exit: Exit::CouldNotRun }
    }
}
