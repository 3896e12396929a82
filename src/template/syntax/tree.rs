//! The tree of a template. Every part knows its byte position and how Go writes it in an error.

use std::collections::BTreeMap;
use std::fmt;

use crate::template::text::Text;

/// A template and those that it defines.
pub struct Trees {
    /// All of them by name; the text's own under its own name.
    pub by_name: BTreeMap<String, Vec<Node>>,
}

/// A part of a template that is run.
#[derive(Clone)]
pub enum Node {
    /// Text between actions.
    Text(Text),
    /// `{{ pipeline }}`.
    Action(Pipe),
    /// `{{ if }}`.
    If(Branch),
    /// `{{ range }}`.
    Range(Branch),
    /// `{{ with }}`.
    With(Branch),
    /// `{{ template "name" pipeline }}`.
    Template {
        /// Where the name stands.
        pos: usize,
        /// The name.
        name: String,
        /// What becomes dot there.
        pipe: Option<Pipe>,
    },
    /// `{{ break }}`.
    Break,
    /// `{{ continue }}`.
    Continue,
}

/// What `if`, `range` and `with` have in common.
#[derive(Clone)]
pub struct Branch {
    /// The condition.
    pub pipe: Pipe,
    /// What runs when it holds.
    pub body: Vec<Node>,
    /// What runs otherwise.
    pub otherwise: Vec<Node>,
}

/// Commands, each of which feeds the next.
#[derive(Clone, Default)]
pub struct Pipe {
    /// Where it begins.
    pub pos: usize,
    /// Variables that take the result.
    pub variables: Vec<String>,
    /// `=` and not `:=`.
    pub assigns: bool,
    /// The commands.
    pub commands: Vec<Command>,
}

/// A function with its arguments, or one operand.
#[derive(Clone)]
pub struct Command {
    /// Where it begins.
    pub pos: usize,
    /// At least one.
    pub words: Vec<Word>,
}

/// An operand.
#[derive(Clone)]
pub struct Word {
    /// Where Go says that it is: with several fields, at the second.
    pub pos: usize,
    /// What it is.
    pub kind: WordKind,
}

/// Kinds of operands.
#[derive(Clone)]
pub enum WordKind {
    /// `.`
    Dot,
    /// `nil`
    Nil,
    /// `true`, `"text"`, `1`.
    Literal(Literal),
    /// A function.
    Identifier(String),
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`: the name with its dollar, then fields.
    Variable(String, Vec<String>),
    /// `(pipeline).a` or `function.a`.
    Chain(Box<Word>, Vec<String>),
    /// `(pipeline)`
    Pipe(Pipe),
}

/// A constant.
#[derive(Clone)]
pub enum Literal {
    /// `true` or `false`.
    Bool(bool),
    /// As written, and what it means.
    Text(String, Text),
    /// As written, and what it means.
    Number(String, Number),
}

/// A number in all the types that it fits.
#[derive(Clone, Copy, Default)]
pub struct Number {
    /// As a signed integer.
    pub int: Option<i64>,
    /// As an unsigned integer.
    pub uint: Option<u64>,
    /// As a float.
    pub float: Option<f64>,
    /// Whether it is written as a float, which decides its type where any will do.
    pub looks_float: bool,
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{} {} ", self.variables.join(", "), if self.assigns { "=" } else { ":=" })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            write!(f, "{}{command}", if index == 0 { "" } else { " | " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words.iter().enumerate() {
            write!(f, "{}{word}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = |f: &mut fmt::Formatter<'_>, names: &[String]| names.iter().try_for_each(|name| write!(f, ".{name}"));
        match &self.kind {
            WordKind::Dot => f.write_str("."),
            WordKind::Nil => f.write_str("nil"),
            WordKind::Literal(Literal::Bool(flag)) => write!(f, "{flag}"),
            WordKind::Literal(Literal::Text(written, _) | Literal::Number(written, _)) => f.write_str(written),
            WordKind::Identifier(name) => f.write_str(name),
            WordKind::Field(names) => fields(f, names),
            WordKind::Variable(name, names) => f.write_str(name).and_then(|()| fields(f, names)),
            WordKind::Chain(word, names) => write!(f, "{word}").and_then(|()| fields(f, names)),
            WordKind::Pipe(pipe) => write!(f, "({pipe})"),
        }
    }
}
