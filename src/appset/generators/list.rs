//! `list`: elements written down.

use serde_json::Value as Json;

use super::{Generated, Scope, Stop};
use crate::appset::params::{Param, Params, from_object};
use crate::resource::yaml;

/// Elements, then those of `elementsYaml`.
pub fn generate(section: &Json, scope: &Scope<'_>) -> Generated {
    let mut sets = Vec::new();
    for (index, element) in section.get("elements").and_then(Json::as_array).into_iter().flatten().enumerate() {
        let Json::Object(element) = element else {
            return Err(Stop::Failed(format!("elements[{index}] is not a map: {element}")));
        };
        sets.push(if scope.renderer.go {
            from_object(element)
        } else {
            texts(element).map_err(|text| format!("elements[{index}]: {text}"))?
        });
    }
    let text = section.get("elementsYaml").and_then(Json::as_str).unwrap_or_default();
    if text.trim().is_empty() {
        return Ok(sets);
    }
    match yaml::parse_one(text).map_err(|error| format!("error unmarshalling decoded ElementsYaml: {error}"))? {
        Json::Null => {}
        Json::Array(elements) => {
            for element in elements {
                let Json::Object(element) = element else {
                    return Err(Stop::Failed(format!("elementsYaml: every element must be a map, not {element}")));
                };
                sets.push(from_object(&element));
            }
        }
        other => return Err(Stop::Failed(format!("elementsYaml must be a list of maps, not {other}"))),
    }
    Ok(sets)
}

/// `{{name}}` templates know texts only, and a map `values` of texts.
fn texts(element: &serde_json::Map<String, Json>) -> Result<Params, String> {
    let mut set = Params::new();
    for (key, value) in element {
        match value {
            Json::String(text) => {
                set.insert(key.clone(), Param::Text(text.clone()));
            }
            Json::Object(values) if key == "values" => {
                for (name, value) in values {
                    let text =
                        value.as_str().ok_or_else(|| format!("error parsing value of `values.{name}` as string: {value}"))?;
                    set.insert(format!("values.{name}"), Param::from(text));
                }
            }
            other => return Err(format!("error parsing value of `{key}` as string: {other} (quote it, or use goTemplate)")),
        }
    }
    Ok(set)
}
