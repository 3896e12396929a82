//! `resource.exclusions` and `resource.inclusions`: kinds that are left alone altogether.
//!
//! Source: Argo CD 3.5 (reference section 8.1): exclusions beat inclusions; once an inclusion is about a cluster, everything
//! else on it is excluded.

use serde::Deserialize;
use serde_json::Value;

use super::matches;
use crate::resource::GroupKind;

/// Kinds that nobody can want to manage: they change all the time and are made by the cluster.
const ALWAYS: &[(&str, &str)] =
    &[("events.k8s.io", "*"), ("metrics.k8s.io", "*"), ("", "Event"), ("coordination.k8s.io", "Lease")];

/// One entry of a list: an empty list stands for anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Selected {
    api_groups: Vec<String>,
    kinds: Vec<String>,
    clusters: Vec<String>,
}

/// Which kinds are left alone. The default leaves only those alone that always are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindFilter {
    exclusions: Vec<Selected>,
    inclusions: Vec<Selected>,
}

impl KindFilter {
    /// Reads the two lists, already parsed; an absent one is null.
    pub(super) fn read(exclusions: Value, inclusions: Value) -> Result<Self, (&'static str, String)> {
        let list = |key: &'static str, value: Value| match value {
            Value::Null => Ok(Vec::new()),
            value => serde_json::from_value::<Vec<Selected>>(value).map_err(|error| (key, error.to_string())),
        };
        Ok(Self { exclusions: list("resource.exclusions", exclusions)?, inclusions: list("resource.inclusions", inclusions)? })
    }

    /// True when objects of a kind are neither watched nor compared, synced or pruned on the cluster with this server URL.
    #[must_use]
    pub fn excludes(&self, kind: &GroupKind, server: &str) -> bool {
        let always = ALWAYS.iter().any(|(group, name)| *group == kind.group && (*name == "*" || *name == kind.kind));
        if always || self.exclusions.iter().any(|one| one.is_about(server) && one.names(kind)) {
            return true;
        }
        let mut about = self.inclusions.iter().filter(|one| one.is_about(server)).peekable();
        about.peek().is_some() && !about.any(|one| one.names(kind))
    }
}

impl Selected {
    fn is_about(&self, server: &str) -> bool {
        self.clusters.is_empty() || self.clusters.iter().any(|pattern| matches(pattern, server))
    }

    fn names(&self, kind: &GroupKind) -> bool {
        let group = self.api_groups.is_empty() || self.api_groups.iter().any(|pattern| matches(pattern, &kind.group));
        group && (self.kinds.is_empty() || self.kinds.iter().any(|name| name == "*" || *name == kind.kind))
    }
}
