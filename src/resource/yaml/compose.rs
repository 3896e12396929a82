//! Builds the JSON value of one document from parser events: anchors, merge keys, budgets.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag, YamlVersion};
use serde_json::{Map, Value};

use super::YamlError;
use super::scalar::{self, Scalar, ScalarTag};

/// Reads the first document of a text whose first line is `first_line` of the whole input. No document at all is `null`.
pub(super) fn first_document(text: &str, first_line: usize) -> Result<Value, YamlError> {
    check_characters(text, first_line)?;
    let parser = Parser::new_from_str_with_options(text, granit_parser::options! { emit_comments: false });
    Composer { parser, first_line, line: 1, anchors: HashMap::new(), budget: Budget::default() }.document()
}

/// Refuses what Go's reader refuses before it parses: control characters, which terminals and the API would choke on.
fn check_characters(text: &str, first_line: usize) -> Result<(), YamlError> {
    let bad = |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\x7f'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    match text.find(bad) {
        None => Ok(()),
        Some(at) => {
            let line = first_line + text[..at].bytes().filter(|byte| *byte == b'\n').count();
            Err(YamlError::new(line, "control characters are not allowed"))
        }
    }
}

struct Composer<'a> {
    parser: Parser<'a, StrInput<'a>>,
    first_line: usize,
    /// Line of the last event, within this document.
    line: usize,
    anchors: HashMap<usize, Anchored>,
    budget: Budget,
}

#[derive(Clone)]
struct Anchored {
    value: Value,
    key: Option<Scalar>,
    nodes: usize,
}

/// A composed node: its value, and the scalar behind it if it may serve as a map key.
struct Node {
    value: Value,
    key: Option<Scalar>,
    is_merge_key: bool,
}

/// Stops documents that aliases blow up. Same arithmetic as Go's `yaml.v2`: up to 400,000 nodes nearly all may come from
/// aliases, above 4,000,000 a tenth.
#[derive(Default)]
struct Budget {
    nodes: usize,
    from_aliases: usize,
}

impl Budget {
    #[expect(clippy::cast_precision_loss, reason = "a ratio of counts far below 2^52")]
    fn spend(&mut self, nodes: usize, from_alias: bool) -> bool {
        const LOW: f64 = 400_000.0;
        const HIGH: f64 = 4_000_000.0;
        self.nodes += nodes;
        self.from_aliases += if from_alias { nodes } else { 0 };
        let total = self.nodes as f64;
        let allowed = 0.99 - 0.89 * ((total - LOW) / (HIGH - LOW)).clamp(0.0, 1.0);
        self.from_aliases <= 100 || self.nodes <= 1000 || (self.from_aliases as f64 / total) <= allowed
    }
}

impl<'a> Composer<'a> {
    fn document(mut self) -> Result<Value, YamlError> {
        loop {
            match self.next()? {
                Event::DocumentStart(_, version) => {
                    self.check_version(version)?;
                    break;
                }
                Event::StreamEnd => return Ok(Value::Null),
                _ => {}
            }
        }
        let first = self.next()?;
        let node = self.node(first)?;
        // The rest is read for its errors only: a second root node is an error, a second document is not looked at.
        match self.next()? {
            Event::DocumentEnd | Event::StreamEnd => Ok(node.value),
            _ => Err(self.error("did not find expected <document start>")),
        }
    }

    fn check_version(&self, version: Option<YamlVersion>) -> Result<(), YamlError> {
        match version {
            Some(YamlVersion { major, minor }) if (major, minor) != (1, 1) => {
                Err(self.error("found incompatible YAML document; Kubernetes reads YAML 1.1"))
            }
            _ => Ok(()),
        }
    }

    fn next(&mut self) -> Result<Event<'a>, YamlError> {
        match self.parser.next() {
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(event)
            }
            Some(Err(error)) => Err(self.scan_error(&error)),
            None => Ok(Event::StreamEnd),
        }
    }

    fn node(&mut self, event: Event<'a>) -> Result<Node, YamlError> {
        let nodes_before = self.budget.nodes;
        self.spend(1, false)?;
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => (anchor, self.scalar(&text, style, tag.as_deref())?),
            Event::SequenceStart(_, anchor, _) => (anchor, Node::collection(self.sequence()?)),
            Event::MappingStart(_, anchor, _) => (anchor, Node::collection(self.mapping()?)),
            Event::Alias(anchor) => return self.alias(anchor),
            _ => return Err(self.error("did not find expected node content")),
        };
        if anchor != 0 {
            let nodes = self.budget.nodes - nodes_before;
            self.anchors.insert(anchor, Anchored { value: node.value.clone(), key: node.key.clone(), nodes });
        }
        Ok(node)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Node, YamlError> {
        let plain = style == ScalarStyle::Plain;
        let merge_tag = tag.is_some_and(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() == Some("merge"));
        let is_merge_key = text == "<<" && ((plain && tag.is_none()) || merge_tag);
        let scalar = scalar::resolve(tag_of(tag, plain), text).map_err(|problem| self.error(problem))?;
        let value = scalar.clone().into_json();
        match value {
            Ok(value) => Ok(Node { value, key: Some(scalar), is_merge_key }),
            Err(problem) => Err(self.error(problem)),
        }
    }

    fn sequence(&mut self) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::Array(items)),
                event => items.push(self.node(event)?.value),
            }
        }
    }

    fn mapping(&mut self) -> Result<Value, YamlError> {
        let mut map = Map::new();
        loop {
            let event = match self.next()? {
                Event::MappingEnd => return Ok(Value::Object(map)),
                event => event,
            };
            let key = self.node(event)?;
            let line = self.line;
            let event = self.next()?;
            let value = self.node(event)?.value;
            if key.is_merge_key {
                merge(&mut map, value).map_err(|problem| self.error_at(line, problem))?;
            } else {
                let scalar = key.key.ok_or_else(|| self.error_at(line, "invalid map key: a map or a list"))?;
                map.insert(scalar.into_key().map_err(|problem| self.error_at(line, problem))?, value);
            }
        }
    }

    fn alias(&mut self, anchor: usize) -> Result<Node, YamlError> {
        let Some(Anchored { value, key, nodes }) = self.anchors.get(&anchor).cloned() else {
            return Err(self.error("an anchor's value contains itself"));
        };
        self.spend(nodes, true)?;
        Ok(Node { value, key, is_merge_key: false })
    }

    fn spend(&mut self, nodes: usize, from_alias: bool) -> Result<(), YamlError> {
        if self.budget.spend(nodes, from_alias) { Ok(()) } else { Err(self.error("document contains excessive aliasing")) }
    }

    fn error(&self, problem: impl Into<String>) -> YamlError {
        self.error_at(self.line, problem)
    }

    fn error_at(&self, line: usize, problem: impl Into<String>) -> YamlError {
        YamlError::new(self.first_line + line.max(1) - 1, problem)
    }

    fn scan_error(&self, error: &ScanError) -> YamlError {
        self.error_at(error.marker().line(), error.info())
    }
}

impl Node {
    fn collection(value: Value) -> Self {
        Self { value, key: None, is_merge_key: false }
    }
}

/// Merges into a map where `<<` stands. Keys of the merged map overwrite those written above it: the original's order.
fn merge(map: &mut Map<String, Value>, source: Value) -> Result<(), &'static str> {
    const WANTED: &str = "map merge requires map or sequence of maps as the value";
    match source {
        Value::Object(entries) => map.extend(entries),
        // Earlier maps take precedence, so they are merged last.
        Value::Array(sources) => {
            for source in sources.into_iter().rev() {
                let Value::Object(entries) = source else { return Err(WANTED) };
                map.extend(entries);
            }
        }
        _ => return Err(WANTED),
    }
    Ok(())
}

pub(super) fn tag_of(tag: Option<&Tag>, plain: bool) -> ScalarTag {
    let Some(tag) = tag else {
        return if plain { ScalarTag::Implicit } else { ScalarTag::Str };
    };
    if tag.parts() == ("", "!") || tag.parts() == ("!", "") {
        return ScalarTag::Implicit;
    }
    match tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() {
        Some("str" | "timestamp") => ScalarTag::Str,
        Some("bool") => ScalarTag::Bool,
        Some("int") => ScalarTag::Int,
        Some("float") => ScalarTag::Float,
        Some("null") => ScalarTag::Null,
        Some("binary") => ScalarTag::Binary,
        _ => ScalarTag::Foreign,
    }
}
