//! Go's literals: quoted strings, characters, numbers.

use super::tree::Number;
use crate::template::text::Text;

/// Reads `"text"` or `` `text` ``; `None` when Go calls it invalid.
pub(super) fn unquote(written: &str) -> Option<Text> {
    if let Some(raw) = written.strip_prefix('`') {
        return Some(Text::from(raw.strip_suffix('`')?.replace('\r', "")));
    }
    let inner = written.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        match next_char(&mut rest, '"')? {
            Unit::Byte(byte) => bytes.push(byte),
            Unit::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(Text::new(bytes))
}

/// Reads `'c'`.
pub(super) fn character(written: &str) -> Result<Number, String> {
    let mut rest = &written[1..];
    let unit = next_char(&mut rest, '\'').ok_or("invalid syntax")?;
    if rest != "'" {
        return Err(format!("malformed character constant: {written}"));
    }
    let code = match unit {
        Unit::Byte(byte) => u32::from(byte),
        Unit::Char(c) => u32::from(c),
    };
    Ok(Number { int: Some(i64::from(code)), uint: Some(u64::from(code)), float: Some(f64::from(code)), looks_float: false })
}

enum Unit {
    Byte(u8),
    Char(char),
}

fn next_char(rest: &mut &str, quote: char) -> Option<Unit> {
    let c = take(rest)?;
    if c == quote || c == '\n' {
        return None;
    }
    if c != '\\' {
        return Some(Unit::Char(c));
    }
    let escaped = take(rest)?;
    Some(match escaped {
        'a' => Unit::Char('\u{7}'),
        'b' => Unit::Char('\u{8}'),
        'f' => Unit::Char('\u{c}'),
        'n' => Unit::Char('\n'),
        'r' => Unit::Char('\r'),
        't' => Unit::Char('\t'),
        'v' => Unit::Char('\u{b}'),
        '\\' => Unit::Char('\\'),
        c @ ('\'' | '"') if c == quote => Unit::Char(c),
        'x' => Unit::Byte(u8::try_from(digits(rest, 2, 16)?).ok()?),
        'u' => Unit::Char(char::from_u32(digits(rest, 4, 16)?)?),
        'U' => Unit::Char(char::from_u32(digits(rest, 8, 16)?)?),
        first @ '0'..='7' => {
            let high = first.to_digit(8)? * 64;
            Unit::Byte(u8::try_from(high + digits(rest, 2, 8)?).ok()?)
        }
        _ => return None,
    })
}

fn take(rest: &mut &str) -> Option<char> {
    let c = rest.chars().next()?;
    *rest = &rest[c.len_utf8()..];
    Some(c)
}

fn digits(rest: &mut &str, count: usize, radix: u32) -> Option<u32> {
    (0..count).try_fold(0_u32, |value, _| Some(value.wrapping_mul(radix) + take(rest)?.to_digit(radix)?))
}

/// Reads a number.
pub(super) fn number(written: &str) -> Result<Number, String> {
    let quoted = || crate::template::format::quoted(written.as_bytes());
    let mut number = Number { int: int(written), uint: uint(written), ..Number::default() };
    if number.int == Some(0) {
        number.uint = Some(0);
    }
    let hex = written.len() > 2 && written[..2].eq_ignore_ascii_case("0x") && !written.contains(['p', 'P']);
    number.looks_float = !hex && written.contains(['.', 'e', 'E', 'p', 'P']);
    if let Some(int) = number.int {
        number.float = Some(int as f64);
    } else if let Some(uint) = number.uint {
        number.float = Some(uint as f64);
    } else if let Some(float) = float(written) {
        if !written.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", quoted()));
        }
        number.float = Some(float);
        number.int = (float.fract() == 0.0 && float.abs() < 9.2e18).then_some(float as i64);
        number.uint = (float.fract() == 0.0 && (0.0..1.8e19).contains(&float)).then_some(float as u64);
    } else {
        return Err(format!("illegal number syntax: {}", quoted()));
    }
    Ok(number)
}

/// Go's `ParseInt` with base 0: the prefix decides, underscores may separate digits.
pub fn int(text: &str) -> Option<i64> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = i128::from(uint(magnitude)?);
    i64::try_from(if negative { -value } else { value }).ok()
}

fn uint(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    let prefixed = digits.len() < lower.len();
    let separated = digits.contains("__") || digits.ends_with('_') || (digits.starts_with('_') && !prefixed);
    let plain = digits.replace('_', "");
    if separated || plain.is_empty() || plain.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(&plain, radix).ok()
}

/// Go's `ParseFloat`, with hexadecimal ones.
pub fn float(text: &str) -> Option<f64> {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(hex) = magnitude.strip_prefix("0x").or_else(|| magnitude.strip_prefix("0X")) {
        return Some(sign * hex_float(hex)?);
    }
    if magnitude.starts_with(['+', '-']) || magnitude.is_empty() {
        return None;
    }
    let lower = magnitude.to_ascii_lowercase();
    let special = matches!(lower.as_str(), "inf" | "infinity" | "nan");
    if !special && !lower.bytes().all(|byte| byte.is_ascii_digit() || b".e+-".contains(&byte)) {
        return None;
    }
    let value: f64 = lower.parse().ok()?;
    (special || value.is_finite()).then_some(sign * value)
}

fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}").replace('_', "");
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let value = u64::from_str_radix(&digits, 16).ok()? as f64;
    Some(value * 2_f64.powi(exponent - 4 * i32::try_from(fraction.len()).ok()?))
}
