//! Go's `path.Match`: `*` and `?` never cross `/`, `**` means no more than `*`.

/// Whether the pattern matches the whole path; none when it is malformed.
#[must_use]
pub fn matches(pattern: &str, path: &str) -> Option<bool> {
    let pattern: Vec<char> = pattern.chars().collect();
    check(&pattern)?;
    let path: Vec<char> = path.chars().collect();
    Some(run(&pattern, &path))
}

/// A pattern is malformed whatever it is held against: an open class, an empty one, a backslash at the end.
fn check(mut pattern: &[char]) -> Option<()> {
    while let [first, rest @ ..] = pattern {
        pattern = match first {
            '\\' => rest.get(1..)?,
            '[' => class(rest, '\0')?.1,
            _ => rest,
        };
    }
    Some(())
}

fn run(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (pattern, text);
    // Where to go on when the last star has to take one more character.
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        match step(p, t) {
            Step::Star(rest) => {
                star = Some((rest, t));
                p = rest;
            }
            Step::One(rest) => (p, t) = (rest, &t[1..]),
            Step::End => return true,
            Step::Fails => match star {
                Some((rest, [first, more @ ..])) if *first != '/' => {
                    star = Some((rest, more));
                    (p, t) = (rest, more);
                }
                _ => return false,
            },
        }
    }
}

enum Step<'p> {
    /// A star, and what follows it.
    Star(&'p [char]),
    /// One character is matched.
    One(&'p [char]),
    /// Both are at their end.
    End,
    /// It does not go on here.
    Fails,
}

fn step<'p>(pattern: &'p [char], text: &[char]) -> Step<'p> {
    let (first, rest) = match pattern {
        [] => return if text.is_empty() { Step::End } else { Step::Fails },
        ['*', rest @ ..] => return Step::Star(rest),
        [first, rest @ ..] => (*first, rest),
    };
    let Some(c) = text.first().copied() else { return Step::Fails };
    match first {
        '?' if c != '/' => Step::One(rest),
        '?' => Step::Fails,
        '[' => match class(rest, c) {
            Some((true, rest)) if c != '/' => Step::One(rest),
            _ => Step::Fails,
        },
        '\\' => match rest {
            [escaped, rest @ ..] if *escaped == c => Step::One(rest),
            _ => Step::Fails,
        },
        literal if literal == c => Step::One(rest),
        _ => Step::Fails,
    }
}

/// Reads a class behind its `[`: whether it holds the character, and what follows it.
fn class(pattern: &[char], c: char) -> Option<(bool, &[char])> {
    let (negated, mut rest) = match pattern {
        ['^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (mut found, mut ranges) = (false, 0);
    loop {
        if let [']', after @ ..] = rest
            && ranges > 0
        {
            return Some((found != negated, after));
        }
        let (low, after) = one(rest)?;
        let (high, after) = match after {
            ['-', more @ ..] => one(more)?,
            _ => (low, after),
        };
        found |= low <= c && c <= high;
        ranges += 1;
        rest = after;
    }
}

fn one(pattern: &[char]) -> Option<(char, &[char])> {
    match pattern {
        [] | ['-' | ']', ..] => None,
        ['\\', escaped, rest @ ..] => Some((*escaped, rest)),
        ['\\'] => None,
        [first, rest @ ..] => Some((*first, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stop_at_slashes() {
        for (pattern, path, expected) in [
            ("apps/*", "apps/a", true),
            ("apps/*", "apps/a/b", false),
            ("*", "apps", true),
            ("**/x", "a/x", true),
            ("**/x", "a/b/x", false),
            ("apps/*/prod", "apps/a/prod", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a\\*", "a*", true),
            ("*b*d", "abcbd", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, path), Some(expected), "{pattern} on {path}");
        }
    }

    #[test]
    fn broken_patterns_are_none() {
        for pattern in ["[", "[]", "[a", "a\\", "[-]"] {
            assert_eq!(matches(pattern, "a"), None, "{pattern}");
        }
    }
}
