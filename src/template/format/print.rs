//! `%v` and the `print` family.

use jiff::Zoned;

use super::float;
use crate::template::dates;
use crate::template::error::Fault;
use crate::template::text::{Buffer, Text};
use crate::template::value::Value;

/// How deep a printed value may be nested.
pub const MAX_NESTING: usize = 100;

/// Writes a value as `%v` does.
///
/// # Errors
/// The text becomes too long, or the value is nested too deeply.
pub fn print(out: &mut Buffer, value: &Value) -> Result<(), Fault> {
    print_nested(out, value, 0)
}

fn print_nested(out: &mut Buffer, value: &Value, depth: usize) -> Result<(), Fault> {
    if depth > MAX_NESTING {
        return Err(Fault::new("the value is nested too deeply"));
    }
    match value {
        Value::Missing | Value::Nil => out.push_str("<nil>"),
        Value::Text(text) => out.push(text.as_bytes()),
        Value::List(list) => {
            out.push_str("[")?;
            for (index, item) in list.items().iter().enumerate() {
                out.push_str(if index == 0 { "" } else { " " })?;
                print_nested(out, item, depth + 1)?;
            }
            out.push_str("]")
        }
        Value::Map(map) => {
            out.push_str("map[")?;
            for (index, (key, value)) in map.entries().iter().enumerate() {
                out.push_str(if index == 0 { "" } else { " " })?;
                out.push(key.as_bytes())?;
                out.push_str(":")?;
                print_nested(out, value, depth + 1)?;
            }
            out.push_str("]")
        }
        Value::Certificate(pair) => {
            out.push_str("{")?;
            out.push(pair.cert.as_bytes())?;
            out.push_str(" ")?;
            out.push(pair.key.as_bytes())?;
            out.push_str("}")
        }
        scalar => out.push_str(&scalar_text(scalar)),
    }
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) | Value::Int64(number) => number.to_string(),
        Value::Uint8(number) => number.to_string(),
        Value::Uint64(number) => number.to_string(),
        Value::Float(number) => float::general(*number, None),
        Value::Named(named) => named.name.to_owned(),
        Value::Version(version) => version.to_string(),
        Value::Time(time) => time_text(time),
        _ => String::new(),
    }
}

fn time_text(time: &Zoned) -> String {
    dates::format("2006-01-02 15:04:05.999999999 -0700 MST", time)
}

/// A value as `%v` prints it.
///
/// # Errors
/// As [`print`].
pub fn printed(value: &Value) -> Result<Text, Fault> {
    if let Value::Text(text) = value {
        return Ok(text.clone());
    }
    let mut out = Buffer::default();
    print(&mut out, value)?;
    Ok(out.finish())
}

/// Writes several values: `print` puts a space between two that are no strings, `println` between all and a line feed behind.
///
/// # Errors
/// As [`print`].
pub fn print_all(values: &[Value], line: bool) -> Result<Text, Fault> {
    let mut out = Buffer::default();
    let mut after_text = true;
    for (index, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::Text(_));
        if index > 0 && (line || (!is_text && !after_text)) {
            out.push_str(" ")?;
        }
        print(&mut out, value)?;
        after_text = is_text;
    }
    if line {
        out.push_str("\n")?;
    }
    Ok(out.finish())
}
