//! Fields of a manifest that the schema of its kind does not declare.
//!
//! Server-side apply refuses them. Argo CD applies client-side unless it is asked for more, and there they are dropped with a
//! warning; a controller that takes over must not fail where that one succeeded. The object stays OutOfSync, as there, because
//! what is in Git is not in the cluster.
//!
//! Source: structured-merge-diff's words for such a field; Argo CD 3.5 (reference section 6.8).

use serde_json::Value;

use crate::resource::Object;

const WORDS: &str = ": field not declared in schema";

/// Paths of undeclared fields that a refusal names, such as `.spec.replicsa`.
#[must_use]
pub fn fields(refusal: &str) -> Vec<String> {
    let named = refusal.lines().filter_map(|line| line.split_once(WORDS)).map(|(before, _)| before);
    named
        .filter_map(|before| match before.rsplit_once(": .") {
            Some((_, path)) => Some(format!(".{path}")),
            None => Some(before.trim().to_owned()).filter(|path| path.starts_with('.')),
        })
        .collect()
}

/// The object without the undeclared fields that a refusal names; `None` when it names none that the object has.
#[must_use]
pub fn without(object: &Object, refusal: &str) -> Option<(Object, Vec<String>)> {
    let fields = fields(refusal);
    let mut value = object.to_value();
    let removed: Vec<String> = fields.into_iter().filter(|field| remove(&mut value, field)).collect();
    if removed.is_empty() {
        return None;
    }
    Object::from_value(value).ok().map(|object| (object, removed))
}

/// Follows `.name`, `[key="value"]` and `[0]`.
fn remove(value: &mut Value, path: &str) -> bool {
    if let Some(rest) = path.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        // Names with dots of their own: the longest that is there.
        let Some(map) = value.as_object_mut() else { return false };
        let known = map
            .keys()
            .filter(|key| rest.strip_prefix(key.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])));
        let name = known.max_by_key(|key| key.len()).cloned().unwrap_or_else(|| rest[..end].to_owned());
        let rest = &rest[name.len()..];
        return if rest.is_empty() {
            map.remove(&name).is_some()
        } else {
            map.get_mut(&name).is_some_and(|below| remove(below, rest))
        };
    }
    let Some((selector, rest)) = path.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { return false };
    let Some(items) = value.as_array_mut() else { return false };
    let chosen = match selector.parse::<usize>() {
        Ok(index) => items.get_mut(index),
        Err(_) => items.iter_mut().find(|item| selector.split(',').all(|pair| has(item, pair))),
    };
    chosen.is_some_and(|item| remove(item, rest))
}

/// A key that the item lacks was defaulted.
fn has(item: &Value, pair: &str) -> bool {
    let Some((key, wanted)) = pair.split_once('=') else { return false };
    let Ok(wanted) = serde_json::from_str::<Value>(wanted) else { return false };
    item.get(key).is_none_or(|found| *found == wanted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Object {
        let container = json!({ "name": "web", "image": "web:1", "imge": "typo" });
        let spec = json!({ "replicsa": 2, "replicas": 1, "template": { "spec": { "containers": [container] } } });
        Object::from_value(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": spec })).unwrap_or_default()
    }

    #[test]
    fn the_named_fields_are_left_out_and_nothing_else() {
        let one = "failed to create typed patch object (prod/web; apps/v1, Kind=Deployment): .spec.replicsa: field not declared in schema";
        let both = "failed to create typed patch object (prod/web; apps/v1, Kind=Deployment): errors:\n  .spec.replicsa: field not declared in schema\n  .spec.template.spec.containers[name=\"web\"].imge: field not declared in schema";
        assert_eq!(fields(one), [".spec.replicsa"]);
        let (left, removed) = without(&deployment(), both).unwrap_or_default();
        assert_eq!(removed.len(), 2, "{removed:?}");
        let expected = json!({ "replicas": 1, "template": { "spec": { "containers": [{ "name": "web", "image": "web:1" }] } } });
        assert_eq!(left.get(&["spec"]), Some(&expected));
    }

    #[test]
    fn other_refusals_leave_the_object_alone() {
        for refusal in ["admission webhook denied the request", ".spec.unknown: field not declared in schema", ""] {
            assert!(without(&deployment(), refusal).is_none(), "{refusal}");
        }
    }
}
