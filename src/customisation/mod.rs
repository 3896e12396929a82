//! What operators change about kinds in `argocd-cm`: health scripts, ignored differences, known types. Pure.
//!
//! ```text
//! argocd-cm data ── parse ──> Customisations ──> health::assess_with, diff::rules_for
//!                                   └──> problems: key, cause, hint; a broken entry concerns its own kinds only
//! ```
//!
//! Source: Argo CD 3.5, `resource.customizations` and `resource.compareoptions` (reference sections 5.7, 7.5 and 8.1).

mod filter;
mod options;
mod parse;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use globset::Glob;

use crate::api::application::ResourceIgnoreDifferences;
use crate::resource::GroupKind;

pub use filter::KindFilter;
pub use options::{CompareOptions, StatusFields};
pub use settings::{Impersonation, ResourceSettings};

/// What was written and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("argocd-cm {key}: {cause}")]
pub struct Problem {
    /// Key of the ConfigMap, with the item of the map where it is the old single key.
    pub key: String,
    /// What is wrong.
    pub cause: String,
    /// What would be right.
    pub hint: String,
    /// Kinds that are concerned, as `group/Kind`, `Kind` or a pattern; `None` when it concerns no kind.
    pub kinds: Option<String>,
}

impl crate::advice::Advice for Problem {
    fn remedy(&self) -> crate::advice::Remedy {
        crate::advice::Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }
}

/// A health check in Lua.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct HealthScript {
    /// The script.
    pub source: String,
    /// Whether it may use the libraries `string`, `math` and the whole of `os` that the sandbox has.
    pub open_libs: bool,
}

/// What is said of the kinds that one key names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Entry {
    health: String,
    open_libs: bool,
    ignore: Option<ResourceIgnoreDifferences>,
    ignore_updates: Option<ResourceIgnoreDifferences>,
    known_types: Vec<KnownType>,
}

/// A field of a custom resource that has a type of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Deserialize)]
pub struct KnownType {
    /// Path with dots; lists on the way are walked.
    pub field: String,
    /// `core/v1/PodSpec`, `core/Quantity`, `meta/v1/Duration` and the like.
    #[serde(rename = "type")]
    pub type_: String,
}

/// All customisations. The default value changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Customisations {
    entries: BTreeMap<String, Entry>,
    ignored: Vec<ResourceIgnoreDifferences>,
    /// Settings for all comparisons.
    pub compare: CompareOptions,
    /// What cannot be used.
    pub problems: Vec<Problem>,
}

/// Keys of `argocd-cm` that belong here.
pub const PREFIX: &str = "resource.customizations";
/// Key of the settings for all comparisons.
pub const COMPARE_OPTIONS: &str = "resource.compareoptions";

impl Customisations {
    /// Reads the data of `argocd-cm`. What cannot be read is named in `problems` and the rest holds.
    #[must_use]
    pub fn from_config_map(data: &BTreeMap<String, String>) -> Self {
        parse::read(data)
    }

    /// The health script of a kind: its own, else that of a pattern, the first in the order of the texts.
    #[must_use]
    pub fn health_script(&self, kind: &GroupKind) -> Option<HealthScript> {
        if self.entries.is_empty() {
            return None;
        }
        let name = kind.to_string();
        let has_script = |entry: &&Entry| !entry.health.is_empty();
        let own = self.entries.get(&name).filter(has_script);
        let entry =
            own.or_else(|| self.patterns().find(|(key, entry)| has_script(entry) && matches(key, &name)).map(|(_, e)| e))?;
        Some(HealthScript { source: entry.health.clone(), open_libs: entry.open_libs })
    }

    /// Differences that count for no Application.
    #[must_use]
    pub fn ignore_differences(&self) -> &[ResourceIgnoreDifferences] {
        &self.ignored
    }

    /// Changes of a kind that are no reason to look at its Application again.
    pub fn ignore_updates<'a>(&'a self, kind: &'a GroupKind) -> impl Iterator<Item = &'a ResourceIgnoreDifferences> {
        let own = self.entries.iter().filter(move |(key, _)| concerns(key, kind));
        own.filter_map(|(_, entry)| entry.ignore_updates.as_ref())
    }

    /// Fields of a kind that have a type of Kubernetes.
    #[must_use]
    pub fn known_types(&self, kind: &GroupKind) -> Vec<KnownType> {
        self.entries.get(&kind.to_string()).map(|entry| entry.known_types.clone()).unwrap_or_default()
    }

    /// What is broken about a kind's comparison: guessing would overwrite fields that somebody wanted to be left alone.
    #[must_use]
    pub fn problem_of(&self, kind: &GroupKind) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.kinds.as_deref().is_some_and(|key| concerns(key, kind)))
    }

    /// True when nothing is customised, so that nothing has to be looked up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.problems.is_empty()
    }

    fn patterns(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries.iter().filter(|(key, _)| key.contains(['*', '?', '[', '{']))
    }
}

/// A pattern over the whole of `group/Kind`, in which `*` also stands for a slash, as in Argo CD.
fn matches(pattern: &str, name: &str) -> bool {
    Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(name))
}

/// Group and kind of a key are matched one by one where differences are meant; a key without a slash is the core group.
fn concerns(key: &str, kind: &GroupKind) -> bool {
    let (group, name) = key.split_once('/').unwrap_or(("", key));
    (group == kind.group || matches(group, &kind.group)) && (name == kind.kind || matches(name, &kind.kind))
}
