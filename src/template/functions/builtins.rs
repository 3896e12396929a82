//! Go's own functions, except for those that compare.

use super::{Arguments, Function, Type, fixed, variadic};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::format;
use crate::template::text::{Buffer, Text, chars};
use crate::template::value::{Element, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("and", &[Type::Reflect], Type::Reflect, first),
    variadic("or", &[Type::Reflect], Type::Reflect, first),
    fixed("not", &[Type::Reflect], |_, arguments| Ok(Value::Bool(!arguments.any(0).is_true()))),
    variadic("call", &[Type::Reflect], Type::Reflect, first),
    variadic("html", &[], Type::Any, |_, arguments| html(&printable(arguments)?)),
    variadic("js", &[], Type::Any, |_, arguments| js(&printable(arguments)?)),
    variadic("urlquery", &[], Type::Any, |_, arguments| url_query(&printable(arguments)?)),
    variadic("index", &[Type::Reflect], Type::Reflect, index),
    fixed("len", &[Type::Reflect], length),
    variadic("print", &[], Type::Any, |_, arguments| Ok(Value::Text(joined(arguments)?))),
    variadic("printf", &[Type::Text], Type::Any, |_, arguments| {
        Ok(Value::Text(format::printf(arguments.bytes(0), arguments.from(1))?))
    }),
    variadic("println", &[], Type::Any, |_, arguments| Ok(Value::Text(format::print_all(arguments.from(0), true)?))),
];

/// `and`, `or` and `call` never get here: the executor decides them.
fn first(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Result<Value, Fault> {
    Ok(arguments.any(0).clone())
}

fn joined(arguments: &Arguments<'_>) -> Result<Text, Fault> {
    format::print_all(arguments.from(0), false)
}

/// What is escaped: nothing is `<no value>` there, as in the output of a template.
fn printable(arguments: &Arguments<'_>) -> Result<Text, Fault> {
    let printed = |value: &Value| if value.is_nil() { Value::text("<no value>") } else { value.clone() };
    let values: Vec<Value> = arguments.from(0).iter().map(printed).collect();
    format::print_all(&values, false)
}

fn length(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let length = match arguments.any(0) {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.len(),
        Value::Missing | Value::Nil => return Err(Fault::new("reflect: call of reflect.Value.Type on zero Value")),
        other => return Err(Fault::new(format!("len of type {}", pointed_at(other)))),
    };
    Ok(Value::Int(length as i64))
}

fn index(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let mut item = arguments.any(0).clone();
    if item.is_nil() {
        return Err(Fault::new("index of untyped nil"));
    }
    for index in arguments.from(1) {
        item = index_once(&item, index)?;
    }
    Ok(item)
}

fn index_once(item: &Value, index: &Value) -> Result<Value, Fault> {
    match item {
        Value::Missing | Value::Nil => Err(Fault::new("index of nil pointer")),
        Value::Text(text) => {
            let at = position(index, text.len())?;
            let byte = text.as_bytes().get(at).ok_or_else(|| Fault::new("reflect: string index out of range"))?;
            Ok(Value::Uint8(*byte))
        }
        Value::List(list) => {
            let at = position(index, list.items().len())?;
            list.items().get(at).cloned().ok_or_else(|| Fault::new("reflect: slice index out of range"))
        }
        Value::Map(map) => {
            let key = match index {
                Value::Text(key) => key,
                Value::Missing | Value::Nil => return Err(Fault::new("value is nil; should be of type string")),
                other => return Err(Fault::new(format!("value has type {}; should be string", other.type_name()))),
            };
            let zero = || if map.element == Element::Text { Value::text("") } else { Value::Nil };
            Ok(map.get(key.as_bytes()).unwrap_or_else(zero))
        }
        other => Err(Fault::new(format!("can't index item of type {}", pointed_at(other)))),
    }
}

/// Go follows a pointer before it complains.
fn pointed_at(value: &Value) -> &'static str {
    value.type_name().trim_start_matches('*')
}

fn position(index: &Value, length: usize) -> Result<usize, Fault> {
    let number = match index {
        Value::Int(number) | Value::Int64(number) => *number,
        Value::Uint8(number) => i64::from(*number),
        Value::Uint64(number) => *number as i64,
        Value::Missing | Value::Nil => return Err(Fault::new("cannot index slice/array with nil")),
        other => return Err(Fault::new(format!("cannot index slice/array with type {}", other.type_name()))),
    };
    usize::try_from(number).ok().filter(|number| *number <= length).ok_or_else(|| out_of_range(number))
}

fn out_of_range(index: i64) -> Fault {
    Fault::with_value(format!("index out of range: {index}"), "index out of range")
}

fn html(text: &Text) -> Result<Value, Fault> {
    let mut out = Buffer::default();
    for byte in text.as_bytes() {
        match byte {
            0 => out.push_str("\u{fffd}")?,
            b'"' => out.push_str("&#34;")?,
            b'\'' => out.push_str("&#39;")?,
            b'&' => out.push_str("&amp;")?,
            b'<' => out.push_str("&lt;")?,
            b'>' => out.push_str("&gt;")?,
            byte => out.push(&[*byte])?,
        }
    }
    Ok(Value::Text(out.finish()))
}

fn js(text: &Text) -> Result<Value, Fault> {
    let mut out = Buffer::default();
    for c in chars(text.as_bytes()) {
        match c {
            '\\' => out.push_str("\\\\")?,
            '\'' => out.push_str("\\'")?,
            '"' => out.push_str("\\\"")?,
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c)))?,
            c if u32::from(c) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\u{:04X}", u32::from(c)))?,
            c => out.push_char(c)?,
        }
    }
    Ok(Value::Text(out.finish()))
}

fn url_query(text: &Text) -> Result<Value, Fault> {
    let mut out = Buffer::default();
    for byte in text.as_bytes() {
        match byte {
            b' ' => out.push_str("+")?,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(&[*byte])?,
            byte => out.push_str(&format!("%{byte:02X}"))?,
        }
    }
    Ok(Value::Text(out.finish()))
}
