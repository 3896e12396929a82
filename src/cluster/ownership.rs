//! Makes what was written by replacing an object count as applied.
//!
//! The API server keeps "updated by X" and "applied by X" apart, and an apply never removes what the former owns. Left alone, a
//! field that was written by a replacement and leaves the target later would stay in the cluster without being noticed.

//!
//! The same holds for what was applied client-side before: by kubectl, or by Argo CD.

use serde_json::{Map, Value};

use crate::resource::Object;
use crate::resource::annotations::{FIELD_MANAGER, LAST_APPLIED};

/// Managers whose updates are client-side applies when the object carries what they applied last.
const CLIENT_SIDE: &[&str] = &["kubectl-client-side-apply", FIELD_MANAGER];

/// True when a client-side apply owns fields of a live object.
#[must_use]
pub fn is_client_side_applied(live: &Object) -> bool {
    live.annotation(LAST_APPLIED).is_some() && CLIENT_SIDE.iter().any(|manager| has_updates(live, manager))
}

fn has_updates(live: &Object, manager: &str) -> bool {
    entries(live).iter().any(|entry| is(entry, manager, "Update"))
}

fn entries(live: &Object) -> &[Value] {
    live.get(&["metadata", "managedFields"]).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn is(entry: &Value, manager: &str, operation: &str) -> bool {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    text("manager") == manager && text("operation") == operation && text("subresource").is_empty()
}

/// Returns `managedFields` in which what was applied client-side counts as applied by us; `None` when there is nothing to do.
///
/// `also` names a further manager.
///
/// Source: Argo CD 3.5, client-side apply migration (reference section 6.8).
#[must_use]
pub fn client_side_as_applied(live: &Object, also: Option<&str>) -> Option<Vec<Value>> {
    let mut changed = live.clone();
    let mut result = None;
    for manager in CLIENT_SIDE.iter().copied().chain(also) {
        if let Some(owners) = moved(&changed, manager, FIELD_MANAGER) {
            changed.metadata_mut().insert("managedFields".into(), Value::Array(owners.clone()));
            result = Some(owners);
        }
    }
    result
}

/// Returns `managedFields` in which a manager's updates are merged into what it applied; `None` when there is nothing to do.
pub fn updates_as_applied(stored: &Object, manager: &str) -> Option<Vec<Value>> {
    moved(stored, manager, manager)
}

/// Merges the updates of one manager into what another one applied.
fn moved(live: &Object, from: &str, to: &str) -> Option<Vec<Value>> {
    let entries = entries(live);
    let mut merged = entries.iter().find(|entry| is(entry, from, "Update"))?.clone();
    let applied = entries.iter().find(|entry| is(entry, to, "Apply"));
    // Fields of two versions of a kind cannot be put together.
    if applied.is_some_and(|applied| applied.get("apiVersion") != merged.get("apiVersion")) {
        return None;
    }
    merged["manager"] = to.into();
    merged["operation"] = "Apply".into();
    if let Some(fields) = applied.and_then(|applied| applied.get("fieldsV1")).and_then(Value::as_object)
        && let Some(into) = merged.get_mut("fieldsV1").and_then(Value::as_object_mut)
    {
        unite(into, fields);
    }
    let others = entries.iter().filter(|entry| !is(entry, from, "Update") && !is(entry, to, "Apply")).cloned();
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
    fn what_was_applied_client_side_becomes_ours() {
        let entry = |manager: &str, operation: &str, field: &str| json!({ "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": { field: {} } });
        let mut live = stored(&json!([
            entry("kubectl-client-side-apply", "Update", "f:a"),
            entry("controller", "Update", "f:b"),
            entry(FIELD_MANAGER, "Update", "f:c"),
        ]));
        assert!(!is_client_side_applied(&live), "nobody says that these updates were applies");
        live.set_annotation(LAST_APPLIED, "{}");
        assert!(is_client_side_applied(&live));
        let mut ours = entry(FIELD_MANAGER, "Apply", "f:a");
        ours["fieldsV1"]["f:c"] = json!({});
        let owners = client_side_as_applied(&live, None);
        assert_eq!(owners, Some(vec![entry("controller", "Update", "f:b"), ours]));
        live.metadata_mut().insert("managedFields".into(), json!(owners));
        assert_eq!(client_side_as_applied(&live, None), None, "once is enough");
        assert!(client_side_as_applied(&live, Some("controller")).is_some());
    }

    #[test]
    fn without_updates_nothing_is_to_do() {
        let entries = json!([{ "manager": "us", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {} }]);
        assert_eq!(updates_as_applied(&stored(&entries), "us"), None);
    }
}
