//! The arguments of a call. The executor has checked their types, so that reading one cannot fail.

use std::borrow::Cow;
use std::rc::Rc;

use jiff::{Timestamp, Zoned, tz::TimeZone};

use crate::template::semver::Version;
use crate::template::text::Text;
use crate::template::value::{Certificate, List, Map, Value};

/// Arguments whose types are those of the function's parameters.
#[derive(Clone, Copy)]
pub struct Arguments<'a>(pub(in crate::template) &'a [Value]);

impl<'a> Arguments<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Any value.
    #[must_use]
    pub fn any(&self, at: usize) -> &'a Value {
        self.0.get(at).unwrap_or(&Value::Nil)
    }

    /// Those from a position on.
    #[must_use]
    pub fn from(&self, at: usize) -> &'a [Value] {
        self.0.get(at..).unwrap_or_default()
    }

    /// A string.
    #[must_use]
    pub fn text(&self, at: usize) -> Text {
        if let Value::Text(text) = self.any(at) { text.clone() } else { Text::default() }
    }

    /// The bytes of a string.
    #[must_use]
    pub fn bytes(&self, at: usize) -> &'a [u8] {
        if let Value::Text(text) = self.any(at) { text.as_bytes() } else { &[] }
    }

    /// A string as UTF-8.
    #[must_use]
    pub fn str(&self, at: usize) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes(at))
    }

    /// An integer.
    #[must_use]
    pub fn int(&self, at: usize) -> i64 {
        match self.any(at) {
            Value::Int(number) | Value::Int64(number) => *number,
            _ => 0,
        }
    }

    /// A float.
    #[must_use]
    pub fn float(&self, at: usize) -> f64 {
        if let Value::Float(number) = self.any(at) { *number } else { 0.0 }
    }

    /// A boolean.
    #[must_use]
    pub fn flag(&self, at: usize) -> bool {
        matches!(self.any(at), Value::Bool(true))
    }

    /// A dict; the nil map for nothing.
    #[must_use]
    pub fn dict(&self, at: usize) -> Map {
        if let Value::Map(map) = self.any(at) { map.clone() } else { Map::nil() }
    }

    /// A list; the nil slice for nothing.
    #[must_use]
    pub fn list(&self, at: usize) -> List {
        if let Value::List(list) = self.any(at) { list.clone() } else { List::nil(crate::template::value::Element::Any) }
    }

    /// A time.
    #[must_use]
    pub fn time(&self, at: usize) -> Rc<Zoned> {
        if let Value::Time(time) = self.any(at) { time.clone() } else { Rc::new(Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC)) }
    }

    /// A version; `0.0.0` for nothing.
    #[must_use]
    pub fn version(&self, at: usize) -> Rc<Version> {
        if let Value::Version(version) = self.any(at) { version.clone() } else { Rc::default() }
    }

    /// A certificate and its key.
    #[must_use]
    pub fn certificate(&self, at: usize) -> Rc<Certificate> {
        if let Value::Certificate(pair) = self.any(at) {
            return pair.clone();
        }
        Rc::new(Certificate { cert: Text::default(), key: Text::default() })
    }
}
