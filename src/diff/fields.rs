//! Reads `metadata.managedFields`: which fields a manager owns, and whether a target still has them all.
//!
//! Source: Kubernetes server-side apply, `FieldsV1`: `f:<name>` map entry, `k:<json>` list item by its keys, `v:<json>` set
//! item, `i:<n>` list item by index, `.` the thing itself.

use std::collections::BTreeSet;

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

/// What any of some managers owns in a live object, whatever it did to become the owner; one entry for each record of it.
pub(super) fn owned_by_any(live: &Object, managers: &BTreeSet<String>) -> Vec<Map<String, Value>> {
    let entries = live.get(&["metadata", "managedFields"]).and_then(Value::as_array);
    let of_them = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry.get("manager").and_then(Value::as_str).is_some_and(|manager| managers.contains(manager)));
    of_them.filter_map(|entry| entry.get("fieldsV1")?.as_object().cloned()).collect()
}

/// Removes owned fields that both sides have. A field that only one side has is no changed field, and stays.
pub(super) fn remove_from_both(one: &mut Map<String, Value>, other: &mut Map<String, Value>, fields: &Map<String, Value>) {
    for (path, below) in fields {
        let Some(name) = path.strip_prefix("f:") else { continue };
        let (Some(mine), Some(theirs)) = (one.get_mut(name), other.get_mut(name)) else { continue };
        match below.as_object().filter(|below| !below.is_empty()) {
            // Who owns only the map itself (`.`) owns nothing in it.
            Some(below) => remove_below(mine, theirs, below),
            None => {
                one.remove(name);
                other.remove(name);
            }
        }
    }
}

fn remove_below(one: &mut Value, other: &mut Value, fields: &Map<String, Value>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => remove_from_both(one, other, fields),
        (Value::Array(one), Value::Array(other)) => {
            for (path, below) in fields {
                let Some(below) = below.as_object() else { continue };
                let (mine, theirs) = (position(one, path), position(other, path));
                if let (Some(mine), Some(theirs)) = (mine, theirs) {
                    remove_below(&mut one[mine], &mut other[theirs], below);
                }
            }
        }
        _ => {}
    }
}

/// Where the list item is that a path element means.
fn position(items: &[Value], element: &str) -> Option<usize> {
    match element.split_once(':')? {
        ("k", keys) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
            items.iter().position(|item| has_keys(item, &keys))
        }
        ("i", index) => index.parse().ok().filter(|index| *index < items.len()),
        _ => None,
    }
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
