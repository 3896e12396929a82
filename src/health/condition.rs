//! Reading live objects: conditions and numbers, with Go's zero values for what is absent.

use serde_json::Value;

use crate::resource::Object;

/// One entry of `status.conditions`; absent fields are empty.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Condition<'a> {
    pub(super) type_: &'a str,
    pub(super) status: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

impl<'a> Condition<'a> {
    pub(super) fn read(value: &'a Value) -> Self {
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
        Self { type_: text("type"), status: text("status"), reason: text("reason"), message: text("message") }
    }

    pub(super) fn is_true(&self) -> bool {
        self.status == "True"
    }

    pub(super) fn is_false(&self) -> bool {
        self.status == "False"
    }
}

/// `status.conditions` in their order.
pub(super) fn conditions(live: &Object) -> impl Iterator<Item = Condition<'_>> {
    list(live, &["status", "conditions"]).iter().map(Condition::read)
}

/// The first condition of a type.
pub(super) fn condition<'a>(live: &'a Object, type_: &str) -> Option<Condition<'a>> {
    conditions(live).find(|one| one.type_ == type_)
}

/// A list, empty when absent.
pub(super) fn list<'a>(live: &'a Object, path: &[&str]) -> &'a [Value] {
    live.get(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A text, empty when absent.
pub(super) fn text<'a>(live: &'a Object, path: &[&str]) -> &'a str {
    live.get(path).and_then(Value::as_str).unwrap_or_default()
}

/// A number, if it is there.
pub(super) fn number(live: &Object, path: &[&str]) -> Option<i64> {
    live.get(path).and_then(Value::as_i64)
}

/// A number of the status, 0 when absent.
pub(super) fn status_number(live: &Object, field: &str) -> i64 {
    number(live, &["status", field]).unwrap_or_default()
}

/// True while the controller of the kind has not seen the newest spec.
pub(super) fn spec_is_unobserved(live: &Object) -> bool {
    live.generation() > status_number(live, "observedGeneration")
}
