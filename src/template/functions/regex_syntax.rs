//! Go's regular expressions in the syntax of the crate `regex`.
//!
//! Both are RE2's dialect. They differ in that Go's `\d`, `\w`, `\s` and `\b` know only ASCII, that Go has `\Q...\E` and octal
//! escapes, and that brackets and `&&` inside a class stand for themselves in Go.

use std::iter::Peekable;
use std::str::Chars;

/// Why Go refuses a pattern, and the part that it shows.
pub(super) struct Refused {
    pub problem: &'static str,
    pub part: String,
}

/// Rewrites a pattern; what Go refuses is refused here, or left for the crate to refuse.
pub(super) fn rewritten(pattern: &str) -> Result<String, Refused> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    let mut repeated: Option<String> = None;
    loop {
        let rest: String =
            if matches!(chars.peek(), Some('\\' | '[' | '(' | '{')) { chars.clone().collect() } else { String::new() };
        let Some(c) = chars.next() else { return Ok(out) };
        let refused = |problem| Refused { problem, part: part_of(problem, &rest) };
        let operator = match c {
            '*' | '+' | '?' => Some(c.to_string()),
            '{' => count_of(&rest).map_err(refused)?,
            _ => None,
        };
        if let Some(mut operator) = operator {
            for _ in 1..operator.len() {
                chars.next();
            }
            if chars.peek() == Some(&'?') {
                chars.next();
                operator.push('?');
            }
            out.push_str(&operator);
            if let Some(before) = repeated.replace(operator.clone()) {
                return Err(Refused { problem: "invalid nested repetition operator", part: before + &operator });
            }
            continue;
        }
        repeated = None;
        match c {
            '\\' => escape(&mut out, &mut chars).map_err(refused)?,
            '[' => class(&mut out, &mut chars).map_err(refused)?,
            '(' if chars.peek() == Some(&'?') => {
                out.push('(');
                group(&mut out, &mut chars).map_err(refused)?;
            }
            // A brace that is no repetition stands for itself.
            '{' => out.push_str(r"\{"),
            '}' => out.push_str(r"\}"),
            c => out.push(c),
        }
    }
}

/// The part of the pattern that Go shows for a problem.
fn part_of(problem: &str, rest: &str) -> String {
    match problem {
        TRAILING => String::new(),
        INVALID_ESCAPE => rest.chars().take(2).collect(),
        INVALID_COUNT => rest[..=rest.find('}').unwrap_or(rest.len() - 1)].to_owned(),
        INVALID_GROUP => {
            let flags = rest.chars().skip(2).take_while(|c| "imsU-".contains(*c)).count();
            rest.chars().take(flags + 3).collect()
        }
        _ => rest.to_owned(),
    }
}

/// `{2}`, `{2,}` and `{2,3}` repeat, up to a thousand times; any other brace stands for itself.
fn count_of(rest: &str) -> Result<Option<String>, &'static str> {
    let Some(end) = rest.find('}') else { return Ok(None) };
    let (least, most) = rest[1..end].split_once(',').unwrap_or((&rest[1..end], &rest[1..end]));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(least) || !(most.is_empty() || is_number(most)) {
        return Ok(None);
    }
    let value = |text: &str| text.parse().unwrap_or(u32::MAX);
    let fits = value(least) <= MAX_COUNT && (most.is_empty() || (value(least) <= value(most) && value(most) <= MAX_COUNT));
    if fits { Ok(Some(rest[..=end].to_owned())) } else { Err(INVALID_COUNT) }
}

/// Go's limit of a repetition.
const MAX_COUNT: u32 = 1000;

const TRAILING: &str = "trailing backslash at end of expression";
const INVALID_COUNT: &str = "invalid repeat count";
const INVALID_GROUP: &str = "invalid or unsupported Perl syntax";
const INVALID_ESCAPE: &str = "invalid escape sequence";

fn escape(out: &mut String, chars: &mut Peekable<Chars<'_>>) -> Result<(), &'static str> {
    match chars.next().ok_or(TRAILING)? {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str(r"[\t\n\f\r ]"),
        'S' => out.push_str(r"[^\t\n\f\r ]"),
        'b' => out.push_str(r"(?-u:\b)"),
        'B' => out.push_str(r"(?-u:\B)"),
        'Q' => {
            let mut quoted = String::new();
            while let Some(c) = chars.next() {
                if c == '\\' && chars.peek() == Some(&'E') {
                    chars.next();
                    break;
                }
                quoted.push(c);
            }
            out.push_str(&regex::escape(&quoted));
        }
        'A' => out.push_str(r"\A"),
        'z' => out.push_str(r"\z"),
        c => character(out, c, chars)?,
    }
    Ok(())
}

/// An escape that means one character, or a class of Unicode; the same inside a class and outside.
fn character(out: &mut String, c: char, chars: &mut Peekable<Chars<'_>>) -> Result<(), &'static str> {
    match c {
        'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'x' | 'p' | 'P' => {
            out.push('\\');
            out.push(c);
        }
        '0'..='7' => {
            let mut code = c.to_digit(8).unwrap_or_default();
            let mut count = 1;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)).filter(|_| count < 3) {
                code = code * 8 + digit;
                count += 1;
                chars.next();
            }
            // A single digit from 1 on would be a reference to a group, which RE2 does not have.
            if count == 1 && c != '0' {
                return Err(INVALID_ESCAPE);
            }
            out.push_str(&format!(r"\x{{{code:x}}}"));
        }
        c if c.is_ascii_punctuation() => {
            out.push('\\');
            out.push(c);
        }
        _ => return Err(INVALID_ESCAPE),
    }
    Ok(())
}

fn class(out: &mut String, chars: &mut Peekable<Chars<'_>>) -> Result<(), &'static str> {
    out.push('[');
    if chars.peek() == Some(&'^') {
        out.push('^');
        chars.next();
    }
    let mut first = true;
    while let Some(c) = chars.next() {
        match c {
            ']' if !first => {
                out.push(']');
                return Ok(());
            }
            '[' if chars.peek() == Some(&':') => {
                out.push('[');
                // A named class ends with `:]`.
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            '\\' => match chars.next().ok_or(TRAILING)? {
                'd' => out.push_str("0-9"),
                'w' => out.push_str("0-9A-Za-z_"),
                's' => out.push_str(r"\t\n\f\r "),
                'D' => out.push_str("[^0-9]"),
                'W' => out.push_str("[^0-9A-Za-z_]"),
                'S' => out.push_str(r"[^\t\n\f\r ]"),
                c => character(out, c, chars)?,
            },
            '[' | ']' | '&' | '~' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        first = false;
    }
    Err("missing closing ]")
}

/// Flags that the crate knows and Go does not are refused.
fn group(out: &mut String, chars: &mut Peekable<Chars<'_>>) -> Result<(), &'static str> {
    let mut ahead = chars.clone();
    ahead.next();
    if !matches!(ahead.peek(), Some('P' | '<')) {
        let flags: String = ahead.take_while(|c| !matches!(c, ':' | ')')).collect();
        if flags.chars().any(|c| !"imsU-".contains(c)) {
            return Err(INVALID_GROUP);
        }
    }
    out.extend(chars.next());
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        let matches = |pattern: &str, text: &str| regex::Regex::new(&rewritten(pattern).ok().unwrap()).unwrap().is_match(text);
        assert!(!matches(r"^\d$", "\u{665}"));
        assert!(matches(r"^[\d\w]+$", "a1_"));
        assert!(matches(r"^[[a]+$", "[a"));
        assert!(matches(r"^\Qa.b\E+$", "a.bbb"));
        assert!(!matches(r"^\Qa.b\E$", "axb"));
        assert!(matches(r"^\101\x42$", "AB"));
        assert!(matches(r"^[]a]+$", "]a"));
        assert!(matches(r"^[[:alpha:]]+$", "abc"));
        assert!(matches(r"^[a&&b]+$", "a&b"));
        for refused in [r"\8", r"\1", r"(?x)a", r"[a", r"a\", r"(?u)a", "a**", "a{1001}"] {
            assert!(rewritten(refused).is_err(), "{refused}");
        }
    }
}
