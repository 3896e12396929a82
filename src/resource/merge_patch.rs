//! Merge patches between two states of one object. Pure.

use serde_json::{Map, Value};

/// Returns the JSON merge patch that turns `before` into `after`; `None` when they are equal.
///
/// A field that is gone becomes an explicit null: a merge patch that leaves it out would keep the old value.
/// Source: RFC 7396.
#[must_use]
pub fn merge_patch(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return Some(after.clone()) };
    let mut patch = Map::new();
    for (key, value) in after {
        match before.get(key) {
            Some(old) => {
                if let Some(change) = merge_patch(old, value) {
                    patch.insert(key.clone(), change);
                }
            }
            None => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_need_no_patch() {
        assert_eq!(merge_patch(&json!({ "a": [1] }), &json!({ "a": [1] })), None);
    }

    #[test]
    fn changes_are_minimal_and_removals_are_null() {
        let before = json!({ "keep": 1, "gone": 2, "nested": { "a": 1, "b": 2 }, "list": [1] });
        let after = json!({ "keep": 1, "nested": { "a": 1, "b": 3 }, "list": [1, 2], "new": { "x": true } });
        let expected = json!({ "gone": null, "nested": { "b": 3 }, "list": [1, 2], "new": { "x": true } });
        assert_eq!(merge_patch(&before, &after), Some(expected));
    }

    #[test]
    fn a_map_that_replaces_a_map_nulls_what_is_gone() {
        let patch = merge_patch(&json!({ "s": { "finishedAt": "t" } }), &json!({ "s": {} }));
        assert_eq!(patch, Some(json!({ "s": { "finishedAt": null } })));
    }
}
