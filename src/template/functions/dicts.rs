//! Dicts.

use std::collections::BTreeMap;

use super::strings::to_text;
use super::{Arguments, Function, Type, fixed, variadic};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::text::Text;
use crate::template::value::{Element, Map, Value};

use Type::{Any, Dict, Text as Str};

type Answer = Result<Value, Fault>;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("dict", &[], Any, make),
    fixed("get", &[Dict, Str], |_, a| Ok(a.dict(0).get(a.bytes(1)).unwrap_or_else(|| Value::text("")))),
    fixed("set", &[Dict, Str, Any], |context, a| {
        // Looking for a cycle may touch everything that the value holds.
        context.spend(a.any(2).weight())?;
        a.dict(0).insert(a.text(1), a.any(2).clone())?;
        Ok(a.any(0).clone())
    }),
    fixed("unset", &[Dict, Str], |_, a| {
        a.dict(0).remove(a.bytes(1));
        Ok(a.any(0).clone())
    }),
    fixed("hasKey", &[Dict, Str], |_, a| Ok(Value::Bool(a.dict(0).get(a.bytes(1)).is_some()))),
    variadic("pluck", &[Str], Dict, |_, a| Ok(Value::list((1..a.len()).filter_map(|at| a.dict(at).get(a.bytes(0))).collect()))),
    variadic("keys", &[], Dict, |_, a| Ok(Value::texts((0..a.len()).flat_map(|at| a.dict(at).entries()).map(|(key, _)| key)))),
    fixed("values", &[Dict], |_, a| Ok(Value::list(a.dict(0).entries().into_iter().map(|(_, value)| value).collect()))),
    variadic("pick", &[Dict], Str, |_, a| filtered(a, true)),
    variadic("omit", &[Dict], Str, |_, a| filtered(a, false)),
    variadic("dig", &[], Any, dig),
];

fn make(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let mut entries = BTreeMap::new();
    for pair in arguments.from(0).chunks(2) {
        if let [key, rest @ ..] = pair {
            entries.insert(to_text(key)?, rest.first().cloned().unwrap_or_else(|| Value::text("")));
        }
    }
    Ok(Value::Map(Map::new(entries)))
}

fn filtered(arguments: &Arguments<'_>, keeps: bool) -> Answer {
    let names: Vec<Text> = (1..arguments.len()).map(|at| arguments.text(at)).collect();
    let entries = arguments.dict(0).entries().into_iter().filter(|(key, _)| names.contains(key) == keeps);
    Ok(Value::Map(Map::new(entries.collect())))
}

/// `dig "a" "b" default dict`: the value below the keys, or the default.
fn dig(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let [keys @ .., default, dict] = arguments.from(0) else { return Err(too_few()) };
    if keys.is_empty() {
        return Err(too_few());
    }
    let mut step = dict.clone();
    step_into(&step, &Text::default())?;
    if let Some(key) = keys.iter().find(|key| !matches!(key, Value::Text(_))) {
        return Err(conversion(key, "string"));
    }
    for key in keys {
        let Value::Text(key) = key else { continue };
        match step_into(&step, key)? {
            Some(value) => step = value,
            None => return Ok(default.clone()),
        }
    }
    Ok(step)
}

fn step_into(step: &Value, key: &Text) -> Result<Option<Value>, Fault> {
    match step {
        Value::Map(map) if map.element == Element::Any => Ok(map.get(key.as_bytes())),
        other => Err(conversion(other, "map[string]interface {}")),
    }
}

fn too_few() -> Fault {
    Fault::new("dig needs at least three arguments")
}

fn conversion(value: &Value, wanted: &str) -> Fault {
    let found = if value.is_nil() { "nil" } else { value.type_name() };
    Fault::new(format!("interface conversion: interface {{}} is {found}, not {wanted}"))
}
