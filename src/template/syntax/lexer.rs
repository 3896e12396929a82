//! Cuts a template into tokens.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Cannot go on; the token's text says why.
    Error,
    End,
    Text,
    LeftDelimiter,
    RightDelimiter,
    Space,
    Assign,
    Declare,
    Pipe,
    LeftParen,
    RightParen,
    Other,
    Bool,
    Char,
    Complex,
    Number,
    Quoted,
    Raw,
    Variable,
    Field,
    Dot,
    Nil,
    Identifier,
    Keyword,
}

/// A token.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub kind: Kind,
    pub pos: usize,
    pub line: usize,
    pub text: String,
}

impl Token {
    /// How Go names a token in an error.
    pub fn described(&self) -> String {
        match self.kind {
            Kind::End => "EOF".to_owned(),
            Kind::Error => self.text.clone(),
            Kind::Keyword | Kind::Dot | Kind::Nil => format!("<{}>", self.text),
            _ if self.text.chars().count() > 10 => {
                format!("{}...", crate::template::format::quoted(self.text.chars().take(10).collect::<String>().as_bytes()))
            }
            _ => crate::template::format::quoted(self.text.as_bytes()),
        }
    }
}

const KEYWORDS: &[&str] = &["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

/// All tokens; the last is [`Kind::End`] or [`Kind::Error`].
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { source, start: 0, pos: 0, line: 1, start_line: 1, parens: 0, tokens: Vec::new() };
    if let Err(problem) = lexer.run() {
        let (pos, line) = (lexer.start, lexer.start_line);
        lexer.tokens.push(Token { kind: Kind::Error, pos, line, text: problem });
    }
    lexer.tokens
}

struct Lexer<'a> {
    source: &'a str,
    start: usize,
    pos: usize,
    line: usize,
    start_line: usize,
    parens: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) -> Result<(), String> {
        while self.text() {
            if self.rest().starts_with("/*") {
                self.comment()?;
            } else {
                while self.inside_action()? {}
            }
        }
        Ok(())
    }

    fn rest(&self) -> &'a str {
        &self.source[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn advance(&mut self, to: usize) {
        self.line += self.source[self.pos..to].matches('\n').count();
        self.pos = to;
    }

    fn ignore(&mut self) {
        self.start = self.pos;
        self.start_line = self.line;
    }

    fn emit(&mut self, kind: Kind) {
        let text = self.source[self.start..self.pos].to_owned();
        self.tokens.push(Token { kind, pos: self.start, line: self.start_line, text });
        self.ignore();
    }

    /// Text up to and with the next `{{`; false at the end.
    fn text(&mut self) -> bool {
        let Some(length) = self.rest().find("{{") else {
            if !self.rest().is_empty() {
                self.advance(self.source.len());
                self.emit(Kind::Text);
            }
            self.emit(Kind::End);
            return false;
        };
        let delimiter = self.pos + length;
        let trims = trims_before(&self.source[delimiter + 2..]);
        let text = &self.source[self.pos..delimiter];
        let kept = if trims { text.trim_end_matches(is_space).len() } else { text.len() };
        self.advance(self.pos + kept);
        if kept > 0 {
            self.emit(Kind::Text);
        }
        self.advance(delimiter);
        self.ignore();
        let after = delimiter + 2 + if trims { 2 } else { 0 };
        // The marker's space is skipped with the dash; further spaces are tokens.
        if self.source[after..].starts_with("/*") {
            self.advance(after);
            self.ignore();
        } else {
            self.advance(delimiter + 2);
            self.emit(Kind::LeftDelimiter);
            self.advance(after);
            self.ignore();
            self.parens = 0;
        }
        true
    }

    fn comment(&mut self) -> Result<(), String> {
        let Some(length) = self.rest()[2..].find("*/") else { return Err("unclosed comment".to_owned()) };
        self.advance(self.pos + 2 + length + 2);
        let Some(trims) = self.right_delimiter() else { return Err("comment ends before closing delimiter".to_owned()) };
        self.close(trims);
        self.ignore();
        Ok(())
    }

    /// Whether a closing delimiter is here, and whether it trims.
    fn right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with("}}") {
            return Some(false);
        }
        let marked = rest.chars().next().is_some_and(is_space) && rest[1..].starts_with("-}}");
        marked.then_some(true)
    }

    fn close(&mut self, trims: bool) {
        let after = self.pos + if trims { 4 } else { 2 };
        let skipped =
            if trims { self.source[after..].len() - self.source[after..].trim_start_matches(is_space).len() } else { 0 };
        self.advance(after + skipped);
    }

    /// One token inside an action; false behind the closing delimiter.
    fn inside_action(&mut self) -> Result<bool, String> {
        if let Some(trims) = self.right_delimiter() {
            if self.parens > 0 {
                return Err("unclosed left paren".to_owned());
            }
            if trims {
                self.advance(self.pos + 2);
                self.ignore();
            }
            self.advance(self.pos + 2);
            self.emit(Kind::RightDelimiter);
            if trims {
                let skipped = self.rest().len() - self.rest().trim_start_matches(is_space).len();
                self.advance(self.pos + skipped);
                self.ignore();
            }
            return Ok(false);
        }
        let Some(c) = self.next() else { return Err("unclosed action".to_owned()) };
        match c {
            c if is_space(c) => self.space(),
            '=' => self.emit(Kind::Assign),
            ':' if self.next() == Some('=') => self.emit(Kind::Declare),
            ':' => return Err("expected :=".to_owned()),
            '|' => self.emit(Kind::Pipe),
            '"' => self.delimited('"', "unterminated quoted string", Kind::Quoted)?,
            '\'' => self.delimited('\'', "unterminated character constant", Kind::Char)?,
            '`' => self.raw()?,
            '$' => self.name(Kind::Variable)?,
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) && !self.rest().is_empty() => self.name(Kind::Field)?,
            '+' | '-' | '.' | '0'..='9' => self.number(c)?,
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen);
            }
            ')' => {
                self.parens = self.parens.checked_sub(1).ok_or("unexpected right paren")?;
                self.emit(Kind::RightParen);
            }
            c if is_alphanumeric(c) => self.identifier()?,
            ' '..='~' => self.emit(Kind::Other),
            c => return Err(format!("unrecognized character in action: {}", code_point(c))),
        }
        Ok(true)
    }

    fn space(&mut self) {
        while self.peek().is_some_and(is_space) {
            // The last space belongs to a trimming delimiter.
            if self.rest()[1..].starts_with("-}}") {
                break;
            }
            self.next();
        }
        // A single space before `-}}` was taken by the caller's look for the delimiter, so here at least one is ours.
        self.emit(Kind::Space);
    }

    fn delimited(&mut self, end: char, problem: &str, kind: Kind) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\\') if self.peek().is_some_and(|c| c != '\n') => {
                    self.next();
                }
                None | Some('\n' | '\\') => return Err(problem.to_owned()),
                Some(c) if c == end => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    fn raw(&mut self) -> Result<(), String> {
        let Some(length) = self.rest().find('`') else { return Err("unterminated raw quoted string".to_owned()) };
        self.advance(self.pos + length + 1);
        self.emit(Kind::Raw);
        Ok(())
    }

    fn skip_alphanumeric(&mut self) {
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
    }

    fn name(&mut self, kind: Kind) -> Result<(), String> {
        if self.at_terminator() {
            self.emit(if kind == Kind::Field { Kind::Dot } else { kind });
            return Ok(());
        }
        self.skip_alphanumeric();
        self.check_terminator()?;
        self.emit(kind);
        Ok(())
    }

    fn identifier(&mut self) -> Result<(), String> {
        self.skip_alphanumeric();
        self.check_terminator()?;
        self.emit(match &self.source[self.start..self.pos] {
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            "nil" => Kind::Nil,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        });
        Ok(())
    }

    fn at_terminator(&self) -> bool {
        self.peek().is_none_or(|c| is_space(c) || ".,|:)(".contains(c)) || self.rest().starts_with("}}")
    }

    fn check_terminator(&self) -> Result<(), String> {
        match self.peek() {
            Some(c) if !self.at_terminator() => Err(format!("bad character {}", code_point(c))),
            _ => Ok(()),
        }
    }

    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        if found {
            self.next();
        }
        found
    }

    fn number(&mut self, first: char) -> Result<(), String> {
        self.pos -= first.len_utf8();
        let mut valid = self.scan_number();
        let mut kind = Kind::Number;
        if valid && matches!(self.peek(), Some('+' | '-')) {
            valid = self.scan_number() && self.source[..self.pos].ends_with('i');
            kind = Kind::Complex;
        }
        if !valid {
            let text = crate::template::format::quoted(&self.source.as_bytes()[self.start..self.pos]);
            return Err(format!("bad number syntax: {text}"));
        }
        self.emit(kind);
        Ok(())
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        while self.accept(digits) {}
        if self.accept(".") {
            while self.accept(digits) {}
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            while self.accept("0123456789_") {}
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}

fn trims_before(after: &str) -> bool {
    let mut chars = after.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// `U+0041 'A'`.
fn code_point(c: char) -> String {
    let shown = if c.is_control() { String::new() } else { format!(" '{c}'") };
    format!("U+{:04X}{shown}", u32::from(c))
}
