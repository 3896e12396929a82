//! The SealedSecrets of a text, and how they are changed in it.

use serde_json::{Map, Value};

use crate::api::SealedSecret;
use crate::cli::Failure;
use crate::resource::yaml::{self, Document, Edit};
use crate::sealing::{CLUSTER_WIDE, NAMESPACE_WIDE};

/// A SealedSecret and the document it stands in.
#[derive(Debug, Clone)]
pub struct Found {
    /// Index of the document in the text.
    pub document: usize,
    /// JSON pointer from the document to the object: empty, or `/items/3`.
    pub pointer: String,
    /// Line on which the document begins.
    pub line: usize,
    /// The object.
    pub sealed: SealedSecret,
}

impl Found {
    /// `namespace/name`, for messages.
    pub fn name(&self) -> String {
        name_of(&self.sealed)
    }
}

/// `namespace/name`, or the name alone.
pub fn name_of(sealed: &SealedSecret) -> String {
    let name = sealed.metadata.name.as_deref().unwrap_or_default();
    match sealed.metadata.namespace.as_deref().unwrap_or_default() {
        "" => name.to_owned(),
        namespace => format!("{namespace}/{name}"),
    }
}

/// Reads all documents; the error names file and line.
pub fn documents(file: &str, text: &str) -> Result<Vec<Document>, Failure> {
    yaml::parse_stream(text).map_err(|error| Failure::new(format!("{file}:{}: {}", error.line, error.problem)))
}

/// Finds the SealedSecrets of some documents, those in lists among them.
pub fn find(file: &str, documents: &[Document]) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        objects(&document.value, String::new(), &mut |value, pointer| {
            if !is_sealed_secret(value) {
                return Ok(());
            }
            let sealed = serde_json::from_value(value.clone()).map_err(|error| {
                Failure::new(format!("{file}:{}: not a SealedSecret that can be read: {error}", document.line))
            })?;
            found.push(Found { document: index, pointer, line: document.line, sealed });
            Ok(())
        })?;
    }
    Ok(found)
}

/// Visits the objects of a document with their JSON pointers: of a list, its items.
///
/// # Errors
/// The first one of the visitor; nothing is visited after it.
pub fn objects(
    value: &Value,
    pointer: String,
    visit: &mut dyn FnMut(&Value, String) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match value.get("items") {
        Some(Value::Array(items)) if is_list => {
            items.iter().enumerate().try_for_each(|(index, item)| objects(item, format!("{pointer}/items/{index}"), visit))
        }
        _ => visit(value, pointer),
    }
}

fn is_sealed_secret(value: &Value) -> bool {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    text("kind") == "SealedSecret" && text("apiVersion").starts_with("bitnami.com/")
}

/// The text with some of its SealedSecrets changed; everything else keeps its bytes.
pub fn change(file: &str, text: &str, documents: &[Document], changes: &[(&Found, Value)]) -> Result<String, Failure> {
    let mut edits = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let mut wanted = document.value.clone();
        let mut touched = false;
        for (found, value) in changes.iter().filter(|(found, _)| found.document == index) {
            if let Some(place) = wanted.pointer_mut(&found.pointer) {
                *place = value.clone();
                touched = true;
            }
        }
        if touched {
            edits.push(Edit { span: document.span.clone(), wanted });
        }
    }
    yaml::edit(text, &edits).map_err(|error| Failure::from(error).at(file))
}

/// The object of a document as JSON, with other items.
pub fn with_items<'a>(original: &Value, items: impl IntoIterator<Item = (&'a String, &'a String)>) -> Value {
    let mut value = original.clone();
    for (key, item) in items {
        value["spec"]["encryptedData"][key.as_str()] = item.as_str().into();
    }
    value
}

/// Takes labels and annotations of another SealedSecret's template over; the scope stays what it is.
pub fn merge_template(into: &mut Value, from: &Value) {
    for section in ["labels", "annotations"] {
        let path = ["spec", "template", "metadata", section];
        let new = path.iter().try_fold(from, |value, field| value.get(field)).and_then(Value::as_object);
        let new = new.into_iter().flatten().filter(|(name, _)| ![CLUSTER_WIDE, NAMESPACE_WIDE].contains(&name.as_str()));
        let new: Map<String, Value> = new.map(|(name, value)| (name.clone(), value.clone())).collect();
        if new.is_empty() {
            continue;
        }
        let place = path.iter().fold(&mut *into, |place, field| {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            &mut place[*field]
        });
        match place {
            Value::Object(present) => present.extend(new),
            other => *other = Value::Object(new),
        }
    }
}
