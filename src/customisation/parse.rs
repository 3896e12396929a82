//! From the data of `argocd-cm` to customisations.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{COMPARE_OPTIONS, CompareOptions, Customisations, Entry, PREFIX, Problem};
use crate::api::application::ResourceIgnoreDifferences;
use crate::resource::yaml;

/// What a key may say about a kind.
const ASPECTS: &[&str] = &["health", "useOpenLibs", "ignoreDifferences", "ignoreResourceUpdates", "knownTypeFields", "actions"];

pub(super) fn read(data: &BTreeMap<String, String>) -> Customisations {
    let mut found = Customisations::default();
    if let Some(text) = data.get(PREFIX) {
        read_map(text, &mut found);
    }
    // Split keys after the map: they win.
    for (key, text) in data {
        if let Some(rest) = key.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('.')) {
            read_split(key, rest, text, &mut found);
        }
    }
    if let Some(text) = data.get(COMPARE_OPTIONS) {
        match yaml::parse_one(text).map_err(|error| error.to_string()).and_then(CompareOptions::read) {
            Ok(options) => found.compare = options,
            Err(cause) => found.problems.push(Problem {
                key: COMPARE_OPTIONS.into(),
                cause,
                hint: "for example `ignoreAggregatedRoles: true`; the defaults hold until it can be read".into(),
                kinds: None,
            }),
        }
    }
    found.ignored = found.entries.values().filter_map(|entry| entry.ignore.clone()).collect();
    found
}

/// The old single key: one map from kinds to what is said of them.
fn read_map(text: &str, found: &mut Customisations) {
    let hint = "a map from `group/Kind` to health.lua, ignoreDifferences and the like";
    let items = match yaml::parse_one(text) {
        Ok(Value::Object(items)) => items,
        Ok(Value::Null) => return,
        Ok(_) => return found.problem(PREFIX.into(), "is not a map", hint, Some("*/*")),
        Err(error) => return found.problem(PREFIX.into(), error.to_string(), hint, Some("*/*")),
    };
    for (kinds, value) in items {
        let Value::Object(aspects) = value else {
            found.problem(format!("{PREFIX}[{kinds}]"), "is not a map", hint, Some(&kinds));
            continue;
        };
        for (aspect, value) in aspects {
            let key = format!("{PREFIX}[{kinds}].{aspect}");
            let name = match aspect.as_str() {
                "health.lua" => "health",
                "health.lua.useOpenLibs" => "useOpenLibs",
                other => other,
            };
            found.take(key, name, &kinds, value);
        }
    }
}

/// `resource.customizations.<aspect>.<group_Kind>`.
fn read_split(key: &str, rest: &str, text: &str, found: &mut Customisations) {
    let hint = "resource.customizations.<health, ignoreDifferences, ...>.<group_Kind>";
    let Some((aspect, name)) = rest.split_once('.').filter(|(_, name)| !name.is_empty()) else {
        return found.problem(key.into(), "names no kind", hint, None);
    };
    let parts: Vec<&str> = name.split('_').collect();
    let kinds = match parts.as_slice() {
        ["all"] => "*/*".to_owned(),
        [kind] => (*kind).to_owned(),
        [group, kind] => format!("{group}/{kind}"),
        _ => return found.problem(key.into(), format!("`{name}` is not of the form group_Kind"), hint, None),
    };
    found.take(key.into(), aspect, &kinds, Value::String(text.to_owned()));
}

impl Customisations {
    fn problem(&mut self, key: String, cause: impl Into<String>, hint: &str, kinds: Option<&str>) {
        self.problems.push(Problem { key, cause: cause.into(), hint: hint.into(), kinds: kinds.map(str::to_owned) });
    }

    /// Takes in one aspect of one key; strings hold YAML where a structure is wanted.
    fn take(&mut self, key: String, aspect: &str, kinds: &str, value: Value) {
        if !ASPECTS.contains(&aspect) {
            return self.problem(key, format!("`{aspect}` is not known"), &format!("one of {}", ASPECTS.join(", ")), None);
        }
        let mut entry = self.entries.get(kinds).cloned().unwrap_or_default();
        match entry.set(aspect, kinds, value) {
            Ok(()) => {
                self.entries.insert(kinds.to_owned(), entry);
            }
            Err((cause, hint)) => self.problem(key, cause, hint, aspect.starts_with("ignoreDifferences").then_some(kinds)),
        }
    }
}

type Refusal = (String, &'static str);

impl Entry {
    fn set(&mut self, aspect: &str, kinds: &str, value: Value) -> Result<(), Refusal> {
        match aspect {
            "health" => {
                let Value::String(source) = value else { return Err(("is not a text".into(), "a Lua script")) };
                self.health = source;
            }
            "useOpenLibs" => self.open_libs = truth(&value).ok_or_else(|| ("is neither true nor false".into(), "`true`"))?,
            "ignoreDifferences" => self.ignore = Some(ignored(kinds, value)?),
            "ignoreResourceUpdates" => self.ignore_updates = Some(ignored(kinds, value)?),
            "knownTypeFields" => {
                let hint = "a list of `{field: spec.x, type: core/v1/PodSpec}`";
                self.known_types = serde_json::from_value(structure(value, hint)?).map_err(|error| (error.to_string(), hint))?;
            }
            // Actions are run by nobody here.
            _ => {}
        }
        Ok(())
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => match text.trim() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn structure(value: Value, hint: &'static str) -> Result<Value, Refusal> {
    match value {
        Value::String(text) => yaml::parse_one(&text).map_err(|error| (error.to_string(), hint)),
        other => Ok(other),
    }
}

fn ignored(kinds: &str, value: Value) -> Result<ResourceIgnoreDifferences, Refusal> {
    let hint = "jsonPointers, jqPathExpressions or managedFieldsManagers, each a list of texts";
    let fields = match structure(value, hint)? {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        _ => return Err(("is not a map".into(), hint)),
    };
    let (group, kind) = kinds.split_once('/').unwrap_or(("", kinds));
    // A pattern for everything includes the core group, whose name is empty.
    let mut whole = Map::new();
    whole.insert("group".into(), group.into());
    whole.insert("kind".into(), kind.into());
    for name in ["jsonPointers", "jqPathExpressions", "managedFieldsManagers"] {
        if let Some(list) = fields.get(name).filter(|list| !list.is_null()) {
            whole.insert(name.into(), list.clone());
        }
    }
    serde_json::from_value(Value::Object(whole)).map_err(|error| (error.to_string(), hint))
}
