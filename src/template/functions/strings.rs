//! Strings: trimming, case, parts, quoting, indentation.

use super::numeric::is_space;
use super::{Arguments, Function, Type, fixed, variadic};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::format::{self, quoted};
use crate::template::text::{Buffer, Text, chars, check_length, first_char};
use crate::template::value::Value;

use Type::{Any, Int, Text as Str};

type Answer = Result<Value, Fault>;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("hello", &[], |_, _| Ok(Value::text("Hello!"))),
    fixed("abbrev", &[Int, Str], |_, a| Ok(Value::Text(abbreviate(&a.text(1), 0, a.int(0))))),
    fixed("abbrevboth", &[Int, Int, Str], |_, a| {
        let (left, right) = (a.int(0), a.int(1));
        let plain = right < 4 || (left > 0 && right < 7);
        Ok(Value::Text(if plain { a.text(2) } else { abbreviate(&a.text(2), left, right) }))
    }),
    fixed("trunc", &[Int, Str], truncate),
    fixed("trim", &[Str], |_, a| Ok(Value::text(trim_space(a.bytes(0))))),
    fixed("upper", &[Str], |_, a| Ok(map_chars(a.bytes(0), to_upper))),
    fixed("lower", &[Str], |_, a| Ok(map_chars(a.bytes(0), to_lower))),
    fixed("substr", &[Int, Int, Str], substring),
    fixed("repeat", &[Int, Str], repeat),
    fixed("trimall", &[Str, Str], |_, a| Ok(trim_set(a))),
    fixed("trimAll", &[Str, Str], |_, a| Ok(trim_set(a))),
    fixed("trimSuffix", &[Str, Str], |_, a| Ok(Value::text(a.bytes(1).strip_suffix(a.bytes(0)).unwrap_or_else(|| a.bytes(1))))),
    fixed("trimPrefix", &[Str, Str], |_, a| Ok(Value::text(a.bytes(1).strip_prefix(a.bytes(0)).unwrap_or_else(|| a.bytes(1))))),
    fixed("nospace", &[Str], no_space),
    fixed("contains", &[Str, Str], |_, a| Ok(Value::Bool(find(a.bytes(1), a.bytes(0)).is_some()))),
    fixed("hasPrefix", &[Str, Str], |_, a| Ok(Value::Bool(a.bytes(1).starts_with(a.bytes(0))))),
    fixed("hasSuffix", &[Str, Str], |_, a| Ok(Value::Bool(a.bytes(1).ends_with(a.bytes(0))))),
    variadic("quote", &[], Any, |_, a| joined(a, |value| Ok(Text::from(quoted(to_text(value)?.as_bytes()))))),
    variadic("squote", &[], Any, |_, a| {
        joined(a, |value| {
            let mut out = Buffer::default();
            out.push_str("'")?;
            format::print(&mut out, value)?;
            out.push_str("'")?;
            Ok(out.finish())
        })
    }),
    variadic("cat", &[], Any, |_, a| joined(a, format::printed)),
    fixed("indent", &[Int, Str], |_, a| indent(a, "")),
    fixed("nindent", &[Int, Str], |_, a| indent(a, "\n")),
    fixed("replace", &[Str, Str, Str], |_, a| Ok(Value::Text(replace(a.bytes(2), a.bytes(0), a.bytes(1))?))),
    fixed("plural", &[Str, Str, Int], |_, a| Ok(Value::Text(a.text(usize::from(a.int(2) != 1))))),
    fixed("toString", &[Any], |_, a| Ok(Value::Text(to_text(a.any(0))?))),
];

/// Sprig's `strval`: a string as it is, anything else as it is printed.
pub(super) fn to_text(value: &Value) -> Result<Text, Fault> {
    format::printed(value)
}

/// Where a part begins.
pub(super) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}

fn joined(arguments: &Arguments<'_>, write: impl Fn(&Value) -> Result<Text, Fault>) -> Answer {
    let mut out = Buffer::default();
    for (index, value) in arguments.from(0).iter().filter(|value| !value.is_nil()).enumerate() {
        out.push_str(if index == 0 { "" } else { " " })?;
        out.push(write(value)?.as_bytes())?;
    }
    Ok(Value::Text(out.finish()))
}

fn map_chars(bytes: &[u8], change: impl Fn(char) -> char) -> Value {
    Value::text(chars(bytes).map(change).collect::<String>())
}

/// The one character that Go maps to; Rust's mapping may give several.
pub(super) fn to_upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

/// As [`to_upper`], downwards.
pub(super) fn to_lower(c: char) -> char {
    let mut mapped = c.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(lower), None) => lower,
        _ if c == '\u{130}' => 'i',
        _ => c,
    }
}

/// Without white space at both ends; bytes that are no UTF-8 stay.
pub(super) fn trim_space(bytes: &[u8]) -> &[u8] {
    let mut start = 0;
    while let Some((_, length)) = first_char(&bytes[start..]).filter(|(c, _)| is_space(*c)) {
        start += length;
    }
    let mut end = bytes.len();
    while end > start {
        let back = (1..=4.min(end - start)).find(|back| std::str::from_utf8(&bytes[end - back..end]).is_ok());
        let Some(back) = back else { break };
        let last = std::str::from_utf8(&bytes[end - back..end]).ok().and_then(|text| text.chars().next());
        if !last.is_some_and(is_space) {
            break;
        }
        end -= back;
    }
    &bytes[start..end]
}

fn trim_set(arguments: &Arguments<'_>) -> Value {
    let set: Vec<char> = arguments.str(0).chars().collect();
    match std::str::from_utf8(arguments.bytes(1)) {
        Ok(text) => Value::text(text.trim_matches(|c| set.contains(&c))),
        Err(_) => Value::text(arguments.bytes(1)),
    }
}

/// `goutils` looks at bytes: a byte of a longer character may look like white space, and each becomes a character of its own.
fn no_space(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let bytes = arguments.bytes(0);
    let kept: Vec<u8> = bytes.iter().copied().filter(|byte| !is_space(char::from(*byte))).collect();
    if kept.len() == bytes.len() {
        return Ok(Value::Text(arguments.text(0)));
    }
    Ok(Value::text(kept.iter().map(|byte| char::from(*byte)).collect::<String>()))
}

fn truncate(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let (count, bytes) = (arguments.int(0), arguments.bytes(1));
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let at = |count: i64| usize::try_from(count).unwrap_or_default();
    Ok(Value::text(match count {
        _ if count < 0 && length.saturating_add(count) > 0 => &bytes[at(length + count)..],
        _ if count >= 0 && length > count => &bytes[..at(count)],
        _ => bytes,
    }))
}

fn substring(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let (start, end, bytes) = (arguments.int(0), arguments.int(1), arguments.bytes(2));
    let length = bytes.len();
    let (from, to) = match (usize::try_from(start), usize::try_from(end)) {
        (Err(_), Ok(end)) => (0, end),
        (Err(_), Err(_)) => {
            return Err(out_of_range(&format!("[:{end}]")));
        }
        (Ok(start), Ok(end)) if end <= length => (start, end),
        (Ok(start), _) => (start, length),
    };
    bytes.get(from..to).map(Value::text).ok_or_else(|| {
        let shown = if from > to { format!("[{from}:{to}]") } else { format!("[:{to}] with length {length}") };
        out_of_range(&shown)
    })
}

fn out_of_range(shown: &str) -> Fault {
    Fault::with_value(format!("runtime error: slice bounds out of range {shown}"), "slice bounds out of range")
}

fn repeat(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let Ok(count) = usize::try_from(arguments.int(0)) else { return Err(Fault::new("strings: negative Repeat count")) };
    let bytes = arguments.bytes(1);
    check_length(bytes.len().saturating_mul(count))?;
    Ok(Value::text(bytes.repeat(if bytes.is_empty() { 0 } else { count }).as_slice()))
}

fn indent(arguments: &Arguments<'_>, before: &str) -> Answer {
    let Ok(spaces) = usize::try_from(arguments.int(0)) else { return Err(Fault::new("strings: negative Repeat count")) };
    check_length(spaces)?;
    let pad = " ".repeat(spaces);
    let mut out = Buffer::default();
    out.push_str(before)?;
    for (index, line) in arguments.bytes(1).split(|byte| *byte == b'\n').enumerate() {
        out.push_str(if index == 0 { "" } else { "\n" })?;
        out.push_str(&pad)?;
        out.push(line)?;
    }
    Ok(Value::Text(out.finish()))
}

/// Replaces every occurrence; an empty part is replaced before every character and at the end.
fn replace(text: &[u8], part: &[u8], with: &[u8]) -> Result<Text, Fault> {
    let mut out = Buffer::default();
    let mut rest = text;
    if part.is_empty() {
        while let Some((_, length)) = first_char(rest) {
            out.push(with)?;
            out.push(&rest[..length])?;
            rest = &rest[length..];
        }
        out.push(with)?;
        return Ok(out.finish());
    }
    while let Some(at) = find(rest, part) {
        out.push(&rest[..at])?;
        out.push(with)?;
        rest = &rest[at + part.len()..];
    }
    out.push(rest)?;
    Ok(out.finish())
}

/// `goutils.AbbreviateFull`: lengths are in bytes.
fn abbreviate(text: &Text, offset: i64, width: i64) -> Text {
    let bytes = text.as_bytes();
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    if width < 4 || bytes.is_empty() || length <= width {
        return if width < 4 || !bytes.is_empty() { text.clone() } else { Text::default() };
    }
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    let at = |position: i64| usize::try_from(position).unwrap_or_default().min(bytes.len());
    if offset <= 4 {
        return Text::from([&bytes[..at(width - 3)], b"..."].concat().as_slice());
    }
    if width < 7 {
        return Text::default();
    }
    if offset + width - 3 < length {
        let rest = abbreviate(&Text::from(&bytes[at(offset)..]), 0, width - 3);
        return Text::from([b"...", rest.as_bytes()].concat().as_slice());
    }
    Text::from([b"...", &bytes[at(length - (width - 3))..]].concat().as_slice())
}
