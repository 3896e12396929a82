//! The glob dialect of `directory.include` and `directory.exclude`: no character is special, so `*` crosses `/`.
//!
//! Source: `gobwas/glob` without separators, as Argo CD 3.5 uses it: `*` and `**` any text, `?` any character, `[a-c]`,
//! `[!a]`, `{one,two}` (nested), `\` takes the next character as it is.

/// Alternatives that one pattern may stand for, so that `{a,b}{a,b}{a,b}...` stays cheap.
const MAX_ALTERNATIVES: usize = 1024;

/// A parsed pattern.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    alternatives: Vec<Vec<Token>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Char(char),
    AnyChar,
    AnyText,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Glob {
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        let chars: Vec<char> = pattern.chars().collect();
        let mut position = 0;
        let alternatives = sequence(&chars, &mut position, false)?;
        if position < chars.len() {
            return Err(format!("unexpected `{}`", chars[position]));
        }
        Ok(Self { alternatives })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        self.alternatives.iter().any(|tokens| matches(tokens, &text))
    }
}

/// Parses up to the end, or up to `,` or `}` inside braces; several sequences where braces give a choice.
fn sequence(chars: &[char], position: &mut usize, in_braces: bool) -> Result<Vec<Vec<Token>>, String> {
    let mut found: Vec<Vec<Token>> = vec![Vec::new()];
    while let Some(&c) = chars.get(*position) {
        if in_braces && matches!(c, ',' | '}') {
            break;
        }
        *position += 1;
        let token = match c {
            '*' => Token::AnyText,
            '?' => Token::AnyChar,
            '[' => class(chars, position)?,
            '\\' => {
                let escaped = *chars.get(*position).ok_or("it ends in a backslash")?;
                *position += 1;
                Token::Char(escaped)
            }
            '{' => {
                found = combine(&found, &braces(chars, position)?)?;
                continue;
            }
            other => Token::Char(other),
        };
        for one in &mut found {
            one.push(token.clone());
        }
    }
    Ok(found)
}

fn braces(chars: &[char], position: &mut usize) -> Result<Vec<Vec<Token>>, String> {
    let mut choices = Vec::new();
    loop {
        choices.extend(sequence(chars, position, true)?);
        match chars.get(*position) {
            Some(',') => *position += 1,
            Some('}') => {
                *position += 1;
                return Ok(choices);
            }
            _ => return Err("a `{` is not closed".into()),
        }
    }
}

fn combine(left: &[Vec<Token>], right: &[Vec<Token>]) -> Result<Vec<Vec<Token>>, String> {
    if left.len() * right.len() > MAX_ALTERNATIVES {
        return Err(format!("it stands for more than {MAX_ALTERNATIVES} alternatives"));
    }
    Ok(left.iter().flat_map(|start| right.iter().map(move |end| [start.as_slice(), end.as_slice()].concat())).collect())
}

fn class(chars: &[char], position: &mut usize) -> Result<Token, String> {
    let mut next = || {
        let c = chars.get(*position).copied().ok_or("a `[` is not closed");
        *position += 1;
        c
    };
    let mut c = next()?;
    let negated = matches!(c, '!' | '^');
    if negated {
        c = next()?;
    }
    let mut ranges = Vec::new();
    let mut pending_range = false;
    while c != ']' {
        match (c, ranges.last_mut()) {
            ('-', Some(_)) if !pending_range => pending_range = true,
            (_, Some((_, end))) if pending_range => {
                *end = c;
                pending_range = false;
            }
            _ => ranges.push((c, c)),
        }
        c = next()?;
    }
    if pending_range {
        ranges.push(('-', '-'));
    }
    if ranges.is_empty() { Err("`[]` is empty".into()) } else { Ok(Token::Class { negated, ranges }) }
}

/// Backtracks to the last `*` only, which is enough because a later `*` can take over whatever an earlier one would.
fn matches(tokens: &[Token], text: &[char]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match tokens.get(token) {
            Some(Token::AnyText) => {
                retry = Some((token, at));
                token += 1;
            }
            Some(one) if one.accepts(text[at]) => {
                token += 1;
                at += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    token = star + 1;
                    at = from + 1;
                }
                None => return false,
            },
        }
    }
    tokens[token..].iter().all(|rest| *rest == Token::AnyText)
}

impl Token {
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Char(wanted) => *wanted == c,
            Self::AnyChar => true,
            Self::AnyText => false,
            Self::Class { negated, ranges } => ranges.iter().any(|(start, end)| (*start..=*end).contains(&c)) != *negated,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::Glob;

    #[test]
    fn matches_as_the_original() {
        let yes = [
            ("*.yaml", "a.yaml"),
            ("*.yaml", "a/b/c.yaml"),
            ("**/c.yaml", "a/b/c.yaml"),
            ("{a,b}/*", "b/x"),
            ("{*.yml,*.yaml}", "q.yml"),
            ("a?c", "a/c"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("a\\*", "a*"),
            ("{a{b,c},d}", "ac"),
            ("*a*b*c", "xaybzc"),
            ("", ""),
            ("[a-]", "-"),
            ("config.{json,}", "config."),
        ];
        for (pattern, text) in yes {
            assert!(Glob::parse(pattern).unwrap().matches(text), "{pattern} {text}");
        }
        let no = [
            ("*.yaml", "a.yml"),
            ("**/c.yaml", "c.yaml"),
            ("a/*", "b/x"),
            ("[!a-c]x", "ax"),
            ("a\\*", "ab"),
            ("*a*b*c", "xaybz"),
            ("a", "A"),
            ("a", "ab"),
        ];
        for (pattern, text) in no {
            assert!(!Glob::parse(pattern).unwrap().matches(text), "{pattern} {text}");
        }
    }

    #[test]
    fn refuses_what_is_not_closed_or_explodes() {
        for pattern in ["{a", "[a", "a\\", "[]", "{{a,b}"] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
        assert!(Glob::parse(&"{a,b}".repeat(11)).is_err());
    }
}
