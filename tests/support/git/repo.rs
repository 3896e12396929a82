//! One repository: a work tree to write in, pushed into the bare repository that is served.

use std::fs;
use std::path::{Path, PathBuf};

use super::command::git;

/// A repository with the branch `main`.
#[derive(Debug, Clone)]
pub struct GitRepo {
    tree: PathBuf,
    bare: PathBuf,
    url: String,
}

impl GitRepo {
    pub(super) fn create(root: &Path, name: &str, url: String) -> Self {
        let repo = Self { tree: root.join("trees").join(name), bare: root.join("served").join(format!("{name}.git")), url };
        for folder in [&repo.tree, &repo.bare] {
            fs::create_dir_all(folder).expect("a folder can be made");
        }
        git(&repo.bare, &["init", "--quiet", "--bare", "--initial-branch=main"]);
        // As the large hosts do: partial clones, and fetching a commit by its name.
        git(&repo.bare, &["config", "uploadpack.allowFilter", "true"]);
        git(&repo.bare, &["config", "uploadpack.allowAnySHA1InWant", "true"]);
        git(&repo.tree, &["init", "--quiet", "--initial-branch=main"]);
        let bare = repo.bare.to_str().expect("temporary folders have plain names").to_owned();
        git(&repo.tree, &["remote", "add", "origin", &bare]);
        repo
    }

    /// The URL to clone from.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The work tree.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Writes a file of the work tree, with its folders.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.tree.join(path);
        let folder = path.parent().expect("a path below the work tree has a folder");
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, text)).expect("the work tree is writable");
        self
    }

    /// Removes a file or a folder of the work tree.
    pub fn remove(&self, path: &str) -> &Self {
        git(&self.tree, &["rm", "-r", "--quiet", "--force", "--ignore-unmatch", "--", path]);
        self
    }

    /// Commits everything and pushes; returns the commit's name. A commit without changes is made all the same.
    pub fn commit(&self, message: &str) -> String {
        git(&self.tree, &["add", "--all"]);
        git(&self.tree, &["commit", "--quiet", "--allow-empty", "--message", message]);
        self.push();
        self.head()
    }

    /// Moves the current branch back to an earlier commit and pushes, as a forced push does.
    pub fn reset(&self, revision: &str) {
        git(&self.tree, &["reset", "--quiet", "--hard", revision]);
        self.push();
    }

    /// Switches to a branch, made from the current commit when it is new.
    pub fn switch(&self, branch: &str) -> &Self {
        let known = !git(&self.tree, &["branch", "--list", branch]).is_empty();
        let args: &[&str] = if known { &["switch", "--quiet", branch] } else { &["switch", "--quiet", "--create", branch] };
        git(&self.tree, args);
        self
    }

    /// Tags the current commit with an annotated tag and pushes the tag.
    pub fn tag(&self, name: &str) -> &Self {
        git(&self.tree, &["tag", "--annotate", "--message", name, name]);
        git(&self.tree, &["push", "--quiet", "origin", name]);
        self
    }

    /// The current commit.
    pub fn head(&self) -> String {
        git(&self.tree, &["rev-parse", "HEAD"])
    }

    fn push(&self) {
        git(&self.tree, &["push", "--quiet", "--force", "origin", "HEAD"]);
    }
}
