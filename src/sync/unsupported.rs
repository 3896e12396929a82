//! Names what an Application asks for and a sync does not do yet, so that nothing is ignored silently. Pure.

use std::collections::BTreeMap;

use crate::resource::annotations::SYNC_OPTIONS;
use crate::resource::{Object, ResourceKey};
use crate::sync::hooks::{self, Role};

/// Options that Argo CD acts on and we do not, for the whole Application or for one object.
const OPTIONS: &[&str] =
    &["RespectIgnoreDifferences=true", "ServerSideApply=false", "ClientSideApplyMigration=false", "Validate=false"];
/// Hooks that belong to the deletion of the Application.
const DELETION_HOOKS: &[&str] = &["PreDelete", "PostDelete"];

/// Returns one sentence for each sync option and hook type that has no effect.
#[must_use]
pub fn notices<'a>(options: &[String], targets: impl Iterator<Item = (&'a ResourceKey, &'a Object)>) -> Vec<String> {
    let mut users: BTreeMap<&str, Vec<&ResourceKey>> = BTreeMap::new();
    let mut hooks: BTreeMap<&str, Vec<&ResourceKey>> = BTreeMap::new();
    for option in OPTIONS.iter().filter(|option| options.iter().any(|one| one == *option)) {
        users.entry(option).or_default();
    }
    for (key, target) in targets {
        for option in OPTIONS.iter().filter(|option| target.has_option(SYNC_OPTIONS, option)) {
            users.entry(option).or_default().push(key);
        }
        if let Role::Hook(types) = hooks::role(target) {
            for kind in DELETION_HOOKS.iter().filter(|kind| types.contains(kind)) {
                hooks.entry(kind).or_default().push(key);
            }
        }
    }
    let options = users.into_iter().map(|(option, keys)| format!("sync option {option}{} has no effect yet", of(&keys)));
    let hooks = hooks.into_iter().map(|(kind, keys)| format!("{kind} hooks are not run yet{}", of(&keys)));
    options.chain(hooks).collect()
}

fn of(keys: &[&ResourceKey]) -> String {
    match keys {
        [] => String::new(),
        [one] => format!(" ({one})"),
        [first, rest @ ..] => format!(" ({first} and {} more)", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::annotations::{HELM_HOOK, HOOK};

    #[test]
    fn each_option_and_hook_type_is_named_once() {
        let object = |name: &str, annotations: serde_json::Value| {
            let metadata = json!({ "name": name, "namespace": "prod", "annotations": annotations });
            let value = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata });
            Object::from_value(value).unwrap_or_default()
        };
        let objects = [
            object("a", json!({ SYNC_OPTIONS: "Validate=false" })),
            object("b", json!({ SYNC_OPTIONS: "Validate=false,ServerSideApply=true" })),
            object("c", json!({ HOOK: "PreDelete,PreSync" })),
            object("d", json!({ HELM_HOOK: "post-delete" })),
        ];
        let keys: Vec<ResourceKey> = objects.iter().map(Object::key).collect();
        let options = ["RespectIgnoreDifferences=true".to_owned(), "Prune=confirm".to_owned()];
        assert_eq!(
            notices(&options, keys.iter().zip(&objects)),
            [
                "sync option RespectIgnoreDifferences=true has no effect yet",
                "sync option Validate=false (Pod prod/a and 1 more) has no effect yet",
                "PostDelete hooks are not run yet (Pod prod/d)",
                "PreDelete hooks are not run yet (Pod prod/c)",
            ]
        );
        assert!(notices(&[], std::iter::empty()).is_empty());
    }
}
