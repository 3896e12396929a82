//! Standard base64 exactly as Go reads it.
//!
//! Hand-edited manifests carry folded values, so the rules matter: line feeds and carriage returns are skipped wherever they are,
//! spaces are not, padding is required, and stray bits in the last symbol are accepted.

use zeroize::Zeroize as _;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;

/// The position of the first byte that is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("illegal base64 data at input byte {0}")]
pub struct Base64Error(pub usize);

/// Encodes with padding and without line breaks.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes; an empty text is zero bytes.
///
/// # Errors
/// Names the byte at which Go would stop.
pub fn decode(text: &str) -> Result<Vec<u8>, Base64Error> {
    decode_bytes(text.as_bytes())
}

/// As [`decode`], for text that need not be UTF-8.
///
/// # Errors
/// As [`decode`].
pub fn decode_bytes(input: &[u8]) -> Result<Vec<u8>, Base64Error> {
    let mut bytes = Vec::with_capacity(input.len() / 4 * 3);
    let mut at = 0;
    loop {
        let quantum = read_quantum(input, &mut at).inspect_err(|_| bytes.zeroize())?;
        let bits = quantum.symbols.iter().fold(0_u32, |bits, symbol| bits << 6 | u32::from(*symbol));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..=quantum.bytes]);
        if quantum.bytes < 3 {
            return Ok(bytes);
        }
    }
}

/// Four symbols and how many bytes they stand for; fewer than three bytes means that the text ends here.
struct Quantum {
    symbols: [u8; 4],
    bytes: usize,
}

fn read_quantum(input: &[u8], at: &mut usize) -> Result<Quantum, Base64Error> {
    let mut symbols = [0; 4];
    for filled in 0..4 {
        skip_line_breaks(input, at);
        match input.get(*at) {
            None if filled == 0 => return Ok(Quantum { symbols, bytes: 0 }),
            None => return Err(Base64Error(*at - filled)),
            Some(b'=') => return finish_padding(input, at, filled).map(|bytes| Quantum { symbols, bytes }),
            Some(byte) => symbols[filled] = symbol_value(*byte).ok_or(Base64Error(*at))?,
        }
        *at += 1;
    }
    Ok(Quantum { symbols, bytes: 3 })
}

/// Reads the padding that begins at `at` after `filled` symbols; nothing but line breaks may follow it.
fn finish_padding(input: &[u8], at: &mut usize, filled: usize) -> Result<usize, Base64Error> {
    if filled < 2 {
        return Err(Base64Error(*at));
    }
    *at += 1;
    if filled == 2 {
        skip_line_breaks(input, at);
        match input.get(*at) {
            None => return Err(Base64Error(input.len())),
            Some(b'=') => *at += 1,
            Some(_) => return Err(Base64Error(*at - 1)),
        }
    }
    skip_line_breaks(input, at);
    if *at < input.len() { Err(Base64Error(*at)) } else { Ok(filled - 1) }
}

fn skip_line_breaks(input: &[u8], at: &mut usize) {
    while matches!(input.get(*at), Some(b'\r' | b'\n')) {
        *at += 1;
    }
}

fn symbol_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_reads() {
        let cases: &[(&str, &[u8])] = &[
            ("", b""),
            ("\n", b""),
            ("YQ==", b"a"),
            ("YWI=", b"ab"),
            ("YWJj", b"abc"),
            ("YW\nJj\r\n", b"abc"),
            ("YQ=\n=\n", b"a"),
            ("YR==", b"a"), // stray bits in the last symbol
        ];
        for (text, bytes) in cases {
            assert_eq!(decode(text).as_deref(), Ok(*bytes), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_go_refuses_at_the_same_byte() {
        let cases = [
            ("YW Jj", 2),
            ("YQ", 0),
            ("YWJjYQ", 4),
            ("Y", 0),
            ("=", 0),
            ("Y===", 1),
            ("YQ=", 3),
            ("YQ=a", 2),
            ("YQ==a", 4),
            ("YWI=\nx", 5),
            ("a-_b", 1),
        ];
        for (text, byte) in cases {
            assert_eq!(decode(text), Err(Base64Error(byte)), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn gives_back_what_was_encoded(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }
    }
}
