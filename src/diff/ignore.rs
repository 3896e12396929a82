//! `ignoreDifferences`: fields whose difference does not count.
//!
//! Source: Argo CD 3.5 (reference section 1.13). JSON pointers and jq path expressions are honoured;
//! what is not supported yet is named.

use globset::Glob;
use serde_json::{Map, Value};

use super::jq;
use crate::api::application::ResourceIgnoreDifferences;
use crate::resource::{Object, ResourceKey};

/// Pointers that apply to one object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct IgnoreRule {
    /// RFC 6901 pointers, split and unescaped.
    pointers: Vec<Vec<String>>,
    /// jq path expressions.
    expressions: Vec<String>,
}

/// A rule that is written in the Application and has no effect yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedIgnore {
    /// Path of the field in the Application.
    pub field: String,
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

/// Picks the rules that apply to one object. Group and kind are globs, name and namespace exact; an empty group is the core
/// group only.
#[must_use]
pub fn rules_for(key: &ResourceKey, all: &[ResourceIgnoreDifferences]) -> Vec<IgnoreRule> {
    all.iter()
        .filter(|rule| glob_matches(&rule.group, &key.group) && glob_matches(&rule.kind, &key.kind))
        .filter(|rule| rule.name.is_empty() || rule.name == key.name)
        .filter(|rule| rule.namespace.is_empty() || rule.namespace == key.namespace)
        .map(|rule| IgnoreRule {
            expressions: rule.jq_path_expressions.clone(),
            ..IgnoreRule::from_pointers(&rule.json_pointers)
        })
        .collect()
}

/// The first jq path expression among the rules of an object that cannot be run. Nothing can be said of the object then.
///
/// # Errors
/// The expression and why.
pub fn check_rules(rules: &[IgnoreRule]) -> Result<(), jq::JqError> {
    rules.iter().flat_map(|rule| &rule.expressions).try_for_each(|expression| jq::check(expression))
}

fn glob_matches(pattern: &str, text: &str) -> bool {
    pattern == text || Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(text))
}

/// Names the parts of `ignoreDifferences` that have no effect yet.
#[must_use]
pub fn unsupported(all: &[ResourceIgnoreDifferences]) -> Vec<UnsupportedIgnore> {
    let mut found = Vec::new();
    for (index, rule) in all.iter().enumerate() {
        let fields = [("managedFieldsManagers", &rule.managed_fields_managers)];
        for (name, values) in fields {
            if !values.is_empty() {
                found.push(UnsupportedIgnore { field: format!("spec.ignoreDifferences[{index}].{name}") });
            }
        }
    }
    found
}
