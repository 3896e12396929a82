//! `matrix`: every set of the first generator with every set of the second, which may refer to the first.

use serde_json::{Map, Value as Json};

use super::{Generated, Poll, Scope, Stop, children, evaluate_child, known};
use crate::appset::params::Param;
use crate::appset::params::{Params, flatten, overlay};
use crate::appset::render::Prepared;
use crate::appset::render::Renderer;

/// The combinations, in the order of the first generator.
pub fn generate(section: &Json, scope: &Scope<'_>) -> Generated {
    let [first, second] = match children(section) {
        [first, second] => [first, second],
        more if more.len() > 2 => return Err(Stop::Failed("found more than two generators, Matrix support only two".to_owned())),
        _ => return Err(Stop::Failed("found less than two generators, Matrix support only two".to_owned())),
    };
    let scope = scope.nested();
    let mut sets = Vec::new();
    let mut missing = false;
    for left in evaluate_child(first, &scope, "matrix")? {
        let child = interpolate(second, &scope.renderer.prepare(&left), scope.renderer)?;
        match evaluate_child(&child, &scope, "matrix") {
            Ok(more) => {
                for right in more {
                    sets.push(combine(&left, right, scope.renderer.go)?);
                }
            }
            // All questions of all combinations are collected, so that they can be answered side by side.
            Err(Stop::Missing) => missing = true,
            Err(stop) => return Err(stop),
        }
    }
    if missing { Err(Stop::Missing) } else { Ok(sets) }
}

fn combine(left: &Params, mut right: Params, go: bool) -> Result<Params, String> {
    if go {
        overlay(&mut right, left);
        return Ok(right);
    }
    let (mut combined, right) = (flatten(left), flatten(&right));
    for (key, text) in right {
        match combined.get(&key) {
            Some(other) if *other != text => {
                return Err(format!("found duplicate key {key} with different value, a: {other} ,b: {text}"));
            }
            _ => {
                combined.insert(key, text);
            }
        }
    }
    Ok(combined.into_iter().map(|(key, text)| (key, Param::Text(text))).collect())
}

/// Renders the second generator with a set of the first.
///
/// Not its selector, which is about its own output; of its `values` only those that are complete, because the others wait for
/// its own parameters.
fn interpolate(entry: &Json, params: &Prepared<'_>, renderer: &Renderer<'_>) -> Result<Json, String> {
    let mut interpolated = Map::new();
    if let Some(selector) = entry.get("selector") {
        interpolated.insert("selector".into(), selector.clone());
    }
    for (generator, section) in known(entry)? {
        let section = if generator.poll == Poll::Children {
            interpolate_combination(section, params, renderer, generator.key == "matrix")?
        } else {
            interpolate_section(section, params, renderer)?
        };
        interpolated.insert(generator.key.into(), section);
    }
    Ok(Json::Object(interpolated))
}

fn interpolate_section(section: &Json, params: &Prepared<'_>, renderer: &Renderer<'_>) -> Result<Json, String> {
    let Json::Object(map) = section else { return renderer.json(section, params) };
    let mut rest = map.clone();
    rest.remove("template");
    let values = rest.remove("values");
    let mut rendered = renderer.json(&Json::Object(rest), params)?;
    if let Some(values) = values {
        rendered["values"] = renderer.json_if_complete(&values, params);
    }
    Ok(rendered)
}

/// The second child of an inner matrix refers to the first one of that matrix: what cannot be rendered yet waits.
fn interpolate_combination(section: &Json, params: &Prepared<'_>, renderer: &Renderer<'_>, matrix: bool) -> Result<Json, String> {
    let mut rendered = section.clone();
    if let Some(keys) = section.get("mergeKeys") {
        rendered["mergeKeys"] = renderer.json(keys, params)?;
    }
    let mut inner = Vec::new();
    for (index, child) in children(section).iter().enumerate() {
        inner.push(if matrix && index > 0 {
            renderer.json_if_complete(child, params)
        } else {
            interpolate(child, params, renderer)?
        });
    }
    rendered["generators"] = Json::Array(inner);
    Ok(rendered)
}
