//! A guess at what a sync would leave, for when the API server cannot be asked. Pure.

use serde_json::Value;

use crate::resource::Object;

/// Puts the fields of a normalised target over the live object; what only the live object has stays.
///
/// Weaker than the API server's own answer: a field that left the target is not taken away, and another spelling of the same
/// value counts as another value. Items of lists are matched by `name`, else by position; a list is as long as the target's.
#[must_use]
pub fn overlay(live: &Object, target: &Object) -> Object {
    let mut object = live.clone();
    for (field, wanted) in &target.0 {
        let merged = merge(object.0.get(field), wanted);
        object.0.insert(field.clone(), merged);
    }
    object
}

fn merge(live: Option<&Value>, target: &Value) -> Value {
    match (live, target) {
        (Some(Value::Object(live)), Value::Object(target)) => {
            let mut merged = live.clone();
            for (key, wanted) in target {
                merged.insert(key.clone(), merge(live.get(key), wanted));
            }
            Value::Object(merged)
        }
        (Some(Value::Array(live)), Value::Array(target)) => {
            Value::Array(target.iter().enumerate().map(|(index, wanted)| merge(partner(live, index, wanted), wanted)).collect())
        }
        _ => target.clone(),
    }
}

/// The live item that a target's item stands for.
fn partner<'a>(live: &'a [Value], index: usize, wanted: &Value) -> Option<&'a Value> {
    match wanted.get("name") {
        Some(name) => live.iter().find(|item| item.get("name") == Some(name)),
        None => live.get(index),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn target_fields_win_and_defaults_stay() {
        let object = |spec: Value| Object::from_value(json!({ "kind": "Deployment", "spec": spec })).unwrap_or_default();
        let live = object(json!({ "replicas": 2, "strategy": "Recreate", "ports": [{ "port": 80, "protocol": "TCP" }],
            "containers": [{ "name": "side" }, { "name": "web", "image": "web:1", "policy": "Always" }] }));
        let target = object(json!({ "replicas": 3, "ports": [{ "port": 81 }], "args": ["a"],
            "containers": [{ "name": "web", "image": "web:2" }] }));
        let expected = object(json!({ "replicas": 3, "strategy": "Recreate", "ports": [{ "port": 81, "protocol": "TCP" }],
            "args": ["a"], "containers": [{ "name": "web", "image": "web:2", "policy": "Always" }] }));
        assert_eq!(overlay(&live, &target).0, expected.0);
        assert_eq!(overlay(&live, &live).0, live.0);
    }
}
