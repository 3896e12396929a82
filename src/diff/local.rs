//! The comparison that needs no request.

use serde_json::Value;

use super::fields::{covers, owned_fields};
use super::{Rules, normalise_live, normalise_target};
use crate::resource::Object;
use crate::resource::annotations::{FIELD_MANAGER, LAST_APPLIED};

/// What a local comparison can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Applying the target would change nothing.
    Same,
    /// Applying the target would change something.
    Differs,
    /// Only the API server can tell.
    Undecided,
}

/// Compares a target with its live object.
///
/// `Same` means: every field of the target is in the live object with an equal value, and every field that we own in the
/// live object is still in the target. Fields of others are not drift.
#[must_use]
pub fn compare_locally(target: &Object, live: &Object, rules: &Rules) -> Verdict {
    let mut wanted = normalise_target(target);
    rules.strip(&mut wanted);
    let mut found = normalise_live(live, rules);
    if rules.status_counts && status_differs(target, &found) {
        return Verdict::Differs;
    }
    // The same object may be served in several versions; only its content counts, and a dry-run answers in the target's.
    if wanted.api_version() != found.api_version() {
        return Verdict::Undecided;
    }
    let last_applied = take_last_applied(&mut found);
    rules.align(&mut wanted, &mut found);
    let wanted = Value::Object(wanted.0);
    let found = Value::Object(found.0);
    if !is_subset(&wanted, &found) {
        return Verdict::Undecided;
    }
    if let Some(owned) = owned_fields(live, FIELD_MANAGER) {
        let owned_and_counted = without_ignored(owned, rules);
        return if covers(&wanted, &owned_and_counted) { Verdict::Same } else { Verdict::Undecided };
    }
    match last_applied {
        Some(previous) if removes_something(&previous, &wanted, &found) => Verdict::Differs,
        _ => Verdict::Same,
    }
}

/// Where `status` counts, it counts as written: no sync could bring it about, as in Argo CD.
fn status_differs(target: &Object, live: &Object) -> bool {
    let Some(wanted) = target.0.get("status").filter(|status| !status.is_null()) else { return false };
    !is_subset(wanted, live.0.get("status").unwrap_or(&Value::Null))
}

/// Ignored fields were removed from the target, so they must not be looked for there.
fn without_ignored(owned: &serde_json::Map<String, Value>, rules: &Rules) -> serde_json::Map<String, Value> {
    let mut fields = owned.clone();
    for rule in &rules.ignore {
        rule.remove_from_fields(&mut fields);
    }
    fields
}

fn take_last_applied(live: &mut Object) -> Option<Value> {
    let text = live.annotation(LAST_APPLIED)?.to_owned();
    live.remove_annotation(LAST_APPLIED);
    serde_json::from_str(&text).ok()
}

/// True when every field of `wanted` is in `found` with an equal value. Lists count as equal only item by item.
fn is_subset(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().all(|(key, value)| found.get(key).is_some_and(|live| is_subset(value, live)))
        }
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| is_subset(wanted, found))
        }
        (Value::Number(wanted), Value::Number(found)) => wanted == found || wanted.as_f64() == found.as_f64(),
        _ => wanted == found,
    }
}

/// True when the last client-side apply set a map field that the target no longer has and the live object still does.
fn removes_something(previous: &Value, wanted: &Value, found: &Value) -> bool {
    let (Value::Object(previous), Some(found)) = (previous, found.as_object()) else { return false };
    previous.iter().any(|(key, before)| {
        let Some(live) = found.get(key) else { return false };
        match wanted.get(key) {
            Some(now) => removes_something(before, now, live),
            None => !before.is_null() && key != "status" && key != "namespace" && !is_empty_map(before),
        }
    })
}

fn is_empty_map(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap_or_else(|_| unreachable!("a map"))
    }

    fn owned(mut live: Value, fields: Value) -> Object {
        live["metadata"]["managedFields"] =
            json!([{ "manager": FIELD_MANAGER, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields }]);
        object(live)
    }

    fn config_map(data: Value) -> Value {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "namespace": "n" }, "data": data })
    }

    #[test]
    fn an_object_is_the_same_as_itself() {
        let one = object(config_map(json!({ "a": "1" })));
        assert_eq!(compare_locally(&one, &one, &Rules::default()), Verdict::Same);
    }

    #[test]
    fn fields_of_others_are_not_drift() {
        let target = object(config_map(json!({ "a": "1" })));
        let live = owned(config_map(json!({ "a": "1", "b": "theirs" })), json!({ "f:data": { "f:a": {} } }));
        assert_eq!(compare_locally(&target, &live, &Rules::default()), Verdict::Same);
    }

    #[test]
    fn a_field_of_ours_that_left_the_target_needs_an_answer() {
        let target = object(config_map(json!({ "a": "1" })));
        let live = owned(config_map(json!({ "a": "1", "b": "ours" })), json!({ "f:data": { "f:a": {}, "f:b": {} } }));
        assert_eq!(compare_locally(&target, &live, &Rules::default()), Verdict::Undecided);
    }

    #[test]
    fn a_changed_value_needs_an_answer() {
        let target = object(config_map(json!({ "a": "1" })));
        let live = object(config_map(json!({ "a": "2" })));
        assert_eq!(compare_locally(&target, &live, &Rules::default()), Verdict::Undecided);
    }

    #[test]
    fn a_field_that_client_side_apply_set_and_git_dropped_differs() {
        let target = object(config_map(json!({ "a": "1" })));
        let mut live = config_map(json!({ "a": "1", "b": "old" }));
        live["metadata"]["annotations"] = json!({ LAST_APPLIED: config_map(json!({ "a": "1", "b": "old" })).to_string() });
        assert_eq!(compare_locally(&target, &object(live), &Rules::default()), Verdict::Differs);
    }

    #[test]
    fn defaulted_keys_of_list_items_do_not_count() {
        let service = |port: Value| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "a" }, "spec": { "ports": [port] } });
        let target = object(service(json!({ "port": 80 })));
        let live = owned(
            service(json!({ "port": 80, "protocol": "TCP", "targetPort": 80 })),
            json!({ "f:spec": { "f:ports": { "k:{\"port\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} } } } }),
        );
        assert_eq!(compare_locally(&target, &live, &Rules::default()), Verdict::Same);
    }

    #[test]
    fn string_data_equals_the_encoded_live_data() {
        let secret = |field: &str, value: &str| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" }, field: { "k": value } });
        let (target, live) = (object(secret("stringData", "v")), object(secret("data", "dg==")));
        assert_eq!(compare_locally(&target, &live, &Rules::default()), Verdict::Same);
    }

    #[test]
    fn status_in_git_is_ignored() {
        let mut target = config_map(json!({ "a": "1" }));
        target["status"] = json!({ "x": 1 });
        assert_eq!(compare_locally(&object(target), &object(config_map(json!({ "a": "1" }))), &Rules::default()), Verdict::Same);
    }

    #[test]
    fn ignored_fields_neither_differ_nor_are_missed() {
        let rules = Rules::from_pointers(&["/data/b".to_owned()]);
        let target = object(config_map(json!({ "a": "1", "b": "git" })));
        let live = owned(config_map(json!({ "a": "1", "b": "live" })), json!({ "f:data": { "f:a": {}, "f:b": {} } }));
        assert_eq!(compare_locally(&target, &live, &Rules::default()), Verdict::Undecided);
        assert_eq!(compare_locally(&target, &live, &rules), Verdict::Same);
    }
}
