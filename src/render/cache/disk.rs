//! What was rendered, on disk: a controller that starts again renders nothing that it has rendered before.
//!
//! One file per key, named by it: a checksum, then the answer as JSON. The folder may be deleted at any time, whole or in part,
//! and a file that is damaged counts as absent. Nothing here fails: a cache that does not work is an empty one.
//!
//! Manifests may hold Secrets in plain text. They are in the repository in plain text then, whose mirror lies beside this folder;
//! all the same only this user may read the files.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::super::Rendered;
use super::{Lru, RenderKey};

/// Answers on disk. Every method blocks.
pub(in crate::render) struct DiskCache {
    folder: PathBuf,
    limit_bytes: u64,
    /// Sizes by key; `None` until the folder was looked at.
    index: Mutex<Option<Lru<()>>>,
}

impl DiskCache {
    /// A cache in this folder, which need not exist.
    pub(in crate::render) const fn new(folder: PathBuf, limit_bytes: u64) -> Self {
        Self { folder, limit_bytes, index: Mutex::new(None) }
    }

    pub(in crate::render) fn get(&self, key: &RenderKey) -> Option<Rendered> {
        let path = self.path(key);
        let bytes = fs::read(&path).ok()?;
        let Some(rendered) = open(&bytes) else {
            tracing::debug!(%key, "a remembered render is damaged and is left out");
            self.index().remove(key);
            remove(&path);
            return None;
        };
        self.index().get(key);
        // The order of use survives a restart; without it an old one may leave too early.
        let _ = fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(rendered)
    }

    pub(in crate::render) fn put(&self, key: &RenderKey, rendered: &Rendered) {
        let Some(bytes) = seal(rendered) else { return };
        if bytes.len() as u64 > self.limit_bytes {
            return;
        }
        if let Err(error) = self.write(key, &bytes) {
            tracing::debug!(%key, %error, "a render is not kept on disk");
            return;
        }
        for gone in self.index().put(key.clone(), (), bytes.len() as u64) {
            remove(&self.path(&gone));
        }
    }

    /// A file appears whole or not at all.
    fn write(&self, key: &RenderKey, bytes: &[u8]) -> std::io::Result<()> {
        create_private(&self.folder)?;
        // Made for its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(self.path(key))?;
        Ok(())
    }

    fn path(&self, key: &RenderKey) -> PathBuf {
        self.folder.join(key.to_string())
    }

    fn index(&self) -> Index<'_> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.get_or_insert_with(|| list(&self.folder, self.limit_bytes));
        Index(index)
    }
}

/// The index, once it is there.
struct Index<'a>(MutexGuard<'a, Option<Lru<()>>>);

impl Index<'_> {
    fn get(&mut self, key: &RenderKey) {
        self.0.as_mut().and_then(|index| index.get(key));
    }

    fn put(&mut self, key: RenderKey, value: (), bytes: u64) -> Vec<RenderKey> {
        self.0.as_mut().map(|index| index.put(key, value, bytes)).unwrap_or_default()
    }

    fn remove(&mut self, key: &RenderKey) {
        if let Some(index) = self.0.as_mut() {
            index.remove(key);
        }
    }
}

/// What an earlier process left, the least recently used first; what it left unfinished is removed.
fn list(folder: &Path, limit_bytes: u64) -> Lru<()> {
    let mut found: Vec<(SystemTime, RenderKey, u64)> = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match (RenderKey::parse(&entry.file_name().to_string_lossy()), entry.metadata()) {
            (Some(key), Ok(metadata)) if metadata.is_file() => {
                found.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), key, metadata.len()));
            }
            _ => remove(&entry.path()),
        }
    }
    found.sort_by_key(|(used, ..)| *used);
    let mut index = Lru::new(limit_bytes);
    for (_, key, bytes) in found {
        for gone in index.put(key, (), bytes) {
            remove(&folder.join(gone.to_string()));
        }
    }
    index
}

fn create_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Absent already, or the disk refuses, and then it is tried again when it is next in the way.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

/// The bytes of an answer; `None` for one that would not read back the same (a number beyond what JSON keeps exactly).
fn seal(rendered: &Rendered) -> Option<Vec<u8>> {
    let body = serde_json::to_vec(rendered).ok()?;
    let mut bytes = hex::encode(Sha256::digest(&body)).into_bytes();
    bytes.push(b'\n');
    bytes.extend(body);
    (open(&bytes).as_ref() == Some(rendered)).then_some(bytes)
}

fn open(bytes: &[u8]) -> Option<Rendered> {
    let at = bytes.iter().position(|byte| *byte == b'\n')?;
    let (checksum, body) = (&bytes[..at], &bytes[at + 1..]);
    (checksum == hex::encode(Sha256::digest(body)).as_bytes()).then(|| serde_json::from_slice(body).ok())?
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::super::super::{Input, SourceType};
    use super::*;
    use crate::resource::Object;

    fn key(name: &str) -> RenderKey {
        RenderKey::of([name])
    }

    fn answer(text: &str) -> Rendered {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": text}, "n": 9_007_199_254_740_993_u64, "f": 0.1});
        Rendered {
            objects: vec![Object::from_value(secret).unwrap()],
            source_type: SourceType::Kustomize,
            warnings: vec!["careful".into()],
            inputs: vec![Input { path: "app".into(), id: None }],
        }
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).map_or(0, Iterator::count)
    }

    #[test]
    fn an_answer_survives_the_process_and_is_for_its_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("render");
        let cache = || DiskCache::new(folder.clone(), 10_000);
        assert_eq!(cache().get(&key("a")), None);
        cache().put(&key("a"), &answer("x"));
        assert_eq!(cache().get(&key("a")), Some(answer("x")));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(key("a").to_string()))), (0o700, 0o600));
    }

    #[test]
    fn what_is_damaged_or_deleted_counts_as_absent() {
        let place = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(place.path().join("render"), 10_000);
        let path = cache.path(&key("a"));
        type Damage = fn(Vec<u8>) -> Vec<u8>;
        let damages: [Damage; 4] = [
            |_| Vec::new(),
            |bytes| bytes[..bytes.len() / 2].to_vec(),
            |bytes| [&bytes[..70], b"x", &bytes[71..]].concat(),
            |_| b"0000\n{}".to_vec(),
        ];
        for damage in damages {
            cache.put(&key("a"), &answer("x"));
            fs::write(&path, damage(fs::read(&path).unwrap())).unwrap();
            assert_eq!(cache.get(&key("a")), None);
            assert!(!path.exists(), "it is out of the way");
        }
        cache.put(&key("a"), &answer("x"));
        fs::remove_dir_all(place.path().join("render")).unwrap();
        assert_eq!(cache.get(&key("a")), None);
        cache.put(&key("a"), &answer("y"));
        assert_eq!(cache.get(&key("a")), Some(answer("y")));
    }

    #[test]
    fn the_limit_holds_and_the_order_of_use_survives_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let size = seal(&answer("x")).unwrap().len() as u64;
        let cache = DiskCache::new(place.path().to_owned(), 2 * size);
        let set_age = |name: &str, seconds: u64| {
            let file = fs::File::options().append(true).open(cache.path(&key(name))).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(seconds)).unwrap();
        };
        cache.put(&key("a"), &answer("a"));
        cache.put(&key("b"), &answer("b"));
        (set_age("a", 20), set_age("b", 10));
        cache.get(&key("a")).unwrap();
        fs::write(place.path().join(".tmpUnfinished"), "").unwrap();
        let next = DiskCache::new(place.path().to_owned(), 2 * size);
        next.put(&key("c"), &answer("c"));
        assert_eq!(next.get(&key("b")), None, "the one that was not used for longest");
        assert!(next.get(&key("a")).is_some() && next.get(&key("c")).is_some());
        assert_eq!(files(place.path()), 2);
        DiskCache::new(place.path().to_owned(), size).put(&key("d"), &answer("d"));
        assert_eq!(files(place.path()), 1, "a smaller limit holds for what is there as well");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_empty_cache() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        let cache = DiskCache::new(file.join("render"), 10_000);
        cache.put(&key("a"), &answer("x"));
        assert_eq!(cache.get(&key("a")), None);
    }
}
