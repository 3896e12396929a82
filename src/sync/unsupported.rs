//! Names what an Application asks for and a sync does not do yet, so that nothing is ignored silently. Pure.

use std::collections::BTreeMap;

use crate::resource::{Object, ResourceKey};
use crate::sync::hooks::{self, Role};

/// Hooks that belong to the deletion of the Application.
const DELETION_HOOKS: &[&str] = &["PreDelete", "PostDelete"];

/// Returns one sentence for each hook type that has no effect.
#[must_use]
pub fn notices<'a>(targets: impl Iterator<Item = (&'a ResourceKey, &'a Object)>) -> Vec<String> {
    let mut hooks: BTreeMap<&str, Vec<&ResourceKey>> = BTreeMap::new();
    for (key, target) in targets {
        if let Role::Hook(types) = hooks::role(target) {
            for kind in DELETION_HOOKS.iter().filter(|kind| types.contains(kind)) {
                hooks.entry(kind).or_default().push(key);
            }
        }
    }
    hooks.into_iter().map(|(kind, keys)| format!("{kind} hooks are not run yet{}", of(&keys))).collect()
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
    fn each_hook_type_is_named_once() {
        let object = |name: &str, annotations: serde_json::Value| {
            let metadata = json!({ "name": name, "namespace": "prod", "annotations": annotations });
            let value = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata });
            Object::from_value(value).unwrap_or_default()
        };
        let objects = [object("c", json!({ HOOK: "PreDelete,PreSync" })), object("d", json!({ HELM_HOOK: "post-delete" }))];
        let keys: Vec<ResourceKey> = objects.iter().map(Object::key).collect();
        assert_eq!(
            notices(keys.iter().zip(&objects)),
            ["PostDelete hooks are not run yet (Pod prod/d)", "PreDelete hooks are not run yet (Pod prod/c)"]
        );
        assert!(notices(std::iter::empty()).is_empty());
    }
}
