//! Defaults and choices.

use super::{Function, Type, fixed, variadic};
use crate::template::error::Fault;
use crate::template::value::{List, Map, Value};

use Type::{Any, Bool};

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("default", &[Any], Any, |_, a| {
        Ok(a.from(1).first().filter(|given| given.is_true()).unwrap_or_else(|| a.any(0)).clone())
    }),
    fixed("empty", &[Any], |_, a| Ok(Value::Bool(!a.any(0).is_true()))),
    variadic("coalesce", &[], Any, |_, a| Ok(a.from(0).iter().find(|value| value.is_true()).cloned().unwrap_or(Value::Nil))),
    variadic("all", &[], Any, |_, a| Ok(Value::Bool(a.from(0).iter().all(Value::is_true)))),
    variadic("any", &[], Any, |_, a| Ok(Value::Bool(a.from(0).iter().any(Value::is_true)))),
    fixed("ternary", &[Any, Any, Bool], |_, a| Ok(a.any(usize::from(!a.flag(2))).clone())),
    fixed("deepCopy", &[Any], |context, a| deep_copy(context, a.any(0), 0)),
    fixed("mustDeepCopy", &[Any], |context, a| deep_copy(context, a.any(0), 0)),
];

/// A copy whose dicts are its own.
pub(super) fn deep_copy(context: &mut crate::template::budget::Context<'_>, value: &Value, depth: usize) -> Result<Value, Fault> {
    if depth > 100 {
        return Err(Fault::new("the value is nested too deeply"));
    }
    context.spend(value.weight())?;
    Ok(match value {
        Value::Map(map) if !map.is_nil() => {
            let mut copied = std::collections::BTreeMap::new();
            for (key, value) in map.entries() {
                copied.insert(key, deep_copy(context, &value, depth + 1)?);
            }
            Value::Map(Map::of(map.element, copied))
        }
        Value::List(list) if !list.is_nil() => {
            let items: Result<Vec<Value>, Fault> = list.items().iter().map(|item| deep_copy(context, item, depth + 1)).collect();
            Value::List(List::of(list.element, items?))
        }
        value if value.is_nil() && depth == 0 => return Err(Fault::new("reflect: call of reflect.Value.Type on zero Value")),
        value => value.clone(),
    })
}
