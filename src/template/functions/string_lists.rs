//! Strings to lists and back.

use std::collections::BTreeMap;

use super::strings::{find, to_text};
use super::{Arguments, Function, Type, fixed};
use crate::template::error::Fault;
use crate::template::text::{Buffer, Text, first_char};
use crate::template::value::{Element, Map, Value};

use Type::{Any, Int, Text as Str};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("split", &[Str, Str], |_, a| Ok(numbered(split(a.bytes(1), a.bytes(0), -1)))),
    fixed("splitn", &[Str, Int, Str], |_, a| Ok(numbered(split(a.bytes(2), a.bytes(0), a.int(1))))),
    fixed("splitList", &[Str, Str], |_, a| Ok(Value::texts(split(a.bytes(1), a.bytes(0), -1)))),
    fixed("toStrings", &[Any], |_, a| Ok(Value::texts(to_texts(a.any(0))?))),
    fixed("join", &[Str, Any], join),
    fixed("sortAlpha", &[Any], |_, a| {
        let mut texts = if let Value::List(_) = a.any(0) { to_texts(a.any(0))? } else { vec![to_text(a.any(0))?] };
        texts.sort();
        Ok(Value::texts(texts))
    }),
];

/// Go's `SplitN`: below zero all parts, an empty separator splits characters.
pub(super) fn split(text: &[u8], separator: &[u8], limit: i64) -> Vec<Text> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut rest = text;
    if limit == 0 || (separator.is_empty() && text.is_empty()) {
        return parts;
    }
    while parts.len() + 1 < limit {
        let (part, skipped) = if separator.is_empty() {
            let Some((_, length)) = first_char(rest).filter(|(_, length)| *length < rest.len()) else { break };
            (length, 0)
        } else {
            let Some(at) = find(rest, separator) else { break };
            (at, separator.len())
        };
        parts.push(Text::from(&rest[..part]));
        rest = &rest[part + skipped..];
    }
    parts.push(Text::from(rest));
    parts
}

fn numbered(parts: Vec<Text>) -> Value {
    let entries: BTreeMap<Text, Text> =
        parts.into_iter().enumerate().map(|(index, part)| (Text::from(format!("_{index}")), part)).collect();
    Value::Map(Map::of_texts(entries))
}

/// Sprig's `strslice`: the items of a list without nils, or the one value.
pub(super) fn to_texts(value: &Value) -> Result<Vec<Text>, Fault> {
    match value {
        Value::List(list) => {
            let keeps = |value: &&Value| list.element != Element::Any || !value.is_nil();
            list.items().iter().filter(keeps).map(to_text).collect()
        }
        value if value.is_nil() => Ok(Vec::new()),
        value => Ok(vec![to_text(value)?]),
    }
}

fn join(_: &mut crate::template::budget::Context<'_>, arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let mut out = Buffer::default();
    for (index, text) in to_texts(arguments.any(1))?.iter().enumerate() {
        if index > 0 {
            out.push(arguments.bytes(0))?;
        }
        out.push(text.as_bytes())?;
    }
    Ok(Value::Text(out.finish()))
}
