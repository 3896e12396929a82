//! Regular expressions.

use regex::bytes::{Match, Regex, RegexBuilder};

use super::regex_syntax::rewritten;
use super::{Arguments, Function, Type, fixed};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::text::{Buffer, Text};
use crate::template::value::{Element, List, Value};

use Type::{Int, Text as Str};

type Answer = Result<Value, Fault>;

/// Memory that a compiled expression may take.
const MAX_PROGRAM: usize = 4 << 20;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("regexMatch", &[Str, Str], |context, a| {
        Ok(Value::Bool(compile(context, a).is_ok_and(|pattern| pattern.is_match(a.bytes(1)))))
    }),
    fixed("mustRegexMatch", &[Str, Str], |context, a| Ok(Value::Bool(compile(context, a)?.is_match(a.bytes(1))))),
    fixed("regexFindAll", &[Str, Str, Int], |context, a| find_all(context, a, PANICS)),
    fixed("mustRegexFindAll", &[Str, Str, Int], |context, a| find_all(context, a, RETURNS)),
    fixed("regexFind", &[Str, Str], |context, a| find(context, a, PANICS)),
    fixed("mustRegexFind", &[Str, Str], |context, a| find(context, a, RETURNS)),
    fixed("regexReplaceAll", &[Str, Str, Str], |context, a| replace(context, a, PANICS, true)),
    fixed("mustRegexReplaceAll", &[Str, Str, Str], |context, a| replace(context, a, RETURNS, true)),
    fixed("regexReplaceAllLiteral", &[Str, Str, Str], |context, a| replace(context, a, PANICS, false)),
    fixed("mustRegexReplaceAllLiteral", &[Str, Str, Str], |context, a| replace(context, a, RETURNS, false)),
    fixed("regexSplit", &[Str, Str, Int], |context, a| split(context, a, PANICS)),
    fixed("mustRegexSplit", &[Str, Str, Int], |context, a| split(context, a, RETURNS)),
    fixed("regexQuoteMeta", &[Str], |_, a| Ok(Value::Text(quote(a.bytes(0))))),
];

/// Whether upstream's function panics on a bad expression, which puts more words before the error.
#[derive(Clone, Copy)]
struct Failing {
    panics: bool,
}

const PANICS: Failing = Failing { panics: true };
const RETURNS: Failing = Failing { panics: false };

impl Failing {
    fn compile(self, context: &mut Context<'_>, arguments: &Arguments<'_>) -> Result<Regex, Fault> {
        let pattern = arguments.str(0);
        compile(context, arguments).map_err(|fault| {
            if !self.panics {
                return fault;
            }
            let quoted =
                if pattern.contains('`') { crate::template::format::quoted(pattern.as_bytes()) } else { format!("`{pattern}`") };
            let full = format!("regexp: Compile({quoted}): {}", fault.text(false));
            Fault::with_value(full, format!("regexp: {}", fault.text(true)))
        })
    }
}

fn compile(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Result<Regex, Fault> {
    let pattern = arguments.str(0);
    // Compiling and searching are linear in both, but not cheap.
    context.spend(64 * pattern.len() as u64 + arguments.bytes(1).len() as u64)?;
    let refused = |problem: &str, part: &str| {
        Fault::with_value(format!("error parsing regexp: {problem}: `{part}`"), format!("error parsing regexp: {problem}"))
    };
    let rewritten = rewritten(&pattern).map_err(|found| refused(found.problem, &found.part))?;
    RegexBuilder::new(&rewritten).size_limit(MAX_PROGRAM).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => refused("expression too large", &pattern),
        _ if pattern.starts_with(['*', '+', '?']) => refused("missing argument to repetition operator", &pattern[..1]),
        _ => refused(problem_of(&rewritten), &pattern),
    })
}

/// Go's words for the most common mistakes.
fn problem_of(pattern: &str) -> &'static str {
    let count = |c: char| pattern.chars().filter(|found| *found == c).count();
    match count('(').cmp(&count(')')) {
        std::cmp::Ordering::Greater => "missing closing )",
        std::cmp::Ordering::Less => "unexpected )",
        std::cmp::Ordering::Equal => "invalid syntax",
    }
}

/// Where characters begin. A search in bytes finds nothing also between the bytes of a character, where Go does not look.
struct Boundaries<'a>(Option<&'a str>);

impl<'a> Boundaries<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self(std::str::from_utf8(text).ok())
    }

    fn keep(&self, found: &Match<'_>) -> bool {
        !found.is_empty() || self.0.is_none_or(|text| text.is_char_boundary(found.start()))
    }
}

fn limit(arguments: &Arguments<'_>) -> usize {
    usize::try_from(arguments.int(2)).unwrap_or(usize::MAX)
}

fn find_all(context: &mut Context<'_>, arguments: &Arguments<'_>, failing: Failing) -> Answer {
    let pattern = failing.compile(context, arguments)?;
    let boundaries = Boundaries::of(arguments.bytes(1));
    let found: Vec<Text> = pattern
        .find_iter(arguments.bytes(1))
        .filter(|found| boundaries.keep(found))
        .take(limit(arguments))
        .map(|found| Text::from(found.as_bytes()))
        .collect();
    // Go's slice is nil when nothing is found.
    Ok(if found.is_empty() { Value::List(List::nil(Element::Text)) } else { Value::texts(found) })
}

fn find(context: &mut Context<'_>, arguments: &Arguments<'_>, failing: Failing) -> Answer {
    let pattern = failing.compile(context, arguments)?;
    Ok(Value::text(pattern.find(arguments.bytes(1)).map_or(&b""[..], |found| found.as_bytes())))
}

fn replace(context: &mut Context<'_>, arguments: &Arguments<'_>, failing: Failing, expands: bool) -> Answer {
    let pattern = failing.compile(context, arguments)?;
    let (text, replacement) = (arguments.bytes(1), arguments.bytes(2));
    let boundaries = Boundaries::of(text);
    let mut out = Buffer::default();
    let mut end = 0;
    for found in pattern.captures_iter(text) {
        let Some(whole) = found.get(0).filter(|whole| boundaries.keep(whole)) else { continue };
        out.push(&text[end..whole.start()])?;
        if expands {
            let mut expanded = zeroize::Zeroizing::new(Vec::new());
            found.expand(replacement, &mut expanded);
            out.push(&expanded)?;
        } else {
            out.push(replacement)?;
        }
        end = whole.end();
    }
    out.push(&text[end..])?;
    Ok(Value::Text(out.finish()))
}

/// Go's `Split`: an empty match at the start splits nothing off, and the last part of a limited split keeps the rest.
fn split(context: &mut Context<'_>, arguments: &Arguments<'_>, failing: Failing) -> Answer {
    let pattern = failing.compile(context, arguments)?;
    let (text, limit) = (arguments.bytes(1), limit(arguments));
    if limit == 0 {
        return Ok(Value::List(List::nil(Element::Text)));
    }
    if !arguments.bytes(0).is_empty() && text.is_empty() {
        return Ok(Value::texts([Text::default()]));
    }
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    let boundaries = Boundaries::of(text);
    for found in pattern.find_iter(text).filter(|found| boundaries.keep(found)) {
        if parts.len() + 1 >= limit {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(Text::from(&text[begin..end]));
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(Text::from(&text[begin..]));
    }
    Ok(Value::texts(parts))
}

fn quote(bytes: &[u8]) -> Text {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if br"\.+*?()|[]{}^$".contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    Text::new(out)
}
