//! What Argo CD adds for ApplicationSets.

use super::json::to_json;
use super::{Arguments, Function, Type, fixed, variadic};
use crate::resource::yaml;
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::value::Value;

use Type::{Any, Text as Str};

type Answer = Result<Value, Fault>;

/// Longest name that `normalize` gives, and the length to which `slugify` cuts unless told otherwise.
const MAX_NAME: usize = 253;
const MAX_SLUG: i64 = 50;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("normalize", &[Str], |_, a| Ok(Value::text(normalize(&a.str(0))))),
    variadic("slugify", &[], Any, slugify),
    fixed("toYaml", &[Any], |context, a| {
        let json = to_json(context, a.any(0))?;
        Ok(Value::text(yaml::to_yaml(&json).trim_end_matches('\n')))
    }),
    fixed("fromYaml", &[Str], |_, a| match read(a)? {
        serde_json::Value::Null => Ok(Value::Map(crate::template::Map::new(Default::default()))),
        json @ serde_json::Value::Object(_) => Ok(Value::from_json(&json)),
        other => Err(not_a(&other, "map[string]interface {}")),
    }),
    fixed("fromYamlArray", &[Str], |_, a| match read(a)? {
        serde_json::Value::Null => Ok(Value::list(Vec::new())),
        json @ serde_json::Value::Array(_) => Ok(Value::from_json(&json)),
        other => Err(not_a(&other, "[]interface {}")),
    }),
];

fn read(arguments: &Arguments<'_>) -> Result<serde_json::Value, Fault> {
    yaml::parse_one(&arguments.str(0)).map_err(|error| Fault::with_value(error.to_string(), "the text is not YAML"))
}

fn not_a(json: &serde_json::Value, wanted: &str) -> Fault {
    let found = match json {
        serde_json::Value::Object(_) => "object",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Bool(_) => "bool",
        _ => "number",
    };
    let problem = format!("json: cannot unmarshal {found} into Go value of type {wanted}");
    Fault::new(format!("error unmarshaling JSON: while decoding JSON: {problem}"))
}

/// A name that Kubernetes accepts: lower case, `-` for what is not allowed, at most 253 characters.
#[must_use]
pub fn normalize(text: &str) -> String {
    let allowed = |c: char| if matches!(c, '-' | '.' | 'a'..='z' | '0'..='9') { c } else { '-' };
    let name: String = text.to_lowercase().chars().map(allowed).take(MAX_NAME).collect();
    name.trim_matches(['-', '.']).to_owned()
}

/// `slugify [length] [cut at words] text`: the last argument is the text, others count by their type.
fn slugify(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let (mut length, mut at_words, mut text) = (MAX_SLUG, true, String::new());
    for (index, argument) in arguments.from(0).iter().enumerate() {
        match argument {
            Value::Int(number) => length = *number,
            Value::Bool(flag) => at_words = *flag,
            Value::Text(given) if index + 1 == arguments.len() => text = given.to_str().into_owned(),
            Value::Text(_) => {}
            other => return Err(Fault::new(format!("slugify takes no {}", other.type_name()))),
        }
    }
    Ok(Value::text(slug(&normalize(&text), usize::try_from(length).unwrap_or_default(), at_words)))
}

/// A part of a URL out of a normalised name: at most `length` bytes, cut between words when `at_words`.
#[must_use]
pub fn slug(name: &str, length: usize, at_words: bool) -> String {
    let mut name = name.replace('.', "-");
    if !at_words && length > 0 {
        name.truncate(length);
    }
    while name.contains("--") {
        name = name.replace("--", "-");
    }
    let name = name.trim_matches(['-', '_']);
    if !at_words || length == 0 || name.len() <= length {
        return name.to_owned();
    }
    // A cut inside the first word is better than nothing.
    name[..=length].rfind('-').map_or(&name[..length], |end| &name[..end]).to_owned()
}
