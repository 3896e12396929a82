//! Reads the tables. Errors are for whoever writes one; the tables are part of the program.

use crate::health::HealthCode;

/// Kinds, and the lines that assess them.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) kinds: Vec<String>,
    pub(super) lines: Vec<Line>,
}

#[derive(Debug)]
pub(super) enum Line {
    /// Verdict, when all tests hold.
    Verdict { status: HealthCode, tests: Vec<Test>, message: Template },
    /// Lines for each item of a list that passes the tests.
    Each { path: Path, tests: Vec<Test>, lines: Vec<Self> },
    /// Lines that count only when the tests hold.
    When { tests: Vec<Test>, lines: Vec<Self> },
}

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Item,
    Outer,
    Object,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) root: Root,
    pub(super) keys: Vec<String>,
    /// The length of what is there instead of it.
    pub(super) length: bool,
}

/// A number: `path`, `path?default`, `12`, or a difference of two.
#[derive(Debug)]
pub(super) enum Number {
    Literal(f64),
    Path(Path, Option<f64>),
    Difference(Box<(Self, Self)>),
    Count(Path, Vec<Test>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    Some,
    No,
    Every,
}

#[derive(Debug)]
pub(super) enum Test {
    There(Path),
    Absent(Path),
    Is(Path, Vec<String>),
    IsNot(Path, Vec<String>),
    StartsWith(Path, String),
    Contains(Path, String),
    Same(Path, Path),
    Differs(Path, Path),
    Compare(Number, Order, Number),
    Items(Quantifier, Path, Vec<Self>),
}

#[derive(Debug, Default)]
pub(super) struct Template(pub(super) Vec<Piece>);

#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    /// The first of the paths that is there, else the text.
    Value(Vec<Path>, String, Form),
    /// Items of a list; what stands around them only where there are some.
    Join {
        before: String,
        separator: String,
        path: Path,
        tests: Vec<Test>,
        item: Template,
        after: String,
    },
    Count(Path, Vec<Test>),
    /// A value with what stands around it, if it is there and not empty.
    Maybe {
        before: String,
        path: Path,
        after: String,
    },
    Item,
    Place,
}

/// How a value is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Whole,
    Lower,
    /// Its first characters, for revisions.
    Start(usize),
}

/// Reads a table.
pub(super) fn table(text: &str) -> Result<Vec<Section>, String> {
    let mut sections: Vec<Section> = Vec::new();
    let lines: Vec<(usize, &str)> =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with("//")).collect();
    let mut at = 0;
    while at < lines.len() {
        let (number, line) = lines[at];
        let head = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let Some(head) = head else { return Err(format!("line {}: expected [kinds]", number + 1)) };
        at += 1;
        let lines = block(&lines, &mut at, 0)?;
        sections.push(Section { kinds: kinds(head), lines });
    }
    Ok(sections)
}

/// `a.io/A B C` are three kinds of one group; further groups begin with their own name.
fn kinds(head: &str) -> Vec<String> {
    let mut group = "";
    head.split_whitespace()
        .map(|word| match word.split_once('/') {
            Some((own, kind)) => {
                group = own;
                format!("{own}/{kind}")
            }
            None => format!("{group}/{word}"),
        })
        .collect()
}

fn block(lines: &[(usize, &str)], at: &mut usize, indentation: usize) -> Result<Vec<Line>, String> {
    let mut found = Vec::new();
    while let Some((number, text)) = lines.get(*at) {
        let own = text.len() - text.trim_start().len();
        if text.starts_with('[') || own < indentation {
            break;
        }
        if own > indentation {
            return Err(format!("line {}: unexpected indentation", number + 1));
        }
        *at += 1;
        let failed = |error: String| format!("line {}: {error}", number + 1);
        let words = words(text.trim()).map_err(failed)?;
        let (first, rest) = words.split_first().ok_or_else(|| failed("empty".into()))?;
        found.push(match first.as_str() {
            "each" => {
                let (list, tests_of) = rest.split_first().ok_or_else(|| failed("each what?".into()))?;
                let (path, tests) = (path(list), tests(tests_of).map_err(failed)?);
                Line::Each { path, tests, lines: block(lines, at, indentation + 2)? }
            }
            "when" => Line::When { tests: tests(rest).map_err(failed)?, lines: block(lines, at, indentation + 2)? },
            status => {
                let status = status.parse().map_err(|error: crate::health::UnknownCode| failed(error.to_string()))?;
                let (message, tests_of) = match rest.split_last() {
                    Some((last, before)) if last.starts_with('"') => {
                        (template(&unquoted(last).replace("\\n", "\n")).map_err(failed)?, before)
                    }
                    _ => (Template::default(), rest),
                };
                Line::Verdict { status, tests: tests(tests_of).map_err(failed)?, message }
            }
        });
    }
    Ok(found)
}

fn unquoted(word: &str) -> &str {
    word.get(1..word.len().saturating_sub(1)).unwrap_or_default()
}

/// Splits at spaces outside quotes and parentheses.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut found, mut word, mut quote, mut depth) = (Vec::new(), String::new(), None, 0_i32);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, ' ') if depth == 0 => {
                if !word.is_empty() {
                    found.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if quote.is_some() || depth != 0 {
        return Err("a quote or parenthesis is not closed".into());
    }
    if !word.is_empty() {
        found.push(word);
    }
    Ok(found)
}

fn tests(words: &[String]) -> Result<Vec<Test>, String> {
    words.iter().map(|word| test(word)).collect()
}

fn test(word: &str) -> Result<Test, String> {
    for (name, quantifier) in [("some(", Quantifier::Some), ("no(", Quantifier::No), ("every(", Quantifier::Every)] {
        if let Some(inner) = word.strip_prefix(name).and_then(|rest| rest.strip_suffix(')')) {
            let parts = words(inner)?;
            let (list, rest) = parts.split_first().ok_or("which list?")?;
            return Ok(Test::Items(quantifier, path(list), tests(rest)?));
        }
    }
    if let Some(rest) = word.strip_prefix('!') {
        return Ok(Test::Absent(path(rest)));
    }
    let values = |text: &str| text.split('|').map(|one| one.trim_matches('\'').to_owned()).collect::<Vec<_>>();
    // The longest operators first; what stands in quotes belongs to a path or a value.
    for operator in ["==", "<>", "!=", "^=", "~=", "<=", ">=", "<", ">", "="] {
        let Some(at) = position(word, operator) else { continue };
        let (left, right) = (&word[..at], &word[at + operator.len()..]);
        let order = match operator {
            "==" => return Ok(Test::Same(path(left), path(right))),
            "<>" => return Ok(Test::Differs(path(left), path(right))),
            "!=" => return Ok(Test::IsNot(path(left), values(right))),
            "^=" => return Ok(Test::StartsWith(path(left), right.trim_matches('\'').to_owned())),
            "~=" => return Ok(Test::Contains(path(left), right.trim_matches('\'').to_lowercase())),
            "=" => return Ok(Test::Is(path(left), values(right))),
            "<=" => Order::LessOrEqual,
            ">=" => Order::GreaterOrEqual,
            "<" => Order::Less,
            _ => Order::Greater,
        };
        return Ok(Test::Compare(number(left)?, order, number(right)?));
    }
    Ok(Test::There(path(word)))
}

/// Where an operator stands, outside quotes and parentheses.
fn position(word: &str, operator: &str) -> Option<usize> {
    let (mut quoted, mut depth) = (false, 0_i32);
    word.char_indices().find_map(|(at, c)| {
        quoted ^= c == '\'';
        depth += i32::from(c == '(') - i32::from(c == ')');
        (!quoted && depth == 0 && word[at..].starts_with(operator)).then_some(at)
    })
}

fn number(text: &str) -> Result<Number, String> {
    if let Some(at) = position(text, "-") {
        return Ok(Number::Difference(Box::new((number(&text[..at])?, number(&text[at + 1..])?))));
    }
    if let Some(inner) = text.strip_prefix("count(").and_then(|rest| rest.strip_suffix(')')) {
        let parts = words(inner)?;
        let (list, rest) = parts.split_first().ok_or("count what?")?;
        return Ok(Number::Count(path(list), tests(rest)?));
    }
    if let Ok(literal) = text.parse() {
        return Ok(Number::Literal(literal));
    }
    match text.split_once('?') {
        Some((name, default)) => {
            let default = default.parse().map_err(|_| format!("`{default}` is no number"))?;
            Ok(Number::Path(path(name), Some(default)))
        }
        None => Ok(Number::Path(path(text), None)),
    }
}

/// Keys with dots or slashes stand in single quotes.
pub(super) fn path(text: &str) -> Path {
    let (length, text) = text.strip_prefix('#').map_or((false, text), |rest| (true, rest));
    let (root, text) = match text.chars().next() {
        Some('$') => (Root::Object, &text[1..]),
        Some('^') => (Root::Outer, &text[1..]),
        _ => (Root::Item, text),
    };
    if text == "." {
        return Path { root, keys: Vec::new(), length };
    }
    let (mut keys, mut key, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '\'' => quoted = !quoted,
            '.' if !quoted => keys.push(std::mem::take(&mut key)),
            c => key.push(c),
        }
    }
    if !key.is_empty() {
        keys.push(key);
    }
    Path { root, keys, length }
}

fn template(text: &str) -> Result<Template, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].to_owned()));
        }
        let close = closing(&rest[open..]).ok_or("a brace is not closed")? + open;
        pieces.push(piece(&rest[open + 1..close])?);
        rest = &rest[close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(Template(pieces))
}

fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, c)| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        (depth == 0).then_some(at)
    })
}

fn piece(text: &str) -> Result<Piece, String> {
    if text == "." {
        return Ok(Piece::Item);
    }
    if text == "@" {
        return Ok(Piece::Place);
    }
    let Some((name @ ("join" | "list" | "count" | "maybe"), rest)) = text.split_once(' ') else { return Ok(value(text)) };
    let parts = words(rest)?;
    match (name, parts.as_slice()) {
        ("join", [separator, list, tests_of @ .., item]) => Ok(Piece::Join {
            before: String::new(),
            separator: unquoted(separator).to_owned(),
            path: path(list),
            tests: tests(tests_of)?,
            item: template(unquoted(item))?,
            after: String::new(),
        }),
        ("list", [before, list, tests_of @ .., item, after]) => Ok(Piece::Join {
            before: unquoted(before).to_owned(),
            separator: ", ".to_owned(),
            path: path(list),
            tests: tests(tests_of)?,
            item: template(unquoted(item))?,
            after: unquoted(after).to_owned(),
        }),
        ("count", [list, tests_of @ ..]) => Ok(Piece::Count(path(list), tests(tests_of)?)),
        ("maybe", [before, value, after]) => {
            Ok(Piece::Maybe { before: unquoted(before).to_owned(), path: path(value), after: unquoted(after).to_owned() })
        }
        _ => Err(format!("`{text}` lacks something")),
    }
}

fn value(text: &str) -> Piece {
    let (text, form) = match text.rsplit_once(':') {
        Some((text, "lower")) => (text, Form::Lower),
        Some((text, length)) if length.parse::<usize>().is_ok() => (text, Form::Start(length.parse().unwrap_or_default())),
        _ => (text, Form::Whole),
    };
    let (mut paths, mut default) = (Vec::new(), String::new());
    for one in text.split('|') {
        match one.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(literal) => default = literal.to_owned(),
            None => paths.push(path(one)),
        }
    }
    Piece::Value(paths, default, form)
}
