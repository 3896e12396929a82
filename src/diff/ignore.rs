//! `ignoreDifferences`: fields whose difference does not count.
//!
//! Source: Argo CD 3.5 (reference section 1.13). What field managers own is another matter: [`super::Rules`].

use globset::Glob;
use serde_json::{Map, Value};

use super::jq;
use crate::api::application::ResourceIgnoreDifferences;
use crate::customisation::Customisations;
use crate::resource::{Object, ResourceKey};

/// Pointers that apply to one object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct IgnoreRule {
    /// RFC 6901 pointers, split and unescaped.
    pointers: Vec<Vec<String>>,
    /// jq path expressions.
    expressions: Vec<String>,
}

impl IgnoreRule {
    /// Makes a rule from RFC 6901 pointers; one that does not start with `/` matches nothing, as in Argo CD.
    #[must_use]
    pub fn from_pointers(pointers: &[String]) -> Self {
        let split = |pointer: &String| {
            let rest = pointer.strip_prefix('/')?;
            Some(rest.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect())
        };
        Self { pointers: pointers.iter().filter_map(split).collect(), expressions: Vec::new() }
    }

    /// The fields of an object whose change is no reason to look at its Application again.
    #[must_use]
    pub fn for_updates(key: &ResourceKey, customisations: &Customisations) -> Vec<Self> {
        let kind = key.group_kind();
        let ignored = customisations.ignore_differences().iter().filter(|rule| concerns(rule, key));
        let also = ignored.filter(|_| customisations.compare.ignore_differences_on_updates);
        let rules = customisations.ignore_updates(&kind).chain(also).map(Self::from);
        rules.filter(|rule| rule.check().is_ok()).collect()
    }

    /// Checks the jq path expressions.
    ///
    /// # Errors
    /// The first that is no path expression, or that could run without an end.
    pub fn check(&self) -> Result<(), jq::JqError> {
        self.expressions.iter().try_for_each(|expression| jq::check(expression))
    }

    /// The jq path expressions.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &String> {
        self.expressions.iter()
    }

    /// Removes the ignored fields; a path that does not exist is fine.
    pub fn remove_from(&self, object: &mut Object) {
        for pointer in &self.pointers {
            remove_in_map(&mut object.0, pointer);
        }
        for expression in &self.expressions {
            jq::remove(object, expression);
        }
    }

    /// Removes the ignored fields from a `FieldsV1` tree.
    pub(super) fn remove_from_fields(&self, fields: &mut Map<String, Value>) {
        for pointer in &self.pointers {
            let elements: Vec<String> = pointer.iter().map(|part| format!("f:{part}")).collect();
            remove_in_map(fields, &elements);
        }
    }
}

fn remove_in_map(map: &mut Map<String, Value>, path: &[String]) {
    match path {
        [] => {}
        [last] => {
            map.remove(last);
        }
        [first, rest @ ..] => {
            if let Some(child) = map.get_mut(first) {
                remove_in(child, rest);
            }
        }
    }
}

fn remove_in(value: &mut Value, path: &[String]) {
    match value {
        Value::Object(map) => remove_in_map(map, path),
        Value::Array(items) => {
            let Some(index) = path.first().and_then(|part| part.parse::<usize>().ok()).filter(|index| *index < items.len())
            else {
                return;
            };
            if path.len() == 1 {
                items.remove(index);
            } else {
                remove_in(&mut items[index], &path[1..]);
            }
        }
        _ => {}
    }
}

/// True when a rule applies to one object. Group and kind are globs, name and namespace exact; an empty group is the core group
/// only.
pub(super) fn concerns(rule: &ResourceIgnoreDifferences, key: &ResourceKey) -> bool {
    glob_matches(&rule.group, &key.group)
        && glob_matches(&rule.kind, &key.kind)
        && (rule.name.is_empty() || rule.name == key.name)
        && (rule.namespace.is_empty() || rule.namespace == key.namespace)
}

impl From<&ResourceIgnoreDifferences> for IgnoreRule {
    fn from(rule: &ResourceIgnoreDifferences) -> Self {
        Self { expressions: rule.jq_path_expressions.clone(), ..Self::from_pointers(&rule.json_pointers) }
    }
}

fn glob_matches(pattern: &str, text: &str) -> bool {
    pattern == text || Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(text))
}
