//! Words: title case, snake case and the like, initials, line wrapping. Sprig takes them from `goutils` and `xstrings`.

use super::numeric::is_space;
use super::strings::{to_lower, to_upper};
use super::{Arguments, Function, Type, fixed};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::text::{Buffer, chars};
use crate::template::value::Value;

use Type::{Int, Text as Str};

type Answer = Result<Value, Fault>;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("title", &[Str], |_, a| Ok(Value::text(title(a.bytes(0))))),
    fixed("untitle", &[Str], |_, a| Ok(Value::text(untitle(a.bytes(0))))),
    fixed("initials", &[Str], |_, a| Ok(Value::text(initials(a.bytes(0))))),
    fixed("swapcase", &[Str], |_, a| Ok(Value::text(swap_case(a.bytes(0))))),
    fixed("snakecase", &[Str], |_, a| Ok(Value::text(separated(a.bytes(0), '_')))),
    fixed("kebabcase", &[Str], |_, a| Ok(Value::text(separated(a.bytes(0), '-')))),
    fixed("camelcase", &[Str], |_, a| Ok(Value::text(pascal_case(a.bytes(0))))),
    fixed("shuffle", &[Str], shuffle),
    fixed("wrap", &[Int, Str], |_, a| wrap(a.bytes(1), a.int(0), b"\n", false)),
    fixed("wrapWith", &[Int, Str, Str], |_, a| wrap(a.bytes(2), a.int(0), a.bytes(1), true)),
];

/// Go's `strings.Title`: letters, digits and underscores continue a word; of other characters only white space ends one beyond
/// ASCII.
fn title(bytes: &[u8]) -> String {
    let mut previous = ' ';
    chars(bytes)
        .map(|c| {
            let separated = match previous {
                '_' => false,
                p if p.is_ascii() => !p.is_ascii_alphanumeric(),
                p => !p.is_alphanumeric() && is_space(p),
            };
            previous = c;
            if separated { to_upper(c) } else { c }
        })
        .collect()
}

fn untitle(bytes: &[u8]) -> String {
    let mut first = true;
    chars(bytes)
        .map(|c| {
            if is_space(c) {
                first = true;
                return c;
            }
            if std::mem::take(&mut first) { to_lower(c) } else { c }
        })
        .collect()
}

/// `goutils` looks at bytes and makes each a character of its own.
fn initials(bytes: &[u8]) -> String {
    let mut first = true;
    let mut out = String::new();
    for byte in bytes {
        let c = char::from(*byte);
        if is_space(c) {
            first = true;
        } else if std::mem::take(&mut first) {
            out.push(c);
        }
    }
    out
}

fn swap_case(bytes: &[u8]) -> String {
    let mut first = true;
    chars(bytes)
        .map(|c| {
            if c.is_uppercase() {
                first = false;
                to_lower(c)
            } else if c.is_lowercase() {
                first = false;
                to_upper(c)
            } else {
                first = is_space(c);
                c
            }
        })
        .collect()
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || is_space(c)
}

/// `foo_bar` and `foo bar` become `FooBar`; connectors at the start stay.
fn pascal_case(bytes: &[u8]) -> String {
    let text: Vec<char> = chars(bytes).collect();
    let Some(start) = text.iter().position(|c| !is_connector(*c)) else {
        // A quirk of `xstrings`: the last of nothing but connectors is written twice.
        return text.iter().chain(text.last()).collect();
    };
    let mut out: String = text[..start].iter().collect();
    let mut lowers = text[start].is_uppercase();
    let mut current = to_upper(text[start]);
    for next in &text[start + 1..] {
        let (before, mut c) = (current, *next);
        if is_connector(c) && is_connector(before) {
            out.push(before);
            current = c;
            continue;
        }
        if is_connector(before) {
            lowers = c.is_uppercase();
            c = to_upper(c);
        } else {
            if lowers {
                if c.is_uppercase() {
                    c = to_lower(c);
                } else {
                    lowers = false;
                }
            }
            out.push(before);
        }
        current = c;
    }
    out.push(current);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WordKind {
    None,
    Number,
    Upper,
    Letters,
    Connector,
    Punctuation,
    Other,
}

fn is_punctuation(c: char) -> bool {
    // Go's `IsPunct` leaves symbols out; beyond ASCII the common blocks are enough.
    if c.is_ascii() {
        return c.is_ascii_punctuation() && !"$+<=>^`|~".contains(c);
    }
    matches!(u32::from(c), 0xa1 | 0xa7 | 0xab | 0xb6 | 0xb7 | 0xbb | 0xbf | 0x2010..=0x2027 | 0x2030..=0x205e | 0x3001..=0x3003 | 0x3008..=0x3011)
}

/// Letters with no upper or lower case are "other" words, as in `xstrings`.
fn is_cased(c: char) -> bool {
    c.is_alphabetic() && (c.is_uppercase() || c.is_lowercase())
}

/// Cuts one word off.
fn next_word(text: &[char]) -> (WordKind, &[char], &[char]) {
    let Some(first) = text.first().copied() else { return (WordKind::None, text, text) };
    let run = |test: &dyn Fn(char) -> bool| text.iter().take_while(|c| test(**c)).count();
    let lower = |c: char| is_cased(c) && !c.is_uppercase();
    let (kind, length) = if is_connector(first) {
        (WordKind::Connector, run(&is_connector))
    } else if is_punctuation(first) {
        (WordKind::Punctuation, run(&is_punctuation))
    } else if first.is_uppercase() {
        let uppers = run(&char::is_uppercase);
        let follows = text.get(uppers).copied().is_some_and(is_cased);
        let length = match (uppers, follows) {
            (1, true) => 1 + text[1..].iter().take_while(|c| lower(**c)).count(),
            (_, true) => uppers - 1,
            _ => uppers,
        };
        (WordKind::Upper, length)
    } else if is_cased(first) {
        (WordKind::Letters, run(&lower))
    } else if first.is_numeric() {
        (WordKind::Number, run(&char::is_numeric))
    } else {
        let other = |c: char| !is_connector(c) && !is_cased(c) && !c.is_numeric() && !is_punctuation(c);
        (WordKind::Other, 1 + text[1..].iter().take_while(|c| other(**c)).count())
    };
    (kind, &text[..length], &text[length..])
}

fn push_lower(out: &mut String, kind: WordKind, word: &[char], connector: char) {
    let changes = matches!(kind, WordKind::Upper | WordKind::Connector);
    out.extend(word.iter().map(|c| match c {
        c if !changes => *c,
        c if is_connector(*c) => connector,
        c => to_lower(*c),
    }));
}

/// Splits at case changes, numbers and connectors and joins in lower case. A number goes with the word before it unless letters
/// follow it: `Bld4Floor3rd` is `bld4_floor_3rd`.
fn separated(bytes: &[u8], connector: char) -> String {
    use WordKind::{Connector, Letters, None, Number, Punctuation};
    let text: Vec<char> = chars(bytes).collect();
    let mut out = String::new();
    let (mut kind, mut word, mut rest) = next_word(&text);
    let joins = |kind: WordKind| !matches!(kind, None | Connector | Punctuation);
    while !rest.is_empty() {
        if kind != Connector {
            push_lower(&mut out, kind, word, connector);
        }
        let (before, last) = (kind, word);
        (kind, word, rest) = next_word(rest);
        match before {
            Number => {
                while matches!(kind, Letters | Number) {
                    push_lower(&mut out, kind, word, connector);
                    (kind, word, rest) = next_word(rest);
                }
                if joins(kind) {
                    out.push(connector);
                }
            }
            Connector => push_lower(&mut out, before, last, connector),
            Punctuation => {}
            _ if kind != Number => {
                if !matches!(kind, Connector | Punctuation) {
                    out.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = word;
                (kind, word, rest) = next_word(rest);
                if kind != Letters {
                    push_lower(&mut out, Number, number, connector);
                    if !matches!(kind, Connector | Punctuation) {
                        out.push(connector);
                    }
                    continue;
                }
                out.push(connector);
                push_lower(&mut out, Number, number, connector);
                while matches!(kind, Letters | Number) {
                    push_lower(&mut out, kind, word, connector);
                    (kind, word, rest) = next_word(rest);
                }
                if joins(kind) {
                    out.push(connector);
                }
            }
        }
    }
    push_lower(&mut out, kind, word, connector);
    out
}

fn shuffle(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let mut text: Vec<char> = chars(arguments.bytes(0)).collect();
    for at in (1..text.len()).rev() {
        let other = super::random::below(context, at as u64 + 1);
        text.swap(at, usize::try_from(other).unwrap_or_default());
    }
    Ok(Value::text(text.into_iter().collect::<String>()))
}

/// Breaks lines at spaces; widths are in bytes. A word that is too long is cut only when asked.
fn wrap(text: &[u8], width: i64, line_break: &[u8], cuts: bool) -> Answer {
    let width = usize::try_from(width).unwrap_or(1).max(1);
    let line_break = if line_break.is_empty() { b"\n" } else { line_break };
    let mut out = Buffer::default();
    let mut at = 0;
    while text.len() - at > width {
        if text[at] == b' ' {
            at += 1;
            continue;
        }
        let window = &text[at..at + width + 1];
        let end = match window.iter().rposition(|byte| *byte == b' ') {
            Some(space) => at + space,
            None if cuts => at + width,
            None => text[at + width..].iter().position(|byte| *byte == b' ').map_or(text.len(), |space| at + width + space),
        };
        out.push(&text[at..end])?;
        if end == text.len() {
            return Ok(Value::Text(out.finish()));
        }
        out.push(line_break)?;
        let at_space = !cuts || window.contains(&b' ');
        at = if at_space { end + 1 } else { end };
    }
    out.push(&text[at..])?;
    Ok(Value::Text(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_utf8_is_no_reason_to_panic() {
        for bytes in [&b"\xff"[..], b"A\xffb", b"\xe2\x82", b""] {
            let _ = (title(bytes), separated(bytes, '_'), pascal_case(bytes), swap_case(bytes), initials(bytes));
        }
    }
}
