//! Remembers what was rendered, by content: same key, same answer, no program started.

mod disk;
mod lru;

use sha2::{Digest, Sha256};

pub(super) use disk::DiskCache;
pub(super) use lru::Lru;

/// Hash of everything a render depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RenderKey(String);

impl std::fmt::Display for RenderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl RenderKey {
    /// Hashes parts; each is prefixed with its length, so that no two lists of parts look alike.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hex::encode(hash.finalize()))
    }

    /// Reads the written form; anything else is `None`.
    fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_parts_apart() {
        assert_ne!(RenderKey::of(["ab", "c"]), RenderKey::of(["a", "bc"]));
        assert_eq!(RenderKey::of(["a"]), RenderKey::of(["a"]));
        let key = RenderKey::of(["a"]);
        assert_eq!(RenderKey::parse(&key.to_string()), Some(key));
        assert_eq!(RenderKey::parse(".tmpAbCdEf"), None);
    }
}
