//! Takes the values of a Secret out of somebody else's text: the API server quotes what it refuses. Pure.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::mask::{HIDDEN, is_secret};
use crate::resource::Object;

/// Replaces every value of a Secret's `data` and `stringData` in a text, as written, decoded and encoded. Other objects' values
/// are no secrets and stay.
#[must_use]
pub fn redact(text: &str, object: &Object) -> String {
    if !is_secret(object) {
        return text.to_owned();
    }
    let mut forms = BTreeSet::new();
    for field in ["data", "stringData"] {
        if let Some(value) = object.0.get(field) {
            collect(value, &mut forms);
        }
    }
    // The longest first: a value may be part of another one.
    let mut forms: Vec<String> = forms.into_iter().filter(|form| !form.is_empty()).collect();
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), HIDDEN))
}

fn collect(value: &Value, forms: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.values().for_each(|value| collect(value, forms)),
        Value::Array(items) => items.iter().for_each(|value| collect(value, forms)),
        Value::String(text) => {
            forms.insert(text.clone());
            forms.insert(STANDARD.encode(text));
            let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            forms.extend(decoded);
        }
        Value::Number(number) => {
            forms.insert(number.to_string());
        }
        // Hiding every `true` would hide nothing and garble the text.
        Value::Bool(_) | Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: &str, data: Value) -> Object {
        Object::from_value(json!({ "apiVersion": "v1", "kind": kind, "data": data })).unwrap_or_default()
    }

    #[test]
    fn values_are_hidden_in_every_form() {
        let secret = object("Secret", json!({ "pin": 482_913, "password": "bWFya2VyLTkx" }));
        let text = ".data.pin: expected string, got 482913; and bWFya2VyLTkx is marker-91";
        assert_eq!(redact(text, &secret), ".data.pin: expected string, got (masked); and (masked) is (masked)");
    }

    #[test]
    fn other_kinds_keep_their_words() {
        assert_eq!(redact("got 1", &object("ConfigMap", json!({ "a": 1 }))), "got 1");
    }
}
