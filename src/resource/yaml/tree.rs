//! The nodes of one document with the bytes that each stands on: what an edit in place has to know.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, StrInput, StructureStyle};

use super::YamlError;
use super::compose::tag_of;
use super::scalar;

/// A node and its bytes; anchor and tag in front of it are not among them.
#[derive(Debug)]
pub(super) struct Node {
    pub start: usize,
    /// Behind the last byte of content. Line ends and comments that follow do not count.
    pub end: usize,
    pub kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar(ScalarStyle),
    Alias,
    Mapping { flow: bool, entries: Vec<Entry>, index: HashMap<String, usize> },
    Sequence(Vec<Node>),
}

/// One entry of a mapping.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: Node,
    pub value: Node,
}

/// Reads the tree of one document. A document without a node is `None`.
pub(super) fn read(text: &str) -> Result<Option<Node>, YamlError> {
    let parser = Parser::new_from_str_with_options(text, granit_parser::options! { emit_comments: false });
    let mut reader = Reader { parser, text, span: 0..0, line: 1 };
    loop {
        match reader.next()? {
            Event::DocumentStart(..) => break,
            Event::StreamEnd => return Ok(None),
            _ => {}
        }
    }
    let first = reader.next()?;
    reader.node(first).map(|(node, _)| Some(node))
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a str,
    span: std::ops::Range<usize>,
    line: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, YamlError> {
        match self.parser.next() {
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                self.span = span.byte_range().ok_or_else(|| self.problem("has no known position"))?;
                Ok(event)
            }
            Some(Err(error)) => Err(YamlError::new(error.marker().line(), error.info())),
            None => Ok(Event::StreamEnd),
        }
    }

    fn problem(&self, problem: &str) -> YamlError {
        YamlError::new(self.line, problem)
    }

    /// The node that begins with an event, and its text if it may name an entry.
    fn node(&mut self, event: Event<'a>) -> Result<(Node, Option<String>), YamlError> {
        let std::ops::Range { mut start, end } = self.span.clone();
        let mut name = None;
        let (end, kind) = match event {
            Event::Scalar(text, style, _, tag) => {
                let plain = style == ScalarStyle::Plain;
                let is_merge_key = plain && tag.is_none() && text == "<<";
                let scalar = scalar::resolve(tag_of(tag.as_deref(), plain), &text).ok();
                name = scalar.filter(|_| !is_merge_key).and_then(|scalar| scalar.into_key().ok());
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) && !self.text[start..].starts_with(['|', '>']) {
                    // The parser's span begins with the content; the header is in front of it.
                    start = self.text[..start].rfind(['|', '>']).unwrap_or(start);
                }
                (end, Kind::Scalar(style))
            }
            Event::Alias(_) => (end, Kind::Alias),
            Event::SequenceStart(style, ..) => {
                let (items, last) = self.sequence(end)?;
                (if style == StructureStyle::Flow { self.span.end } else { last }, Kind::Sequence(items))
            }
            Event::MappingStart(style, ..) => {
                let flow = style == StructureStyle::Flow;
                let (entries, index, last) = self.mapping(end)?;
                (if flow { self.span.end } else { last }, Kind::Mapping { flow, entries, index })
            }
            _ => return Err(self.problem("did not find expected node content")),
        };
        let content = self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r', ' ', '\t']);
        Ok((Node { start, end: start + content.len(), kind }, name))
    }

    fn sequence(&mut self, mut last: usize) -> Result<(Vec<Node>, usize), YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok((items, last)),
                event => {
                    let (item, _) = self.node(event)?;
                    last = last.max(item.end);
                    items.push(item);
                }
            }
        }
    }

    fn mapping(&mut self, mut last: usize) -> Result<(Vec<Entry>, HashMap<String, usize>, usize), YamlError> {
        let (mut entries, mut index) = (Vec::new(), HashMap::new());
        loop {
            let event = match self.next()? {
                Event::MappingEnd => return Ok((entries, index, last)),
                event => event,
            };
            let (key, name) = self.node(event)?;
            let event = self.next()?;
            let (value, _) = self.node(event)?;
            last = last.max(key.end).max(value.end);
            if let Some(name) = name {
                // The last of equal keys is the one that counts.
                index.insert(name, entries.len());
            }
            entries.push(Entry { key, value });
        }
    }
}
