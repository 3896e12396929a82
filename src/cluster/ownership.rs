//! Makes what was written by replacing an object count as applied.
//!
//! The API server keeps "updated by X" and "applied by X" apart, and an apply never removes what the former owns. Left alone, a
//! field that was written by a replacement and leaves the target later would stay in the cluster without being noticed.

use serde_json::{Map, Value};

use crate::resource::Object;

/// Returns `managedFields` in which a manager's updates are merged into what it applied; `None` when there is nothing to do.
pub fn updates_as_applied(stored: &Object, manager: &str) -> Option<Vec<Value>> {
    let entries = stored.get(&["metadata", "managedFields"])?.as_array()?;
    let is = |entry: &Value, operation: &str| {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        text("manager") == manager && text("operation") == operation && text("subresource").is_empty()
    };
    let mut merged = entries.iter().find(|entry| is(entry, "Update"))?.clone();
    let applied = entries.iter().find(|entry| is(entry, "Apply"));
    // Fields of two versions of a kind cannot be put together.
    if applied.is_some_and(|applied| applied.get("apiVersion") != merged.get("apiVersion")) {
        return None;
    }
    merged["operation"] = "Apply".into();
    if let Some(fields) = applied.and_then(|applied| applied.get("fieldsV1")).and_then(Value::as_object)
        && let Some(into) = merged.get_mut("fieldsV1").and_then(Value::as_object_mut)
    {
        unite(into, fields);
    }
    let others = entries.iter().filter(|entry| !is(entry, "Update") && !is(entry, "Apply")).cloned();
    Some(others.chain([merged]).collect())
}

fn unite(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (path, below) in from {
        match (into.get_mut(path), below) {
            (Some(Value::Object(into)), Value::Object(below)) => unite(into, below),
            (Some(_), _) => {}
            (None, _) => {
                into.insert(path.clone(), below.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(entries: &Value) -> Object {
        Object::from_value(json!({ "metadata": { "managedFields": entries } })).unwrap_or_default()
    }

    #[test]
    fn updates_and_applies_of_one_manager_become_one_entry() {
        let entry = |manager: &str, operation: &str, fields: Value| json!({ "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields });
        let other = entry("kubectl", "Update", json!({ "f:x": {} }));
        let entries = json!([
            entry("us", "Apply", json!({ "f:data": { "f:a": {} } })),
            other,
            entry("us", "Update", json!({ "f:data": { "f:b": {} } })),
        ]);
        let merged = entry("us", "Apply", json!({ "f:data": { "f:a": {}, "f:b": {} } }));
        assert_eq!(updates_as_applied(&stored(&entries), "us"), Some(vec![other, merged]));
    }

    #[test]
    fn without_updates_nothing_is_to_do() {
        let entries = json!([{ "manager": "us", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {} }]);
        assert_eq!(updates_as_applied(&stored(&entries), "us"), None);
    }
}
