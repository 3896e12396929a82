//! Counts the steps that a Lua pattern takes on a text, before the VM matches it where nothing can stop it.
//!
//! A walk of our own over the pattern language (classes, sets, captures, `%b`, `%f`, the four repetitions), which follows
//! the order of the original so that it meets the same backtracking. A pattern that the original refuses costs nothing here.

/// The text takes more steps than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exceeded;

/// Deepest recursion; the VM refuses deeper ones as too complex.
const MAX_DEPTH: u32 = 200;

/// Steps to find all matches, which is the most that `find`, `match`, `gmatch` and `gsub` do.
pub(super) fn steps(text: &[u8], pattern: &[u8], limit: u64) -> Result<u64, Exceeded> {
    let anchored = pattern.first() == Some(&b'^');
    let pattern = if anchored { &pattern[1..] } else { pattern };
    let mut walk = Walk { text, pattern, spent: 0, limit, captures: Vec::new() };
    let mut at = 0;
    while at <= text.len() {
        walk.captures.clear();
        at = match walk.matches(at, 0, 0)? {
            Some(end) if end > at => end,
            _ => at + 1,
        };
        if anchored {
            break;
        }
    }
    Ok(walk.spent)
}

/// Start of a capture, and its end when it is closed.
type Capture = (usize, Option<usize>);

struct Walk<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    spent: u64,
    limit: u64,
    captures: Vec<Capture>,
}

impl Walk<'_> {
    fn step(&mut self, steps: usize) -> Result<(), Exceeded> {
        self.spent += steps as u64;
        if self.spent > self.limit { Err(Exceeded) } else { Ok(()) }
    }

    /// The end of the match of the pattern from `p` at `s`, if there is one.
    fn matches(&mut self, mut s: usize, mut p: usize, depth: u32) -> Result<Option<usize>, Exceeded> {
        if depth > MAX_DEPTH {
            return Ok(None);
        }
        loop {
            self.step(1)?;
            let Some(&c) = self.pattern.get(p) else { return Ok(Some(s)) };
            match (c, self.pattern.get(p + 1)) {
                (b'(', next) => return self.open(s, p + if next == Some(&b')') { 2 } else { 1 }, depth),
                (b')', _) => return self.close(s, p + 1, depth),
                (b'$', None) => return Ok((s == self.text.len()).then_some(s)),
                (b'%', Some(b'b')) => match self.balanced(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (b'%', Some(b'f')) => {
                    let Some(end) = self.class_end(p + 2) else { return Ok(None) };
                    let before = s.checked_sub(1).map_or(0, |at| self.text[at]);
                    let here = self.text.get(s).copied().unwrap_or(0);
                    if self.in_class(before, p + 2, end) || !self.in_class(here, p + 2, end) {
                        return Ok(None);
                    }
                    p = end;
                }
                (b'%', Some(digit)) if digit.is_ascii_digit() => match self.back_reference(s, *digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => {
                    let Some(end) = self.class_end(p) else { return Ok(None) };
                    let fits = self.fits(s, p, end);
                    match self.pattern.get(end) {
                        Some(b'?') => {
                            if fits && let Some(found) = self.matches(s + 1, end + 1, depth + 1)? {
                                return Ok(Some(found));
                            }
                            p = end + 1;
                        }
                        Some(b'*') => return self.longest(s, p, end, depth),
                        Some(b'+') => return if fits { self.longest(s + 1, p, end, depth) } else { Ok(None) },
                        Some(b'-') => return self.shortest(s, p, end, depth),
                        _ if fits => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    fn open(&mut self, s: usize, p: usize, depth: u32) -> Result<Option<usize>, Exceeded> {
        let position = self.pattern.get(p - 1) == Some(&b')');
        self.captures.push((s, position.then_some(s)));
        let found = self.matches(s, p, depth + 1)?;
        if found.is_none() {
            self.captures.pop();
        }
        Ok(found)
    }

    fn close(&mut self, s: usize, p: usize, depth: u32) -> Result<Option<usize>, Exceeded> {
        let Some(index) = self.captures.iter().rposition(|capture| capture.1.is_none()) else { return Ok(None) };
        self.captures[index].1 = Some(s);
        let found = self.matches(s, p, depth + 1)?;
        if found.is_none()
            && let Some(capture) = self.captures.get_mut(index)
        {
            capture.1 = None;
        }
        Ok(found)
    }

    fn longest(&mut self, s: usize, p: usize, end: usize, depth: u32) -> Result<Option<usize>, Exceeded> {
        let mut count = 0;
        while self.fits(s + count, p, end) {
            self.step(1)?;
            count += 1;
        }
        loop {
            if let Some(found) = self.matches(s + count, end + 1, depth + 1)? {
                return Ok(Some(found));
            }
            match count.checked_sub(1) {
                Some(fewer) => count = fewer,
                None => return Ok(None),
            }
        }
    }

    fn shortest(&mut self, mut s: usize, p: usize, end: usize, depth: u32) -> Result<Option<usize>, Exceeded> {
        loop {
            if let Some(found) = self.matches(s, end + 1, depth + 1)? {
                return Ok(Some(found));
            }
            if !self.fits(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn balanced(&mut self, s: usize, p: usize) -> Result<Option<usize>, Exceeded> {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else { return Ok(None) };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut level = 1;
        for at in s + 1..self.text.len() {
            self.step(1)?;
            if self.text[at] == close {
                level -= 1;
                if level == 0 {
                    return Ok(Some(at + 1));
                }
            } else if self.text[at] == open {
                level += 1;
            }
        }
        Ok(None)
    }

    fn back_reference(&mut self, s: usize, digit: u8) -> Result<Option<usize>, Exceeded> {
        let index = usize::from(digit - b'0').checked_sub(1);
        let Some(&(start, Some(end))) = index.and_then(|index| self.captures.get(index)) else { return Ok(None) };
        self.step(end - start)?;
        Ok(self.text[s..].starts_with(&self.text[start..end]).then_some(s + end - start))
    }

    /// Where the class that begins at `p` ends; `None` when the pattern is malformed.
    fn class_end(&self, p: usize) -> Option<usize> {
        match self.pattern.get(p)? {
            b'%' => (p + 1 < self.pattern.len()).then_some(p + 2),
            b'[' => {
                let mut at = p + 1 + usize::from(self.pattern.get(p + 1) == Some(&b'^'));
                // The first item may be a closing bracket.
                loop {
                    at += 1 + usize::from(*self.pattern.get(at)? == b'%');
                    if *self.pattern.get(at)? == b']' {
                        return Some(at + 1);
                    }
                }
            }
            _ => Some(p + 1),
        }
    }

    fn fits(&self, s: usize, p: usize, end: usize) -> bool {
        self.text.get(s).is_some_and(|c| match self.pattern[p] {
            b'.' => true,
            b'%' => is_of(*c, self.pattern[p + 1]),
            b'[' => self.in_class(*c, p, end),
            literal => literal == *c,
        })
    }

    fn in_class(&self, c: u8, p: usize, end: usize) -> bool {
        let negated = self.pattern.get(p + 1) == Some(&b'^');
        let last = end - 1;
        let mut at = p + 1 + usize::from(negated);
        while at < last {
            let hit = if self.pattern[at] == b'%' {
                at += 1;
                is_of(c, self.pattern[at])
            } else if at + 2 < last && self.pattern[at + 1] == b'-' {
                let range = self.pattern[at]..=self.pattern[at + 2];
                at += 2;
                range.contains(&c)
            } else {
                self.pattern[at] == c
            };
            if hit {
                return !negated;
            }
            at += 1;
        }
        negated
    }
}

fn is_of(c: u8, class: u8) -> bool {
    let member = match class.to_ascii_lowercase() {
        b'a' => c.is_ascii_alphabetic(),
        b'c' => c.is_ascii_control(),
        b'd' => c.is_ascii_digit(),
        b'l' => c.is_ascii_lowercase(),
        b'p' => c.is_ascii_punctuation(),
        b's' => c.is_ascii_whitespace() || c == 0x0b,
        b'u' => c.is_ascii_uppercase(),
        b'w' => c.is_ascii_alphanumeric(),
        b'x' => c.is_ascii_hexdigit(),
        b'z' => c == 0,
        _ => return class == c,
    };
    member != class.is_ascii_uppercase()
}
