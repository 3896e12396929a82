//! JSON as Go writes and reads it.

use super::{Arguments, Function, Type, fixed};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::format;
use crate::template::text::{Buffer, Text, first_char};
use crate::template::value::Value;

use Type::{Any, Text as Str};

type Answer = Result<Value, Fault>;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("fromJson", &[Str], |_, a| Ok(read(a).unwrap_or(Value::Nil))),
    fixed("mustFromJson", &[Str], |_, a| read(a)),
    fixed("toJson", &[Any], |_, a| Ok(written(a, HTML).unwrap_or_else(|_| Value::text("")))),
    fixed("mustToJson", &[Any], |_, a| written(a, HTML)),
    fixed("toPrettyJson", &[Any], |_, a| Ok(written(a, PRETTY).unwrap_or_else(|_| Value::text("")))),
    fixed("mustToPrettyJson", &[Any], |_, a| written(a, PRETTY)),
    fixed("toRawJson", &[Any], |_, a| written(a, RAW)),
    fixed("mustToRawJson", &[Any], |_, a| written(a, RAW)),
];

/// How JSON is written.
#[derive(Clone, Copy)]
struct Style {
    /// `<`, `>` and `&` are escaped.
    html: bool,
    pretty: bool,
}

const HTML: Style = Style { html: true, pretty: false };
const RAW: Style = Style { html: false, pretty: false };
const PRETTY: Style = Style { html: true, pretty: true };

fn read(arguments: &Arguments<'_>) -> Answer {
    match serde_json::from_slice::<serde_json::Value>(arguments.bytes(0)) {
        Ok(mut json) => {
            let value = Value::from_json(&json);
            wipe(&mut json);
            Ok(value)
        }
        Err(error) => Err(Fault::with_value(error.to_string(), "the text is not JSON")),
    }
}

fn wipe(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::String(text) => zeroize::Zeroize::zeroize(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(wipe),
        serde_json::Value::Object(map) => map.values_mut().for_each(wipe),
        _ => {}
    }
}

fn written(arguments: &Arguments<'_>, style: Style) -> Answer {
    let mut out = Buffer::default();
    write(&mut out, arguments.any(0), style, 0)?;
    Ok(Value::Text(out.finish()))
}

fn write(out: &mut Buffer, value: &Value, style: Style, depth: usize) -> Result<(), Fault> {
    if depth > 100 {
        return Err(Fault::new("the value is nested too deeply"));
    }
    match value {
        Value::Missing | Value::Nil => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Named(named) => out.push_str(&named.number.to_string()),
        Value::Int(_) | Value::Int64(_) | Value::Uint8(_) | Value::Uint64(_) => format::print(out, value),
        Value::Float(number) if !number.is_finite() => {
            let full = format!("json: unsupported value: {}", format::general(*number, None));
            Err(Fault::with_value(full, "json: unsupported value"))
        }
        Value::Float(number) => out.push_str(&format::json(*number)),
        Value::Text(text) => string(out, text.as_bytes(), style),
        Value::Version(version) => string(out, version.to_string().as_bytes(), style),
        Value::Time(time) => {
            string(out, crate::template::dates::format("2006-01-02T15:04:05.999999999Z07:00", time).as_bytes(), style)
        }
        Value::List(list) if list.is_nil() => out.push_str("null"),
        Value::Map(map) if map.is_nil() => out.push_str("null"),
        Value::List(list) => {
            sequence(out, ('[', ']'), list.items(), style, depth, |out, item| write(out, item, style, depth + 1))
        }
        Value::Map(map) => object(out, &map.entries(), style, depth),
        Value::Certificate(pair) => {
            let entries = [("Cert", &pair.cert), ("Key", &pair.key)];
            let entries = entries.map(|(name, text)| (Text::from(name), Value::Text(text.clone())));
            object(out, &entries, style, depth)
        }
    }
}

fn object(out: &mut Buffer, entries: &[(Text, Value)], style: Style, depth: usize) -> Result<(), Fault> {
    sequence(out, ('{', '}'), entries, style, depth, |out, (key, value)| {
        string(out, key.as_bytes(), style)?;
        out.push_str(if style.pretty { ": " } else { ":" })?;
        write(out, value, style, depth + 1)
    })
}

fn sequence<T>(
    out: &mut Buffer,
    (open, close): (char, char),
    items: &[T],
    style: Style,
    depth: usize,
    mut each: impl FnMut(&mut Buffer, &T) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let line = |out: &mut Buffer, depth: usize| {
        if style.pretty && !items.is_empty() { out.push_str(&format!("\n{}", "  ".repeat(depth))) } else { Ok(()) }
    };
    out.push_char(open)?;
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { "," })?;
        line(out, depth + 1)?;
        each(out, item)?;
    }
    line(out, depth)?;
    out.push_char(close)
}

fn string(out: &mut Buffer, mut bytes: &[u8], style: Style) -> Result<(), Fault> {
    out.push_str("\"")?;
    while let Some((c, length)) = first_char(bytes) {
        match c {
            '"' => out.push_str("\\\"")?,
            '\\' => out.push_str("\\\\")?,
            '\n' => out.push_str("\\n")?,
            '\r' => out.push_str("\\r")?,
            '\t' => out.push_str("\\t")?,
            '\u{8}' => out.push_str("\\b")?,
            '\u{c}' => out.push_str("\\f")?,
            '<' | '>' | '&' if style.html => out.push_str(&format!("\\u{:04x}", u32::from(c)))?,
            '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c)))?,
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c)))?,
            char::REPLACEMENT_CHARACTER if length == 1 => out.push_str("\\ufffd")?,
            c => out.push_char(c)?,
        }
        bytes = &bytes[length..];
    }
    out.push_str("\"")
}

/// A value as JSON, for `toYaml`.
pub(super) fn to_json(context: &mut Context<'_>, value: &Value) -> Result<serde_json::Value, Fault> {
    let mut out = Buffer::default();
    write(&mut out, value, RAW, 0)?;
    context.spend(out.len() as u64)?;
    let text = out.finish();
    serde_json::from_slice(text.as_bytes()).map_err(|error| Fault::with_value(error.to_string(), "the value has no form in JSON"))
}
