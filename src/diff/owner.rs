//! Who last wrote a field, as `metadata.managedFields` says: a program, not a person. Pure.

use serde_json::{Map, Value};

use super::path::Step;
use crate::resource::Object;

/// The writer of a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The name that the program gave, such as `kubectl-edit`.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The subresource it was written through, such as `scale`; empty for the object itself.
    pub subresource: String,
    /// When, RFC 3339; empty when it is not told.
    pub time: String,
}

/// Finds who wrote a field, leaving out one manager's applies. `None` when nobody owns it: whoever removed a field is not recorded.
///
/// Of several owners it is the one that knows the field most precisely, and of these the last.
#[must_use]
pub fn owner(live: &Object, steps: &[Step], except: &str) -> Option<Owner> {
    let entries = live.get(&["metadata", "managedFields"])?.as_array()?;
    let found = entries.iter().filter_map(|entry| {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let owner = Owner {
            manager: text("manager"),
            operation: text("operation"),
            subresource: text("subresource"),
            time: text("time"),
        };
        if owner.manager == except && owner.operation == "Apply" {
            return None;
        }
        Some((depth(entry.get("fieldsV1")?.as_object()?, steps)?, owner))
    });
    found.max_by(|(one, first), (other, second)| (one, &first.time).cmp(&(other, &second.time))).map(|(_, owner)| owner)
}

/// How far the fields lead along the path; `None` when they own nothing at its end.
fn depth(fields: &Map<String, Value>, steps: &[Step]) -> Option<usize> {
    let Some((step, rest)) = steps.split_first() else { return Some(0) };
    match below(fields, step) {
        Some(Value::Object(next)) => depth(next, rest).map(|depth| depth + 1),
        Some(_) => Some(1),
        // Nothing below: a value that is owned as a whole.
        None => fields.keys().all(|key| key == ".").then_some(0),
    }
}

/// Source: Kubernetes server-side apply, `FieldsV1`, as in [`super::owned_fields`].
fn below<'a>(fields: &'a Map<String, Value>, step: &Step) -> Option<&'a Value> {
    match step {
        Step::Key(key) => fields.get(&format!("f:{key}")),
        Step::Item(item) => fields.iter().find(|(element, _)| names(element, item)).map(|(_, value)| value),
    }
}

fn names(element: &str, item: &str) -> bool {
    let is_item = |value: &Value| match value {
        Value::String(text) => text == item,
        other => *item == *other.to_string(),
    };
    match element.split_once(':') {
        Some(("k", keys)) => serde_json::from_str::<Map<String, Value>>(keys).is_ok_and(|keys| keys.values().any(is_item)),
        Some(("v", value)) => serde_json::from_str::<Value>(value).is_ok_and(|value| is_item(&value)),
        Some(("i", number)) => number == item,
        _ => false,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::diff::path::steps;
    use serde_json::json;

    fn live() -> Object {
        let entry = |manager: &str, operation: &str, time: &str, fields: Value| json!({ "manager": manager, "operation": operation, "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields });
        let container = |fields: Value| json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"web\"}": fields } } } } });
        Object::from_value(json!({ "metadata": { "managedFields": [
            entry("argocd-controller", "Apply", "2026-11-25T15:00:00Z", json!({ "f:spec": { "f:replicas": {}, "f:paused": {} } })),
            entry("kubectl-edit", "Update", "2026-11-25T12:00:00Z", container(json!({ "f:image": {}, "f:args": {} }))),
            entry("kubectl-patch", "Update", "2026-11-25T13:00:00Z", container(json!({ "f:image": {} }))),
            { "manager": "hpa", "operation": "Update", "subresource": "scale", "time": "2026-11-25T11:00:00Z",
              "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": { "f:replicas": {} } } },
        ] } }))
        .unwrap()
    }

    fn who(path: &str) -> Option<String> {
        owner(&live(), &steps(path).unwrap(), "argocd-controller").map(|owner| owner.manager)
    }

    #[test]
    fn the_last_writer_is_named_and_our_own_apply_is_not() {
        assert_eq!(who(".spec.template.spec.containers[web].image").as_deref(), Some("kubectl-patch"));
        assert_eq!(who(".spec.replicas").as_deref(), Some("hpa"));
        assert_eq!(who(".spec.paused"), None);
    }

    #[test]
    fn a_list_that_is_owned_as_a_whole_counts_for_each_item() {
        assert_eq!(who(".spec.template.spec.containers[web].args[1]").as_deref(), Some("kubectl-edit"));
        assert_eq!(who(".spec.template.spec.containers[other].args[1]"), None);
    }
}
