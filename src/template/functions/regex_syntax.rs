//! Go's regular expressions in the syntax of the crate `regex`.
//!
//! Both are RE2's dialect. They differ in that Go's `\d`, `\w`, `\s` and `\b` know only ASCII, that Go has `\Q...\E` and octal
//! escapes, and that brackets and `&&` inside a class stand for themselves in Go.

use std::iter::Peekable;
use std::str::Chars;

/// Rewrites a pattern; what Go refuses is left for the crate to refuse, or is refused here.
pub(super) fn rewritten(pattern: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(&mut out, &mut chars)?,
            '[' => class(&mut out, &mut chars)?,
            '(' if chars.peek() == Some(&'?') => {
                out.push('(');
                group(&mut out, &mut chars)?;
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

const INVALID_ESCAPE: &str = "invalid escape sequence";

fn escape(out: &mut String, chars: &mut Peekable<Chars<'_>>) -> Result<(), &'static str> {
    match chars.next().ok_or("trailing backslash at end of expression")? {
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
            '\\' => match chars.next().ok_or("trailing backslash at end of expression")? {
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
            return Err("invalid or unsupported Perl syntax");
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
        let matches = |pattern: &str, text: &str| regex::Regex::new(&rewritten(pattern).unwrap()).unwrap().is_match(text);
        assert!(!matches(r"^\d$", "\u{665}"));
        assert!(matches(r"^[\d\w]+$", "a1_"));
        assert!(matches(r"^[[a]+$", "[a"));
        assert!(matches(r"^\Qa.b\E+$", "a.bbb"));
        assert!(!matches(r"^\Qa.b\E$", "axb"));
        assert!(matches(r"^\101\x42$", "AB"));
        assert!(matches(r"^[]a]+$", "]a"));
        assert!(matches(r"^[[:alpha:]]+$", "abc"));
        assert!(matches(r"^[a&&b]+$", "a&b"));
        for refused in [r"\8", r"\1", r"(?x)a", r"[a", r"a\", r"(?u)a"] {
            assert!(rewritten(refused).is_err(), "{refused}");
        }
    }
}
