//! Archives on disk, unpacked; may be lost at any time. Everything here blocks.
//!
//! ```text
//!  <folder>/<key>/archive   as it was downloaded, for charts that another chart depends on
//!                 /store    a bare object store with its files
//!                 /root     id of the root folder in it
//!                 /name     which version of which chart it is
//! ```

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::archive;
use super::super::{Layout, SourceError, SourceTree};

/// Archives that stay on disk; the oldest leave first.
const MAX_ARCHIVES: usize = 200;
/// Trees that stay open.
const OPEN_TREES: usize = 16;

/// What is known of an archive from where it came.
#[derive(Debug, Clone)]
pub(super) struct Label {
    /// Names the content: the same key is the same archive.
    pub(super) key: String,
    /// Tells the version of a chart from all others, whatever its content.
    pub(super) name: String,
    /// For people.
    pub(super) url: String,
    /// Version or digest.
    pub(super) revision: String,
}

/// The archives.
pub(super) struct Store {
    folder: PathBuf,
    open: Mutex<VecDeque<(String, SourceTree)>>,
}

impl Store {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, open: Mutex::default() }
    }

    /// The files of an archive, if it is here and whole.
    pub(super) fn find(&self, label: &Label) -> Option<SourceTree> {
        if let Some(tree) = self.open_tree(&label.key) {
            return Some(tree);
        }
        let folder = self.folder.join(&label.key);
        let root = std::fs::read_to_string(folder.join("root")).ok()?;
        let root = gix::ObjectId::from_hex(root.trim().as_bytes()).ok()?;
        let store = gix::open_opts(folder.join("store"), gix::open::Options::isolated()).ok()?;
        store.find_tree(root).ok()?;
        let tree = SourceTree::of_archive(store.into_sync(), root, label.url.clone(), label.revision.clone());
        let mut open = self.open();
        if open.len() >= OPEN_TREES {
            open.pop_front();
        }
        open.push_back((label.key.clone(), tree.clone()));
        Some(tree)
    }

    /// The key of an archive that was kept under this name: for times when nobody can be asked what it is.
    pub(super) fn named(&self, name: &str) -> Option<String> {
        let entries = std::fs::read_dir(&self.folder).ok()?;
        let is_it = |path: &Path| std::fs::read_to_string(path.join("name")).is_ok_and(|known| known == name);
        let found = entries.flatten().map(|entry| entry.path()).find(|path| is_it(path))?;
        Some(found.file_name()?.to_str()?.to_owned())
    }

    /// The archive as it was downloaded, if it is here.
    pub(super) fn archive(&self, label: &Label) -> Option<Vec<u8>> {
        std::fs::read(self.folder.join(&label.key).join("archive")).ok()
    }

    /// Unpacks an archive and keeps it.
    pub(super) fn put(&self, label: &Label, content: &[u8], layout: Layout) -> Result<SourceTree, SourceError> {
        let failed =
            |error: std::io::Error| SourceError::CacheFailed { url: label.url.clone(), problem: error.kind().to_string() };
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let aside = tempfile::Builder::new().prefix(".new-").tempdir_in(&self.folder).map_err(failed)?;
        let root = archive::unpack(content, layout, &aside.path().join("store"))
            .map_err(|problem| SourceError::BadArchive { url: label.url.clone(), problem })?;
        std::fs::write(aside.path().join("archive"), content).map_err(failed)?;
        std::fs::write(aside.path().join("name"), &label.name).map_err(failed)?;
        std::fs::write(aside.path().join("root"), root.to_string()).map_err(failed)?;
        let place = self.folder.join(&label.key);
        // What is there is broken, or another task put the same there a moment ago, which is as good.
        let _ = std::fs::remove_dir_all(&place);
        std::fs::rename(aside.path(), &place).map_err(failed)?;
        self.make_room();
        self.find(label).ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))
    }

    fn open_tree(&self, key: &str) -> Option<SourceTree> {
        let mut open = self.open();
        open.retain(|(_, tree)| tree.is_readable());
        let at = open.iter().position(|(known, _)| known == key)?;
        let entry = open.remove(at)?;
        open.push_back(entry.clone());
        Some(entry.1)
    }

    fn make_room(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        let age = |path: &Path| std::fs::metadata(path.join("root")).and_then(|data| data.modified()).ok();
        let mut kept: Vec<_> = entries.flatten().map(|entry| (age(&entry.path()), entry.path())).collect();
        kept.sort();
        for (_, path) in kept.iter().take(kept.len().saturating_sub(MAX_ARCHIVES)) {
            // Somebody else may have removed it; a tree that is open on it says that the cache was lost, and it is made anew.
            let _ = std::fs::remove_dir_all(path);
        }
    }

    fn open(&self) -> MutexGuard<'_, VecDeque<(String, SourceTree)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs blocking work of a store.
pub(super) async fn blocking<T: Send + 'static>(
    store: &Arc<Store>,
    work: impl FnOnce(&Store) -> T + Send + 'static,
) -> Result<T, SourceError> {
    let store = store.clone();
    tokio::task::spawn_blocking(move || work(&store)).await.map_err(|_| SourceError::CacheFailed {
        url: "the cache of charts".into(),
        problem: "reading or writing it was broken off".into(),
    })
}
