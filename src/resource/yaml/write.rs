//! Writes YAML that reads back the same under YAML 1.1 (Kubernetes) and YAML 1.2 (editors, other tools).
//!
//! Looks as `kubectl get -o yaml` prints: block style, two spaces, lists at the level of their key.

use serde_json::{Map, Value};

use super::scalar::{self, Scalar};

/// Writes one document, ending in a line break.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(&mut text, map, 0, false),
        Value::Array(items) if !items.is_empty() => write_list(&mut text, items, 0, false),
        other => {
            write_inline(&mut text, other, 0);
            text.push('\n');
        }
    }
    text
}

/// Writes the entries of a map; with `continues` the first one goes on the current line (after `- `).
pub(super) fn write_map(text: &mut String, map: &Map<String, Value>, indent: usize, continues: bool) {
    for (position, (key, value)) in map.iter().enumerate() {
        if position > 0 || !continues {
            pad(text, indent);
        }
        if key.contains('\n') || key.len() > 100 {
            // A key over many lines, or beyond the parser's look-ahead, has to be announced.
            text.push_str("? ");
            text.push_str(&quoted(key));
            text.push('\n');
            pad(text, indent);
        } else {
            text.push_str(&flow_scalar(key));
        }
        text.push(':');
        write_after_key(text, value, indent);
    }
}

fn write_after_key(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            write_map(text, map, indent + 2, false);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            write_list(text, items, indent, false);
        }
        other => {
            text.push(' ');
            write_inline(text, other, indent + 2);
            text.push('\n');
        }
    }
}

fn write_list(text: &mut String, items: &[Value], indent: usize, continues: bool) {
    for (position, item) in items.iter().enumerate() {
        if position > 0 || !continues {
            pad(text, indent);
        }
        text.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => write_map(text, map, indent + 2, true),
            Value::Array(inner) if !inner.is_empty() => write_list(text, inner, indent + 2, true),
            other => {
                write_inline(text, other, indent + 2);
                text.push('\n');
            }
        }
    }
}

pub(super) fn write_inline(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(string) => match literal_header(string) {
            Some(header) => write_literal(text, string, header, indent),
            None => text.push_str(&flow_scalar(string)),
        },
        Value::Array(_) => text.push_str("[]"),
        Value::Object(_) => text.push_str("{}"),
    }
}

/// The header of a literal block, if the string can be one: several lines, all printable, none ending in a space, and the
/// first one not indented (an indented one would need an explicit indentation).
pub(super) fn literal_header(string: &str) -> Option<&'static str> {
    let printable =
        |c: char| c == '\n' || (!c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'));
    let body = string.trim_end_matches('\n');
    let trailing = string.len() - body.len();
    let writable = body.contains('\n') || (trailing > 0 && !body.is_empty());
    if !writable
        || !string.chars().all(printable)
        || body.starts_with(['\n', ' ', '#'])
        || body.split('\n').any(|line| line.ends_with([' ', '\t']) || (line.starts_with("---") || line.starts_with("...")))
    {
        return None;
    }
    Some(match trailing {
        0 => "|-",
        1 => "|",
        _ => "|+",
    })
}

fn write_literal(text: &mut String, string: &str, header: &str, indent: usize) {
    text.push_str(header);
    let body = string.strip_suffix('\n').unwrap_or(string);
    for line in body.split('\n') {
        text.push('\n');
        if !line.is_empty() {
            pad(text, indent);
            text.push_str(line);
        }
    }
}

pub(super) fn flow_scalar(string: &str) -> String {
    if is_safe_plain(string) { string.to_owned() } else { quoted(string) }
}

/// True when a string can stand bare and every reader takes it for a string.
fn is_safe_plain(string: &str) -> bool {
    let Some(first) = string.chars().next() else { return false };
    let starts_safely = first.is_ascii_alphabetic() || matches!(first, '/' | '_' | '$' | '(') || first.is_ascii_digit();
    let safe = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(
                c,
                ' ' | '/'
                    | '_'
                    | '-'
                    | '.'
                    | ','
                    | ':'
                    | '='
                    | '+'
                    | '@'
                    | '$'
                    | '('
                    | ')'
                    | ';'
                    | '*'
                    | '%'
                    | '<'
                    | '>'
                    | '~'
                    | '^'
                    | '\''
                    | '"'
                    | '|'
                    | '&'
                    | '!'
                    | '?'
                    | '\\'
                    | '{'
                    | '}'
                    | '['
                    | ']'
            )
    };
    starts_safely
        && string.chars().all(safe)
        && !string.contains(": ")
        && !string.ends_with([':', ' '])
        && scalar::implicit(string) == Scalar::Str(string.to_owned())
        && !looks_like_number_or_time(string)
}

/// Numbers of YAML 1.1 that Go does not know but others do (base 60, `0o17`), and dates.
fn looks_like_number_or_time(string: &str) -> bool {
    string.starts_with(|c: char| c.is_ascii_digit())
        && string.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b':' | b'-' | b'.' | b'_' | b'+' | b'e' | b'E' | b'T' | b't' | b'Z' | b'z' | b' ' | b'o' | b'x' | b'a'..=b'f' | b'A'..=b'F' | b','))
}

/// A double-quoted scalar: JSON's escapes are a subset of YAML's.
pub(super) fn quoted(string: &str) -> String {
    let mut text = Value::from(string).to_string();
    // JSON leaves these bare; YAML counts some as line breaks and refuses the others.
    for special in
        ['\u{7f}', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}', '\u{fffe}', '\u{ffff}'].into_iter().chain('\u{80}'..='\u{9f}')
    {
        if text.contains(special) {
            text = text.replace(special, &format!("\\u{:04x}", u32::from(special)));
        }
    }
    text
}

fn pad(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}
