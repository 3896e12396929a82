//! The path of a field as [`super::report`] writes it: `.spec.containers[web].image`, `.metadata.annotations["a/b"]`. Pure.

use serde_json::Value;

use super::report::{ITEM_KEYS, item_name, names_all};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A key of a map.
    Key(String),
    /// An item of a list, by the field that names it, else by its number.
    Item(String),
}

/// Reads a path; `None` when it is none, such as that of an order of items.
#[must_use]
pub fn steps(path: &str) -> Option<Vec<Step>> {
    let (mut rest, mut steps) = (path, Vec::new());
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            steps.push(Step::Key(after[..end].to_owned()));
            rest = &after[end..];
        } else if rest.starts_with("[\"") {
            // A quoted key is a JSON string; its end is where the parser stops.
            let mut keys = serde_json::Deserializer::from_str(&rest[1..]).into_iter::<String>();
            let key = keys.next()?.ok()?;
            rest = rest[1 + keys.byte_offset()..].strip_prefix(']')?;
            steps.push(Step::Key(key));
        } else {
            let (item, after) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(Step::Item(item.to_owned()));
            rest = after;
        }
    }
    Some(steps)
}

/// Number of an item in a list.
#[must_use]
pub fn position(items: &[Value], item: &str) -> Option<usize> {
    let by_name = ITEM_KEYS.iter().filter(|key| names_all(key, items));
    by_name
        .filter_map(|key| items.iter().position(|one| item_name(key, one).as_deref() == Some(item)))
        .next()
        .or_else(|| item.parse().ok().filter(|number| *number < items.len()))
}

/// The value at the end of a path.
#[must_use]
pub fn get<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Item(item) => {
            let items = value.as_array()?;
            items.get(position(items, item)?)
        }
    })
}

/// Puts a value at the end of a path, or takes it away. Maps on the way are made, items are only found; false when one is not.
#[must_use]
pub fn set(value: &mut Value, steps: &[Step], new: Option<Value>) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        *value = new.unwrap_or_default();
        return true;
    };
    match step {
        Step::Key(key) => {
            if value.is_null() {
                *value = Value::Object(serde_json::Map::new());
            }
            let Some(map) = value.as_object_mut() else { return false };
            match (rest.is_empty(), new) {
                (true, None) => map.remove(key).is_some(),
                (false, None) => map.get_mut(key).is_some_and(|child| set(child, rest, None)),
                (_, new) => set(map.entry(key.clone()).or_insert(Value::Null), rest, new),
            }
        }
        Step::Item(item) => {
            let Some(items) = value.as_array_mut() else { return false };
            match (position(items, item), rest.is_empty(), new) {
                (Some(number), true, None) => {
                    items.remove(number);
                    true
                }
                (Some(number), _, new) => items.get_mut(number).is_some_and(|child| set(child, rest, new)),
                (None, true, Some(new)) => {
                    items.push(new);
                    true
                }
                (None, _, _) => false,
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_read_as_they_are_written() {
        let key = |text: &str| Step::Key(text.into());
        let path = ".spec.containers[web].env[0][\"a.b/\\\"c]\"]";
        let expected =
            [key("spec"), key("containers"), Step::Item("web".into()), key("env"), Step::Item("0".into()), key("a.b/\"c]")];
        assert_eq!(steps(path).unwrap(), expected);
        assert_eq!(steps("").unwrap(), []);
        for wrong in [".spec.env (order)[", "spec", "[x", "[\"x]"] {
            assert!(steps(wrong).is_none_or(|steps| steps.iter().all(|step| matches!(step, Step::Key(_)))), "{wrong}");
        }
    }

    #[test]
    fn values_are_found_and_put_where_the_path_says() {
        let mut value = json!({ "containers": [{ "name": "a", "image": "1" }, { "name": "b" }], "args": ["x", "y"] });
        let at = |path: &str| steps(path).unwrap();
        assert_eq!(get(&value, &at(".containers[a].image")), Some(&json!("1")));
        assert!(set(&mut value, &at(".containers[b].image"), Some(json!("2"))));
        assert!(set(&mut value, &at(".args[1]"), Some(json!("z"))));
        assert!(set(&mut value, &at(".labels[\"a/b\"]"), Some(json!("c"))));
        assert!(set(&mut value, &at(".containers[c]"), Some(json!({ "name": "c" }))));
        assert!(set(&mut value, &at(".containers[a]"), None));
        assert!(!set(&mut value, &at(".containers[x].image"), Some(json!("2"))));
        assert!(!set(&mut value, &at(".nothing"), None));
        let expected = json!({ "containers": [{ "name": "b", "image": "2" }, { "name": "c" }], "args": ["x", "z"], "labels": { "a/b": "c" } });
        assert_eq!(value, expected);
    }
}
