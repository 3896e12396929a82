//! What the reader of an error should do next: the vocabulary that every error type of this crate answers in.
//!
//! The remedy is read twice: the command line maps it to a heading and an exit code, the controller maps it to a condition
//! and a requeue. There is no second list of cases.

use std::error::Error;
use std::time::Duration;

/// What has to happen before trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The manifest, flag or file that the user wrote is wrong; retrying without a change cannot help.
    FixInput,
    /// A credential or a permission is missing; retrying helps once somebody grants it.
    GrantAccess,
    /// The other side is away or busy; trying again after this time may help.
    WaitAndRetry {
        /// Shortest sensible wait before the next attempt.
        after: Duration,
    },
    /// The program contradicted itself.
    ReportBug,
}

/// An error that tells its reader what to do.
pub trait Advice: Error {
    /// Says what has to happen before another attempt makes sense.
    fn remedy(&self) -> Remedy;

    /// Names the field, flag, permission or command that solves it, if one is known. One sentence, no final full stop.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// Returns the causes below an error, outermost first, each as its own text; causes that repeat their parent are left out.
#[must_use]
pub fn causes(error: &dyn Error) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut previous = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !previous.contains(&text) {
            found.push(text.clone());
        }
        previous = text;
        next = cause.source();
    }
    found
}

/// Renders an error, its causes and its hint on one line, for conditions and events.
#[must_use]
pub fn one_line(error: &dyn Advice, as_error: &dyn Error) -> String {
    let mut text = as_error.to_string();
    for cause in causes(as_error) {
        text.push_str(": ");
        text.push_str(&cause);
    }
    if let Some(hint) = error.hint() {
        text.push_str(" (hint: ");
        text.push_str(&hint);
        text.push(')');
    }
    text
}
