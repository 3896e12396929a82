//! Which part of a sync an object belongs to.
//!
//! Source: Argo CD 3.5 hooks (reference section 6.3): Argo's annotation first, Helm's when it names no valid type.

mod delete_policy;
mod run;

pub use delete_policy::DeletePolicies;
pub use run::{Attempt, Hook, HookPhase, LiveHook};

use crate::resource::Object;
use crate::resource::annotations::{HELM_HOOK, HELM_HOOK_WEIGHT, HOOK, SYNC_WAVE};

/// Phase of a sync, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Before anything is applied.
    PreSync,
    /// The objects of the application.
    Sync,
    /// After the objects are healthy.
    PostSync,
    /// After a failure.
    SyncFail,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 4] = [Self::PreSync, Self::Sync, Self::PostSync, Self::SyncFail];

    /// Name as in annotations and status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreSync => "PreSync",
            Self::Sync => "Sync",
            Self::PostSync => "PostSync",
            Self::SyncFail => "SyncFail",
        }
    }
}

/// What an object is to a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Applied in the Sync phase, compared, pruned.
    Ordinary,
    /// A hook of these types (phases of a sync, or `PreDelete`/`PostDelete`).
    Hook(Vec<&'static str>),
    /// Neither applied nor counted: `Skip`, or an annotation that names no valid type.
    Left,
}

const ARGO_TYPES: &[&str] = &["PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete"];
const HELM_TYPES: &[(&str, &str)] = &[
    ("pre-install", "PreSync"),
    ("pre-upgrade", "PreSync"),
    ("post-install", "PostSync"),
    ("post-upgrade", "PostSync"),
    ("pre-delete", "PreDelete"),
    ("post-delete", "PostDelete"),
];

/// Says what an object is to a sync.
#[must_use]
pub fn role(object: &Object) -> Role {
    let argo = object.annotation(HOOK);
    let helm = object.annotation(HELM_HOOK);
    let types: Vec<&'static str> = match argo {
        Some(list) => elements(list).filter_map(|one| ARGO_TYPES.iter().copied().find(|known| *known == one)).collect(),
        None => Vec::new(),
    };
    if !types.is_empty() {
        return Role::Hook(types);
    }
    if argo.is_some_and(|list| elements(list).any(|one| one == "Skip")) {
        return Role::Left;
    }
    let Some(helm) = helm else { return if argo.is_some() { Role::Left } else { Role::Ordinary } };
    if elements(helm).any(|one| one == "crd-install") {
        return Role::Ordinary;
    }
    let mut types: Vec<&'static str> = Vec::new();
    for one in elements(helm) {
        if let Some((_, mapped)) = HELM_TYPES.iter().find(|(name, _)| *name == one)
            && !types.contains(mapped)
        {
            types.push(mapped);
        }
    }
    if types.is_empty() { Role::Left } else { Role::Hook(types) }
}

fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

/// Sync wave of an object; the Helm hook weight serves when there is none, anything that is no integer counts as 0.
#[must_use]
pub fn wave(object: &Object) -> i64 {
    let number = |annotation: &str| object.annotation(annotation).map(|text| text.trim().parse().unwrap_or_default());
    number(SYNC_WAVE).or_else(|| number(HELM_HOOK_WEIGHT)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn annotated(annotations: serde_json::Value) -> Object {
        let value = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a", "annotations": annotations } });
        Object::from_value(value).unwrap_or_default()
    }

    #[test]
    fn roles_follow_the_annotations() {
        let cases = [
            (json!({}), Role::Ordinary),
            (json!({ HOOK: "PreSync" }), Role::Hook(vec!["PreSync"])),
            (json!({ HOOK: "PreSync,PostSync" }), Role::Hook(vec!["PreSync", "PostSync"])),
            (json!({ HOOK: "Skip" }), Role::Left),
            (json!({ HOOK: "Skip, Sync" }), Role::Hook(vec!["Sync"])),
            (json!({ HOOK: "presync" }), Role::Left),
            (json!({ HELM_HOOK: "pre-install,pre-upgrade" }), Role::Hook(vec!["PreSync"])),
            (json!({ HELM_HOOK: "crd-install" }), Role::Ordinary),
            (json!({ HELM_HOOK: "test" }), Role::Left),
            (json!({ HOOK: "typo", HELM_HOOK: "post-install" }), Role::Hook(vec!["PostSync"])),
        ];
        for (annotations, expected) in cases {
            assert_eq!(role(&annotated(annotations.clone())), expected, "{annotations}");
        }
    }

    #[test]
    fn waves_that_are_no_integer_count_as_zero() {
        assert_eq!(wave(&annotated(json!({ SYNC_WAVE: "-3" }))), -3);
        assert_eq!(wave(&annotated(json!({ SYNC_WAVE: "soon" }))), 0);
        assert_eq!(wave(&annotated(json!({ HELM_HOOK_WEIGHT: "7" }))), 7);
    }
}
