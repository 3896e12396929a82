//! Remembers renders that failed, for a short time: an application is looked at whenever one of its live objects changes, and a
//! build that fails or hangs must not be run each time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::RenderError;
use super::cache::RenderKey;

/// Shorter than the wait of the controller after an error, so that its next look tries again: a build may depend on what is not
/// among its inputs, such as a remote base.
const KEPT: Duration = Duration::from_secs(50);
/// Most failures that are kept.
const MAX_FAILURES: usize = 1000;

#[derive(Default)]
pub(super) struct Failures(HashMap<RenderKey, (Instant, RenderError)>);

impl Failures {
    pub(super) fn get(&self, key: &RenderKey) -> Option<RenderError> {
        self.0.get(key).filter(|(at, _)| at.elapsed() < KEPT).map(|(_, error)| error.clone())
    }

    /// Errors of this machine are not kept: they may be gone at once, and a cache that was lost is made anew.
    pub(super) fn put(&mut self, key: RenderKey, error: &RenderError) {
        if matches!(
            error,
            RenderError::Source(_)
                | RenderError::Dependency { .. }
                | RenderError::Machine { .. }
                | RenderError::ProgramMissing
                | RenderError::HelmMissing
        ) {
            return;
        }
        self.0.retain(|_, (at, _)| at.elapsed() < KEPT);
        if self.0.len() < MAX_FAILURES {
            self.0.insert(key, (Instant::now(), error.clone()));
        }
    }
}
