//! Brings target and live state into the form that is compared.
//!
//! Source: Argo CD 3.5 normalisation (reference section 5.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::Rules;
use crate::resource::Object;

/// Fields of `metadata` that the API server writes by itself.
const SERVER_METADATA: &[&str] = &["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// Returns the target as it is compared and applied: `stringData` folded into `data`, no nulls, no `status`, none of the
/// fields that only the API server writes.
///
/// `status` is dropped because Argo CD ignores it for every kind by default.
#[must_use]
pub fn normalise_target(target: &Object) -> Object {
    let mut object = target.clone();
    object.0.remove("status");
    for field in SERVER_METADATA {
        object.metadata_mut().remove(*field);
    }
    if object.kind() == "Secret" && object.group().is_empty() {
        fold_string_data(&mut object.0);
    }
    drop_nulls(&mut object.0);
    object
}

/// Returns live or predicted state without what never counts as drift.
#[must_use]
pub fn normalise_live(live: &Object, rules: &Rules) -> Object {
    let mut object = live.clone();
    if !rules.status_counts {
        object.0.remove("status");
    }
    for field in SERVER_METADATA {
        object.metadata_mut().remove(*field);
    }
    rules.strip(&mut object);
    object
}

/// True when applying the target would change the live object in a way that counts.
///
/// `predicted` is the API server's answer to a server-side dry-run of the target.
#[must_use]
pub fn predicted_differs(live: &Object, predicted: &Object, rules: &Rules) -> bool {
    let (mut before, mut after) = (normalise_live(live, rules), normalise_live(predicted, rules));
    rules.align(&mut after, &mut before);
    before != after
}

/// Values of `stringData` win over `data`; non-string values stay as they are, so that the API server refuses them.
fn fold_string_data(secret: &mut Map<String, Value>) {
    let string_data = secret.remove("stringData");
    if let Some(Value::Object(data)) = secret.get_mut("data") {
        for value in data.values_mut().filter(|value| value.is_null()) {
            *value = Value::String(String::new());
        }
    }
    let Some(Value::Object(plain)) = string_data else { return };
    let data = secret.entry("data").or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(data) = data else { return };
    for (key, value) in plain {
        let encoded = match value {
            Value::String(text) => Value::String(STANDARD.encode(text)),
            other => other,
        };
        data.insert(key, encoded);
    }
}

/// A null in a manifest means "not set"; server-side apply would take it for a wish to delete.
fn drop_nulls(map: &mut Map<String, Value>) {
    map.retain(|_, value| !value.is_null());
    for value in map.values_mut() {
        drop_nulls_in(value);
    }
}

fn drop_nulls_in(value: &mut Value) {
    match value {
        Value::Object(map) => drop_nulls(map),
        Value::Array(items) => items.iter_mut().for_each(drop_nulls_in),
        _ => {}
    }
}
