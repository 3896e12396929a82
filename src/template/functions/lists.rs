//! Lists. The `must` form of a function and the plain one fail alike in a template.

use super::compare::deep_equal;
use super::numeric::to_int;
use super::{Arguments, Function, Type, fixed, variadic};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::value::{Element, List, Value};

use Type::{Any, Int};

type Answer = Result<Value, Fault>;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("list", &[], Any, make),
    variadic("tuple", &[], Any, make),
    fixed("append", &[Any, Any], push),
    fixed("mustAppend", &[Any, Any], push),
    fixed("push", &[Any, Any], push),
    fixed("mustPush", &[Any, Any], push),
    fixed("prepend", &[Any, Any], prepend),
    fixed("mustPrepend", &[Any, Any], prepend),
    fixed("first", &[Any], first),
    fixed("mustFirst", &[Any], first),
    fixed("last", &[Any], last),
    fixed("mustLast", &[Any], last),
    fixed("rest", &[Any], rest),
    fixed("mustRest", &[Any], rest),
    fixed("initial", &[Any], initial),
    fixed("mustInitial", &[Any], initial),
    fixed("reverse", &[Any], reverse),
    fixed("mustReverse", &[Any], reverse),
    fixed("compact", &[Any], compact),
    fixed("mustCompact", &[Any], compact),
    fixed("uniq", &[Any], unique),
    fixed("mustUniq", &[Any], unique),
    variadic("without", &[Any], Any, without),
    variadic("mustWithout", &[Any], Any, without),
    fixed("has", &[Any, Any], has),
    fixed("mustHas", &[Any, Any], has),
    variadic("slice", &[Any], Any, slice),
    variadic("mustSlice", &[Any], Any, slice),
    variadic("concat", &[], Any, concat),
    fixed("chunk", &[Int, Any], chunk),
    fixed("mustChunk", &[Int, Any], chunk),
];

fn make(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    Ok(Value::list(arguments.from(0).to_vec()))
}

/// The list, or Sprig's complaint, which names the kind.
fn items<'a>(value: &'a Value, complaint: &str) -> Result<&'a List, Fault> {
    match value {
        Value::List(list) => Ok(list),
        value if value.is_nil() => Err(Fault::new("runtime error: invalid memory address or nil pointer dereference")),
        value => Err(Fault::new(format!("{complaint}{}", value.kind_name()))),
    }
}

fn push(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let mut all = items(arguments.any(0), "Cannot push on type ")?.items().to_vec();
    all.push(arguments.any(1).clone());
    Ok(Value::list(all))
}

fn prepend(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let mut all = vec![arguments.any(1).clone()];
    all.extend_from_slice(items(arguments.any(0), "Cannot prepend on type ")?.items());
    Ok(Value::list(all))
}

fn first(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    Ok(items(arguments.any(0), "Cannot find first on type ")?.items().first().cloned().unwrap_or(Value::Nil))
}

fn last(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    Ok(items(arguments.any(0), "Cannot find last on type ")?.items().last().cloned().unwrap_or(Value::Nil))
}

fn rest(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let rest = items(arguments.any(0), "Cannot find rest on type ")?.items().split_first();
    Ok(rest.map_or(Value::List(List::nil(Element::Any)), |(_, rest)| Value::list(rest.to_vec())))
}

fn initial(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let initial = items(arguments.any(0), "Cannot find initial on type ")?.items().split_last();
    Ok(initial.map_or(Value::List(List::nil(Element::Any)), |(_, initial)| Value::list(initial.to_vec())))
}

fn reverse(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    Ok(Value::list(items(arguments.any(0), "Cannot find reverse on type ")?.items().iter().rev().cloned().collect()))
}

fn compact(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let all = items(arguments.any(0), "Cannot compact on type ")?.items();
    Ok(Value::list(all.iter().filter(|item| item.is_true()).cloned().collect()))
}

fn contains(context: &mut Context<'_>, haystack: &[Value], needle: &Value) -> Result<bool, Fault> {
    context.spend(haystack.len() as u64)?;
    for item in haystack {
        if deep_equal(needle, item, 0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn unique(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let mut found: Vec<Value> = Vec::new();
    for item in items(arguments.any(0), "Cannot find uniq on type ")?.items() {
        if !contains(context, &found, item)? {
            found.push(item.clone());
        }
    }
    Ok(Value::list(found))
}

fn without(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let mut kept = Vec::new();
    for item in items(arguments.any(0), "Cannot find without on type ")?.items() {
        if !contains(context, arguments.from(1), item)? {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn has(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    if arguments.any(1).is_nil() {
        return Ok(Value::Bool(false));
    }
    let all = items(arguments.any(1), "Cannot find has on type ")?.items();
    contains(context, all, arguments.any(0)).map(Value::Bool)
}

fn slice(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let list = items(arguments.any(0), "list should be type of slice or array but ")?;
    let length = list.items().len();
    if length == 0 {
        return Ok(Value::Nil);
    }
    let start = arguments.from(1).first().map_or(0, to_int);
    let end = arguments.from(2).first().map_or(length as i64, to_int);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let part = range.and_then(|(start, end)| list.items().get(start..end));
    let part = part.ok_or_else(|| Fault::new("reflect.Value.Slice: slice index out of bounds"))?;
    Ok(Value::List(List::of(list.element, part.to_vec())))
}

fn concat(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let mut all = Vec::new();
    for value in arguments.from(0) {
        match value {
            Value::List(list) => all.extend_from_slice(list.items()),
            value if value.is_nil() => {
                return Err(Fault::new("runtime error: invalid memory address or nil pointer dereference"));
            }
            value => return Err(Fault::new(format!("Cannot concat type {} as list", value.kind_name()))),
        }
    }
    Ok(if all.is_empty() { Value::List(List::nil(Element::Any)) } else { Value::list(all) })
}

fn chunk(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let all = items(arguments.any(1), "Cannot chunk type ")?.items();
    let size = usize::try_from(arguments.int(0)).ok().filter(|size| *size > 0);
    let Some(size) = size else { return Err(Fault::new("runtime error: makeslice: len out of range")) };
    let chunks = all.chunks(size).map(|chunk| Value::list(chunk.to_vec())).collect();
    Ok(Value::List(List::of(Element::List, chunks)))
}
