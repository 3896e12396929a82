//! Go's string: any bytes, and in templates mostly secret ones.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

use zeroize::{Zeroize as _, Zeroizing};

use super::error::Fault;

/// Longest text that a template may make. An object above 1.5 MiB does not fit into etcd.
pub const MAX_TEXT: usize = 4 << 20;

/// A string as Go has it: bytes that need not be UTF-8. Wiped when its last holder drops it; `Debug` says only its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Rc<Zeroizing<Vec<u8>>>);

impl Text {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Rc::new(Zeroizing::new(bytes)))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As UTF-8; every byte that is none becomes the replacement character.
    #[must_use]
    pub fn to_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Length in bytes, as Go's `len`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes, without a copy when nobody else holds them.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match Rc::try_unwrap(self.0) {
            Ok(mut bytes) => std::mem::take(&mut *bytes),
            Err(shared) => shared.to_vec(),
        }
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes().to_vec())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }
}

impl std::borrow::Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.len())
    }
}

/// A growing text. It never exceeds [`MAX_TEXT`], and what it leaves behind when it moves is wiped.
#[derive(Default)]
pub struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    /// Appends bytes.
    ///
    /// # Errors
    /// The text becomes longer than [`MAX_TEXT`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let wanted = self.0.len() + bytes.len();
        check_length(wanted)?;
        if wanted > self.0.capacity() {
            let mut larger = Vec::with_capacity(wanted.max(self.0.capacity() * 2));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            *self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends characters.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_str(&mut self, text: &str) -> Result<(), Fault> {
        self.push(text.as_bytes())
    }

    /// Appends one character.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_char(&mut self, c: char) -> Result<(), Fault> {
        self.push_str(c.encode_utf8(&mut [0; 4]))
    }

    /// Length in bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Ends it.
    #[must_use]
    pub fn finish(mut self) -> Text {
        Text::new(std::mem::take(&mut *self.0))
    }
}

/// Refuses a text before it is made.
///
/// # Errors
/// `length` is above [`MAX_TEXT`].
pub fn check_length(length: usize) -> Result<(), Fault> {
    if length > MAX_TEXT { Err(Fault::new("the text would be longer than 4 MiB")) } else { Ok(()) }
}

/// One character and how many bytes it takes; a byte that is no UTF-8 is the replacement character and takes one, as in Go.
#[must_use]
pub fn first_char(bytes: &[u8]) -> Option<(char, usize)> {
    let head = &bytes[..bytes.len().min(4)];
    head.first()?;
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    Some(valid.chars().next().map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8())))
}

/// The characters of a text, as Go's `range` over a string gives them.
pub fn chars(mut bytes: &[u8]) -> impl Iterator<Item = char> + '_ {
    std::iter::from_fn(move || {
        let (c, length) = first_char(bytes)?;
        bytes = &bytes[length..];
        Some(c)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn debug_says_only_the_length() {
        assert_eq!(format!("{:?}", Text::from("marker-secret")), "Text(13 bytes)");
    }

    #[test]
    fn a_buffer_ends_at_its_limit() {
        let mut buffer = Buffer::default();
        buffer.push(&vec![b'x'; MAX_TEXT]).unwrap();
        assert!(buffer.push(b"y").is_err());
    }

    #[test]
    fn bytes_that_are_no_utf8_are_single_replacement_characters() {
        let found: Vec<char> = chars(b"a\xe2\x82z\xff\xc3\xa4").collect();
        assert_eq!(found, ['a', '\u{fffd}', '\u{fffd}', 'z', '\u{fffd}', '\u{e4}']);
    }
}
