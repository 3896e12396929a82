//! What a scalar means: the YAML 1.1 rules of Go's `yaml.v2`, then the JSON rules of Kubernetes.

use base64::Engine as _;
use serde_json::{Number, Value};

/// The tag of a scalar, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScalarTag {
    /// None; the text of a plain scalar decides.
    Implicit,
    /// `!!str`, or a quoted scalar without a tag.
    Str,
    Bool,
    Int,
    Float,
    Null,
    Binary,
    /// Any other; the text is kept as a string.
    Foreign,
}

/// A scalar before it becomes JSON.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Str(String),
}

/// Resolves a scalar under its tag.
pub(super) fn resolve(tag: ScalarTag, text: &str) -> Result<Scalar, String> {
    let wanted = match tag {
        ScalarTag::Implicit => return Ok(implicit(text)),
        ScalarTag::Str | ScalarTag::Foreign => return Ok(Scalar::Str(text.to_owned())),
        ScalarTag::Binary => return binary(text),
        ScalarTag::Bool => "!!bool",
        ScalarTag::Int => "!!int",
        ScalarTag::Float => "!!float",
        ScalarTag::Null => "!!null",
    };
    match (tag, implicit(text)) {
        (ScalarTag::Bool, found @ Scalar::Bool(_))
        | (ScalarTag::Int, found @ (Scalar::Int(_) | Scalar::Uint(_)))
        | (ScalarTag::Float, found @ (Scalar::Float(_) | Scalar::Int(_) | Scalar::Uint(_)))
        | (ScalarTag::Null, found @ Scalar::Null) => Ok(found),
        _ => Err(format!("the value cannot be read as {wanted}")),
    }
}

fn binary(text: &str) -> Result<Scalar, String> {
    let compact: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let bytes =
        base64::engine::general_purpose::STANDARD.decode(compact).map_err(|_| "!!binary value contains invalid base64 data")?;
    Ok(Scalar::Str(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Resolves a plain scalar without a tag.
pub(super) fn implicit(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes()[0] {
        b'.' => float(text),
        b'+' | b'-' | b'0'..=b'9' => number(&text.replace('_', "")),
        _ => None,
    };
    number.unwrap_or_else(|| Scalar::Str(text.to_owned()))
}

fn number(text: &str) -> Option<Scalar> {
    integer(text).or_else(|| float(text))
}

/// An integer with an optional sign and a base prefix: `0x`, `0b`, `0o`, or a bare leading zero for octal.
fn integer(text: &str) -> Option<Scalar> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(magnitude).map(Scalar::Int);
    }
    match i64::try_from(magnitude) {
        Ok(small) => Some(Scalar::Int(small)),
        // Go reads a value above the signed range as unsigned, but never one with a sign.
        Err(_) if text.starts_with('+') => None,
        Err(_) => Some(Scalar::Uint(magnitude)),
    }
}

/// A decimal fraction or exponent form. A value beyond the range of a double stays a string, as in Go.
fn float(text: &str) -> Option<Scalar> {
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Scalar::Float)
}

impl Scalar {
    /// The JSON value; whole numbers become integers, because that is what Go's JSON makes of `1.0` and `1e3`.
    pub(super) fn into_json(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => value.into(),
            Self::Uint(value) => value.into(),
            Self::Str(value) => Value::String(value),
            Self::Float(value) => return json_number(value).map(Value::Number),
        })
    }

    /// The JSON form of a map key.
    pub(super) fn into_key(self) -> Result<String, String> {
        match self {
            Self::Str(text) => Ok(text),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Int(value) => Ok(value.to_string()),
            Self::Float(value) => Ok(float_key(value)),
            Self::Null => Err("null cannot be a map key".into()),
            Self::Uint(_) => Err("a number above the signed 64-bit range cannot be a map key".into()),
        }
    }
}

fn json_number(value: f64) -> Result<Number, String> {
    /// First power of two beyond `u64`; whole doubles below it convert exactly.
    const U64_END: f64 = 18_446_744_073_709_551_616.0;
    /// Same for `i64`, downwards.
    const I64_START: f64 = -9_223_372_036_854_775_808.0;
    if value.fract() == 0.0 && (0.0..U64_END).contains(&value) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
        return Ok(Number::from(value as u64));
    }
    if value.fract() == 0.0 && (I64_START..0.0).contains(&value) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        return Ok(Number::from(value as i64));
    }
    Number::from_f64(value).ok_or_else(|| format!("{value} has no form in JSON"))
}

/// Go's `strconv.FormatFloat(value, 'g', -1, 32)`, with YAML's names for what is no number.
fn float_key(value: f64) -> String {
    if value.is_nan() {
        return ".nan".into();
    }
    #[expect(clippy::cast_possible_truncation, reason = "the original formats keys in single precision")]
    let value = value as f32;
    if value.is_infinite() {
        return if value > 0.0 { ".inf".into() } else { "-.inf".into() };
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..21).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
