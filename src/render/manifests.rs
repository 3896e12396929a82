//! From text to objects: what counts as a manifest, and what is refused.

use serde_json::Value;

use crate::resource::{Object, yaml};

use super::RenderError;

/// An object and the line on which it begins.
pub(super) struct Located {
    object: Object,
    line: usize,
}

/// Reads the output of a program: every document has to be an object with a kind.
pub(super) fn from_output(origin: &str, text: &str) -> Result<Vec<Located>, RenderError> {
    let documents = yaml::parse_stream(text).map_err(|error| invalid(origin, error))?;
    // A template that says nothing for these values leaves a document with nothing in it.
    documents
        .into_iter()
        .filter(|document| !document.value.is_null())
        .map(|document| located(document).map_err(|error| invalid(origin, error)))
        .collect()
}

/// Reads a YAML file of a directory.
///
/// A file that is no manifest at all (values, CI configuration) is passed over. It is an error when an earlier document of
/// the file was an object, or the text looks like a manifest all the same.
///
/// Source: Argo CD 3.5 directory sources (reference section 1.6, T7).
pub(super) fn from_yaml_file(path: &str, text: &str) -> Result<Vec<Located>, RenderError> {
    let mut objects = Vec::new();
    let documents = yaml::documents(text).map_err(|error| invalid(path, error))?;
    for document in documents {
        match document.and_then(|document| if document.value.is_null() { Ok(None) } else { located(document).map(Some) }) {
            Ok(object) => objects.extend(object),
            Err(error) if !objects.is_empty() || looks_like_manifest(text) => return Err(invalid(path, error)),
            Err(_) => return Ok(Vec::new()),
        }
    }
    Ok(objects)
}

/// Reads a JSON file of a directory: exactly one object.
pub(super) fn from_json_file(path: &str, text: &str) -> Result<Vec<Located>, RenderError> {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => {
            Ok(vec![located(yaml::Document { value, line: 1, span: 0..text.len() }).map_err(|error| invalid(path, error))?])
        }
        Err(error) => {
            let text = error.to_string();
            let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
            Err(invalid(
                path,
                yaml::YamlError { line: error.line().max(1), problem: format!("not one valid JSON object: {problem}") },
            ))
        }
    }
}

fn invalid(path: &str, error: yaml::YamlError) -> RenderError {
    RenderError::InvalidManifest { origin: path.to_owned(), line: error.line, problem: error.problem }
}

fn looks_like_manifest(text: &str) -> bool {
    ["apiVersion:", "kind:", "metadata:"].iter().all(|field| text.contains(field))
}

fn located(document: yaml::Document) -> Result<Located, yaml::YamlError> {
    let yaml::Document { value, line, .. } = document;
    let error = |problem: &str| yaml::YamlError { line, problem: problem.into() };
    let object = Object::from_value(value).map_err(|_| error("the document is no map"))?;
    if object.kind().is_empty() { Err(error("the document has no `kind`")) } else { Ok(Located { object, line }) }
}

/// Replaces lists by their items (one level) and refuses what no object can be.
///
/// Any object with an `items` array is a list, whatever its kind; `items: null` with neither spec nor status is nothing.
///
/// Source: Argo CD 3.5 (reference T6, T10).
pub(super) fn finish(located: Vec<Located>, origin: &str) -> Result<Vec<Object>, RenderError> {
    let mut flat = Vec::with_capacity(located.len());
    for Located { object, line } in located {
        let refuse = |problem| RenderError::InvalidManifest { origin: origin.to_owned(), line, problem };
        for object in flatten(object).map_err(refuse)? {
            check(&object).map_err(refuse)?;
            flat.push(object);
        }
    }
    Ok(flat)
}

/// Bytes of the objects as JSON, which is what remembering them costs.
pub(super) fn text_bytes(objects: &[Object]) -> u64 {
    objects.iter().map(|object| object.to_value().to_string().len() as u64).sum()
}

fn flatten(mut object: Object) -> Result<Vec<Object>, String> {
    match object.0.remove("items") {
        Some(Value::Array(items)) => {
            let item = |item| Object::from_value(item).map_err(|_| format!("an item of `{}` is no map", object.kind()));
            items.into_iter().map(item).collect()
        }
        Some(Value::Null) if !object.0.contains_key("spec") && !object.0.contains_key("status") => Ok(Vec::new()),
        Some(other) => {
            object.0.insert("items".into(), other);
            Ok(vec![object])
        }
        None => Ok(vec![object]),
    }
}

fn check(object: &Object) -> Result<(), String> {
    if object.kind().is_empty() {
        return Err(format!("the object `{}` has no `kind`", object.name()));
    }
    // Definitions are not marked, so upstream does not look at theirs.
    if object.kind() == "CustomResourceDefinition" {
        return Ok(());
    }
    match object.get(&["metadata", "annotations"]) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(annotations)) => match annotations.iter().find(|(_, value)| !value.is_string()) {
            None => Ok(()),
            Some((name, _)) => Err(format!("the annotation `{name}` of {} is no string; quote its value", object.key())),
        },
        Some(_) => Err(format!("metadata.annotations of {} is no map", object.key())),
    }
}
