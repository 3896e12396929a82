//! `printf` with Go's verbs, flags and marks for mistakes.

use super::print::{MAX_NESTING, print, printed};
use super::quote::{Quoting, quoted_as};
use super::{exponential, fixed, general};
use crate::template::error::Fault;
use crate::template::text::{Buffer, Text, chars, first_char};
use crate::template::value::Value;

/// Go refuses a wider field.
const MAX_WIDTH: i64 = 1_000_000;

/// Formats values.
///
/// # Errors
/// The text becomes too long, or a value is nested too deeply. Mistakes in the format are shown in the text, as Go does.
pub fn printf(format: &[u8], arguments: &[Value]) -> Result<Text, Fault> {
    let mut printer = Printer { rest: format, arguments, next: 0, reordered: false, out: Buffer::default() };
    while let Some(at) = printer.rest.iter().position(|byte| *byte == b'%') {
        printer.out.push(&printer.rest[..at])?;
        printer.rest = &printer.rest[at + 1..];
        printer.directive()?;
    }
    printer.out.push(printer.rest)?;
    printer.extra()?;
    Ok(printer.out.finish())
}

/// What stands between `%` and the verb.
#[derive(Clone, Copy, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer<'a> {
    rest: &'a [u8],
    arguments: &'a [Value],
    next: usize,
    reordered: bool,
    out: Buffer,
}

impl Printer<'_> {
    fn directive(&mut self) -> Result<(), Fault> {
        let mut spec = self.flags();
        let mut bad_index = self.index();
        if self.skip(b'*') {
            match self.star() {
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.width = usize::try_from(width.abs()).ok();
                }
                None => self.out.push_str("%!(BADWIDTH)")?,
            }
        } else {
            spec.width = self.number();
        }
        if self.skip(b'.') {
            bad_index |= self.index();
            spec.precision = Some(0);
            if self.skip(b'*') {
                spec.precision = self.star().and_then(|precision| usize::try_from(precision).ok());
                if spec.precision.is_none() {
                    self.out.push_str("%!(BADPREC)")?;
                }
            } else if let Some(precision) = self.number() {
                spec.precision = Some(precision);
            }
        }
        bad_index |= self.index();
        let Some((verb, length)) = first_char(self.rest) else { return self.out.push_str("%!(NOVERB)") };
        self.rest = &self.rest[length..];
        if spec.minus {
            spec.zero = false;
        }
        if verb == 'v' {
            // With this verb the signs ask for Go's syntax and for names of fields, which no value here has.
            (spec.plus, spec.sharp) = (false, false);
        }
        if verb == '%' {
            return self.out.push_str("%");
        }
        if bad_index {
            return self.out.push_str(&format!("%!{verb}(BADINDEX)"));
        }
        let Some(argument) = self.arguments.get(self.next).cloned() else {
            return self.out.push_str(&format!("%!{verb}(MISSING)"));
        };
        self.next += 1;
        write_argument(&mut self.out, &argument, verb, spec, 0)
    }

    fn flags(&mut self) -> Spec {
        let mut spec = Spec::default();
        while let Some(byte) = self.rest.first() {
            match byte {
                b'-' => spec.minus = true,
                b'+' => spec.plus = true,
                b'#' => spec.sharp = true,
                b' ' => spec.space = true,
                b'0' => spec.zero = true,
                _ => break,
            }
            self.rest = &self.rest[1..];
        }
        spec
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn number(&mut self) -> Option<usize> {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&self.rest[..length]).ok()?.parse().ok();
        self.rest = &self.rest[length..];
        number.filter(|number| *number <= MAX_WIDTH as usize)
    }

    /// `[3]`: the next argument is the third. True when it is none.
    fn index(&mut self) -> bool {
        if self.rest.first() != Some(&b'[') {
            return false;
        }
        self.reordered = true;
        let Some(end) = self.rest.iter().position(|byte| *byte == b']') else {
            self.rest = &self.rest[1..];
            return true;
        };
        let number = std::str::from_utf8(&self.rest[1..end]).ok().and_then(|text| text.parse::<usize>().ok());
        self.rest = &self.rest[end + 1..];
        match number {
            Some(number) if (1..=self.arguments.len()).contains(&number) => {
                self.next = number - 1;
                false
            }
            _ => true,
        }
    }

    fn star(&mut self) -> Option<i64> {
        let argument = self.arguments.get(self.next)?;
        self.next += 1;
        match argument {
            Value::Int(number) | Value::Int64(number) => Some(*number).filter(|number| number.abs() <= MAX_WIDTH),
            _ => None,
        }
    }

    fn extra(&mut self) -> Result<(), Fault> {
        if self.reordered || self.next >= self.arguments.len() {
            return Ok(());
        }
        self.out.push_str("%!(EXTRA ")?;
        for (index, argument) in self.arguments[self.next..].iter().enumerate() {
            self.out.push_str(if index == 0 { "" } else { ", " })?;
            if argument.is_nil() {
                self.out.push_str("<nil>")?;
            } else {
                self.out.push_str(argument.type_name())?;
                self.out.push_str("=")?;
                print(&mut self.out, argument)?;
            }
        }
        self.out.push_str(")")
    }
}

fn write_argument(out: &mut Buffer, value: &Value, verb: char, spec: Spec, depth: usize) -> Result<(), Fault> {
    if depth > MAX_NESTING {
        return Err(Fault::new("the value is nested too deeply"));
    }
    match (value, verb) {
        (value, 'T') => pad(out, value.type_name().as_bytes(), spec),
        (Value::Missing | Value::Nil, 'v') => pad(out, b"<nil>", spec),
        (Value::Missing | Value::Nil, verb) => out.push_str(&format!("%!{verb}(<nil>)")),
        (Value::List(list), _) if verb != 'p' => {
            out.push_str("[")?;
            for (index, item) in list.items().iter().enumerate() {
                out.push_str(if index == 0 { "" } else { " " })?;
                write_element(out, item, verb, spec, depth)?;
            }
            out.push_str("]")
        }
        (Value::Map(map), _) if verb != 'p' => {
            out.push_str("map[")?;
            for (index, (key, item)) in map.entries().iter().enumerate() {
                out.push_str(if index == 0 { "" } else { " " })?;
                write_element(out, &Value::Text(key.clone()), verb, spec, depth)?;
                out.push_str(":")?;
                write_element(out, item, verb, spec, depth)?;
            }
            out.push_str("]")
        }
        (Value::Bool(flag), 't' | 'v') => pad(out, flag.to_string().as_bytes(), spec),
        (Value::Int(number) | Value::Int64(number), _) => integer(out, value, i128::from(*number), verb, spec),
        (Value::Uint8(number), _) => integer(out, value, i128::from(*number), verb, spec),
        (Value::Uint64(number), _) => integer(out, value, i128::from(*number), verb, spec),
        (Value::Named(named), 'd' | 'x' | 'X' | 'o' | 'b' | 'c') => integer(out, value, i128::from(named.number), verb, spec),
        (Value::Float(number), _) => float(out, value, *number, verb, spec),
        (Value::Time(_) | Value::Version(_) | Value::Named(_), 's' | 'v' | 'q' | 'x' | 'X') => {
            string(out, &printed(value)?, verb, spec)
        }
        (Value::Text(text), 's' | 'v' | 'q' | 'x' | 'X') => string(out, text, verb, spec),
        (Value::Certificate(_), 's' | 'v') => pad(out, printed(value)?.as_bytes(), spec),
        _ => bad_verb(out, value, verb, spec),
    }
}

/// A value inside another: nil is `<nil>` with every verb that prints values.
fn write_element(out: &mut Buffer, value: &Value, verb: char, spec: Spec, depth: usize) -> Result<(), Fault> {
    write_argument(out, value, verb, spec, depth + 1)
}

/// Shows what was given to a verb that does not take it, in the width that was asked for.
fn bad_verb(out: &mut Buffer, value: &Value, verb: char, spec: Spec) -> Result<(), Fault> {
    out.push_str(&format!("%!{verb}({}=", value.type_name()))?;
    if matches!(value, Value::Certificate(_)) {
        print(out, value)?
    } else {
        write_argument(out, value, 'v', spec, 0)?
    }
    out.push_str(")")
}

fn pad(out: &mut Buffer, text: &[u8], spec: Spec) -> Result<(), Fault> {
    let fill = spec.width.unwrap_or_default().saturating_sub(chars(text).count());
    let fill = if spec.zero { "0" } else { " " }.repeat(fill);
    if spec.minus { out.push(text).and_then(|()| out.push_str(&fill)) } else { out.push_str(&fill).and_then(|()| out.push(text)) }
}

fn string(out: &mut Buffer, text: &Text, verb: char, spec: Spec) -> Result<(), Fault> {
    let mut bytes = text.as_bytes();
    match verb {
        'x' | 'X' => {
            bytes = &bytes[..bytes.len().min(spec.precision.unwrap_or(usize::MAX))];
            return pad(out, hexadecimal(bytes, verb, spec).as_bytes(), spec);
        }
        _ => {
            if let Some(precision) = spec.precision {
                let mut rest = bytes;
                for _ in 0..precision {
                    let Some((_, length)) = first_char(rest) else { break };
                    rest = &rest[length..];
                }
                bytes = &bytes[..bytes.len() - rest.len()];
            }
        }
    }
    if verb != 'q' {
        return pad(out, bytes, spec);
    }
    let raw = spec.sharp
        && std::str::from_utf8(bytes).is_ok_and(|text| !text.contains(|c: char| c == '`' || (c.is_control() && c != '\t')));
    let quoting = if spec.plus { Quoting::Ascii } else { Quoting::Printable };
    let written = if raw { format!("`{}`", String::from_utf8_lossy(bytes)) } else { quoted_as(bytes, '"', quoting) };
    pad(out, written.as_bytes(), spec)
}

fn hexadecimal(bytes: &[u8], verb: char, spec: Spec) -> String {
    let prefix = match (spec.sharp, verb) {
        (false, _) => "",
        (true, 'x') => "0x",
        (true, _) => "0X",
    };
    let pairs: Vec<String> =
        bytes.iter().map(|byte| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") }).collect();
    match (spec.space, pairs.is_empty()) {
        (_, true) => String::new(),
        (true, _) => format!("{prefix}{}", pairs.join(&format!(" {prefix}"))),
        (false, _) => format!("{prefix}{}", pairs.concat()),
    }
}

fn integer(out: &mut Buffer, value: &Value, number: i128, verb: char, spec: Spec) -> Result<(), Fault> {
    let magnitude = number.unsigned_abs();
    let (digits, prefix) = match verb {
        'd' | 'v' => (magnitude.to_string(), ""),
        'b' => (format!("{magnitude:b}"), if spec.sharp { "0b" } else { "" }),
        'o' => (format!("{magnitude:o}"), if spec.sharp { "0" } else { "" }),
        'O' => (format!("{magnitude:o}"), "0o"),
        'x' => (format!("{magnitude:x}"), if spec.sharp { "0x" } else { "" }),
        'X' => (format!("{magnitude:X}"), if spec.sharp { "0X" } else { "" }),
        'c' => return pad(out, code_point(number).to_string().as_bytes(), spec),
        'q' => {
            let quoting = if spec.plus { Quoting::Ascii } else { Quoting::Printable };
            let mut buffer = [0; 4];
            return pad(out, quoted_as(code_point(number).encode_utf8(&mut buffer).as_bytes(), '\'', quoting).as_bytes(), spec);
        }
        'U' => {
            let shown = if spec.sharp { format!(" '{}'", code_point(number)) } else { String::new() };
            return pad(out, format!("U+{magnitude:04X}{shown}").as_bytes(), Spec { zero: false, ..spec });
        }
        _ => return bad_verb(out, value, verb, spec),
    };
    let sign = sign_of(number < 0, spec);
    let wanted = match (spec.precision, spec.width) {
        (Some(precision), _) => precision,
        (None, Some(width)) if spec.zero => width.saturating_sub(sign.len()),
        _ => 0,
    };
    let zeros = "0".repeat(wanted.saturating_sub(digits.len()));
    pad(out, format!("{sign}{prefix}{zeros}{digits}").as_bytes(), Spec { zero: false, ..spec })
}

fn code_point(number: i128) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

const fn sign_of(negative: bool, spec: Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

fn float(out: &mut Buffer, value: &Value, number: f64, verb: char, spec: Spec) -> Result<(), Fault> {
    let written = match verb {
        'v' | 'g' => general(number, spec.precision),
        'G' => general(number, spec.precision).to_uppercase(),
        'e' => exponential(number, Some(spec.precision.unwrap_or(6))),
        'E' => exponential(number, Some(spec.precision.unwrap_or(6))).to_uppercase(),
        'f' | 'F' => fixed(number, Some(spec.precision.unwrap_or(6))),
        _ => return bad_verb(out, value, verb, spec),
    };
    let digits = written.trim_start_matches(['-', '+']);
    let sign = if written.starts_with('+') && !spec.plus { "+" } else { sign_of(written.starts_with('-'), spec) };
    let zeros = match spec.width {
        Some(width) if spec.zero && number.is_finite() => "0".repeat(width.saturating_sub(sign.len() + digits.len())),
        _ => String::new(),
    };
    pad(out, format!("{sign}{zeros}{digits}").as_bytes(), Spec { zero: false, ..spec })
}
