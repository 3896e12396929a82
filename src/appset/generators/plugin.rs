//! `plugin`: sets of parameters from a service of the user.

use serde_json::{Value as Json, json};

use super::{Generated, Scope, Stop, add_values, required};
use crate::appset::inputs::{Answer, Request};
use crate::appset::params::{Param, Params, flatten, from_object};

/// What the service replied, with the parameters that it was asked with under `generator.input.parameters`.
pub fn generate(section: &Json, scope: &Scope<'_>) -> Generated {
    let config_map =
        required(section.get("configMapRef").unwrap_or(&Json::Null), "name").map_err(|error| format!("configMapRef.{error}"))?;
    let parameters = section.pointer("/input/parameters").cloned().unwrap_or_else(|| json!({}));
    let request = Request::Plugin { config_map: config_map.to_owned(), parameters: parameters.to_string() };
    let Answer::Parameters(objects) = scope.ask(request)? else {
        return Err(Stop::Failed("the answer is not about parameters".to_owned()));
    };
    let input = json!({ "input": { "parameters": parameters } });
    let mut sets = Vec::new();
    for object in objects {
        let Json::Object(object) = object else {
            return Err(Stop::Failed(format!("the plugin must reply with maps, not with {object}")));
        };
        let mut set = from_object(object);
        if !scope.renderer.go {
            set = flatten(&set).into_iter().map(|(key, text)| (key, Param::Text(text))).collect::<Params>();
        }
        set.insert("generator".into(), Param::from(&input));
        add_values(section, &mut set, scope.renderer)?;
        sets.push(set);
    }
    Ok(sets)
}
