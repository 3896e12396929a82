//! Values with a limit on their bytes together; the least recently used leave first.

use std::collections::{BTreeMap, HashMap};

use super::RenderKey;

/// What is kept, and in which order it was used.
pub(in crate::render) struct Lru<V> {
    limit_bytes: u64,
    used_bytes: u64,
    entries: HashMap<RenderKey, Entry<V>>,
    by_use: BTreeMap<u64, RenderKey>,
    clock: u64,
}

struct Entry<V> {
    value: V,
    bytes: u64,
    used: u64,
}

impl<V> Lru<V> {
    pub(in crate::render) fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, used_bytes: 0, entries: HashMap::new(), by_use: BTreeMap::new(), clock: 0 }
    }

    pub(in crate::render) fn get(&mut self, key: &RenderKey) -> Option<&V> {
        let entry = self.entries.get_mut(key)?;
        self.clock += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.clock;
        self.by_use.insert(self.clock, key.clone());
        Some(&entry.value)
    }

    /// Keeps a value of this size and gives back the keys that had to leave for it; the key itself when it is larger than
    /// everything that may be kept.
    pub(in crate::render) fn put(&mut self, key: RenderKey, value: V, bytes: u64) -> Vec<RenderKey> {
        if bytes > self.limit_bytes {
            return vec![key];
        }
        self.remove(&key);
        self.clock += 1;
        self.used_bytes += bytes;
        self.by_use.insert(self.clock, key.clone());
        self.entries.insert(key, Entry { value, bytes, used: self.clock });
        let mut gone = Vec::new();
        while self.used_bytes > self.limit_bytes {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.remove(&oldest);
            gone.push(oldest);
        }
        gone
    }

    pub(super) fn remove(&mut self, key: &RenderKey) {
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
        let mut cache = Lru::new(10);
        let key = |name| RenderKey::of([name]);
        for name in ["a", "b"] {
            assert!(cache.put(key(name), (), 4).is_empty());
        }
        cache.get(&key("a")).unwrap();
        assert_eq!(cache.put(key("c"), (), 4), [key("b")]);
        assert!(cache.get(&key("a")).is_some() && cache.get(&key("b")).is_none() && cache.get(&key("c")).is_some());
        assert_eq!(cache.put(key("huge"), (), 11), [key("huge")]);
        assert!(cache.get(&key("huge")).is_none() && cache.get(&key("a")).is_some());
        cache.put(key("a"), (), 10);
        assert_eq!((cache.used_bytes, cache.entries.len(), cache.by_use.len()), (10, 1, 1));
    }
}
