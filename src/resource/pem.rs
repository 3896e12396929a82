//! PEM as Go reads it: text before and between blocks, CRLF line ends and several blocks are fine, broken blocks are skipped.
//!
//! Keys that people bring along carry all of these, so a strict parser would lock them out of their own data.

use zeroize::Zeroizing;

use super::base64;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// One block of a PEM file.
pub struct Block {
    /// What stands behind `BEGIN`.
    pub label: String,
    /// Whether the block has header lines; only encrypted keys and certificates with attributes do.
    pub has_headers: bool,
    /// Decoded content, wiped when dropped.
    pub content: Zeroizing<Vec<u8>>,
}

/// Finds the well-formed blocks of a text, in order.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(label) = line.trim_end().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES)) else { continue };
        // The body is read from a copy of the position, so that a block without an end does not hide the next one.
        if let Some((block, rest)) = read_body(label, lines.clone()) {
            found.push(block);
            lines = rest;
        }
    }
    found
}

fn read_body<'a>(label: &str, mut lines: std::str::Lines<'a>) -> Option<(Block, std::str::Lines<'a>)> {
    let end = format!("-----END {label}-----");
    let mut body = Zeroizing::new(String::new());
    let mut has_headers = false;
    loop {
        let line = lines.next()?.trim();
        if line == end {
            let content = Zeroizing::new(base64::decode(&body).ok()?);
            return Some((Block { label: label.to_owned(), has_headers, content }, lines));
        }
        if line.starts_with(BEGIN) {
            return None;
        }
        if body.is_empty() && line.contains(':') {
            has_headers = true;
        } else {
            body.push_str(line);
        }
    }
}

/// Writes one block with lines of 64 characters, as OpenSSL and Go do.
#[must_use]
pub fn encode(label: &str, content: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(base64::encode(content));
    // Sized beforehand: a growing string would leave unwiped copies behind.
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 64));
    text.push_str(&format!("{BEGIN}{label}-----\n"));
    let mut rest: &str = &body;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Vec<(String, Vec<u8>)> {
        blocks(text).into_iter().map(|block| (block.label, block.content.to_vec())).collect()
    }

    #[test]
    fn reads_text_around_blocks_and_crlf() {
        let text = "Bag Attributes\r\n-----BEGIN A-----\r\nYWJj\r\n-----END A-----\r\nmore\n-----BEGIN B C-----\nYQ==\n-----END B C-----";
        assert_eq!(labels(text), [("A".to_owned(), b"abc".to_vec()), ("B C".to_owned(), b"a".to_vec())]);
    }

    #[test]
    fn skips_broken_blocks() {
        let text = "-----BEGIN A-----\n!!!\n-----END A-----\n-----BEGIN B-----\nYQ==\n-----BEGIN C-----\nYQ==\n-----END C-----\n";
        assert_eq!(labels(text), [("C".to_owned(), b"a".to_vec())]);
    }

    #[test]
    fn notices_headers() {
        let text = "-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nYQ==\n-----END A-----\n";
        let found = blocks(text);
        assert_eq!(found.iter().map(|block| block.has_headers).collect::<Vec<_>>(), [true]);
    }

    #[test]
    fn writes_what_it_reads() {
        let content: Vec<u8> = (0..=255).collect();
        assert_eq!(labels(&encode("X", &content)), [("X".to_owned(), content)]);
    }
}
