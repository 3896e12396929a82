//! Target and live state side by side, and what follows from it for the Application. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::LiveObject;
use crate::diff::Rules;
use crate::health::{self, HealthCode};
use crate::resource::annotations::{COMPARE_OPTIONS, IGNORE_HEALTHCHECK, SYNC_OPTIONS};
use crate::resource::{Object, ResourceKey};
use crate::sync::hooks::{self, Role};

/// Result of comparing one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncCode {
    /// Live and target agree.
    Synced,
    /// They differ, or one of them is missing.
    OutOfSync,
    /// It could not be told.
    Unknown,
}

impl SyncCode {
    /// Name as in the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::OutOfSync => "OutOfSync",
            Self::Unknown => "Unknown",
        }
    }
}

/// One object with its target and live state; at least one of them is there.
#[derive(Debug, Clone)]
pub struct Item {
    /// Identity.
    pub key: ResourceKey,
    /// Target, with its mark.
    pub target: Option<Object>,
    /// Live state.
    pub live: Option<Arc<LiveObject>>,
    /// Live state, parsed, where an option in it matters (objects without a target).
    pub live_object: Option<Object>,
    /// What it is to a sync.
    pub role: Role,
    /// Whether target and live differ.
    pub code: SyncCode,
    /// True when our field manager has applied the live object before.
    pub applied_by_us: bool,
    /// Which differences do not count.
    pub rules: Rules,
}

impl Item {
    /// Puts target and live state side by side; they count as different until somebody has compared them.
    #[must_use]
    pub fn new(key: ResourceKey, target: Option<Object>, live: Option<Arc<LiveObject>>) -> Self {
        let declared = target.as_ref().map(hooks::role);
        // Of most objects the target says all that matters, and parsing every live one would cost.
        let parsed = matches!(declared, None | Some(Role::Hook(_)));
        let live_object = if parsed { live.as_ref().map(|live| live.object()) } else { None };
        Self {
            key,
            role: declared.or_else(|| live_object.as_ref().map(hooks::role)).unwrap_or(Role::Ordinary),
            code: SyncCode::OutOfSync,
            applied_by_us: live.as_ref().is_some_and(|live| live.applied_by_us),
            rules: Rules::default(),
            target,
            live,
            live_object,
        }
    }

    /// True when it counts for the sync status: an ordinary object that is not a foreign copy.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.role == Role::Ordinary && !self.is_foreign_copy()
    }

    /// True for a live object without target whose tracking id was written for another object.
    #[must_use]
    pub fn is_foreign_copy(&self) -> bool {
        self.target.is_none() && self.live.as_ref().is_some_and(|live| !live.is_own())
    }

    /// True when the live object left the target state and a sync with prune would delete it.
    ///
    /// Never true for hooks, foreign copies and objects that another object owns.
    #[must_use]
    pub fn requires_pruning(&self) -> bool {
        self.target.is_none() && self.counts() && self.live.as_ref().is_some_and(|live| !live.has_owner)
    }

    /// Sync wave, from the target where there is one.
    #[must_use]
    pub fn wave(&self) -> i64 {
        self.target.as_ref().or(self.live_object.as_ref()).map_or(0, hooks::wave)
    }

    /// True when target or live carries a sync option.
    #[must_use]
    pub fn has_option(&self, option: &str) -> bool {
        [&self.target, &self.live_object].into_iter().flatten().any(|object| object.has_option(SYNC_OPTIONS, option))
    }

    /// Health of the live object: `None` when the kind has none, `Missing` when it is not there.
    #[must_use]
    pub fn health(&self) -> Option<HealthCode> {
        self.live.as_ref().map_or(Some(HealthCode::Missing), |live| live.health.as_ref().map(|health| health.status))
    }

    /// True for an extra object that does not count against the sync status.
    fn is_ignored_extra(&self) -> bool {
        self.target.is_none()
            && self.live_object.as_ref().is_some_and(|live| live.has_option(COMPARE_OPTIONS, "IgnoreExtraneous"))
    }

    fn is_hook(&self) -> bool {
        self.role != Role::Ordinary
    }

    /// The annotation is read from what was applied: the target where there is one.
    fn ignores_health(&self) -> bool {
        let annotated = |object: &Object| object.annotation(IGNORE_HEALTHCHECK) == Some("true");
        self.live.is_some() && self.target.as_ref().or(self.live_object.as_ref()).is_some_and(annotated)
    }
}

/// All objects of an Application, by identity.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// The objects.
    pub items: BTreeMap<ResourceKey, Item>,
}

impl Comparison {
    /// Sync status of the Application.
    #[must_use]
    pub fn code(&self) -> SyncCode {
        let counted = || self.items.values().filter(|item| item.counts() && !item.is_ignored_extra());
        if counted().any(|item| item.code == SyncCode::Unknown) {
            SyncCode::Unknown
        } else if counted().any(|item| item.code == SyncCode::OutOfSync) {
            SyncCode::OutOfSync
        } else {
            SyncCode::Synced
        }
    }

    /// Health of the Application.
    #[must_use]
    pub fn health(&self) -> HealthCode {
        health::aggregate(self.items.values().filter(|item| !item.is_hook()).map(|item| health::Item {
            health: item.health(),
            missing: item.live.is_none(),
            ignored: item.ignores_health(),
            child_application: item.key.group == "argoproj.io" && item.key.kind == "Application",
        }))
    }

    /// Objects that are not Synced and count.
    pub fn out_of_sync(&self) -> impl Iterator<Item = &Item> {
        self.items.values().filter(|item| item.counts() && item.code != SyncCode::Synced)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::resource::annotations::TRACKING_ID;

    fn extra(metadata: &Value) -> Item {
        let mut object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "namespace": "prod" } });
        for (key, value) in metadata.as_object().into_iter().flatten() {
            object["metadata"][key] = value.clone();
        }
        let live = LiveObject::from_object(Object::from_value(object).unwrap_or_default());
        Item::new(live.key.clone(), None, Some(Arc::new(live)))
    }

    fn code(item: &Item) -> SyncCode {
        Comparison { items: [(item.key.clone(), item.clone())].into() }.code()
    }

    /// T23 and T24.
    #[test]
    fn objects_that_carry_a_copied_mark_stay_out_of_it() {
        let marked = |id: &str| json!({ TRACKING_ID: id });
        let own = extra(&json!({ "annotations": marked("web:/ConfigMap:prod/a") }));
        assert!(own.counts() && own.requires_pruning());
        let copy = extra(&json!({ "annotations": marked("web:/ConfigMap:other/a") }));
        assert!(!copy.counts() && !copy.requires_pruning());
        assert_eq!(code(&copy), SyncCode::Synced);
        let owners = json!([{ "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u" }]);
        let owned = extra(&json!({ "annotations": marked("web:/ConfigMap:prod/a"), "ownerReferences": owners }));
        assert!(!owned.requires_pruning());
    }

    /// T38.
    #[test]
    fn an_extra_object_may_not_count_and_is_pruned_all_the_same() {
        let item =
            extra(&json!({ "annotations": { TRACKING_ID: "web:/ConfigMap:prod/a", COMPARE_OPTIONS: "IgnoreExtraneous" } }));
        assert_eq!((item.code, code(&item)), (SyncCode::OutOfSync, SyncCode::Synced));
        assert!(item.requires_pruning());
    }
}
