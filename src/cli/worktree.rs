//! What a Git work tree holds, as a repository that can be fetched from: its commits, and its files that are not committed yet.
//!
//! A bare repository in a temporary folder borrows the objects of the real one, in which nothing is written: no index, no object, no
//! reference of the user's is touched.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Failure;
use super::secrets::git;
use crate::source::copy_index;

/// A file that shall have another content; `None` takes it away.
pub struct NewFile {
    /// Path from the top of the repository, with slashes.
    pub path: String,
    /// Its content.
    pub content: Option<Vec<u8>>,
}

/// A repository that borrows the objects of a work tree.
pub struct Borrowed {
    top: PathBuf,
    folder: tempfile::TempDir,
}

impl Borrowed {
    /// Borrows from the work tree that holds a folder.
    ///
    /// # Errors
    /// When the folder is in none, or git cannot be run.
    pub fn of(folder: &Path) -> Result<Self, Failure> {
        let top = git::top(folder).ok_or_else(|| {
            Failure::new(format!("{} is in no Git work tree", folder.display())).with_hint("go to one, or name an Application")
        })?;
        let objects = text(git::run(&top, ["rev-parse", "--path-format=absolute", "--git-path", "objects"])?);
        let failed = |error: std::io::Error| Failure::new("cannot make a temporary repository").with_cause(&error);
        let folder = tempfile::Builder::new().prefix("kubectl-gitops-").tempdir().map_err(failed)?;
        git::run(folder.path(), ["init", "--quiet", "--bare", "--initial-branch=main", "."])?;
        std::fs::write(folder.path().join("objects/info/alternates"), format!("{objects}\n")).map_err(failed)?;
        Ok(Self { top, folder })
    }

    /// The top of the work tree.
    #[must_use]
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// Where it can be fetched from.
    #[must_use]
    pub fn url(&self) -> String {
        format!("file://{}", self.folder.path().display())
    }

    /// Addresses of the remotes of the work tree.
    pub fn remotes(&self) -> Result<Vec<String>, Failure> {
        let listed = text(git::run(&self.top, ["remote", "-v"])?);
        let mut urls: Vec<String> = listed.lines().filter_map(|line| Some(line.split_whitespace().nth(1)?.to_owned())).collect();
        urls.sort();
        urls.dedup();
        Ok(urls)
    }

    /// The commit that a name of the work tree means, made known here.
    pub fn revision(&self, name: &str) -> Result<String, Failure> {
        let wanted = format!("{name}^{{commit}}");
        let commit = git::run(&self.top, ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]);
        let commit = commit.map_err(|_| Failure::new(format!("there is no revision {name:?} in {}", self.top.display())))?;
        self.publish(&text(commit))
    }

    /// A commit of the files as they are now, with those that Git does not know and without those that it ignores.
    pub fn files(&self) -> Result<String, Failure> {
        let index = self.folder.path().join("files.index");
        let present = PathBuf::from(text(git::run(&self.top, ["rev-parse", "--path-format=absolute", "--git-path", "index"])?));
        // What the present index knows need not be read again.
        if present.exists() {
            let copied = copy_index(&present, &index);
            copied.map_err(|error| Failure::new(format!("cannot read {}", present.display())).with_cause(&error))?;
        }
        self.git(&index, &["add", "--all", "--", "."], None)?;
        self.commit(&index)
    }

    /// A commit of another commit's files with some changed.
    pub fn with_files(&self, commit: &str, files: &[NewFile]) -> Result<String, Failure> {
        let index = self.folder.path().join("changed.index");
        self.git(&index, &["read-tree", commit], None)?;
        for file in files {
            match &file.content {
                Some(content) => {
                    let blob = self.git(&index, &["hash-object", "-w", "--stdin"], Some(content))?;
                    let entry = format!("100644,{},{}", text(blob), file.path);
                    self.git(&index, &["update-index", "--add", "--cacheinfo", &entry], None)?;
                }
                None => drop(self.git(&index, &["update-index", "--force-remove", "--", &file.path], None)?),
            }
        }
        self.commit(&index)
    }

    /// Asks git about commits that are known here.
    pub fn ask(&self, args: &[&str]) -> Result<Vec<u8>, Failure> {
        git::run(self.folder.path(), args)
    }

    fn commit(&self, index: &Path) -> Result<String, Failure> {
        let tree = text(self.git(index, &["write-tree"], None)?);
        let commit = text(self.git(index, &["commit-tree", "-m", "files as they are", &tree], None)?);
        self.publish(&commit)
    }

    /// A reference makes a commit something that can be fetched.
    fn publish(&self, commit: &str) -> Result<String, Failure> {
        git::run(self.folder.path(), ["update-ref", &format!("refs/heads/at-{commit}"), commit])?;
        Ok(commit.to_owned())
    }

    fn git(&self, index: &Path, args: &[&str], input: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.top).args(args);
        command.env("GIT_DIR", self.folder.path()).env("GIT_WORK_TREE", &self.top).env("GIT_INDEX_FILE", index);
        for role in ["AUTHOR", "COMMITTER"] {
            let set = [("NAME", "kubectl-gitops"), ("EMAIL", "kubectl-gitops@localhost"), ("DATE", "2000-01-01T00:00:00Z")];
            for (what, value) in set {
                command.env(format!("GIT_{role}_{what}"), value);
            }
        }
        run(command, input)
    }
}

fn run(mut command: Command, input: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
    use std::io::Write as _;
    let failed = |error: std::io::Error| Failure::new("cannot run git").with_cause(&error);
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("git: {}", said.lines().next().unwrap_or("failed").trim_start_matches("fatal: "))))
}

fn text(output: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(output.as_ref()).trim_end().to_owned()
}

/// Path of a folder below the top of its repository, with slashes; `.` for the top itself.
#[must_use]
pub fn below(top: &Path, folder: &Path) -> Option<String> {
    let real = |path: &Path| path.canonicalize().ok();
    let rest = real(folder)?.strip_prefix(real(top)?).ok()?.to_owned();
    let parts: Vec<String> = rest.components().map(|part| AsRef::<OsStr>::as_ref(&part).to_string_lossy().into_owned()).collect();
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        for args in [&["init", "-q", "-b", "main"][..], &["config", "user.name", "t"], &["config", "user.email", "t@localhost"]] {
            git::run(at, args).unwrap();
        }
        std::fs::write(at.join("a.yaml"), "a: 1\n").unwrap();
        std::fs::write(at.join(".gitignore"), "secret\n").unwrap();
        git::run(at, ["add", "."]).unwrap();
        git::run(at, ["commit", "-q", "-m", "one"]).unwrap();
        folder
    }

    fn show(borrowed: &Borrowed, commit: &str, path: &str) -> Option<String> {
        git::run(borrowed.folder.path(), ["show", &format!("{commit}:{path}")]).ok().map(text)
    }

    #[test]
    fn uncommitted_files_are_seen_and_the_repository_is_left_alone() {
        let folder = repository();
        let at = folder.path();
        std::fs::write(at.join("a.yaml"), "a: 2\n").unwrap();
        std::fs::write(at.join("new.yaml"), "b: 1\n").unwrap();
        std::fs::write(at.join("secret"), "marker").unwrap();
        let before = text(git::run(at, ["status", "--porcelain"]).unwrap());
        let objects = text(git::run(at, ["count-objects"]).unwrap());

        let borrowed = Borrowed::of(at).unwrap();
        let now = borrowed.files().unwrap();
        assert_eq!(show(&borrowed, &now, "a.yaml").as_deref(), Some("a: 2"));
        assert_eq!(show(&borrowed, &now, "new.yaml").as_deref(), Some("b: 1"));
        assert_eq!(show(&borrowed, &now, "secret"), None);
        let head = borrowed.revision("main").unwrap();
        assert_eq!(show(&borrowed, &head, "a.yaml").as_deref(), Some("a: 1"));

        let change = NewFile { path: "deep/c.yaml".into(), content: Some(b"c: 1\n".to_vec()) };
        let gone = NewFile { path: "a.yaml".into(), content: None };
        let changed = borrowed.with_files(&now, &[change, gone]).unwrap();
        assert_eq!(show(&borrowed, &changed, "deep/c.yaml").as_deref(), Some("c: 1"));
        assert_eq!(show(&borrowed, &changed, "a.yaml"), None);

        assert_eq!(text(git::run(at, ["status", "--porcelain"]).unwrap()), before);
        assert_eq!(text(git::run(at, ["count-objects"]).unwrap()), objects);
        assert!(borrowed.revision("no-such").is_err() && borrowed.revision("--all").is_err());
    }

    #[test]
    fn folders_are_named_from_the_top() {
        let folder = repository();
        std::fs::create_dir_all(folder.path().join("apps/web")).unwrap();
        assert_eq!(below(folder.path(), &folder.path().join("apps/web")).as_deref(), Some("apps/web"));
        assert_eq!(below(folder.path(), folder.path()).as_deref(), Some("."));
        assert_eq!(below(&folder.path().join("apps"), folder.path()), None);
    }
}
