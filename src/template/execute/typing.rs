//! Which values a parameter of a Go type takes.

use crate::template::error::Fault;
use crate::template::functions::Type;
use crate::template::syntax::{Literal, Number};
use crate::template::value::{Element, List, Map, Value};

/// A value as an argument, or Go's complaint.
pub(super) fn check(value: Value, wanted: Type) -> Result<Value, Fault> {
    match (&value, wanted) {
        (_, Type::Reflect) | (Value::Nil, Type::Any) => Ok(value),
        (Value::Missing, _) => nil(wanted).ok_or_else(|| Fault::new(format!("invalid value; expected {}", wanted.name()))),
        _ if fits(&value, wanted) => Ok(value),
        _ => {
            let got = if matches!(value, Value::Nil) { "interface {}" } else { value.type_name() };
            Err(Fault::new(format!("wrong type for value; expected {}; got {got}", wanted.name())))
        }
    }
}

/// What `nil` is for a type that can be nil.
pub(super) const fn nil(wanted: Type) -> Option<Value> {
    match wanted {
        Type::Any => Some(Value::Nil),
        Type::Reflect => Some(Value::Missing),
        Type::Dict => Some(Value::Map(Map::nil())),
        Type::List => Some(Value::List(List::nil(Element::Any))),
        Type::Version => Some(Value::Nil),
        _ => None,
    }
}

fn fits(value: &Value, wanted: Type) -> bool {
    match wanted {
        Type::Any | Type::Reflect => true,
        Type::Bool => matches!(value, Value::Bool(_)),
        Type::Int => matches!(value, Value::Int(_)),
        Type::Uint32 => false,
        Type::Float => matches!(value, Value::Float(_)),
        Type::Text => matches!(value, Value::Text(_)),
        Type::Dict => matches!(value, Value::Map(map) if map.element == Element::Any),
        Type::List => matches!(value, Value::List(list) if list.element == Element::Any),
        Type::Time => matches!(value, Value::Time(_)),
        Type::Version => matches!(value, Value::Version(_)),
        Type::Certificate => matches!(value, Value::Certificate(_)),
    }
}

/// A constant as an argument, or Go's complaint.
pub(super) fn constant(literal: &Literal, wanted: Type, written: &dyn std::fmt::Display) -> Result<Value, Fault> {
    let expected = |what: &str| Fault::new(format!("expected {what}; found {written}"));
    match (wanted, literal) {
        (Type::Any | Type::Reflect, literal) => ideal(literal),
        (Type::Bool, Literal::Bool(flag)) => Ok(Value::Bool(*flag)),
        (Type::Bool, _) => Err(expected("bool")),
        (Type::Text, Literal::Text(_, text)) => Ok(Value::Text(text.clone())),
        (Type::Text, _) => Err(expected("string")),
        (Type::Int, Literal::Number(_, Number { int: Some(int), .. })) => Ok(Value::Int(*int)),
        (Type::Int, _) => Err(expected("integer")),
        (Type::Uint32, Literal::Number(_, Number { uint: Some(uint), .. })) => Ok(Value::Int(i64::from(*uint as u32))),
        (Type::Uint32, _) => Err(expected("unsigned integer")),
        (Type::Float, Literal::Number(_, Number { float: Some(float), .. })) => Ok(Value::Float(*float)),
        (Type::Float, _) => Err(expected("float")),
        _ => Err(Fault::new(format!("can't handle {written} for arg of type {}", wanted.name()))),
    }
}

/// A constant where any type will do.
pub(super) fn ideal(literal: &Literal) -> Result<Value, Fault> {
    match literal {
        Literal::Bool(flag) => Ok(Value::Bool(*flag)),
        Literal::Text(_, text) => Ok(Value::Text(text.clone())),
        Literal::Number(_, Number { float: Some(float), looks_float: true, .. }) => Ok(Value::Float(*float)),
        Literal::Number(_, Number { int: Some(int), .. }) => Ok(Value::Int(*int)),
        Literal::Number(written, _) => Err(Fault::new(format!("{written} overflows int"))),
    }
}
