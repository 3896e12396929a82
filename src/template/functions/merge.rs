//! Merging dicts, as the Go package `mergo` does.

use super::{Arguments, Function, Type, variadic};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::value::{Map, Value};

use Type::Dict;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("merge", &[Dict], Dict, |context, a| merged(context, a, false)),
    variadic("mustMerge", &[Dict], Dict, |context, a| merged(context, a, false)),
    variadic("mergeOverwrite", &[Dict], Dict, |context, a| merged(context, a, true)),
    variadic("mustMergeOverwrite", &[Dict], Dict, |context, a| merged(context, a, true)),
];

fn merged(context: &mut Context<'_>, arguments: &Arguments<'_>, overwrites: bool) -> Result<Value, Fault> {
    let given = arguments.dict(0);
    let target = if given.is_nil() && arguments.len() > 1 { Map::new(std::collections::BTreeMap::new()) } else { given };
    for at in 1..arguments.len() {
        merge_into(context, &target, &arguments.dict(at), overwrites, 0)?;
    }
    Ok(Value::Map(target))
}

/// Sets what is absent or empty in the target; with `overwrites` also the rest. Dicts on both sides are merged, lists are not.
fn merge_into(context: &mut Context<'_>, target: &Map, source: &Map, overwrites: bool, depth: usize) -> Result<(), Fault> {
    if depth > 100 {
        return Err(Fault::new("the value is nested too deeply"));
    }
    context.spend(64 * source.len() as u64)?;
    for (key, value) in source.entries() {
        let present = target.get(key.as_bytes());
        match (&value, &present) {
            (Value::Nil | Value::Missing, _) => {
                if overwrites {
                    target.insert(key, value)?;
                }
            }
            (Value::Map(inner), Some(Value::Map(own))) => {
                if own.is_empty() && !overwrites {
                    target.insert(key, value.clone())?;
                } else {
                    merge_into(context, own, inner, overwrites, depth + 1)?;
                }
            }
            (_, Some(present)) if present.is_true() && !overwrites => {}
            _ => {
                context.spend(value.weight())?;
                target.insert(key, value)?;
            }
        }
    }
    Ok(())
}
