//! `eq`, `lt` and the like, and Go's deep equality.

use super::{Arguments, Function, Type, fixed, variadic};
use crate::template::error::Fault;
use crate::template::format;
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("eq", &[Type::Reflect], Type::Reflect, |_, arguments| Ok(Value::Bool(equal(arguments)?))),
    fixed("ne", &[Type::Reflect, Type::Reflect], |_, arguments| Ok(Value::Bool(!equal(arguments)?))),
    fixed("lt", &[Type::Reflect, Type::Reflect], |_, arguments| Ok(Value::Bool(less(arguments)?))),
    fixed("le", &[Type::Reflect, Type::Reflect], |_, arguments| Ok(Value::Bool(less_or_equal(arguments)?))),
    fixed("gt", &[Type::Reflect, Type::Reflect], |_, arguments| Ok(Value::Bool(!less_or_equal(arguments)?))),
    fixed("ge", &[Type::Reflect, Type::Reflect], |_, arguments| Ok(Value::Bool(!less(arguments)?))),
];

/// The kinds that Go compares; both of integers compare with each other.
enum Basic<'a> {
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(&'a [u8]),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    match value {
        Value::Bool(flag) => Some(Basic::Bool(*flag)),
        Value::Int(number) | Value::Int64(number) => Some(Basic::Integer(*number as i128)),
        Value::Named(named) => Some(Basic::Integer(named.number as i128)),
        Value::Uint8(number) => Some(Basic::Integer(*number as i128)),
        Value::Uint64(number) => Some(Basic::Integer(*number as i128)),
        Value::Float(number) => Some(Basic::Float(*number)),
        Value::Text(text) => Some(Basic::Text(text.as_bytes())),
        _ => None,
    }
}

fn incompatible(first: &Value, second: &Value) -> Fault {
    Fault::new(format!("incompatible types for comparison: {} and {}", first.type_name(), second.type_name()))
}

fn equal(arguments: &Arguments<'_>) -> Result<bool, Fault> {
    let first = arguments.any(0);
    if arguments.len() < 2 {
        return Err(Fault::new("missing argument for comparison"));
    }
    for second in arguments.from(1) {
        if equal_pair(first, second)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal_pair(first: &Value, second: &Value) -> Result<bool, Fault> {
    match (basic(first), basic(second)) {
        (Some(Basic::Bool(a)), Some(Basic::Bool(b))) => Ok(a == b),
        (Some(Basic::Integer(a)), Some(Basic::Integer(b))) => Ok(a == b),
        (Some(Basic::Float(a)), Some(Basic::Float(b))) => Ok(a == b),
        (Some(Basic::Text(a)), Some(Basic::Text(b))) => Ok(a == b),
        (None, None) => equal_others(first, second),
        _ if first.is_nil() || second.is_nil() => Ok(false),
        _ => Err(incompatible(first, second)),
    }
}

fn equal_others(first: &Value, second: &Value) -> Result<bool, Fault> {
    if first.kind_name() != second.kind_name() && !first.is_nil() && !second.is_nil() {
        return Err(non_comparable_pair(first, second)?);
    }
    let nil = |value: &Value| match value {
        Value::List(list) => list.is_nil(),
        Value::Map(map) => map.is_nil(),
        value => value.is_nil(),
    };
    if nil(first) || nil(second) {
        return Ok(nil(first) == nil(second));
    }
    match (first, second) {
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (Value::Version(a), Value::Version(b)) => Ok(std::rc::Rc::ptr_eq(a, b)),
        (Value::Certificate(a), Value::Certificate(b)) => Ok(a == b),
        (_, Value::List(_) | Value::Map(_)) => Err(non_comparable(second)?),
        _ => Ok(false),
    }
}

fn non_comparable(value: &Value) -> Result<Fault, Fault> {
    let name = value.type_name();
    let shown = format::printf(b"%s", std::slice::from_ref(value))?;
    let full = format!("non-comparable type {}: {name}", shown.to_str());
    Ok(Fault::with_value(full, format!("non-comparable type {name}")))
}

fn non_comparable_pair(first: &Value, second: &Value) -> Result<Fault, Fault> {
    let names = (first.type_name(), second.type_name());
    let shown = (format::printf(b"%s", std::slice::from_ref(first))?, format::printed(second)?);
    let full = format!("non-comparable types {}: {}, {}: {}", shown.0.to_str(), names.0, names.1, shown.1.to_str());
    Ok(Fault::with_value(full, format!("non-comparable types {} and {}", names.0, names.1)))
}

fn less(arguments: &Arguments<'_>) -> Result<bool, Fault> {
    let (first, second) = (arguments.any(0), arguments.any(1));
    match (basic(first), basic(second)) {
        (Some(Basic::Integer(a)), Some(Basic::Integer(b))) => Ok(a < b),
        (Some(Basic::Float(a)), Some(Basic::Float(b))) => Ok(a < b),
        (Some(Basic::Text(a)), Some(Basic::Text(b))) => Ok(a < b),
        (Some(Basic::Bool(_)), Some(Basic::Bool(_))) | (None, _) | (_, None) => Err(Fault::new("invalid type for comparison")),
        _ => Err(incompatible(first, second)),
    }
}

fn less_or_equal(arguments: &Arguments<'_>) -> Result<bool, Fault> {
    Ok(less(arguments)? || equal(arguments)?)
}

/// Go's `reflect.DeepEqual`: types count, so that an `int` never equals an `int64`.
///
/// # Errors
/// The values are nested too deeply.
pub(super) fn deep_equal(first: &Value, second: &Value, depth: usize) -> Result<bool, Fault> {
    if depth > 100 {
        return Err(Fault::new("the value is nested too deeply"));
    }
    Ok(match (first, second) {
        (Value::Missing | Value::Nil, Value::Missing | Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) | (Value::Int64(a), Value::Int64(b)) => a == b,
        (Value::Uint8(a), Value::Uint8(b)) => a == b,
        (Value::Uint64(a), Value::Uint64(b)) => a == b,
        (Value::Named(a), Value::Named(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Time(a), Value::Time(b)) => a == b,
        (Value::Version(a), Value::Version(b)) => a == b,
        (Value::Certificate(a), Value::Certificate(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            if a.element != b.element || a.is_nil() != b.is_nil() || a.items().len() != b.items().len() {
                return Ok(false);
            }
            for (a, b) in a.items().iter().zip(b.items()) {
                if !deep_equal(a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(a), Value::Map(b)) => {
            let (left, right) = (a.entries(), b.entries());
            if a.element != b.element || a.is_nil() != b.is_nil() || left.len() != right.len() {
                return Ok(false);
            }
            for ((left_key, left), (right_key, right)) in left.iter().zip(&right) {
                if left_key != right_key || !deep_equal(left, right, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        _ => false,
    })
}
