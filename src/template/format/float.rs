//! Go's forms of a float: `%e`, `%f`, `%g`, and the shortest that reads back the same.

/// From this exponent on `%g` without a precision writes one.
const SHORTEST_THRESHOLD: i32 = 6;

/// Decimal digits without leading zero, and the exponent of the first one.
struct Digits {
    digits: String,
    exponent: i32,
}

/// Digits of the absolute value: `count` significant ones, or as many as are needed.
fn digits(value: f64, count: Option<usize>) -> Digits {
    let written = match count {
        Some(count) => format!("{:.*e}", count.max(1) - 1, value.abs()),
        None => format!("{:e}", value.abs()),
    };
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    Digits { digits: mantissa.replace('.', ""), exponent: exponent.parse().unwrap_or_default() }
}

fn special(value: f64) -> Option<String> {
    if value.is_nan() {
        return Some("NaN".to_owned());
    }
    value.is_infinite().then(|| if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() })
}

const fn sign(value: f64) -> &'static str {
    if value.is_sign_negative() { "-" } else { "" }
}

/// `%e`: `1.5e+06`.
#[must_use]
pub fn exponential(value: f64, precision: Option<usize>) -> String {
    special(value).unwrap_or_else(|| write_exponential(value, &digits(value, precision.map(|digits| digits + 1))))
}

fn write_exponential(value: f64, digits: &Digits) -> String {
    let (first, rest) = digits.digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let direction = if digits.exponent < 0 { '-' } else { '+' };
    format!("{}{first}{point}{rest}e{direction}{:02}", sign(value), digits.exponent.abs())
}

/// `%f`: `1500000.25`.
#[must_use]
pub fn fixed(value: f64, precision: Option<usize>) -> String {
    special(value).unwrap_or_else(|| match precision {
        Some(precision) => format!("{value:.precision$}"),
        None => format!("{value}"),
    })
}

/// `%g`, and `%v` of floats: the shorter of the two; with a precision, so many significant digits and no trailing zeros.
#[must_use]
pub fn general(value: f64, precision: Option<usize>) -> String {
    if let Some(special) = special(value) {
        return special;
    }
    let mut digits = digits(value, precision);
    let trimmed = digits.digits.trim_end_matches('0').len().max(1);
    digits.digits.truncate(trimmed);
    let count = i32::try_from(digits.digits.len()).unwrap_or(i32::MAX);
    let threshold = match precision {
        None => SHORTEST_THRESHOLD,
        Some(precision) if precision > digits.digits.len() && count > digits.exponent => count,
        Some(precision) => i32::try_from(precision.max(1)).unwrap_or(i32::MAX),
    };
    if digits.exponent < -4 || digits.exponent >= threshold {
        return write_exponential(value, &digits);
    }
    let decimals = usize::try_from(count - 1 - digits.exponent).unwrap_or_default();
    format!("{value:.decimals$}")
}

/// As JSON has it: with an exponent only below 1e-6 and from 1e+21, and that without a leading zero.
#[must_use]
pub fn json(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        return exponential(value, None).replace("e-0", "e-");
    }
    format!("{value}")
}
