//! What decides whether a difference of one object counts: the Application's `ignoreDifferences`, the operators' customisations,
//! and the settings for all comparisons.
//!
//! Source: Argo CD 3.5 (reference sections 1.13, 5.1, 5.4 and 5.7).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{IgnoreRule, fields, jq, quantity};
use crate::api::application::ResourceIgnoreDifferences;
use crate::customisation::{Customisations, KnownType};
use crate::resource::{GroupKind, Object, ResourceKey};

/// Fields that somebody owns, as `FieldsV1`.
type Fields = Map<String, Value>;

/// What decides whether a difference of one object counts. The default ignores `status` only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    pub(super) ignore: Vec<IgnoreRule>,
    managers: BTreeSet<String>,
    owned: Vec<Fields>,
    known: Vec<KnownType>,
    ignore_aggregated_roles: bool,
    /// True when `status` in Git counts.
    pub(super) status_counts: bool,
}

impl Rules {
    /// The rules of one object: those of its Application and those of the operators add up.
    #[must_use]
    pub fn of(key: &ResourceKey, of_app: &[ResourceIgnoreDifferences], customisations: &Customisations) -> Self {
        let matching: Vec<&ResourceIgnoreDifferences> =
            of_app.iter().chain(customisations.ignore_differences()).filter(|rule| super::ignore::concerns(rule, key)).collect();
        let kind = key.group_kind();
        Self {
            ignore: matching.iter().map(|rule| IgnoreRule::from(*rule)).collect(),
            managers: matching.iter().flat_map(|rule| &rule.managed_fields_managers).cloned().collect(),
            owned: Vec::new(),
            known: customisations.known_types(&kind),
            ignore_aggregated_roles: customisations.compare.ignore_aggregated_roles,
            status_counts: customisations.compare.status_counts(&kind),
        }
    }

    /// Rules that ignore the fields at these RFC 6901 pointers.
    #[must_use]
    pub fn from_pointers(pointers: &[String]) -> Self {
        Self { ignore: vec![IgnoreRule::from_pointers(pointers)], ..Self::default() }
    }

    /// Finds a jq path expression that cannot be run. Nothing can be said of the object then.
    ///
    /// # Errors
    /// The expression and why.
    pub fn check(&self) -> Result<(), jq::JqError> {
        self.ignore.iter().flat_map(IgnoreRule::expressions).try_for_each(|expression| jq::check(expression))
    }

    /// True when a rule ignores what certain field managers own: then the whole live object has to be read once, because what
    /// is kept of it says nothing of other managers.
    #[must_use]
    pub fn asks_for_owners(&self) -> bool {
        !self.managers.is_empty() && self.owned.is_empty()
    }

    /// The rules with the fields that the named managers own in a live object, which must carry its `managedFields`.
    #[must_use]
    pub fn with_owners(mut self, live: &Object) -> Self {
        self.owned = fields::owned_by_any(live, &self.managers);
        self
    }

    /// Removes what is ignored in one object, whatever another one says.
    pub(super) fn strip(&self, object: &mut Object) {
        for rule in &self.ignore {
            rule.remove_from(object);
        }
    }

    /// Removes from both objects what the named managers own in the live one.
    pub(super) fn strip_owned(&self, wanted: &mut Object, live: &mut Object) {
        for owned in &self.owned {
            fields::remove_from_both(&mut wanted.0, &mut live.0, owned);
        }
    }

    /// Makes two stripped objects comparable: what the named managers own goes, aggregated rules go, and another spelling of
    /// the same quantity becomes the live one's.
    pub fn align(&self, wanted: &mut Object, live: &mut Object) {
        self.strip_owned(wanted, live);
        for object in [&mut *wanted, &mut *live] {
            self.drop_role_rules(object);
        }
        quantity::adopt_spelling(wanted, live, &self.known);
    }

    fn drop_role_rules(&self, object: &mut Object) {
        if object.group() != "rbac.authorization.k8s.io" || !matches!(object.kind(), "Role" | "ClusterRole") {
            return;
        }
        let empty = object.0.get("rules").is_some_and(|rules| rules.is_null() || rules.as_array().is_some_and(Vec::is_empty));
        let aggregated = object.0.get("aggregationRule").is_some_and(|rule| !rule.is_null());
        if empty || (self.ignore_aggregated_roles && aggregated) {
            object.0.remove("rules");
        }
    }
}

impl crate::customisation::CompareOptions {
    /// True when `status` in Git counts for a kind.
    #[must_use]
    pub fn status_counts(&self, kind: &GroupKind) -> bool {
        use crate::customisation::StatusFields;
        match self.ignore_status {
            StatusFields::All => false,
            StatusFields::Crd => kind.kind != "CustomResourceDefinition" || kind.group != "apiextensions.k8s.io",
            StatusFields::None => true,
        }
    }
}
