//! Kubernetes' strategic merge patch, as far as it is about Applications: no list in their spec has merge keys, so lists are
//! replaced; only `metadata.finalizers` (texts) and `metadata.ownerReferences` (by uid) are merged.
//!
//! Better than upstream: free-form maps such as `helm.valuesObject` are merged too; upstream refuses to.

use serde_json::{Map, Value as Json};

/// The directive for a map: `replace`, `delete` or `merge`.
const DIRECTIVE: &str = "$patch";
/// Prefix of the key that lists what goes from a list of texts.
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Applies the patch. `null` deletes; deleting what is not there is fine.
#[must_use]
pub fn apply(mut object: Json, patch: &Json) -> Json {
    merge(&mut object, patch, &mut Vec::new());
    object
}

fn merge(object: &mut Json, patch: &Json, path: &mut Vec<String>) {
    let Json::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if patch.get(DIRECTIVE).and_then(Json::as_str) == Some("replace") {
        *object = Json::Object(plain(patch));
        return;
    }
    if !object.is_object() {
        *object = Json::Object(Map::new());
    }
    let Json::Object(map) = object else { return };
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            delete_from(map.get_mut(list), value);
        } else if !key.starts_with('$') {
            merge_field(map, key, value, path);
        }
    }
}

fn merge_field(map: &mut Map<String, Json>, key: &str, value: &Json, path: &mut Vec<String>) {
    if value.is_null() || value.get(DIRECTIVE).and_then(Json::as_str) == Some("delete") {
        map.remove(key);
        return;
    }
    path.push(key.to_owned());
    match (path.join(".").as_str(), map.get_mut(key), value) {
        ("metadata.finalizers", Some(Json::Array(old)), Json::Array(new)) => {
            for item in new {
                if !old.contains(item) {
                    old.push(item.clone());
                }
            }
        }
        ("metadata.ownerReferences", Some(Json::Array(old)), Json::Array(new)) => {
            for item in new {
                old.retain(|one| one.get("uid") != item.get("uid"));
                old.push(item.clone());
            }
        }
        (_, Some(old), value) => merge(old, value, path),
        (_, None, value) => {
            let mut fresh = Json::Null;
            merge(&mut fresh, value, path);
            map.insert(key.to_owned(), fresh);
        }
    }
    path.pop();
}

fn delete_from(list: Option<&mut Json>, gone: &Json) {
    if let (Some(Json::Array(list)), Json::Array(gone)) = (list, gone) {
        list.retain(|item| !gone.contains(item));
    }
}

/// Without directives.
fn plain(map: &Map<String, Json>) -> Map<String, Json> {
    map.iter().filter(|(key, _)| !key.starts_with('$')).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::apply;

    #[test]
    fn lists_are_replaced_and_finalizers_are_added() {
        let app = json!({ "metadata": { "finalizers": ["a"] }, "spec": { "sources": [1, 2], "syncPolicy": { "x": 1, "y": 2 } } });
        let patch = json!({ "metadata": { "finalizers": ["b", "a"] }, "spec": { "sources": [3], "syncPolicy": { "x": null } } });
        let expected = json!({ "metadata": { "finalizers": ["a", "b"] }, "spec": { "sources": [3], "syncPolicy": { "y": 2 } } });
        assert_eq!(apply(app, &patch), expected);
    }

    #[test]
    fn directives_replace_delete_and_take_from_lists() {
        let app = json!({ "metadata": { "finalizers": ["a", "b"] }, "spec": { "m": { "x": 1 }, "n": { "x": 1 } } });
        let patch = json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["a"] },
            "spec": { "m": { "$patch": "replace", "y": 2 }, "n": { "$patch": "delete" } } });
        assert_eq!(apply(app, &patch), json!({ "metadata": { "finalizers": ["b"] }, "spec": { "m": { "y": 2 } } }));
        let gone = json!({ "metadata": { "finalizers": null } });
        assert_eq!(apply(json!({ "metadata": { "finalizers": ["a"] } }), &gone), json!({ "metadata": {} }));
    }
}
