//! Sets of parameters with the Go types they have upstream: what a template prints depends on them.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::template::{self, List, Map, Text, Value};

/// One set of parameters: what one Application is rendered from.
pub type Params = BTreeMap<String, Param>;

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// JSON's null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number that never was JSON: the id of a repository.
    Int(i64),
    /// Every number of JSON or YAML data: Go reads them as `float64`, so a million prints as `1e+06`.
    Float(f64),
    /// A text.
    Text(String),
    /// A list out of JSON or YAML data.
    List(Vec<Self>),
    /// A map of anything.
    Map(Params),
    /// A list that a generator made: one key for selectors, printed as `[a b]`.
    Texts(Vec<String>),
    /// A map of texts that a generator made: an absent key is an empty text under `missingkey=zero`.
    TextMap(BTreeMap<String, String>),
    /// The clusters of a flat list: one key for selectors, as [`Self::Texts`].
    Sets(Vec<Params>),
}

impl From<&str> for Param {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Param {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&Json> for Param {
    fn from(value: &Json) -> Self {
        match value {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Bool(*flag),
            Json::Number(number) => Self::Float(number.as_f64().unwrap_or_default()),
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Json::Object(map) => Self::Map(from_object(map)),
        }
    }
}

impl Param {
    /// The value that templates see.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Nil,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Int(number) => Value::Int(*number),
            Self::Float(number) => Value::Float(*number),
            Self::Text(text) => Value::text(text.as_str()),
            Self::List(items) => Value::List(List::new(items.iter().map(Self::to_value).collect())),
            Self::Map(map) => to_value(map),
            Self::Texts(texts) => Value::texts(texts.iter().map(|text| Text::from(text.as_str()))),
            Self::TextMap(map) => {
                let entries = map.iter().map(|(key, text)| (Text::from(key.as_str()), Text::from(text.as_str())));
                Value::Map(Map::of_texts(entries.collect()))
            }
            Self::Sets(sets) => Value::List(List::new(sets.iter().map(to_value).collect())),
        }
    }

    /// The text that Go's `%v` prints.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => template::printed(&other.to_value()).map(|text| text.to_str().into_owned()).unwrap_or_default(),
        }
    }

    /// The JSON value, for messages and merge keys.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(flag) => Json::Bool(*flag),
            Self::Int(number) => Json::from(*number),
            Self::Float(number) => Json::from(*number),
            Self::Text(text) => Json::from(text.as_str()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(map) => to_json(map),
            Self::Texts(texts) => texts.iter().map(String::as_str).collect(),
            Self::TextMap(map) => map.iter().map(|(key, text)| (key.clone(), Json::from(text.as_str()))).collect(),
            Self::Sets(sets) => sets.iter().map(to_json).collect(),
        }
    }

    /// The entries, when it is a map of either kind.
    fn entries(&self) -> Option<Params> {
        match self {
            Self::Map(map) => Some(map.clone()),
            Self::TextMap(map) => Some(map.iter().map(|(key, text)| (key.clone(), Self::from(text.as_str()))).collect()),
            _ => None,
        }
    }
}

/// A set out of a JSON object.
#[must_use]
pub fn from_object(map: &serde_json::Map<String, Json>) -> Params {
    map.iter().map(|(key, value)| (key.clone(), Param::from(value))).collect()
}

/// The root value of a template.
#[must_use]
pub fn to_value(params: &Params) -> Value {
    Value::Map(Map::new(params.iter().map(|(key, param)| (Text::from(key.as_str()), param.to_value())).collect()))
}

/// A JSON object.
#[must_use]
pub fn to_json(params: &Params) -> Json {
    params.iter().map(|(key, param)| (key.clone(), param.to_json())).collect()
}

/// Dotted keys and texts, for selectors and for `{{name}}` templates: items of lists out of data become `.0`, `.1`.
#[must_use]
pub fn flatten(params: &Params) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    params.iter().for_each(|(key, param)| flatten_into(key, param, &mut flat));
    flat
}

fn flatten_into(key: &str, param: &Param, flat: &mut BTreeMap<String, String>) {
    match param {
        Param::Map(map) => map.iter().for_each(|(name, param)| flatten_into(&format!("{key}.{name}"), param, flat)),
        Param::TextMap(map) => flat.extend(map.iter().map(|(name, text)| (format!("{key}.{name}"), text.clone()))),
        Param::List(items) => {
            items.iter().enumerate().for_each(|(index, item)| flatten_into(&format!("{key}.{index}"), item, flat));
        }
        other => {
            flat.insert(key.to_owned(), other.shown());
        }
    }
}

/// Lays one set over another: nested maps are merged, everything else is replaced.
///
/// Source: how matrix and merge combine sets of parameters in Go templates (Argo CD 3.5).
pub fn overlay(base: &mut Params, over: &Params) {
    for (key, param) in over {
        match (base.get_mut(key), param) {
            (Some(Param::TextMap(below)), Param::TextMap(above)) => below.extend(above.clone()),
            (Some(below), above) => match (below.entries(), above.entries()) {
                (Some(mut entries), Some(above)) => {
                    overlay(&mut entries, &above);
                    *below = Param::Map(entries);
                }
                _ => *below = above.clone(),
            },
            (None, above) => {
                base.insert(key.clone(), above.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(value: &Json) -> Params {
        from_object(value.as_object().expect("an object"))
    }

    #[test]
    fn data_flattens_with_dots_and_prints_as_go() {
        let flat = flatten(&params(&json!({ "cfg": { "replicas": 1_500_000, "hosts": ["x", "y"], "on": true, "no": null } })));
        let expected =
            [("cfg.hosts.0", "x"), ("cfg.hosts.1", "y"), ("cfg.no", "<nil>"), ("cfg.on", "true"), ("cfg.replicas", "1.5e+06")];
        assert_eq!(flat, expected.map(|(key, text)| (key.to_owned(), text.to_owned())).into());
    }

    #[test]
    fn lists_that_a_generator_made_are_one_key() {
        let made = Params::from([("labels".into(), Param::Texts(vec!["a".into(), "b".into()]))]);
        assert_eq!(flatten(&made), BTreeMap::from([("labels".into(), "[a b]".into())]));
    }

    #[test]
    fn the_upper_set_wins_and_maps_are_merged() {
        let mut base = params(&json!({ "k": "z", "only1": 2, "m": { "a": 1, "b": 1 }, "l": [1, 2] }));
        overlay(&mut base, &params(&json!({ "k": "", "only0": 1, "m": { "b": 2 }, "l": [3] })));
        assert_eq!(base, params(&json!({ "k": "", "only0": 1, "only1": 2, "m": { "a": 1, "b": 2 }, "l": [3] })));
    }
}
