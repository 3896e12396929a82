//! Answers the lines of a table for one object.

use serde_json::Value;

use super::parse::{Form, Line, Number, Order, Path, Piece, Quantifier, Root, Template, Test};
use crate::health::Health;
use crate::resource::Object;

/// Where an answer is looked for: the item of the innermost list, the one around it, and the object.
#[derive(Clone, Copy)]
struct Scope<'a> {
    item: At<'a>,
    outer: At<'a>,
    object: &'a Object,
    /// Key or place of the item in its list, from 1.
    place: Place<'a>,
}

#[derive(Clone, Copy)]
enum At<'a> {
    Object(&'a Object),
    Value(&'a Value),
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Index(usize),
    Key(&'a str),
}

pub(super) fn assess(lines: &[Line], live: &Object) -> Option<Health> {
    let top = At::Object(live);
    first(lines, Scope { item: top, outer: top, object: live, place: Place::Index(0) })
}

fn first(lines: &[Line], scope: Scope<'_>) -> Option<Health> {
    lines.iter().find_map(|line| match line {
        Line::Verdict { status, tests, message } => scope.all(tests).then(|| Health::new(*status, scope.write(message))),
        Line::Each { path, tests, lines } => {
            scope.items(path).into_iter().filter(|item| item.all(tests)).find_map(|item| first(lines, item))
        }
        Line::When { tests, lines } => scope.all(tests).then(|| first(lines, scope)).flatten(),
    })
}

impl<'a> Scope<'a> {
    fn get(&self, path: &Path) -> Option<&'a Value> {
        let at = match path.root {
            Root::Item => self.item,
            Root::Outer => self.outer,
            Root::Object => At::Object(self.object),
        };
        let mut keys = path.keys.iter();
        let mut value = match at {
            At::Object(object) => object.0.get(keys.next()?)?,
            At::Value(value) => value,
        };
        for key in keys {
            value = match value {
                Value::Array(items) if key == "last" => items.last()?,
                Value::Array(items) => items.get(key.parse::<usize>().ok()?.checked_sub(1)?)?,
                other => other.get(key)?,
            };
        }
        (!value.is_null()).then_some(value)
    }

    /// The items of a list, or the values of a map in the order of their keys.
    fn items(&self, path: &Path) -> Vec<Self> {
        let inside = |value, place| Self { item: At::Value(value), outer: self.item, object: self.object, place };
        match self.get(path) {
            Some(Value::Array(items)) => {
                items.iter().enumerate().map(|(index, item)| inside(item, Place::Index(index + 1))).collect()
            }
            Some(Value::Object(map)) => map.iter().map(|(key, value)| inside(value, Place::Key(key))).collect(),
            _ => Vec::new(),
        }
    }

    fn all(&self, tests: &[Test]) -> bool {
        tests.iter().all(|test| self.holds(test))
    }

    fn holds(&self, test: &Test) -> bool {
        let is = |path: &Path, values: &[String]| self.text(path).is_some_and(|text| values.contains(&text));
        match test {
            Test::There(path) => self.get(path).is_some_and(|value| *value != Value::Bool(false)),
            Test::Absent(path) => !self.get(path).is_some_and(|value| *value != Value::Bool(false)),
            Test::Is(path, values) => is(path, values),
            Test::IsNot(path, values) => !is(path, values),
            Test::StartsWith(path, prefix) => self.text(path).is_some_and(|text| text.starts_with(prefix)),
            Test::Contains(path, part) => self.text(path).is_some_and(|text| text.to_lowercase().contains(part)),
            Test::Same(left, right) => self.same(left, right),
            Test::Differs(left, right) => !self.same(left, right),
            Test::Compare(left, order, right) => match (self.number(left), self.number(right)) {
                (Some(left), Some(right)) => match order {
                    Order::Less => left < right,
                    Order::LessOrEqual => left <= right,
                    Order::Greater => left > right,
                    Order::GreaterOrEqual => left >= right,
                },
                _ => false,
            },
            Test::Items(quantifier, path, tests) => {
                let mut items = self.items(path).into_iter();
                match quantifier {
                    Quantifier::Some => items.any(|item| item.all(tests)),
                    Quantifier::No => !items.any(|item| item.all(tests)),
                    Quantifier::Every => items.all(|item| item.all(tests)),
                }
            }
        }
    }

    fn same(&self, left: &Path, right: &Path) -> bool {
        if left.length || right.length {
            return self.length(left) == self.length(right);
        }
        match (self.get(left), self.get(right)) {
            (Some(Value::Number(left)), Some(Value::Number(right))) => left.as_f64() == right.as_f64(),
            (left, right) => left == right,
        }
    }

    /// A scalar as text; `None` for lists and maps.
    fn text(&self, path: &Path) -> Option<String> {
        if path.length {
            return Some(self.length(path).to_string());
        }
        scalar(self.get(path)?)
    }

    fn length(&self, path: &Path) -> usize {
        match self.get(path) {
            Some(Value::Array(items)) => items.len(),
            Some(Value::Object(map)) => map.len(),
            _ => 0,
        }
    }

    fn number(&self, number: &Number) -> Option<f64> {
        match number {
            Number::Literal(literal) => Some(*literal),
            Number::Path(path, default) => match self.text(path) {
                Some(text) => text.parse().ok(),
                None => *default,
            },
            #[expect(clippy::cast_precision_loss, reason = "no list is that long")]
            Number::Count(path, tests) => Some(self.count(path, tests) as f64),
            Number::Difference(both) => Some(self.number(&both.0)? - self.number(&both.1)?),
        }
    }

    fn count(&self, path: &Path, tests: &[Test]) -> usize {
        self.items(path).iter().filter(|item| item.all(tests)).count()
    }

    fn write(&self, template: &Template) -> String {
        template.0.iter().map(|piece| self.write_piece(piece)).collect()
    }

    fn write_piece(&self, piece: &Piece) -> String {
        match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(paths, default, form) => {
                let text = paths.iter().find_map(|path| self.text(path)).unwrap_or_else(|| default.clone());
                match form {
                    Form::Whole => text,
                    Form::Lower => text.to_lowercase(),
                    Form::Start(length) => text.chars().take(*length).collect(),
                }
            }
            Piece::Join { before, separator, path, tests, item, after } => {
                let items = self.items(path).into_iter().filter(|scope| scope.all(tests));
                let written: Vec<String> = items.map(|scope| scope.write(item)).collect();
                if written.is_empty() { String::new() } else { format!("{before}{}{after}", written.join(separator)) }
            }
            Piece::Count(path, tests) => self.count(path, tests).to_string(),
            Piece::Maybe { before, path, after } => match self.text(path).filter(|text| !text.is_empty()) {
                Some(text) => format!("{before}{text}{after}"),
                None => String::new(),
            },
            Piece::Item => match self.item {
                At::Value(value) => scalar(value).unwrap_or_default(),
                At::Object(_) => String::new(),
            },
            Piece::Place => match self.place {
                Place::Index(index) => index.to_string(),
                Place::Key(key) => key.to_owned(),
            },
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
