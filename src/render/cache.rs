//! Remembers what was rendered, by content: same key, same answer, no program started.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Rendered;

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
}

/// Least recently used entries leave first once the byte limit is passed.
pub(super) struct Cache {
    limit_bytes: usize,
    used_bytes: usize,
    entries: HashMap<RenderKey, Entry>,
    by_use: BTreeMap<u64, RenderKey>,
    clock: u64,
}

struct Entry {
    rendered: Arc<Rendered>,
    bytes: usize,
    used: u64,
}

impl Cache {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, used_bytes: 0, entries: HashMap::new(), by_use: BTreeMap::new(), clock: 0 }
    }

    pub(super) fn get(&mut self, key: &RenderKey) -> Option<Arc<Rendered>> {
        let entry = self.entries.get_mut(key)?;
        self.clock += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.clock;
        self.by_use.insert(self.clock, key.clone());
        Some(entry.rendered.clone())
    }

    /// Keeps an answer whose text is this long; one longer than the whole cache is not kept.
    pub(super) fn put(&mut self, key: RenderKey, rendered: Arc<Rendered>, bytes: usize) {
        if bytes > self.limit_bytes {
            return;
        }
        self.remove(&key);
        self.clock += 1;
        self.used_bytes += bytes;
        self.by_use.insert(self.clock, key.clone());
        self.entries.insert(key, Entry { rendered, bytes, used: self.clock });
        while self.used_bytes > self.limit_bytes {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &RenderKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.used_bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_least_recently_used_leaves_first() {
        let mut cache = Cache::new(10);
        let key = |name| RenderKey::of([name]);
        for name in ["a", "b"] {
            cache.put(key(name), Arc::default(), 4);
        }
        cache.get(&key("a")).unwrap();
        cache.put(key("c"), Arc::default(), 4);
        assert!(cache.get(&key("a")).is_some() && cache.get(&key("b")).is_none() && cache.get(&key("c")).is_some());
        cache.put(key("huge"), Arc::default(), 11);
        assert!(cache.get(&key("huge")).is_none() && cache.get(&key("a")).is_some());
        cache.put(key("a"), Arc::default(), 10);
        assert_eq!((cache.used_bytes, cache.entries.len(), cache.by_use.len()), (10, 1, 1));
    }

    #[test]
    fn keys_tell_parts_apart() {
        assert_ne!(RenderKey::of(["ab", "c"]), RenderKey::of(["a", "bc"]));
        assert_eq!(RenderKey::of(["a"]), RenderKey::of(["a"]));
    }
}
