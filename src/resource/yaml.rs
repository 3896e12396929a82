//! Reads and writes YAML as Kubernetes does: YAML 1.1 scalars by way of JSON.
//!
//! The value of a document is what `kubectl apply` would send: `0644` is 420, `yes` is true, the key `on` is `"true"`, a
//! timestamp stays a string, the last of two equal keys wins. A general YAML crate decides these differently (`0644` becomes
//! a string, `<<` a key), so the crate underneath only parses; `scalar` holds the rules.
//!
//! Source: `sigs.k8s.io/yaml` 1.3 on `yaml.v2` 2.4, and the stream rules of `kubectl` 1.35. The walker over
//! `tests/fixtures/kubernetes-yaml` holds the answers of the original.

mod compose;
mod edit;
mod scalar;
mod stream;
mod tree;
mod write;

#[cfg(test)]
mod tests;

use serde_json::Value;

pub use edit::{Edit, EditError, edit};
pub use stream::{Document, Documents, documents};
pub use write::to_yaml;

/// Longest input that is read. The API server refuses an object above 3 MiB; a rendered application above this is a mistake
/// that would cost more than ten times as much memory.
pub const MAX_INPUT_BYTES: usize = 64 << 20;

/// Why a text is no YAML or JSON that Kubernetes would accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct YamlError {
    /// Line in the whole input, from 1.
    pub line: usize,
    /// What is wrong there; never shows values, which may be secret.
    pub problem: String,
}

impl YamlError {
    fn new(line: usize, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into() }
    }
}

impl crate::advice::Advice for YamlError {
    fn remedy(&self) -> crate::advice::Remedy {
        crate::advice::Remedy::FixInput
    }
}

/// Reads all documents of a stream; empty and `null` documents are left out.
///
/// # Errors
/// The first document that cannot be read, with its line.
pub fn parse_stream(text: &str) -> Result<Vec<Document>, YamlError> {
    documents(text)?.filter(|document| !document.as_ref().is_ok_and(|document| document.value.is_null())).collect()
}

/// Reads the first document; an empty text is `null`.
///
/// # Errors
/// The text is no YAML, or has no form in JSON (a map as a key, `.inf`).
pub fn parse_one(text: &str) -> Result<Value, YamlError> {
    stream::check_size(text)?;
    compose::first_document(stream::without_bom(text), 1)
}
