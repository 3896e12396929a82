//! `RespectIgnoreDifferences=true`: what is ignored stays in the cluster as it is, also when everything else is applied. Pure.
//!
//! The fields are applied with their live values rather than left out: a field that we own and leave out would be removed.
//!
//! Source: Argo CD 3.5 (reference section 6.9).

use serde_json::{Map, Value};

use super::Rules;
use crate::resource::Object;

/// Returns the target with the ignored fields as they are in the live object. What the live object does not have goes.
#[must_use]
pub fn with_ignored_of(target: &Object, live: &Object, rules: &Rules) -> Object {
    let (mut wanted, mut stripped) = (target.clone(), live.clone());
    rules.strip(&mut wanted);
    rules.strip(&mut stripped);
    rules.strip_owned(&mut wanted, &mut stripped);
    graft(&mut wanted.0, &live.0, &stripped.0);
    // Identity is never a matter of taste.
    for field in ["apiVersion", "kind"] {
        if let Some(value) = target.0.get(field) {
            wanted.0.insert(field.into(), value.clone());
        }
    }
    wanted
}

/// Puts into `into` what is in `live` and no longer in `stripped`.
fn graft(into: &mut Map<String, Value>, live: &Map<String, Value>, stripped: &Map<String, Value>) {
    for (key, value) in live {
        match stripped.get(key) {
            None => {
                into.insert(key.clone(), value.clone());
            }
            Some(left) if left == value => {}
            Some(left) => match into.get_mut(key) {
                Some(into) => graft_value(into, value, left),
                None => {
                    if let Some(missing) = only_removed(value, left) {
                        into.insert(key.clone(), missing);
                    }
                }
            },
        }
    }
}

fn graft_value(into: &mut Value, live: &Value, stripped: &Value) {
    match (into, live, stripped) {
        (Value::Object(into), Value::Object(live), Value::Object(stripped)) => graft(into, live, stripped),
        (Value::Array(into), Value::Array(live), Value::Array(stripped)) => graft_items(into, live, stripped),
        _ => {}
    }
}

/// The part of a map that was removed, for a target that has nothing of the map.
fn only_removed(live: &Value, stripped: &Value) -> Option<Value> {
    let (Value::Object(live), Value::Object(stripped)) = (live, stripped) else { return None };
    let mut missing = Map::new();
    graft(&mut missing, live, stripped);
    (!missing.is_empty()).then_some(Value::Object(missing))
}

/// Items are matched by `name`, else by position; items that were removed as a whole are put back.
fn graft_items(into: &mut Vec<Value>, live: &[Value], stripped: &[Value]) {
    for (index, item) in live.iter().enumerate() {
        let left = if live.len() == stripped.len() { stripped.get(index) } else { same_item(stripped, item) };
        let mine = match item.get("name") {
            Some(name) => into.iter().position(|one| one.get("name") == Some(name)),
            None if live.len() == stripped.len() => Some(index).filter(|index| *index < into.len()),
            None => into.iter().position(|one| one == item),
        };
        match (left, mine) {
            (Some(left), Some(mine)) if left != item => graft_value(&mut into[mine], item, left),
            (None, Some(mine)) => into[mine] = item.clone(),
            (None, None) => into.push(item.clone()),
            (Some(_), _) => {}
        }
    }
}

fn same_item<'a>(items: &'a [Value], wanted: &Value) -> Option<&'a Value> {
    match wanted.get("name") {
        Some(name) => items.iter().find(|item| item.get("name") == Some(name)),
        None => items.iter().find(|item| *item == wanted),
    }
}
