//! Reads `metadata.managedFields`: which fields a manager owns, and whether a target still has them all.
//!
//! Source: Kubernetes server-side apply, `FieldsV1`: `f:<name>` map entry, `k:<json>` list item by its keys, `v:<json>` set
//! item, `i:<n>` list item by index, `.` the thing itself.

use serde_json::{Map, Value};

use crate::resource::Object;

/// Returns the fields that a manager owns by server-side apply, as `FieldsV1`; `None` when it never applied the object.
#[must_use]
pub fn owned_fields<'a>(live: &'a Object, manager: &str) -> Option<&'a Map<String, Value>> {
    live.get(&["metadata", "managedFields"])?.as_array()?.iter().find_map(|entry| {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let applied = text("manager") == manager && text("operation") == "Apply" && text("subresource").is_empty();
        applied.then(|| entry.get("fieldsV1")?.as_object()).flatten()
    })
}

/// True when everything in `fields` is still present in `value`.
///
/// Answers false as well where it cannot tell; the caller treats that as "ask the API server".
pub(super) fn covers(value: &Value, fields: &Map<String, Value>) -> bool {
    fields.iter().all(|(path, below)| {
        if path == "." {
            return true;
        }
        let Some(child) = step(value, path) else { return false };
        match (child, below) {
            (Some(child), Value::Object(below)) => covers(child, below),
            _ => true,
        }
    })
}

/// Follows one path element. Outer `None`: not there; inner `None`: there, and nothing below it to look at.
#[expect(clippy::option_option, reason = "absent, present as a leaf, present with a value are three answers")]
fn step<'a>(value: &'a Value, element: &str) -> Option<Option<&'a Value>> {
    let (kind, rest) = element.split_once(':')?;
    match kind {
        "f" => value.get(rest).map(Some),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).ok()?;
            value.as_array()?.iter().find(|item| has_keys(item, &keys)).map(Some)
        }
        "v" => {
            let wanted: Value = serde_json::from_str(rest).ok()?;
            value.as_array()?.contains(&wanted).then_some(None)
        }
        "i" => value.get(rest.parse::<usize>().ok()?).map(Some),
        _ => None,
    }
}

/// A key that the item does not have was defaulted by the API server (`protocol: TCP` of a port) and is not held against it.
fn has_keys(item: &Value, keys: &Map<String, Value>) -> bool {
    let mut matched = false;
    for (key, wanted) in keys {
        match item.get(key) {
            Some(found) if found == wanted => matched = true,
            Some(_) => return false,
            None => {}
        }
    }
    matched
}
