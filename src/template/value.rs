//! The values of a template with the Go types that they have upstream: what a function accepts depends on them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jiff::Zoned;

use super::error::Fault;
use super::semver::Version;
use super::text::Text;

/// A value.
#[derive(Clone)]
pub enum Value {
    /// No value at all: an absent key. Printed as `<no value>`.
    Missing,
    /// A value that holds nothing: Go's nil interface.
    Nil,
    /// `bool`.
    Bool(bool),
    /// `int`: literals, lengths.
    Int(i64),
    /// `int64`: what Sprig's arithmetic gives. Functions that want an `int` refuse it, as upstream.
    Int64(i64),
    /// `uint8`: a byte of a string.
    Uint8(u8),
    /// `uint64`: parts of a version.
    Uint64(u64),
    /// `float64`: every number of JSON data.
    Float(f64),
    /// `string`.
    Text(Text),
    /// A slice.
    List(List),
    /// A map.
    Map(Map),
    /// `time.Time`.
    Time(Rc<Zoned>),
    /// `time.Month` or `time.Weekday`: a number with a name.
    Named(Named),
    /// `*semver.Version`.
    Version(Rc<Version>),
    /// What the certificate functions give.
    Certificate(Rc<Certificate>),
}

/// A number that is printed as a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The number.
    pub number: i64,
    /// Its name.
    pub name: &'static str,
    /// Go's name of the type.
    pub type_name: &'static str,
}

/// A certificate and its private key, both PEM.
#[derive(PartialEq, Eq)]
pub struct Certificate {
    /// PEM of the certificate.
    pub cert: Text,
    /// PEM of the private key.
    pub key: Text,
}

/// What a list or map holds by its Go type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// `interface {}`.
    Any,
    /// `string`.
    Text,
    /// `int`.
    Int,
    /// `[]interface {}`.
    List,
}

/// A slice. Nothing changes one in place. `None` is Go's nil slice, which is empty too but is `null` in JSON.
#[derive(Clone)]
pub struct List {
    /// Go's element type.
    pub element: Element,
    items: Option<Rc<Items>>,
}

impl List {
    /// A slice of `interface {}`.
    #[must_use]
    pub fn new(items: Vec<Value>) -> Self {
        Self::of(Element::Any, items)
    }

    /// A slice.
    #[must_use]
    pub fn of(element: Element, items: Vec<Value>) -> Self {
        Self { element, items: Some(Rc::new(Items(items))) }
    }

    /// The nil slice.
    #[must_use]
    pub const fn nil(element: Element) -> Self {
        Self { element, items: None }
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        self.items.as_deref().map_or(&[], |items| items.0.as_slice())
    }

    /// Whether it is the nil slice.
    #[must_use]
    pub const fn is_nil(&self) -> bool {
        self.items.is_none()
    }
}

/// A map with string keys. Copies are the same map, as in Go: `set` on one shows in the other.
#[derive(Clone)]
pub struct Map {
    /// Go's element type: `Any` or `Text`.
    pub element: Element,
    entries: Option<Rc<Entries>>,
}

impl Map {
    /// A `map[string]interface {}`.
    #[must_use]
    pub fn new(entries: BTreeMap<Text, Value>) -> Self {
        Self::of(Element::Any, entries)
    }

    /// A map of an element type.
    #[must_use]
    pub fn of(element: Element, entries: BTreeMap<Text, Value>) -> Self {
        Self { element, entries: Some(Rc::new(Entries(RefCell::new(entries)))) }
    }

    /// A `map[string]string`.
    #[must_use]
    pub fn of_texts(entries: BTreeMap<Text, Text>) -> Self {
        let entries = entries.into_iter().map(|(key, text)| (key, Value::Text(text))).collect();
        Self { element: Element::Text, entries: Some(Rc::new(Entries(RefCell::new(entries)))) }
    }

    /// The nil map: empty, and it takes no entry.
    #[must_use]
    pub const fn nil() -> Self {
        Self { element: Element::Any, entries: None }
    }

    /// One entry.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.entries.as_ref()?.0.borrow().get(key).cloned()
    }

    /// Sets one entry.
    ///
    /// # Errors
    /// It is the nil map, or the map would hold itself: upstream's process dies on printing such a map.
    pub fn insert(&self, key: Text, value: Value) -> Result<(), Fault> {
        let Some(entries) = &self.entries else { return Err(Fault::new("assignment to entry in nil map")) };
        if holds(&value, entries) {
            return Err(Fault::new("a dict cannot contain itself"));
        }
        entries.0.borrow_mut().insert(key, value);
        Ok(())
    }

    /// Takes one entry away.
    pub fn remove(&self, key: &[u8]) {
        if let Some(entries) = &self.entries {
            entries.0.borrow_mut().remove(key);
        }
    }

    /// The entries as they are now, by key.
    #[must_use]
    pub fn entries(&self) -> Vec<(Text, Value)> {
        let Some(entries) = &self.entries else { return Vec::new() };
        entries.0.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, |entries| entries.0.borrow().len())
    }

    /// No entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is the nil map.
    #[must_use]
    pub const fn is_nil(&self) -> bool {
        self.entries.is_none()
    }
}

/// Items of a list. Values may be nested as deep as a loop runs, so they are taken apart in a loop too and not by recursion.
struct Items(Vec<Value>);

impl Drop for Items {
    fn drop(&mut self) {
        take_apart(std::mem::take(&mut self.0));
    }
}

/// Entries of a map; taken apart as [`Items`] are.
struct Entries(RefCell<BTreeMap<Text, Value>>);

impl Drop for Entries {
    fn drop(&mut self) {
        take_apart(self.0.take().into_values().collect());
    }
}

fn take_apart(mut pending: Vec<Value>) {
    while let Some(value) = pending.pop() {
        match value {
            Value::List(List { items: Some(items), .. }) => {
                if let Some(mut items) = Rc::into_inner(items) {
                    pending.append(&mut items.0);
                }
            }
            Value::Map(Map { entries: Some(entries), .. }) => {
                if let Some(entries) = Rc::into_inner(entries) {
                    pending.extend(entries.0.take().into_values());
                }
            }
            _ => {}
        }
    }
}

/// Whether `value` reaches the map. Shared parts are looked at once, so that a deep web of them costs no more than its size.
fn holds(value: &Value, map: &Rc<Entries>) -> bool {
    let mut seen: BTreeSet<*const ()> = BTreeSet::new();
    let mut pending = vec![value.clone()];
    while let Some(value) = pending.pop() {
        match value {
            Value::Map(Map { entries: Some(entries), .. }) => {
                if Rc::ptr_eq(&entries, map) {
                    return true;
                }
                if seen.insert(Rc::as_ptr(&entries).cast()) {
                    pending.extend(entries.0.borrow().values().cloned());
                }
            }
            Value::List(List { items: Some(items), .. }) if seen.insert(Rc::as_ptr(&items).cast()) => {
                pending.extend(items.0.iter().cloned());
            }
            _ => {}
        }
    }
    false
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// A `[]string`.
    #[must_use]
    pub fn texts(texts: impl IntoIterator<Item = Text>) -> Self {
        Self::List(List::of(Element::Text, texts.into_iter().map(Self::Text).collect()))
    }

    /// A `[]interface {}`.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(List::new(items))
    }

    /// What JSON decodes to in Go: every number is a `float64`.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(flag) => Self::Bool(*flag),
            serde_json::Value::Number(number) => Self::Float(number.as_f64().unwrap_or_default()),
            serde_json::Value::String(text) => Self::text(text.as_str()),
            serde_json::Value::Array(items) => Self::list(items.iter().map(Self::from_json).collect()),
            serde_json::Value::Object(map) => {
                Self::Map(Map::new(map.iter().map(|(key, value)| (Text::from(key.as_str()), Self::from_json(value))).collect()))
            }
        }
    }

    /// Go's name of the type, as `%T` prints it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Uint8(_) => "uint8",
            Self::Uint64(_) => "uint64",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(list) => match list.element {
                Element::Any => "[]interface {}",
                Element::Text => "[]string",
                Element::Int => "[]int",
                Element::List => "[][]interface {}",
            },
            Self::Map(map) => match map.element {
                Element::Text => "map[string]string",
                _ => "map[string]interface {}",
            },
            Self::Time(_) => "time.Time",
            Self::Named(named) => named.type_name,
            Self::Version(_) => "*semver.Version",
            Self::Certificate(_) => "sprig.certificate",
        }
    }

    /// Go's name of the kind.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "invalid",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Named(_) => "int",
            Self::Int64(_) => "int64",
            Self::Uint8(_) => "uint8",
            Self::Uint64(_) => "uint64",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Time(_) | Self::Certificate(_) => "struct",
            Self::Version(_) => "ptr",
        }
    }

    /// Whether `if` takes it for true; Sprig's `empty` is the opposite, except that there a time is never empty.
    #[must_use]
    pub fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Nil => false,
            Self::Bool(flag) => *flag,
            Self::Int(number) | Self::Int64(number) => *number != 0,
            Self::Named(named) => named.number != 0,
            Self::Uint8(number) => *number != 0,
            Self::Uint64(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.items().is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Time(_) | Self::Version(_) | Self::Certificate(_) => true,
        }
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_nil(&self) -> bool {
        matches!(self, Self::Missing | Self::Nil)
    }

    /// How much memory the value itself takes, for the budget of a rendering; its parts were counted when they were made.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let units = match self {
            Self::Text(text) => text.len(),
            Self::List(list) => list.items().len() * 32,
            Self::Map(map) => map.len() * 64,
            _ => 0,
        };
        units as u64
    }
}
