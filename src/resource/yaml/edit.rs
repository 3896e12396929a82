//! Changes a document in place: whatever does not change keeps every byte, comments, order, quoting and line ends among them.
//!
//! The caller says what the document shall become; the difference to what it is becomes a list of replaced byte ranges. The
//! result is read again before it is given out: if it is not exactly what was wanted, there is an error and no text.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::ScalarStyle;
use serde_json::{Map, Value};

use super::tree::{self, Entry, Kind, Node};
use super::write::{flow_scalar, literal_header, quoted, write_inline, write_map};
use super::{YamlError, compose};
use crate::advice::{Advice, Remedy};

/// What one document of a stream shall become.
#[derive(Clone)]
pub struct Edit {
    /// The document's bytes, from [`super::Document::span`].
    pub span: Range<usize>,
    /// Its new value.
    pub wanted: Value,
}

/// A document cannot be changed in place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is no YAML.
    #[error(transparent)]
    Unreadable(#[from] YamlError),
    /// What changes is written in a way that cannot be edited by itself: shared by an anchor, merged, or spread over a list.
    #[error("line {line}: {field} cannot be changed in place (anchors, merge keys and complex keys cannot be edited)")]
    NotEditable {
        /// Line of the stream.
        line: usize,
        /// The field, by its path.
        field: String,
    },
}

impl Advice for EditError {
    fn remedy(&self) -> Remedy {
        Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable(_) => None,
            Self::NotEditable { .. } => Some("write that part of the document out, without anchors and aliases".to_owned()),
        }
    }
}

/// Changes documents of a stream; documents without a difference keep every byte.
///
/// # Errors
/// When a change cannot be made by replacing text, or would change something else as well.
pub fn edit(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let mut ordered: Vec<&Edit> = edits.iter().collect();
    ordered.sort_by_key(|edit| edit.span.start);
    let (mut result, mut done) = (String::with_capacity(text.len()), 0);
    for edit in ordered {
        let first_line = 1 + text[..edit.span.start].bytes().filter(|byte| *byte == b'\n').count();
        result.push_str(&text[done..edit.span.start]);
        result.push_str(&edit_document(&text[edit.span.clone()], &edit.wanted, first_line)?);
        done = edit.span.end;
    }
    result.push_str(&text[done..]);
    Ok(result)
}

fn edit_document(text: &str, wanted: &Value, first_line: usize) -> Result<String, EditError> {
    let present = value_of(text, first_line)?;
    if present == *wanted {
        return Ok(text.to_owned());
    }
    let root = tree::read(text).map_err(|error| YamlError::new(first_line + error.line - 1, error.problem))?;
    let mut editor = Editor { text, line_end: if text.contains("\r\n") { "\r\n" } else { "\n" }, patches: Vec::new() };
    let refused = |at: usize, field: String| {
        let line = first_line + text.get(..at).unwrap_or_default().bytes().filter(|byte| *byte == b'\n').count();
        EditError::NotEditable { line, field }
    };
    let changed = root.as_ref().map_or(Err(Refusal { at: 0, path: Vec::new() }), |root| editor.change(root, &present, wanted));
    changed.map_err(|refusal| refused(refusal.at, refusal.field()))?;
    let edited = editor.apply();
    // An alias elsewhere, a merge key, a comment in the wrong place: whatever was overlooked is found here.
    match value_of(&edited, first_line) {
        Ok(value) if value == *wanted => Ok(edited),
        _ => Err(refused(0, "the document".to_owned())),
    }
}

fn value_of(text: &str, first_line: usize) -> Result<Value, YamlError> {
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    compose::first_document(text, first_line)
}

/// Where there is no way to edit.
struct Refusal {
    at: usize,
    path: Vec<String>,
}

impl Refusal {
    fn field(&self) -> String {
        let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        if path.is_empty() { "the document".to_owned() } else { path.join(".") }
    }

    fn below(mut self, field: &str) -> Self {
        self.path.push(field.to_owned());
        self
    }
}

struct Editor<'a> {
    text: &'a str,
    line_end: &'static str,
    patches: Vec<(Range<usize>, String)>,
}

impl Editor<'_> {
    fn apply(mut self) -> String {
        self.patches.sort_by_key(|(range, _)| (range.start, range.end));
        let (mut result, mut done) = (String::with_capacity(self.text.len()), 0);
        for (range, replacement) in self.patches {
            // Overlapping patches would be a mistake above; the check of the result finds what comes of it.
            result.push_str(self.text.get(done..range.start).unwrap_or_default());
            result.push_str(&replacement);
            done = range.end;
        }
        result.push_str(self.text.get(done..).unwrap_or_default());
        result
    }

    fn change(&mut self, node: &Node, present: &Value, wanted: &Value) -> Result<(), Refusal> {
        let refusal = || Refusal { at: node.start, path: Vec::new() };
        match (&node.kind, present, wanted) {
            _ if present == wanted => Ok(()),
            (Kind::Mapping { flow, entries, index }, Value::Object(present), Value::Object(wanted))
                if !wanted.is_empty() && !entries.is_empty() =>
            {
                if *flow {
                    self.change_flow(node, entries, index, present, wanted)
                } else {
                    self.change_block(node, entries, index, present, wanted)
                }
            }
            (Kind::Sequence(items), Value::Array(present), Value::Array(wanted))
                if items.len() == present.len() && present.len() == wanted.len() =>
            {
                for (index, item) in items.iter().enumerate() {
                    self.change(item, &present[index], &wanted[index]).map_err(|refusal| refusal.below(&index.to_string()))?;
                }
                Ok(())
            }
            (Kind::Scalar(_), _, wanted) if !is_filled(wanted) && node.end > node.start => {
                self.replace_scalar(node, wanted);
                Ok(())
            }
            (Kind::Alias, _, wanted) if !is_filled(wanted) => {
                self.patches.push((node.start..node.end, inline(wanted)));
                Ok(())
            }
            _ => Err(refusal()),
        }
    }

    fn change_block(
        &mut self,
        node: &Node,
        entries: &[Entry],
        index: &HashMap<String, usize>,
        present: &Map<String, Value>,
        wanted: &Map<String, Value>,
    ) -> Result<(), Refusal> {
        let column = entries.first().map_or(0, |entry| entry.key.start - self.line_start(entry.key.start));
        for (key, value) in present {
            let entry = index.get(key).and_then(|at| entries.get(*at));
            let missing = || Refusal { at: node.start, path: vec![key.clone()] };
            match (wanted.get(key), entry) {
                (Some(new), _) if new == value => {}
                (Some(new), Some(entry)) => self.change_entry(entry, key, value, new, column).map_err(|no| no.below(key))?,
                (None, Some(entry)) => self.remove_line(entry).ok_or_else(missing)?,
                (_, None) => return Err(missing()),
            }
        }
        let added: Map<String, Value> =
            wanted.iter().filter(|(key, _)| !present.contains_key(*key)).map(|(k, v)| (k.clone(), v.clone())).collect();
        if !added.is_empty() {
            self.append_lines(node.end, &added, column);
        }
        Ok(())
    }

    /// Changes a value where it stands, or else writes the whole entry anew.
    fn change_entry(&mut self, entry: &Entry, key: &str, present: &Value, wanted: &Value, column: usize) -> Result<(), Refusal> {
        let before = self.patches.len();
        let Err(refusal) = self.change(&entry.value, present, wanted) else { return Ok(()) };
        self.patches.truncate(before);
        if is_filled(present) && is_filled(wanted) && present.is_object() && wanted.is_object() {
            return Err(refusal);
        }
        let simple = matches!(entry.key.kind, Kind::Scalar(_)) && !self.text[entry.key.start..].starts_with('?');
        let end =
            entry.value.end.max(self.text[entry.key.end..].find(':').map_or(entry.key.end, |colon| entry.key.end + colon + 1));
        let has_anchor = self.text.get(entry.key.end..entry.value.start).is_some_and(|between| between.contains('&'));
        if !simple || has_anchor {
            return Err(Refusal { at: entry.key.start, path: Vec::new() });
        }
        let written = self.block(&Map::from_iter([(key.to_owned(), wanted.clone())]), column, true);
        self.patches.push((entry.key.start..end, written));
        Ok(())
    }

    /// Entries as lines of this indentation, without the last line end.
    fn block(&self, map: &Map<String, Value>, column: usize, continues: bool) -> String {
        let mut text = String::new();
        write_map(&mut text, map, column, continues);
        text.truncate(text.trim_end_matches('\n').len());
        if self.line_end == "\n" { text } else { text.replace('\n', self.line_end) }
    }

    fn append_lines(&mut self, content_end: usize, added: &Map<String, Value>, column: usize) {
        let line_end = self.text[content_end..].find('\n').map(|at| content_end + at);
        let at = line_end.map_or(self.text.len(), |at| at + 1);
        let lines = self.block(added, column, false);
        let text = match line_end {
            Some(_) => format!("{lines}{}", self.line_end),
            None => format!("{}{lines}", self.line_end),
        };
        self.patches.push((at..at, text));
    }

    fn remove_line(&mut self, entry: &Entry) -> Option<()> {
        let start = self.line_start(entry.key.start);
        let blank = self.text[start..entry.key.start].bytes().all(|byte| byte == b' ');
        let content_end = entry.value.end.max(entry.key.end);
        let end = self.text[content_end..].find('\n').map_or(self.text.len(), |at| content_end + at + 1);
        blank.then(|| self.patches.push((start..end, String::new())))
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn change_flow(
        &mut self,
        node: &Node,
        entries: &[Entry],
        index: &HashMap<String, usize>,
        present: &Map<String, Value>,
        wanted: &Map<String, Value>,
    ) -> Result<(), Refusal> {
        let removed = present.keys().any(|key| !wanted.contains_key(key));
        if removed {
            self.patches.push((node.start..node.end, Value::Object(wanted.clone()).to_string()));
            return Ok(());
        }
        for (key, value) in present.iter().filter(|(key, value)| wanted.get(*key) != Some(value)) {
            let entry = index.get(key).and_then(|at| entries.get(*at));
            let entry = entry.ok_or_else(|| Refusal { at: node.start, path: vec![key.clone()] })?;
            let before = self.patches.len();
            if self.change(&entry.value, value, &wanted[key]).is_err() {
                self.patches.truncate(before);
                if entry.value.end == entry.value.start {
                    return Err(Refusal { at: node.start, path: vec![key.clone()] });
                }
                self.patches.push((entry.value.start..entry.value.end, wanted[key].to_string()));
            }
        }
        let Some(last) = entries.last() else { return Ok(()) };
        let line = &self.text[self.line_start(last.key.start)..last.key.start];
        let separator = if line.trim().is_empty() && node.start < self.line_start(last.key.start) {
            format!(",{}{line}", self.line_end)
        } else {
            ", ".to_owned()
        };
        let added = wanted.iter().filter(|(key, _)| !present.contains_key(*key));
        let text: String = added.map(|(key, value)| format!("{separator}{}: {value}", Value::from(key.as_str()))).collect();
        if !text.is_empty() {
            self.patches.push((last.value.end..last.value.end, text));
        }
        Ok(())
    }

    /// Replaces a scalar by another one in the style of the present one, if that can hold it.
    fn replace_scalar(&mut self, node: &Node, wanted: &Value) {
        let Kind::Scalar(style) = node.kind else { return };
        let present = &self.text[node.start..node.end];
        let text = match (style, wanted) {
            (ScalarStyle::SingleQuoted, Value::String(new)) if new.chars().all(|c| c != '\'' && !c.is_control()) => {
                format!("'{new}'")
            }
            (ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, Value::String(new)) => quoted(new),
            (ScalarStyle::Literal | ScalarStyle::Folded, Value::String(new)) => self.block_scalar(present, new),
            (_, Value::String(new)) if new.contains([',', '[', ']', '{', '}']) => quoted(new),
            (_, wanted) => inline(wanted),
        };
        self.patches.push((node.start..node.end, text));
    }

    fn block_scalar(&self, present: &str, new: &str) -> String {
        let indent =
            present.lines().skip(1).find(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start().len());
        let header = if new.contains('\n') { literal_header(new) } else { Some("|-").filter(|_| flow_scalar(new) == new) };
        let (Some(indent), Some(header)) = (indent, header) else { return flow_scalar(new) };
        let body = new.trim_end_matches('\n');
        let lines =
            body.split('\n').map(|line| if line.is_empty() { String::new() } else { format!("{}{line}", " ".repeat(indent)) });
        std::iter::once(header.to_owned()).chain(lines).collect::<Vec<_>>().join(self.line_end)
    }
}

fn is_filled(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

/// A scalar or an empty collection on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => flow_scalar(text),
        other => {
            let mut text = String::new();
            write_inline(&mut text, other, 0);
            text
        }
    }
}

#[cfg(test)]
mod tests;
