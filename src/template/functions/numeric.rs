//! Conversions to numbers, as the Go package `cast` does them: what is no number is zero.

use super::{Function, Type, fixed};
use crate::template::format;
use crate::template::syntax::{parse_float, parse_int};
use crate::template::value::Value;

use Type::{Any, Text as Str};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("atoi", &[Str], |_, a| Ok(Value::Int(decimal(&a.str(0)).unwrap_or_else(|limit| limit)))),
    fixed("int", &[Any], |_, a| Ok(Value::Int(to_int(a.any(0))))),
    fixed("int64", &[Any], |_, a| Ok(Value::Int64(to_int(a.any(0))))),
    fixed("float64", &[Any], |_, a| Ok(Value::Float(to_float(a.any(0))))),
    fixed("toDecimal", &[Any], |_, a| {
        let written = format::print_all(std::slice::from_ref(a.any(0)), false)?;
        Ok(Value::Int64(i64::from_str_radix(&written.to_str(), 8).unwrap_or_default()))
    }),
];

/// White space by Go's `unicode.IsSpace`.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ' | '\u{85}' | '\u{a0}') || (!c.is_ascii() && c.is_whitespace())
}

/// Go's `Atoi`: a number that is too large is an error that still carries the limit.
fn decimal(text: &str) -> Result<i64, i64> {
    let magnitude = text.strip_prefix(['+', '-']).unwrap_or(text);
    if magnitude.is_empty() || !magnitude.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(0);
    }
    text.parse().map_err(|_| if text.starts_with('-') { i64::MIN } else { i64::MAX })
}

/// `cast.ToInt64`.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number,
        Value::Named(named) => named.number,
        Value::Uint8(number) => i64::from(*number),
        Value::Uint64(number) => *number as i64,
        // Go on amd64 gives the smallest number for what does not fit.
        Value::Float(number) if number.abs() < 9.223_372_036_854_776e18 => *number as i64,
        Value::Float(_) => i64::MIN,
        Value::Bool(flag) => i64::from(*flag),
        Value::Text(text) => parse_int(trim_zero_decimal(&text.to_str())).unwrap_or_default(),
        _ => 0,
    }
}

/// `12.00` is an integer for `cast`, `12.50` is not.
fn trim_zero_decimal(text: &str) -> &str {
    match text.rsplit_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

/// `cast.ToFloat64`.
pub(super) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number as f64,
        Value::Named(named) => named.number as f64,
        Value::Uint8(number) => f64::from(*number),
        Value::Uint64(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Text(text) => parse_float(&text.to_str()).unwrap_or_default(),
        _ => 0.0,
    }
}
