//! The files of one commit, read straight from the object store.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use gix::bstr::ByteSlice;
use gix::objs::tree::EntryKind as GitKind;

use super::{Commit, SourceError};

/// How many symbolic links are followed one after the other; the limit of Linux.
const MAX_LINKS: usize = 40;

/// What a tree entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file with the executable bit.
    Executable,
    /// A symbolic link; its content is the target.
    Symlink,
    /// A folder.
    Directory,
    /// A commit of another repository.
    Submodule,
}

/// One file or folder of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Git object id of the content.
    pub id: String,
}

/// Where a path leads once symbolic links are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// To this entry, which is no link.
    To(Entry),
    /// To nothing.
    Missing,
}

/// The files of one commit. Cheap to clone; every method that reads blocks on the disk.
#[derive(Clone)]
pub struct SourceTree {
    inner: Arc<Inner>,
}

struct Inner {
    store: gix::ThreadSafeRepository,
    commit: Commit,
    /// Version or digest, for what comes from no commit.
    revision: Option<String>,
    root: gix::ObjectId,
    url: String,
    /// Set when an object could not be read, so that the mirror is made anew.
    damaged: Arc<AtomicBool>,
    links_checked: OnceLock<Result<(), SourceError>>,
    /// Files of submodules by their folders; `None` until somebody looked for them.
    submodules: Option<BTreeMap<String, SourceTree>>,
}

impl fmt::Debug for SourceTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceTree({} {})", self.inner.url, self.inner.commit)
    }
}

impl SourceTree {
    pub(super) fn new(
        store: gix::ThreadSafeRepository,
        commit: Commit,
        root: gix::ObjectId,
        url: String,
        damaged: Arc<AtomicBool>,
    ) -> Self {
        let links_checked = OnceLock::new();
        Self { inner: Arc::new(Inner { store, commit, revision: None, root, url, damaged, links_checked, submodules: None }) }
    }

    /// The same files with those of submodules in their folders.
    pub(super) fn with_submodules(&self, submodules: BTreeMap<String, Self>) -> Self {
        let Inner { store, commit, revision, root, url, damaged, .. } = self.inner.as_ref();
        let (store, commit, revision) = (store.clone(), commit.clone(), revision.clone());
        let (url, damaged, root) = (url.clone(), Arc::clone(damaged), *root);
        let (links_checked, submodules) = (OnceLock::new(), Some(submodules));
        Self { inner: Arc::new(Inner { store, commit, revision, root, url, damaged, links_checked, submodules }) }
    }

    /// True once somebody looked for submodules.
    pub(super) fn knows_submodules(&self) -> bool {
        self.inner.submodules.is_some()
    }

    /// The files of an archive, unpacked into an object store. What is a commit elsewhere is the root folder here.
    pub(super) fn of_archive(store: gix::ThreadSafeRepository, root: gix::ObjectId, url: String, revision: String) -> Self {
        let commit = Commit::of_tree(root);
        let (damaged, links_checked, revision, submodules) = (Arc::default(), OnceLock::new(), Some(revision), None);
        Self { inner: Arc::new(Inner { store, commit, revision, root, url, damaged, links_checked, submodules }) }
    }

    /// False once an object could not be read, or when the mirror was made anew or deleted.
    pub(super) fn is_readable(&self) -> bool {
        !self.inner.damaged.load(Ordering::Relaxed)
            && self.inner.store.path().join("objects").is_dir()
            && self.inner.submodules.iter().flatten().all(|(_, tree)| tree.is_readable())
    }

    /// The commit whose files these are.
    #[must_use]
    pub fn commit(&self) -> &Commit {
        &self.inner.commit
    }

    /// What the files were asked for by: the commit, the version of a chart, the digest of an artifact.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.inner.revision.as_deref().unwrap_or_else(|| self.inner.commit.as_str())
    }

    /// Git object id of the root folder.
    #[must_use]
    pub fn root_id(&self) -> String {
        self.inner.root.to_string()
    }

    /// Git object id of a file or folder, or `None` when there is none. Links on the way are not followed.
    ///
    /// # Errors
    /// The path leads out of the repository, or the mirror is damaged.
    pub fn id_of(&self, path: &str) -> Result<Option<String>, SourceError> {
        Ok(self.entry(path)?.map(|entry| entry.id))
    }

    /// The file or folder at a path; the empty path is the root. Links are not followed.
    ///
    /// # Errors
    /// The path leads out of the repository, or the mirror is damaged.
    pub fn entry(&self, path: &str) -> Result<Option<Entry>, SourceError> {
        let path = clean_path(path)?;
        let repository = self.inner.store.to_thread_local();
        let mut found = Entry { path: String::new(), kind: EntryKind::Directory, id: self.root_id() };
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if found.kind != EntryKind::Directory {
                return Ok(None);
            }
            match self.children(&repository, &found)?.into_iter().find(|child| file_name(&child.path) == part) {
                Some(child) => found = child,
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// The entries of a folder in lexical order of their paths; with `recurse` those below it as well, folders left out.
    ///
    /// # Errors
    /// [`SourceError::PathMissing`] when there is no such folder; the mirror is damaged.
    pub fn list(&self, path: &str, recurse: bool) -> Result<Vec<Entry>, SourceError> {
        let Some(folder) = self.entry(path)?.filter(|entry| entry.kind == EntryKind::Directory) else {
            return Err(self.missing(path));
        };
        let repository = self.inner.store.to_thread_local();
        let mut entries = Vec::new();
        self.collect(&repository, &folder, recurse, &mut entries)?;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn collect(
        &self,
        repository: &gix::Repository,
        folder: &Entry,
        recurse: bool,
        into: &mut Vec<Entry>,
    ) -> Result<(), SourceError> {
        for child in self.children(repository, folder)? {
            if recurse && child.kind == EntryKind::Directory {
                self.collect(repository, &child, recurse, into)?;
            } else {
                into.push(child);
            }
        }
        Ok(())
    }

    /// The submodule that a path lies in, and the rest of the path.
    fn submodule_of<'a>(&'a self, path: &'a str) -> Option<(&'a str, &'a Self, &'a str)> {
        let inside = |folder: &str| path.strip_prefix(folder).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let mut all = self.inner.submodules.iter().flatten();
        all.find_map(|(folder, tree)| Some((folder.as_str(), tree, inside(folder)?.trim_start_matches('/'))))
    }

    fn children_in_submodule(&self, folder: &Entry) -> Option<Result<Vec<Entry>, SourceError>> {
        let (root, tree, rest) = self.submodule_of(&folder.path)?;
        let inner = Entry { path: rest.to_owned(), ..folder.clone() };
        let children = tree.children(&tree.inner.store.to_thread_local(), &inner);
        Some(children.map(|all| all.into_iter().map(|one| Entry { path: format!("{root}/{}", one.path), ..one }).collect()))
    }

    fn children(&self, repository: &gix::Repository, folder: &Entry) -> Result<Vec<Entry>, SourceError> {
        if let Some(children) = self.children_in_submodule(folder) {
            return children;
        }
        let id = gix::ObjectId::from_hex(folder.id.as_bytes()).map_err(|error| self.damage(error))?;
        let tree = repository.find_tree(id).map_err(|error| self.damage(error))?;
        let mut children = Vec::new();
        for entry in tree.iter() {
            let entry = entry.map_err(|error| self.damage(error))?;
            // A name that is no UTF-8 cannot be written in any manifest; shown as well as possible it matches nothing.
            let name = entry.filename().to_str_lossy();
            let path = if folder.path.is_empty() { name.into_owned() } else { format!("{}/{name}", folder.path) };
            children.push(match self.inner.submodules.as_ref().and_then(|all| all.get(&path)) {
                Some(tree) => Entry { path, kind: EntryKind::Directory, id: tree.root_id() },
                None => Entry { path, kind: kind_of(entry.mode().kind()), id: entry.object_id().to_string() },
            });
        }
        Ok(children)
    }

    /// The content of a file, or the target of a link.
    ///
    /// # Errors
    /// The mirror is damaged, or the entry has no content.
    pub fn read(&self, entry: &Entry) -> Result<Vec<u8>, SourceError> {
        self.read_with(&self.inner.store.to_thread_local(), entry)
    }

    /// Bytes of a file, without reading it.
    ///
    /// # Errors
    /// The mirror is damaged, or the entry has no content.
    pub fn size(&self, entry: &Entry) -> Result<u64, SourceError> {
        let id = gix::ObjectId::from_hex(entry.id.as_bytes()).map_err(|error| self.damage(error))?;
        let repository = self.inner.store.to_thread_local();
        Ok(repository.find_header(id).map_err(|error| self.damage(error))?.size())
    }

    fn read_with(&self, repository: &gix::Repository, entry: &Entry) -> Result<Vec<u8>, SourceError> {
        if let Some((_, tree, rest)) = self.submodule_of(&entry.path) {
            return tree.read(&Entry { path: rest.to_owned(), ..entry.clone() });
        }
        let id = gix::ObjectId::from_hex(entry.id.as_bytes()).map_err(|error| self.damage(error))?;
        Ok(repository.find_blob(id).map_err(|error| self.damage(error))?.take_data())
    }

    /// Follows symbolic links until something else is met.
    ///
    /// # Errors
    /// [`SourceError::SymlinkOutside`]; the mirror is damaged.
    pub fn follow(&self, entry: &Entry) -> Result<Followed, SourceError> {
        let mut current = entry.clone();
        for _ in 0..MAX_LINKS {
            if current.kind != EntryKind::Symlink {
                return Ok(Followed::To(current));
            }
            let target = self.link_target(&self.inner.store.to_thread_local(), &current)?;
            match self.entry_through_links(&target)? {
                Some(next) => current = next,
                None => return Ok(Followed::Missing),
            }
        }
        // A loop is a link to nothing.
        Ok(Followed::Missing)
    }

    /// Like [`Self::entry`], but folders on the way may be links (one level, which is what repositories have).
    fn entry_through_links(&self, path: &str) -> Result<Option<Entry>, SourceError> {
        if let Some(entry) = self.entry(path)? {
            return Ok(Some(entry));
        }
        let repository = self.inner.store.to_thread_local();
        let parts: Vec<&str> = path.split('/').collect();
        for end in 1..parts.len() {
            let Some(entry) = self.entry(&parts[..end].join("/"))? else { return Ok(None) };
            if entry.kind == EntryKind::Symlink {
                let target = self.link_target(&repository, &entry)?;
                return self.entry(&format!("{target}/{}", parts[end..].join("/")));
            }
        }
        Ok(None)
    }

    /// Path that a link leads to, from the root of the repository.
    fn link_target(&self, repository: &gix::Repository, link: &Entry) -> Result<String, SourceError> {
        let target = String::from_utf8_lossy(&self.read_with(repository, link)?).into_owned();
        let outside = || SourceError::SymlinkOutside { path: link.path.clone(), target: target.clone() };
        if target.starts_with('/') {
            return Err(outside());
        }
        let folder = link.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        clean_path(&format!("{folder}/{target}")).map_err(|_| outside())
    }

    /// Checks that no symbolic link of the whole commit leads out of the repository. Read once per commit.
    ///
    /// # Errors
    /// [`SourceError::SymlinkOutside`] for the first one; the mirror is damaged.
    pub fn check_links(&self) -> Result<(), SourceError> {
        self.inner.links_checked.get_or_init(|| self.check_all_links()).clone()
    }

    fn check_all_links(&self) -> Result<(), SourceError> {
        let repository = self.inner.store.to_thread_local();
        for entry in self.list("", true)? {
            if entry.kind == EntryKind::Symlink {
                self.link_target(&repository, &entry)?;
            }
        }
        Ok(())
    }

    /// Writes files below `destination`: the whole commit, or only what lies at or below the given paths.
    ///
    /// Links are written as links; call [`Self::check_links`] before. Submodules that are left out become empty folders.
    ///
    /// # Errors
    /// The mirror is damaged, or the disk refuses.
    pub fn materialise(&self, destination: &Path, only: Option<&[&str]>) -> Result<(), SourceError> {
        let repository = self.inner.store.to_thread_local();
        for entry in self.wanted(only)? {
            self.write(&repository, &entry, destination)?;
        }
        Ok(())
    }

    fn wanted(&self, only: Option<&[&str]>) -> Result<Vec<Entry>, SourceError> {
        let Some(paths) = only else { return self.list("", true) };
        let mut wanted = Vec::new();
        for path in paths {
            match self.entry(path)?.ok_or_else(|| self.missing(path))? {
                folder if folder.kind == EntryKind::Directory => wanted.extend(self.list(&folder.path, true)?),
                file => wanted.push(file),
            }
        }
        Ok(wanted)
    }

    fn write(&self, repository: &gix::Repository, entry: &Entry, destination: &Path) -> Result<(), SourceError> {
        let failed = |error: std::io::Error| SourceError::CacheFailed {
            url: self.inner.url.clone(),
            problem: format!("writing `{}`: {error}", entry.path),
        };
        // Git refuses such names, but a server that is not Git may send them.
        if entry.path.split('/').any(|part| matches!(part, "" | "." | "..") || part.eq_ignore_ascii_case(".git")) {
            return Err(SourceError::PathOutside { path: entry.path.clone() });
        }
        let path = destination.join(&entry.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        match entry.kind {
            EntryKind::Directory | EntryKind::Submodule => std::fs::create_dir_all(&path).map_err(failed),
            EntryKind::Symlink => {
                let target = String::from_utf8_lossy(&self.read_with(repository, entry)?).into_owned();
                std::os::unix::fs::symlink(target, &path).map_err(failed)
            }
            EntryKind::File | EntryKind::Executable => {
                std::fs::write(&path, self.read_with(repository, entry)?).map_err(failed)?;
                if entry.kind == EntryKind::Executable {
                    use std::os::unix::fs::PermissionsExt;
                    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
                }
                Ok(())
            }
        }
    }

    /// The error for a path that the commit lacks.
    #[must_use]
    pub fn missing(&self, path: &str) -> SourceError {
        SourceError::PathMissing { path: path.to_owned(), commit: self.revision().to_owned() }
    }

    fn damage(&self, error: impl std::fmt::Display) -> SourceError {
        self.inner.damaged.store(true, Ordering::Relaxed);
        SourceError::CacheFailed { url: self.inner.url.clone(), problem: error.to_string() }
    }
}

fn kind_of(kind: GitKind) -> EntryKind {
    match kind {
        GitKind::Tree => EntryKind::Directory,
        GitKind::Blob => EntryKind::File,
        GitKind::BlobExecutable => EntryKind::Executable,
        GitKind::Link => EntryKind::Symlink,
        GitKind::Commit => EntryKind::Submodule,
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Resolves `.`, `..` and doubled slashes; a path above the root is an error.
pub(crate) fn clean_path(path: &str) -> Result<String, SourceError> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(|| SourceError::PathOutside { path: path.to_owned() })?;
            }
            name => parts.push(name),
        }
    }
    Ok(parts.join("/"))
}
