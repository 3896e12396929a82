//! Hides the values of Secrets before anything is compared for the screen. Pure.
//!
//! What leaves this module says of each key whether it is the same, changed, added or removed, and nothing else: no value,
//! no length, no hash.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::resource::Object;

/// Stands for a value that is the same on both sides, or exists on one side only.
pub const HIDDEN: &str = "(masked)";
/// Stands for the live value where the two differ.
pub const HIDDEN_BEFORE: &str = "(masked, before)";
/// Stands for the predicted value where the two differ.
pub const HIDDEN_AFTER: &str = "(masked, after)";

/// True for objects whose values must not be shown.
#[must_use]
pub fn is_secret(object: &Object) -> bool {
    object.kind() == "Secret" && object.group().is_empty()
}

/// Replaces the values of both sides' `data` and `stringData`; what `stringData` says is folded into `data`, as the API
/// server does. Anything else in these two fields is hidden whole.
pub fn mask(live: Option<&mut Object>, predicted: Option<&mut Object>) {
    let (mut live, mut predicted) = (live, predicted);
    let before = live.as_deref_mut().map(take_data).unwrap_or_default();
    let after = predicted.as_deref_mut().map(take_data).unwrap_or_default();
    let hide = |own: &Map<String, Value>, other: &Map<String, Value>, placeholder: &str| -> Map<String, Value> {
        let word = |key: &String, value: &Value| match other.get(key) {
            Some(theirs) if theirs != value => placeholder.to_owned(),
            _ => HIDDEN.to_owned(),
        };
        own.iter().map(|(key, value)| (key.clone(), Value::String(word(key, value)))).collect()
    };
    put_data(live, hide(&before, &after, HIDDEN_BEFORE));
    put_data(predicted, hide(&after, &before, HIDDEN_AFTER));
}

fn take_data(object: &mut Object) -> Map<String, Value> {
    let data = object.0.remove("data");
    let plain = object.0.remove("stringData");
    let mut all = as_map(data);
    all.extend(as_map(plain).into_iter().map(|(key, value)| {
        let text = value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string());
        (key, Value::String(STANDARD.encode(text)))
    }));
    all
}

fn as_map(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        None | Some(Value::Null) => Map::new(),
        // Not a map, so not a Secret the API server would take; its content is still nobody's business.
        Some(other) => Map::from_iter([("(not a map)".to_owned(), other)]),
    }
}

fn put_data(object: Option<&mut Object>, data: Map<String, Value>) {
    if let Some(object) = object.filter(|_| !data.is_empty()) {
        object.0.insert("data".into(), Value::Object(data));
    }
}
