//! Go's quoted strings.

use std::fmt::Write as _;

use crate::template::text::first_char;

/// Which characters stay as they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// All that can be printed.
    Printable,
    /// Only those of ASCII.
    Ascii,
}

/// `"text"` with Go's escapes.
#[must_use]
pub fn quoted(bytes: &[u8]) -> String {
    quoted_as(bytes, '"', Quoting::Printable)
}

/// Quoted with the given quotation mark.
#[must_use]
pub fn quoted_as(mut bytes: &[u8], mark: char, quoting: Quoting) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push(mark);
    while let Some((c, length)) = first_char(bytes) {
        if c == char::REPLACEMENT_CHARACTER && length == 1 {
            let _ = write!(out, "\\x{:02x}", bytes[0]);
        } else {
            push_char(&mut out, c, mark, quoting);
        }
        bytes = &bytes[length..];
    }
    out.push(mark);
    out
}

fn push_char(out: &mut String, c: char, mark: char, quoting: Quoting) {
    match c {
        c if c == mark || c == '\\' => {
            out.push('\\');
            out.push(c);
        }
        ' '..='~' => out.push(c),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if u32::from(c) < 0x20 || c == '\u{7f}' => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c if quoting == Quoting::Printable && is_printable(c) => out.push(c),
        c if u32::from(c) < 0x1_0000 => {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
        c => {
            let _ = write!(out, "\\U{:08x}", u32::from(c));
        }
    }
}

/// Nearly Go's `IsPrint`: no control, no white space but the plain one, no format character, nothing unassigned or private.
fn is_printable(c: char) -> bool {
    let formats = matches!(u32::from(c),
        0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f
        | 0xe000..=0xf8ff | 0xfeff | 0xfff0..=0xfffb | 0xfffe..=0xffff | 0xe_0000..=0x10_ffff);
    !c.is_control() && !c.is_whitespace() && !formats
}
