//! Quantities and durations that mean the same but are spelt otherwise: `0.1` and `100m`, `1024Mi` and `1Gi`.
//!
//! The API server rewrites them in its own kinds; in custom resources they stay as written, and only `knownTypeFields` says
//! which fields hold one.
//!
//! Source: Kubernetes `resource.Quantity`; Argo CD 3.5 normalisation (reference section 5.1).

use serde_json::Value;

use crate::customisation::KnownType;
use crate::resource::Object;

/// Maps in Kubernetes' own types whose values are quantities.
const MAPS: &[&str] =
    &["allocatable", "capacity", "default", "defaultRequest", "hard", "limits", "max", "min", "overhead", "requests"];
/// Fields in Kubernetes' own types that are quantities.
const FIELDS: &[&str] = &["averageValue", "divisor", "sizeLimit", "storage", "targetAverageValue"];

/// Writes quantities of `wanted` as `live` does, where they mean the same.
pub(super) fn adopt_spelling(wanted: &mut Object, live: &Object, known: &[KnownType]) {
    if is_built_in(wanted.group()) {
        for (key, value) in &mut wanted.0 {
            if let Some(live) = live.0.get(key).filter(|_| key != "metadata") {
                adopt_in_type(value, live, None);
            }
        }
        return;
    }
    for field in known {
        let path: Vec<&str> = field.field.split('.').filter(|part| !part.is_empty()).collect();
        let (Some((first, rest)), kind) = (path.split_first(), field.type_.rsplit('/').next().unwrap_or_default()) else {
            continue;
        };
        if let (Some(value), Some(live)) = (wanted.0.get_mut(*first), live.0.get(*first)) {
            adopt_at(value, live, rest, kind);
        }
    }
}

fn is_built_in(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

/// Follows a path, through lists as well.
fn adopt_at(wanted: &mut Value, live: &Value, path: &[&str], kind: &str) {
    if let (Value::Array(wanted), Value::Array(live)) = (&mut *wanted, live) {
        wanted.iter_mut().zip(live).for_each(|(wanted, live)| adopt_at(wanted, live, path, kind));
        return;
    }
    match path.split_first() {
        Some((first, rest)) => {
            if let (Some(wanted), Some(live)) = (wanted.get_mut(*first), live.get(*first)) {
                adopt_at(wanted, live, rest, kind);
            }
        }
        None => match kind {
            "Quantity" => adopt(wanted, live, &quantity),
            "Duration" => adopt(wanted, live, &duration),
            "ResourceList" => adopt_in_type(wanted, live, Some("limits")),
            _ => adopt_in_type(wanted, live, None),
        },
    }
}

/// Walks a value of one of Kubernetes' own types. `name` is that of the field it stands in.
fn adopt_in_type(wanted: &mut Value, live: &Value, name: Option<&str>) {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            let quantities = name.is_some_and(|name| MAPS.contains(&name));
            for (key, value) in wanted.iter_mut() {
                let Some(live) = live.get(key) else { continue };
                if (quantities || FIELDS.contains(&key.as_str())) && !value.is_object() && !value.is_array() {
                    adopt(value, live, &quantity);
                } else {
                    adopt_in_type(value, live, Some(key));
                }
            }
        }
        (Value::Array(wanted), Value::Array(live)) => {
            wanted.iter_mut().zip(live).for_each(|(wanted, live)| adopt_in_type(wanted, live, name));
        }
        _ => {}
    }
}

fn adopt(wanted: &mut Value, live: &Value, read: &impl Fn(&Value) -> Option<i128>) {
    if let (Some(meant), Some(there)) = (read(wanted), read(live))
        && meant == there
    {
        *wanted = live.clone();
    }
}

/// The value in thousand-millionths, which is as fine as a quantity can be; finer ones are rounded up.
fn quantity(value: &Value) -> Option<i128> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() + fraction.len() > 18 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (binary, power) = scale(suffix)?;
    // In thousand-millionths, less one decimal place for each digit after the point.
    let power = power + 9 - i32::try_from(fraction.len()).ok()?;
    let scaled = digits.checked_mul(binary)?;
    let result = if power >= 0 {
        scaled.checked_mul(10_i128.checked_pow(power.unsigned_abs())?)?
    } else {
        let divisor = 10_i128.checked_pow(power.unsigned_abs())?;
        (scaled + divisor - 1) / divisor
    };
    Some(sign * result)
}

/// Factor and power of ten of a suffix.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    const BINARY: &[&str] = &["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: &[(&str, i32)] =
        &[("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
    if let Some(index) = BINARY.iter().position(|one| *one == suffix) {
        return Some((1_i128 << (10 * (index + 1)), 0));
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(one, _)| *one == suffix) {
        return Some((1, *power));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (-18..=18).contains(&exponent).then_some((1, exponent))
}

/// Nanoseconds of a Go duration such as `1h30m`.
fn duration(value: &Value) -> Option<i128> {
    value.as_str().and_then(crate::template::parse_duration).map(i128::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn other_spellings_of_a_quantity_are_the_same() {
        let same = [
            (json!("0.1"), json!("100m")),
            (json!(1), json!("1000m")),
            (json!("1Gi"), json!("1024Mi")),
            (json!("1e3"), json!("1k")),
            (json!("1.5Gi"), json!("1536Mi")),
            (json!("0.5"), json!("500m")),
            (json!("-1"), json!("-1000m")),
        ];
        for (a, b) in same {
            assert_eq!(quantity(&a), quantity(&b), "{a} {b}");
            assert!(quantity(&a).is_some(), "{a}");
        }
        for odd in [json!("1 Gi"), json!("Gi"), json!("1.2.3"), json!("1kB"), json!(true), json!(""), json!("1e99")] {
            assert_eq!(quantity(&odd), None, "{odd}");
        }
        assert_ne!(quantity(&json!("1G")), quantity(&json!("1Gi")));
    }
}
