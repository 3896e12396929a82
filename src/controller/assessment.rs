//! What one look at an Application found, before it becomes status. Pure data.

use crate::api::application::ApplicationSource;
use crate::sync::{Comparison, Targets};

/// A condition to be: type and message.
pub type Notice = (&'static str, String);

/// What one look at an Application found.
#[derive(Debug, Default)]
pub struct Assessment {
    /// Sources that were looked at.
    pub sources: Vec<ApplicationSource>,
    /// Resolved revisions by index of the sources; empty strings where it failed.
    pub revisions: Vec<String>,
    /// Kinds of the sources by index (`Directory`, `Kustomize`, ...); empty where a source gives no manifests.
    pub source_types: Vec<String>,
    /// Target and live state; `None` when either could not be loaded.
    pub comparison: Option<Comparison>,
    /// The target state, when it could be loaded.
    pub targets: Option<Targets>,
    /// Conditions of the kinds in [`JUDGED`].
    pub notices: Vec<Notice>,
    /// Conditions that keep nobody from syncing, of the same kinds.
    pub remarks: Vec<Notice>,
}

/// Condition types that a look at an Application replaces as a whole.
pub const JUDGED: &[&str] = &[
    "InvalidSpecError",
    "UnknownError",
    "ComparisonError",
    "SharedResourceWarning",
    "RepeatedResourceWarning",
    "ExcludedResourceWarning",
    "UnsupportedFeatureWarning",
];

impl Assessment {
    /// Adds a condition.
    pub fn notice(&mut self, kind: &'static str, message: impl Into<String>) {
        self.notices.push((kind, message.into()));
    }

    /// What `FailOnSharedResource=true` fails with: the objects that other Applications manage as well.
    #[must_use]
    pub fn shared(&self) -> Option<String> {
        let shared: Vec<&str> = self
            .notices
            .iter()
            .filter(|(kind, _)| *kind == "SharedResourceWarning")
            .map(|(_, message)| message.as_str())
            .collect();
        (!shared.is_empty()).then(|| format!("Shared resource found: {}", shared.join("; ")))
    }

    /// The errors that keep an operation from running, joined; `None` when there are none.
    #[must_use]
    pub fn blocking(&self) -> Option<String> {
        let errors: Vec<&str> = self
            .notices
            .iter()
            .filter(|(kind, _)| matches!(*kind, "InvalidSpecError" | "ComparisonError" | "UnknownError"))
            .map(|(_, message)| message.as_str())
            .collect();
        (!errors.is_empty()).then(|| errors.join("; "))
    }
}
