//! A folder on this machine as the files of a commit: what the user has there, committed or not.
//!
//! The `git` program writes the objects that the repository lacks into a temporary folder; index and objects of the repository
//! itself stay as they are. What Git ignores is left out. A folder outside any repository is a root of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::advice::{Advice, Remedy};

use super::{Commit, SourceTree};

/// Why a folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WorktreeError {
    /// There is no such folder.
    #[error("cannot read the folder {}", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The `git` program is not there.
    #[error("`git` was not found, which reads work trees")]
    GitMissing,
    /// The `git` program refused.
    #[error("git cannot read the files below {}: {problem}", root.display())]
    Refused {
        /// Top folder of the work tree.
        root: PathBuf,
        /// What it said.
        problem: String,
    },
}

impl Advice for WorktreeError {
    fn remedy(&self) -> Remedy {
        Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("name a folder with manifests, a kustomization or a chart".into()),
            Self::GitMissing => Some("install git".into()),
            Self::Refused { .. } => None,
        }
    }
}

/// The files of a work tree at one moment.
#[derive(Debug)]
pub struct Worktree {
    /// The files, from the top of the work tree.
    pub tree: SourceTree,
    /// Top folder of the work tree.
    pub root: PathBuf,
    /// The folder that was asked for, from the top; `.` for the top itself.
    pub path: String,
    /// Holds the objects that only this value has.
    _objects: tempfile::TempDir,
}

impl Worktree {
    /// Reads the work tree around a folder. Blocks.
    ///
    /// # Errors
    /// There is no such folder, or `git` is missing or refuses.
    pub fn read(folder: &Path) -> Result<Self, WorktreeError> {
        let missing = |cause| WorktreeError::Missing { folder: folder.to_owned(), cause };
        let folder = folder.canonicalize().map_err(missing)?;
        if !folder.is_dir() {
            return Err(missing(std::io::ErrorKind::NotADirectory.into()));
        }
        let repository = asked(&folder, &["rev-parse", "--show-toplevel"])?.map(PathBuf::from);
        let root = repository.clone().unwrap_or_else(|| folder.clone());
        let objects = tempfile::Builder::new().prefix("kubectl-gitops-").tempdir().map_err(missing)?;
        let store = Store { folder: objects.path().join("objects.git"), root: root.clone() };
        store.create(repository.is_some())?;
        let commit = store.commit()?;
        let path = folder.strip_prefix(&root).ok().and_then(Path::to_str).filter(|path| !path.is_empty()).unwrap_or(".");
        let path = path.to_owned();
        Ok(Self { tree: store.open(&commit)?, root, path, _objects: objects })
    }

    /// The commit that the work tree is based on, if there is one.
    #[must_use]
    pub fn head(&self) -> Option<Commit> {
        Commit::parse(&asked(&self.root, &["rev-parse", "--verify", "--quiet", "HEAD"]).ok()??)
    }

    /// URLs of the remotes of the repository.
    #[must_use]
    pub fn remotes(&self) -> Vec<String> {
        let urls = asked(&self.root, &["config", "--get-regexp", "^remote\\..*\\.url$"]).ok().flatten().unwrap_or_default();
        urls.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect()
    }
}

/// A repository of its own over the work tree, which borrows the objects of the real one.
struct Store {
    folder: PathBuf,
    root: PathBuf,
}

impl Store {
    fn create(&self, borrows: bool) -> Result<(), WorktreeError> {
        run(&self.root, Command::new("git").args(["init", "--quiet", "--bare"]).arg(&self.folder))?;
        if !borrows {
            return Ok(());
        }
        let place = |what: &str| asked(&self.root, &["rev-parse", "--path-format=absolute", "--git-path", what]);
        if let Some(objects) = place("objects")? {
            let alternates = self.folder.join("objects/info/alternates");
            std::fs::write(alternates, format!("{objects}\n")).map_err(|error| self.refused(&error))?;
        }
        // With it only what changed is read anew. A repository without commits has none.
        if let Some(index) = place("index")? {
            let _ = copy_index(Path::new(&index), &self.folder.join("index"));
        }
        Ok(())
    }

    /// Writes what is there as a commit. The same files give the same commit.
    fn commit(&self) -> Result<Commit, WorktreeError> {
        run(&self.root, self.git().args(["add", "--all", "--", "."]))?;
        let tree = run(&self.root, self.git().arg("write-tree"))?;
        let commit = run(&self.root, self.git().args(["commit-tree", "-m", "work tree", tree.trim()]))?;
        Commit::parse(commit.trim()).ok_or_else(|| self.refused(&"it gave no commit"))
    }

    /// Nothing of the user's settings: filters and line ends would make other files of them.
    fn git(&self) -> Command {
        let mut git = Command::new("git");
        git.arg("--git-dir").arg(&self.folder).arg("--work-tree").arg(&self.root).current_dir(&self.root);
        git.envs([
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "work tree"),
            ("GIT_AUTHOR_EMAIL", "work-tree@localhost"),
            ("GIT_AUTHOR_DATE", "2000-01-01T00:00:00Z"),
            ("GIT_COMMITTER_NAME", "work tree"),
            ("GIT_COMMITTER_EMAIL", "work-tree@localhost"),
            ("GIT_COMMITTER_DATE", "2000-01-01T00:00:00Z"),
        ]);
        git
    }

    fn open(&self, commit: &Commit) -> Result<SourceTree, WorktreeError> {
        let store = gix::open_opts(&self.folder, gix::open::Options::isolated()).map_err(|error| self.refused(&error))?;
        let id = gix::ObjectId::from_hex(commit.as_str().as_bytes()).map_err(|error| self.refused(&error))?;
        let object = store.find_object(id).map_err(|error| self.refused(&error))?;
        let root = object.peel_to_tree().map_err(|error| self.refused(&error))?.id;
        let shown = self.root.display().to_string();
        Ok(SourceTree::new(store.into_sync(), commit.clone(), root, shown, Arc::default()))
    }

    fn refused(&self, error: &dyn std::fmt::Display) -> WorktreeError {
        WorktreeError::Refused { root: self.root.clone(), problem: error.to_string() }
    }
}

/// What git answers in a folder; `None` where it has no answer, such as outside a repository.
fn asked(folder: &Path, arguments: &[&str]) -> Result<Option<String>, WorktreeError> {
    let output =
        clean(Command::new("git").args(arguments).current_dir(folder)).output().map_err(|_| WorktreeError::GitMissing)?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((output.status.success() && !text.is_empty()).then_some(text))
}

fn run(root: &Path, command: &mut Command) -> Result<String, WorktreeError> {
    let output = clean(command).output().map_err(|_| WorktreeError::GitMissing)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let problem = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(WorktreeError::Refused { root: root.to_owned(), problem })
}

/// A hook or an alias that runs us must not lead git to another repository.
fn clean(command: &mut Command) -> &mut Command {
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
}

/// Copies the index of a repository, so that git need not read again what it knows.
///
/// The copy keeps the time of the index: git takes a file that is as new as the index for possibly changed, and a newer copy
/// would hide a change of equal length made right after a commit.
///
/// # Errors
/// When one of the files cannot be read or written.
pub fn copy_index(index: &Path, copy: &Path) -> std::io::Result<()> {
    std::fs::copy(index, copy)?;
    let written = std::fs::metadata(index)?.modified()?;
    std::fs::File::options().write(true).open(copy)?.set_modified(written)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::testing::GitRepo;
    use super::*;

    fn text(worktree: &Worktree, path: &str) -> Option<String> {
        let entry = worktree.tree.entry(path).unwrap()?;
        Some(String::from_utf8(worktree.tree.read(&entry).unwrap()).unwrap())
    }

    #[test]
    fn uncommitted_files_count_and_the_repository_stays_as_it_is() {
        let repo = GitRepo::new();
        let head =
            repo.write("app/a.yaml", "a: 1\n").write("base/b.yaml", "b: 1\n").write(".gitignore", "*.log\n").commit("first");
        repo.write("app/a.yaml", "a: 2\n").write("app/new.yaml", "n: 1\n").write("app/x.log", "noise\n");
        std::fs::remove_file(repo.folder.path().join("base/b.yaml")).unwrap();
        let (status, objects) = (repo.git(&["status", "--porcelain"]), repo.git(&["count-objects"]));
        let worktree = Worktree::read(&repo.folder.path().join("app")).unwrap();
        assert_eq!((worktree.path.as_str(), worktree.head()), ("app", Some(head)));
        assert_eq!(text(&worktree, "app/a.yaml").as_deref(), Some("a: 2\n"));
        assert_eq!(text(&worktree, "app/new.yaml").as_deref(), Some("n: 1\n"));
        assert_eq!((text(&worktree, "app/x.log"), text(&worktree, "base/b.yaml")), (None, None));
        assert_eq!(repo.git(&["status", "--porcelain"]), status);
        assert_eq!(repo.git(&["count-objects"]), objects, "nothing was written into it");
        assert_eq!(Worktree::read(repo.folder.path()).unwrap().path, ".");
    }

    #[test]
    fn a_folder_outside_any_repository_is_a_root_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), "a: 1\n").unwrap();
        let worktree = Worktree::read(folder.path()).unwrap();
        assert_eq!((worktree.path.as_str(), worktree.head()), (".", None));
        assert_eq!(text(&worktree, "a.yaml").as_deref(), Some("a: 1\n"));
        assert!(matches!(Worktree::read(&folder.path().join("none")), Err(WorktreeError::Missing { .. })));
    }

    #[test]
    fn remotes_are_known() {
        let repo = GitRepo::new();
        repo.git(&["remote", "add", "origin", "https://git.example/web.git"]);
        let worktree = Worktree::read(repo.folder.path()).unwrap();
        assert_eq!(worktree.remotes(), ["https://git.example/web.git"]);
    }
}
