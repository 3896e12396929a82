//! Submodules: repositories within a repository, fetched at the commit that the outer one names.
//!
//! Upstream sends the outer repository's login to whatever host a submodule names. Here a submodule is reached with what is
//! registered for its own URL, and with the outer login only on the outer host.
//!
//! Source: Argo CD 3.5, `git submodule update --init --recursive` after every checkout (reference 1.4).

use std::collections::BTreeMap;

use super::{Commit, EntryKind, SourceError, SourceTree};

/// Submodules within submodules beyond this are a mistake.
pub(super) const MAX_DEPTH: usize = 8;
/// And so are more than this in one repository.
const MAX_SUBMODULES: usize = 200;
/// The file that says where submodules come from.
const FILE: &str = ".gitmodules";

/// One submodule of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Submodule {
    /// Folder, from the root of the outer repository.
    pub(super) path: String,
    /// URL of its repository, whole.
    pub(super) url: String,
    pub(super) commit: Commit,
}

/// The submodules of a commit, in order of their paths. Reads the disk.
///
/// Folders that `.gitmodules` names and the commit does not hold are passed over, as Git does; so are those it does not name.
///
/// # Errors
/// `.gitmodules` cannot be read, names too many, or a URL that only a local repository may name.
pub(super) fn of(tree: &SourceTree, url: &str) -> Result<Vec<Submodule>, SourceError> {
    let Some(file) = tree.entry(FILE)?.filter(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Executable)) else {
        return Ok(Vec::new());
    };
    let bad = |problem: String| SourceError::BadSubmodule { url: url.to_owned(), problem };
    let named = parse(&tree.read(&file)?).ok_or_else(|| bad(format!("{FILE} cannot be read")))?;
    if named.len() > MAX_SUBMODULES {
        return Err(bad(format!("{FILE} names {} submodules, more than {MAX_SUBMODULES}", named.len())));
    }
    let mut found = Vec::new();
    for (path, written) in named {
        let Some(entry) = tree.entry(&path)?.filter(|entry| entry.kind == EntryKind::Submodule) else { continue };
        let Some(commit) = Commit::parse(&entry.id) else { continue };
        let inner = resolve(url, &written);
        // A file of the machine that this runs on is nobody's to name in a repository from elsewhere.
        if inner.starts_with("file:") && !url.starts_with("file:") {
            return Err(bad(format!("`{path}` comes from `{inner}`, a local repository")));
        }
        found.push(Submodule { path: entry.path, url: inner, commit });
    }
    Ok(found)
}

/// Paths and URLs of a `.gitmodules` file; of two for one path the last counts.
fn parse(text: &[u8]) -> Option<BTreeMap<String, String>> {
    let metadata = gix::config::file::Metadata::api();
    let file = gix::config::File::from_bytes_no_includes(text, metadata, gix::config::file::init::Options::default()).ok()?;
    let sections = file.sections_by_name("submodule").into_iter().flatten();
    let value = |section: &gix::config::file::SectionRef<'_>, name: &str| section.value(name).map(|value| value.to_string());
    Some(sections.filter_map(|section| Some((value(&section, "path")?, value(&section, "url")?))).collect())
}

/// The URL of a submodule: `./x` and `../x` are relative to the outer one.
fn resolve(outer: &str, written: &str) -> String {
    if !written.starts_with("./") && !written.starts_with("../") {
        return written.to_owned();
    }
    let mut base = outer.trim_end_matches('/').to_owned();
    let mut rest = written;
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            // The path of the `scp` form begins at a colon.
            let end = base.rfind(['/', ':']).unwrap_or(0);
            let is_scheme = base[..end].ends_with('/') || base[end..].starts_with(":/");
            if !is_scheme {
                let keeps_colon = base[end..].starts_with(':');
                base.truncate(end + usize::from(keeps_colon));
            }
            rest = after;
        } else {
            break;
        }
    }
    let separator = if base.ends_with(':') { "" } else { "/" };
    format!("{base}{separator}{rest}")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::testing::{GitRepo, head, repositories};
    use super::*;

    #[test]
    fn relative_urls_are_those_of_git() {
        for (outer, written, expected) in [
            ("https://h/org/repo.git", "../lib.git", "https://h/org/lib.git"),
            ("https://h/org/repo", "../../other/lib", "https://h/other/lib"),
            ("https://h/org/repo/", "./lib", "https://h/org/repo/lib"),
            ("git@h:org/repo.git", "../lib.git", "git@h:org/lib.git"),
            ("git@h:repo.git", "../lib.git", "git@h:lib.git"),
            ("https://h/org/repo", "https://other/lib", "https://other/lib"),
            ("https://h", "../../../x", "https://h/x"),
        ] {
            assert_eq!(resolve(outer, written), expected, "{outer} {written}");
        }
    }

    fn add(outer: &GitRepo, inner: &GitRepo, path: &str) {
        outer.git(&["-c", "protocol.file.allow=always", "submodule", "add", "--quiet", &inner.url(), path]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_of_submodules_are_there_at_the_commit_that_is_named() {
        let (cache, outer, middle, inner) = (tempfile::tempdir().unwrap(), GitRepo::new(), GitRepo::new(), GitRepo::new());
        inner.write("deep.yaml", "d: 1\n").commit("inner");
        middle.write("base/one.yaml", "a: 1\n");
        add(&middle, &inner, "vendor/inner");
        middle.commit("middle");
        outer.write("app/own.yaml", "o: 1\n");
        add(&outer, &middle, "lib/middle");
        outer.link("app/linked", "../lib/middle/base/one.yaml");
        outer.commit("outer");
        // Later commits of the submodules change nothing.
        middle.write("base/one.yaml", "a: 2\n").commit("later");
        let repositories = repositories(cache.path());
        let tree = head(&repositories, &outer).await;
        let read = |path: &str| String::from_utf8(tree.read(&tree.entry(path).unwrap().unwrap()).unwrap()).unwrap();
        assert_eq!(read("lib/middle/base/one.yaml"), "a: 1\n");
        assert_eq!(read("lib/middle/vendor/inner/deep.yaml"), "d: 1\n");
        let listed: Vec<String> = tree.list("lib", true).unwrap().into_iter().map(|entry| entry.path).collect();
        assert_eq!(listed, ["lib/middle/.gitmodules", "lib/middle/base/one.yaml", "lib/middle/vendor/inner/deep.yaml"]);
        tree.check_links().unwrap();
        let written = tempfile::tempdir().unwrap();
        tree.materialise(written.path(), None).unwrap();
        assert_eq!(std::fs::read_to_string(written.path().join("app/linked")).unwrap(), "a: 1\n");
        assert_eq!(repositories.listings(), 1, "submodules are not polled");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_submodule_that_cannot_be_fetched_is_named() {
        let (cache, outer, inner) = (tempfile::tempdir().unwrap(), GitRepo::new(), GitRepo::new());
        inner.write("a", "1").commit("inner");
        add(&outer, &inner, "lib");
        let commit = outer.commit("outer");
        drop(inner);
        let error = repositories(cache.path()).tree(&outer.url(), &commit).await.unwrap_err();
        assert!(matches!(&error, SourceError::BadSubmodule { problem, .. } if problem.contains("`lib`")), "{error}");
    }
}
