//! Turns the JSON Schema of a Rust type into a structural schema, the dialect that the API server accepts in a
//! CustomResourceDefinition, with every object left open.

use serde_json::{Map, Value, json};

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// Keywords that are carried over; everything else (title, default, bounds of Rust's number types) is left out.
const KEPT: &[&str] = &["description", "enum", "required", "x-kubernetes-int-or-string"];

/// Formats that the API server knows; it ignores others with a warning.
const FORMATS: &[&str] = &["int32", "int64", "double", "byte", "date-time"];

/// Converts a schema, and those inside it.
///
/// A null alternative is dropped instead of becoming `nullable`: the API server then removes a null that a client wrote,
/// which is what it does under the originals' definitions.
pub(super) fn from_json_schema(schema: Value) -> Value {
    let Value::Object(mut map) = without_null(schema) else { return json!({ PRESERVE: true }) };
    let mut out: Map<String, Value> =
        KEPT.iter().filter_map(|key| map.remove(*key).map(|value| ((*key).to_owned(), value))).collect();
    if let Some(format) = map.remove("format").filter(|format| format.as_str().is_some_and(|name| FORMATS.contains(&name))) {
        out.insert("format".into(), format);
    }
    match map.remove("type") {
        Some(Value::String(name)) => {
            match name.as_str() {
                "object" => object(&mut map, &mut out),
                "array" => {
                    out.insert("items".into(), from_json_schema(map.remove("items").unwrap_or(Value::Bool(true))));
                }
                _ => {}
            }
            out.insert("type".into(), Value::String(name));
        }
        _ if out.contains_key("x-kubernetes-int-or-string") => {}
        _ => {
            out.insert(PRESERVE.into(), Value::Bool(true));
        }
    }
    Value::Object(out)
}

/// An object with anything in it.
pub(super) fn open_object() -> Value {
    json!({ "type": "object", PRESERVE: true })
}

/// Replaces the list of required fields.
pub(super) fn require(schema: &mut Value, fields: &[&str]) {
    schema["required"] = json!(fields);
}

/// Removes the descriptions inside every field of one of these names, however deep, and keeps the field's own.
pub(super) fn forget_descriptions(schema: &mut Value, fields: &[&str]) {
    visit_children(schema, &mut |name, child| {
        if fields.contains(&name) {
            visit_children(child, &mut |_, inner| drop_descriptions(inner));
        } else {
            forget_descriptions(child, fields);
        }
    });
}

fn drop_descriptions(schema: &mut Value) {
    if let Value::Object(map) = schema {
        map.remove("description");
    }
    visit_children(schema, &mut |_, child| drop_descriptions(child));
}

/// Calls back for each property, and under an empty name for what is in lists and maps.
fn visit_children(schema: &mut Value, visit: &mut dyn FnMut(&str, &mut Value)) {
    let Value::Object(map) = schema else { return };
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (name, child) in properties {
            visit(name, child);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(key) {
            visit("", child);
        }
    }
}

/// A map of typed values stays a map; named fields or values of any type make an open object.
fn object(map: &mut Map<String, Value>, out: &mut Map<String, Value>) {
    if let Some(Value::Object(properties)) = map.remove("properties") {
        let properties: Map<String, Value> =
            properties.into_iter().map(|(name, schema)| (name, from_json_schema(schema))).collect();
        out.insert("properties".into(), Value::Object(properties));
    } else if let Some(Value::Object(values)) = map.remove("additionalProperties")
        && !values.is_empty()
    {
        out.insert("additionalProperties".into(), from_json_schema(Value::Object(values)));
        return;
    }
    out.insert(PRESERVE.into(), Value::Bool(true));
}

/// Reduces "this or null" to "this", in both of its spellings; the description beside `anyOf` wins.
fn without_null(schema: Value) -> Value {
    let Value::Object(mut map) = schema else { return schema };
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|name| name != "null");
        if types.len() == 1 {
            let only = types.remove(0);
            map.insert("type".into(), only);
        }
    }
    let Some(Value::Array(alternatives)) = map.remove("anyOf") else { return Value::Object(map) };
    let mut rest = alternatives.into_iter().filter(|one| one.get("type") != Some(&json!("null")));
    match (rest.next(), rest.next()) {
        (Some(Value::Object(mut only)), None) => {
            only.extend(map);
            without_null(Value::Object(only))
        }
        _ => Value::Object(map),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_go_inside_the_named_fields_only() {
        let field = json!({ "description": "own", "type": "array", "items": { "description": "x", "type": "object",
            "properties": { "a": { "description": "x", "type": "string" } } } });
        let mut schema = json!({ "type": "object", "properties": { "other": field, "deep": { "type": "array",
            "items": { "type": "object", "properties": { "sources": field } } } } });
        forget_descriptions(&mut schema, &["sources"]);
        let stripped = json!({ "description": "own", "type": "array", "items": { "type": "object",
            "properties": { "a": { "type": "string" } } } });
        assert_eq!(schema["properties"]["other"], field);
        assert_eq!(schema["properties"]["deep"]["items"]["properties"]["sources"], stripped);
    }

    #[test]
    fn converts_each_shape() {
        let open = json!({ PRESERVE: true });
        let cases = [
            (json!(true), open.clone()),
            (json!({ "type": ["string", "null"], "default": "x", "title": "T" }), json!({ "type": "string" })),
            (json!({ "type": "integer", "format": "uint64", "minimum": 0 }), json!({ "type": "integer" })),
            (json!({ "type": "integer", "format": "int64" }), json!({ "type": "integer", "format": "int64" })),
            (json!({ "type": "array", "items": true }), json!({ "type": "array", "items": open })),
            (
                json!({ "type": "object", "additionalProperties": { "type": "string" } }),
                json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            ),
            (json!({ "type": "object", "additionalProperties": true }), open_object()),
            (json!({ "type": "object" }), open_object()),
            (
                json!({ "anyOf": [{ "type": "object", "properties": { "a": { "type": "string" } } }, { "type": "null" }], "description": "D" }),
                json!({ "type": "object", "properties": { "a": { "type": "string" } }, PRESERVE: true, "description": "D" }),
            ),
            (json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }), open),
            (json!({ "x-kubernetes-int-or-string": true }), json!({ "x-kubernetes-int-or-string": true })),
        ];
        for (input, expected) in cases {
            assert_eq!(from_json_schema(input.clone()), expected, "{input}");
        }
    }
}
