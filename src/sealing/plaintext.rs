//! Bytes that nobody may see.

use std::fmt;

use zeroize::Zeroizing;

/// The value of one Secret item. It is wiped when dropped, and its `Debug` form says only how long it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. Whoever copies them must wipe the copy.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plaintext({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Plaintext;

    #[test]
    fn debug_says_only_the_length() {
        let shown = format!("{:?}", Plaintext::new(b"marker-secret".to_vec()));
        assert_eq!(shown, "Plaintext(13 bytes)");
    }
}
