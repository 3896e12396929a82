//! The SealedSecrets of a text, and how they are changed in it.

use serde_json::Value;

use crate::api::SealedSecret;
use crate::cli::Failure;
use crate::resource::yaml::{self, Document, Edit};

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
        collect(&document.value, String::new(), &mut |value, pointer| {
            let sealed = serde_json::from_value(value.clone()).map_err(|error| {
                Failure::new(format!("{file}:{}: not a SealedSecret that can be read: {error}", document.line))
            })?;
            found.push(Found { document: index, pointer, line: document.line, sealed });
            Ok(())
        })?;
    }
    Ok(found)
}

fn collect(value: &Value, pointer: String, take: &mut dyn FnMut(&Value, String) -> Result<(), Failure>) -> Result<(), Failure> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("kind") == "SealedSecret" && text("apiVersion").starts_with("bitnami.com/") {
        return take(value, pointer);
    }
    if text("kind").ends_with("List")
        && let Some(Value::Array(items)) = value.get("items")
    {
        for (index, item) in items.iter().enumerate() {
            collect(item, format!("{pointer}/items/{index}"), take)?;
        }
    }
    Ok(())
}

/// The text with some of its SealedSecrets changed; everything else keeps its bytes.
pub fn change(file: &str, text: &str, documents: Vec<Document>, changes: &[(&Found, Value)]) -> Result<String, Failure> {
    let mut edits = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let mut wanted = document.value;
        let mut touched = false;
        for (found, value) in changes.iter().filter(|(found, _)| found.document == index) {
            if let Some(place) = wanted.pointer_mut(&found.pointer) {
                *place = value.clone();
                touched = true;
            }
        }
        if touched {
            edits.push(Edit { span: document.span, wanted });
        }
    }
    yaml::edit(text, &edits).map_err(|error| {
        let failure = Failure::from(error);
        Failure { what: format!("{file}: {}", failure.what), ..failure }
    })
}

/// The object of a document as JSON, with other items.
pub fn with_items<'a>(original: &Value, items: impl IntoIterator<Item = (&'a String, &'a String)>) -> Value {
    let mut value = original.clone();
    for (key, item) in items {
        value["spec"]["encryptedData"][key.as_str()] = item.as_str().into();
    }
    value
}
