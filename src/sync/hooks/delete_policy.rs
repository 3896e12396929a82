//! When a hook's object is deleted.
//!
//! Source: Argo CD 3.5 (reference section 6.3); Argo's and Helm's annotation add up.

use super::elements;
use crate::resource::Object;
use crate::resource::annotations::{HELM_HOOK_DELETE_POLICY, HOOK_DELETE_POLICY};

/// Delete policies of one hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletePolicies {
    /// Before it is created again.
    pub before_creation: bool,
    /// When the whole operation succeeded.
    pub succeeded: bool,
    /// When the operation failed, even if this hook did not.
    pub failed: bool,
}

impl DeletePolicies {
    /// Reads the policies of a hook; one that names none that exists is deleted before it is created again.
    #[must_use]
    pub fn of(hook: &Object) -> Self {
        let lists = [
            (HOOK_DELETE_POLICY, ["BeforeHookCreation", "HookSucceeded", "HookFailed"]),
            (HELM_HOOK_DELETE_POLICY, ["before-hook-creation", "hook-succeeded", "hook-failed"]),
        ];
        let names = |index: usize| {
            lists.iter().any(|(annotation, words)| {
                hook.annotation(annotation).is_some_and(|list| elements(list).any(|one| one == words[index]))
            })
        };
        let (before_creation, succeeded, failed) = (names(0), names(1), names(2));
        Self { before_creation: before_creation || !(succeeded || failed), succeeded, failed }
    }

    /// True when the end of the operation deletes the hook.
    #[must_use]
    pub const fn deletes_at_end(self, succeeded: bool) -> bool {
        if succeeded { self.succeeded } else { self.failed }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn policies_add_up_and_the_default_is_before_creation() {
        let read = |argo: &str, helm: &str| {
            let annotations = json!({ HOOK_DELETE_POLICY: argo, HELM_HOOK_DELETE_POLICY: helm });
            let hook = Object::from_value(json!({ "metadata": { "annotations": annotations } })).unwrap_or_default();
            let policies = DeletePolicies::of(&hook);
            (policies.before_creation, policies.succeeded, policies.failed)
        };
        assert_eq!(read("", ""), (true, false, false));
        assert_eq!(read("hookSucceeded", ""), (true, false, false), "a misspelt policy counts as none");
        assert_eq!(read("HookSucceeded", ""), (false, true, false));
        assert_eq!(read("HookSucceeded", "hook-failed, before-hook-creation"), (true, true, true));
    }
}
