//! Git repositories for tests.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

use super::{Commit, Freshness, Options, Repositories, SourceTree};

/// A repository in a temporary folder, made with the `git` program.
pub struct GitRepo {
    pub folder: tempfile::TempDir,
}

impl GitRepo {
    pub fn new() -> Self {
        let repo = Self { folder: tempfile::tempdir().unwrap() };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.folder.path().display())
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.folder.path())
            .args([
                "-c",
                "user.name=test",
                "-c",
                "user.email=test@example.com",
                "-c",
                "commit.gpgsign=false",
                "-c",
                "tag.gpgsign=false",
            ])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            // The same files give the same commit.
            .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
            .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn write(&self, path: &str, content: &str) -> &Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub fn link(&self, path: &str, target: &str) -> &Self {
        std::os::unix::fs::symlink(target, self.folder.path().join(path)).unwrap();
        self
    }

    pub fn commit(&self, message: &str) -> Commit {
        self.git(&["add", "--all", "--force"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        Commit::parse(&self.git(&["rev-parse", "HEAD"])).unwrap()
    }

    /// Copies a folder into the repository.
    pub fn copy(&self, from: &Path) -> &Self {
        let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(self.folder.path()).status().unwrap();
        assert!(status.success());
        self
    }
}

/// A registry with a cache of its own.
pub fn repositories(cache: &Path) -> Repositories {
    Repositories::new(Options::new(cache.to_owned()))
}

/// The files of the newest commit.
pub async fn head(repositories: &Repositories, repo: &GitRepo) -> SourceTree {
    let commit = repositories.resolve(&repo.url(), "HEAD", Freshness::Now).await.unwrap();
    repositories.tree(&repo.url(), &commit).await.unwrap()
}
