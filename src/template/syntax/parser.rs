//! Tokens to trees.

use std::collections::BTreeMap;

use super::lexer::{Kind, Token, tokens};
use super::literal;
use super::tree::{Branch, Command, Literal, Node, Pipe, Trees, Word, WordKind};
use crate::template::error::TemplateError;
use crate::template::format::quoted;
use crate::template::text::Text;

/// How deep actions and parentheses may be nested. Go has no such limit for actions; a process has one stack.
const MAX_DEPTH: usize = 100;

/// Parses a template.
///
/// # Errors
/// The first thing that Go's parser would refuse, with its line.
pub fn parse(name: &str, source: &str, is_function: &dyn Fn(&str) -> bool) -> Result<Trees, TemplateError> {
    let mut parser = Parser {
        tokens: tokens(source),
        next: 0,
        fetched: 0,
        variables: vec!["$".to_owned()],
        is_function,
        ranges: 0,
        depth: 0,
        action_line: None,
        name,
        trees: BTreeMap::new(),
    };
    match parser.file() {
        Ok(()) => Ok(Trees { by_name: parser.trees }),
        Err(problem) => {
            let line = parser.tokens[parser.fetched].line;
            Err(TemplateError::Syntax { name: name.to_owned(), line, problem })
        }
    }
}

type Parsed<T> = Result<T, String>;

/// What ends a list of nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    End,
    Else,
}

impl Closing {
    const fn described(self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

enum Item {
    Node(Node),
    Closing(Closing),
}

struct Parser<'a> {
    tokens: Vec<Token>,
    next: usize,
    /// The furthest token that was looked at: errors name its line.
    fetched: usize,
    variables: Vec<String>,
    is_function: &'a dyn Fn(&str) -> bool,
    ranges: usize,
    depth: usize,
    action_line: Option<usize>,
    name: &'a str,
    trees: BTreeMap<String, Vec<Node>>,
}

impl Parser<'_> {
    fn peek(&mut self) -> &Token {
        let at = self.next.min(self.tokens.len() - 1);
        self.fetched = self.fetched.max(at);
        &self.tokens[at]
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn take_visible(&mut self) -> Token {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
        self.take()
    }

    fn peek_visible(&mut self) -> &Token {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
        self.peek()
    }

    fn peek_keyword(&mut self, word: &str) -> bool {
        let token = self.peek_visible();
        token.kind == Kind::Keyword && token.text == word
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token> {
        let token = self.take_visible();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(&token, context)) }
    }

    fn unexpected(&self, token: &Token, context: &str) -> String {
        if token.kind != Kind::Error {
            return format!("unexpected {} in {context}", token.described());
        }
        let started = match self.action_line {
            Some(line) if line != token.line => {
                let action = if token.text.ends_with(" action") { "" } else { " in action" };
                format!("{action} started at {}:{line}", self.name)
            }
            _ => String::new(),
        };
        format!("{}{started}", token.text)
    }

    fn file(&mut self) -> Parsed<()> {
        let mut root = Vec::new();
        while self.peek().kind != Kind::End {
            let before = self.next;
            if self.peek().kind == Kind::LeftDelimiter {
                self.take();
                if self.peek_keyword("define") {
                    self.take();
                    self.definition()?;
                    continue;
                }
                self.next = before;
            }
            match self.item()? {
                Item::Node(node) => root.push(node),
                Item::Closing(closing) => return Err(format!("unexpected {}", closing.described())),
            }
        }
        self.add(self.name.to_owned(), root)
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let token = self.take_visible();
        let name = self.template_name(&token, CONTEXT)?;
        self.expect(Kind::RightDelimiter, CONTEXT)?;
        let body = self.own_list(CONTEXT)?;
        self.add(name, body)
    }

    /// A list that sees no variables and no loop from outside.
    fn own_list(&mut self, context: &str) -> Parsed<Vec<Node>> {
        let outer = (std::mem::replace(&mut self.variables, vec!["$".to_owned()]), std::mem::take(&mut self.ranges));
        let (body, closing) = self.list()?;
        if closing != Closing::End {
            return Err(format!("unexpected {} in {context}", closing.described()));
        }
        (self.variables, self.ranges) = outer;
        Ok(body)
    }

    fn add(&mut self, name: String, nodes: Vec<Node>) -> Parsed<()> {
        let occupied = self.trees.get(&name).is_some_and(|nodes| !is_blank(nodes));
        if !occupied {
            self.trees.insert(name, nodes);
        } else if !is_blank(&nodes) {
            return Err(format!("template: multiple definition of template {}", quoted(name.as_bytes())));
        }
        Ok(())
    }

    fn list(&mut self) -> Parsed<(Vec<Node>, Closing)> {
        self.enter()?;
        let mut nodes = Vec::new();
        while self.peek_visible().kind != Kind::End {
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::Closing(closing) => {
                    self.depth -= 1;
                    return Ok((nodes, closing));
                }
            }
        }
        Err("unexpected EOF".to_owned())
    }

    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(format!("nested deeper than {MAX_DEPTH} levels")) } else { Ok(()) }
    }

    fn item(&mut self) -> Parsed<Item> {
        let token = self.take_visible();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(Text::from(token.text)))),
            Kind::LeftDelimiter => {
                self.action_line = Some(token.line);
                let item = self.action()?;
                self.action_line = None;
                Ok(item)
            }
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.peek_visible().clone();
        if token.kind == Kind::Keyword && token.text != "define" {
            self.take();
            return Ok(Item::Node(match token.text.as_str() {
                "block" => self.block()?,
                "break" => self.leave_range("{{break}}", Node::Break)?,
                "continue" => self.leave_range("{{continue}}", Node::Continue)?,
                "else" => {
                    if !self.peek_keyword("if") && !self.peek_keyword("with") {
                        self.expect(Kind::RightDelimiter, "else")?;
                    }
                    return Ok(Item::Closing(Closing::Else));
                }
                "end" => {
                    self.expect(Kind::RightDelimiter, "end")?;
                    return Ok(Item::Closing(Closing::End));
                }
                "if" => Node::If(self.branch("if")?),
                "range" => Node::Range(self.branch("range")?),
                "template" => self.call()?,
                _ => Node::With(self.branch("with")?),
            }));
        }
        Ok(Item::Node(Node::Action(self.pipeline("command", Kind::RightDelimiter)?)))
    }

    fn leave_range(&mut self, written: &str, node: Node) -> Parsed<Node> {
        self.expect(Kind::RightDelimiter, written)?;
        if self.ranges == 0 { Err(format!("{written} outside {{{{range}}}}")) } else { Ok(node) }
    }

    fn branch(&mut self, context: &str) -> Parsed<Branch> {
        let known = self.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelimiter)?;
        let ranges = usize::from(context == "range");
        self.ranges += ranges;
        let (body, closing) = self.list()?;
        self.ranges -= ranges;
        let otherwise = if closing == Closing::End { Vec::new() } else { self.otherwise(context)? };
        self.variables.truncate(known);
        Ok(Branch { pipe, body, otherwise })
    }

    fn otherwise(&mut self, context: &str) -> Parsed<Vec<Node>> {
        if matches!(context, "if" | "with") && self.peek_keyword(context) {
            self.take();
            self.enter()?;
            let chained = self.branch(context)?;
            self.depth -= 1;
            return Ok(vec![if context == "if" { Node::If(chained) } else { Node::With(chained) }]);
        }
        let (nodes, closing) = self.list()?;
        if closing == Closing::End { Ok(nodes) } else { Err(format!("expected end; found {}", closing.described())) }
    }

    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.take_visible();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelimiter)?;
        let body = self.own_list(CONTEXT)?;
        self.add(name.clone(), body)?;
        Ok(Node::Template { pos: token.pos, name, pipe: Some(pipe) })
    }

    fn call(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.take_visible();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = if self.peek_visible().kind == Kind::RightDelimiter {
            self.take();
            None
        } else {
            Some(self.pipeline(CONTEXT, Kind::RightDelimiter)?)
        };
        Ok(Node::Template { pos: token.pos, name, pipe })
    }

    fn template_name(&self, token: &Token, context: &str) -> Parsed<String> {
        if !matches!(token.kind, Kind::Quoted | Kind::Raw) {
            return Err(self.unexpected(token, context));
        }
        Ok(literal::unquote(&token.text).ok_or("invalid syntax")?.to_str().into_owned())
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let mut pipe = Pipe { pos: self.peek_visible().pos, ..Pipe::default() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.peek_visible().clone();
            match token.kind {
                kind if kind == end => {
                    self.take();
                    check_pipeline(&pipe, context)?;
                    return Ok(pipe);
                }
                Kind::Bool
                | Kind::Char
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::Raw
                | Kind::Quoted
                | Kind::Variable
                | Kind::LeftParen => pipe.commands.push(self.command()?),
                _ => {
                    self.take();
                    return Err(self.unexpected(&token, context));
                }
            }
        }
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<()> {
        while self.peek_visible().kind == Kind::Variable {
            let start = self.next;
            let variable = self.take();
            let follower = self.peek_visible().clone();
            match follower.kind {
                Kind::Assign | Kind::Declare => {
                    self.take();
                    pipe.assigns = follower.kind == Kind::Assign;
                    pipe.variables.push(variable.text.clone());
                    self.variables.push(variable.text);
                    return Ok(());
                }
                Kind::Other if follower.text == "," => {
                    self.take();
                    pipe.variables.push(variable.text.clone());
                    self.variables.push(variable.text);
                    if context != "range" || pipe.variables.len() > 1 {
                        return Err(format!("too many declarations in {context}"));
                    }
                    if !matches!(self.peek_visible().kind, Kind::Variable | Kind::RightDelimiter | Kind::RightParen) {
                        return Err("range can only initialize variables".to_owned());
                    }
                }
                _ => {
                    self.next = start;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command { pos: self.peek_visible().pos, words: Vec::new() };
        loop {
            self.peek_visible();
            command.words.extend(self.operand()?);
            let token = self.peek().clone();
            match token.kind {
                Kind::Space => {}
                Kind::RightDelimiter | Kind::RightParen => break,
                Kind::Pipe => {
                    self.take();
                    break;
                }
                _ => {
                    self.take();
                    return Err(self.unexpected(&token, "operand"));
                }
            }
        }
        if command.words.is_empty() { Err("empty command".to_owned()) } else { Ok(command) }
    }

    fn operand(&mut self) -> Parsed<Option<Word>> {
        let Some(word) = self.term()? else { return Ok(None) };
        if self.peek().kind != Kind::Field {
            return Ok(Some(word));
        }
        let pos = self.peek().pos;
        let mut names = Vec::new();
        while self.peek().kind == Kind::Field {
            names.push(self.take().text[1..].to_owned());
        }
        let kind = match word.kind {
            WordKind::Field(mut first) => {
                first.append(&mut names);
                WordKind::Field(first)
            }
            WordKind::Variable(name, _) => WordKind::Variable(name, names),
            WordKind::Literal(_) | WordKind::Nil | WordKind::Dot => {
                return Err(format!("unexpected . after term {}", quoted(word.to_string().as_bytes())));
            }
            _ => WordKind::Chain(Box::new(word), names),
        };
        Ok(Some(Word { pos, kind }))
    }

    fn term(&mut self) -> Parsed<Option<Word>> {
        let token = self.peek_visible().clone();
        let kind = match token.kind {
            Kind::Identifier => {
                if !(self.is_function)(&token.text) {
                    return Err(format!("function {} not defined", quoted(token.text.as_bytes())));
                }
                WordKind::Identifier(token.text)
            }
            Kind::Dot => WordKind::Dot,
            Kind::Nil => WordKind::Nil,
            Kind::Variable => {
                if !self.variables.contains(&token.text) {
                    return Err(format!("undefined variable {}", quoted(token.text.as_bytes())));
                }
                WordKind::Variable(token.text, Vec::new())
            }
            Kind::Field => WordKind::Field(vec![token.text[1..].to_owned()]),
            Kind::Bool => WordKind::Literal(Literal::Bool(token.text == "true")),
            Kind::Char => {
                let number = literal::character(&token.text)?;
                WordKind::Literal(Literal::Number(token.text, number))
            }
            Kind::Number => {
                let number = literal::number(&token.text)?;
                WordKind::Literal(Literal::Number(token.text, number))
            }
            Kind::Complex => return Err("complex numbers are not supported".to_owned()),
            Kind::Quoted | Kind::Raw => {
                let text = literal::unquote(&token.text).ok_or("invalid syntax")?;
                WordKind::Literal(Literal::Text(token.text, text))
            }
            Kind::LeftParen => {
                self.take();
                self.enter()?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.depth -= 1;
                return Ok(Some(Word { pos: pipe.pos, kind: WordKind::Pipe(pipe) }));
            }
            _ => return Ok(None),
        };
        self.take();
        Ok(Some(Word { pos: token.pos, kind }))
    }
}

fn check_pipeline(pipe: &Pipe, context: &str) -> Parsed<()> {
    if pipe.commands.is_empty() {
        return Err(format!("missing value for {context}"));
    }
    for (index, command) in pipe.commands.iter().enumerate().skip(1) {
        if matches!(command.words[0].kind, WordKind::Literal(_) | WordKind::Nil | WordKind::Dot) {
            return Err(format!("non executable command in pipeline stage {}", index + 1));
        }
    }
    Ok(())
}

/// Nothing but white space: such a tree does not occupy its name.
fn is_blank(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.to_str().trim().is_empty()))
}
