//! Splits a stream into documents as `kubectl` does: before the YAML parser sees it.
//!
//! - A line that starts with `---` ends a document; whatever else stands on that line is dropped.
//! - A stream that starts with `{` is JSON, one or several objects in a row.

use std::ops::Range;

use serde_json::Value;

use super::{MAX_INPUT_BYTES, YamlError, compose};

/// One document of a stream.
#[derive(Clone, PartialEq)]
pub struct Document {
    /// The content; a map for every Kubernetes object.
    pub value: Value,
    /// Line of the stream on which the document begins, from 1.
    pub line: usize,
    /// Bytes of the stream that hold the document, for [`super::edit`]. Where a format has one document only, the rest may be
    /// missing.
    pub span: Range<usize>,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document(line {})", self.line)
    }
}

/// The documents of a stream, read one by one; ends after the first error.
#[derive(Debug)]
pub struct Documents<'a> {
    rest: Rest<'a>,
    line: usize,
    /// Length of the whole stream, its byte order mark included.
    length: usize,
}

#[derive(Debug)]
enum Rest<'a> {
    Yaml(&'a str),
    Json(&'a str),
    Done,
}

/// Starts to read a stream; `null` documents are among the answers.
///
/// # Errors
/// The input is longer than [`MAX_INPUT_BYTES`].
pub fn documents(text: &str) -> Result<Documents<'_>, YamlError> {
    check_size(text)?;
    let length = text.len();
    let text = without_bom(text);
    let rest = if text.trim_start().starts_with('{') { Rest::Json(text) } else { Rest::Yaml(text) };
    Ok(Documents { rest, line: 1, length })
}

pub(super) fn check_size(text: &str) -> Result<(), YamlError> {
    if text.len() <= MAX_INPUT_BYTES {
        return Ok(());
    }
    Err(YamlError::new(1, format!("{} bytes are more than the {MAX_INPUT_BYTES} that are read", text.len())))
}

pub(super) fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

impl Iterator for Documents<'_> {
    type Item = Result<Document, YamlError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = match self.rest {
            Rest::Yaml(text) => self.next_yaml(text),
            Rest::Json(text) => self.next_json(text)?,
            Rest::Done => return None,
        };
        if found.is_err() {
            self.rest = Rest::Done;
        }
        Some(found)
    }
}

impl<'a> Documents<'a> {
    fn next_yaml(&mut self, text: &'a str) -> Result<Document, YamlError> {
        let line = self.line;
        let document = match text.find("\n---") {
            None => {
                self.rest = Rest::Done;
                text
            }
            Some(end) => {
                let marker = end + 1;
                let next = text[marker..].find('\n').map_or(text.len(), |newline| marker + newline + 1);
                self.rest = if next == text.len() { Rest::Done } else { Rest::Yaml(&text[next..]) };
                self.line += lines_in(&text[..next]);
                &text[..=end]
            }
        };
        Ok(Document { value: compose::first_document(document, line)?, line, span: self.span(text, document.len()) })
    }

    /// The first `length` bytes of what is left, as a range of the whole stream.
    const fn span(&self, rest: &str, length: usize) -> Range<usize> {
        let start = self.length - rest.len();
        start..start + length
    }

    fn next_json(&mut self, text: &'a str) -> Option<Result<Document, YamlError>> {
        let start = text.trim_start();
        let line = self.line + lines_in(&text[..text.len() - start.len()]);
        if start.is_empty() {
            return None;
        }
        if start.starts_with("---") {
            self.line = line;
            return Some(self.next_yaml(start));
        }
        let mut values = serde_json::Deserializer::from_str(start).into_iter::<Value>();
        let read = values.next()?;
        let used = values.byte_offset();
        Some(match read {
            Ok(value) => {
                self.rest = Rest::Json(&start[used..]);
                self.line = line + lines_in(&start[..used]);
                let span = self.span(start, used);
                Ok(Document { value, line, span })
            }
            Err(error) => Err(YamlError::new(line + error.line().saturating_sub(1), json_problem(&error))),
        })
    }
}

/// The message of the JSON parser without its position, which counts from the start of the object.
fn json_problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
    format!("not valid JSON: {problem}")
}

fn lines_in(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}
