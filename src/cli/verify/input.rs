//! Which texts are verified: files, what is staged, what a range of commits changed, or all of history.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::VerifyArgs;
use crate::cli::Failure;
use crate::cli::secrets::{files, git};

/// A file's content, which may be no text.
pub struct Content {
    pub file: String,
    pub bytes: Vec<u8>,
}

/// Reads what the arguments ask for.
pub fn read(args: &VerifyArgs) -> Result<Vec<Content>, Failure> {
    let here = args.paths.first().filter(|path| path.is_dir()).map_or_else(|| PathBuf::from("."), Clone::clone);
    if args.staged {
        let listed = git::run(&here, ["diff", "--cached", "--name-only", "-z", "--diff-filter=ACMR"])?;
        return contents(&here, git::names(&listed), "");
    }
    if let Some(range) = &args.diff {
        let (_, head) = range
            .rsplit_once("..")
            .ok_or_else(|| Failure::new(format!("{range:?} is no range")).with_hint("--diff main...HEAD"))?;
        let head = if head.is_empty() { "HEAD" } else { head };
        refuse_option(range)?;
        let listed = git::run(&here, ["diff", "--name-only", "-z", "--diff-filter=ACMR", range.as_str(), "--"])?;
        return contents(&here, git::names(&listed), head);
    }
    if args.history {
        return history(&here);
    }
    let mut found = Vec::new();
    for path in files::manifests(&args.paths)? {
        found.push(Content { file: files::describe(&path), bytes: files::read_bytes(&path)?.to_vec() });
    }
    Ok(found)
}

fn refuse_option(text: &str) -> Result<(), Failure> {
    if text.starts_with('-') { Err(Failure::new(format!("{text:?} is no revision"))) } else { Ok(()) }
}

/// The content of paths (from the top of the work tree) in a commit, or in the index for an empty one.
fn contents(folder: &Path, names: Vec<String>, commit: &str) -> Result<Vec<Content>, Failure> {
    let names = names.into_iter().filter(|name| files::is_manifest(Path::new(name)));
    names
        .map(|file| {
            let bytes = git::run(folder, ["show", &format!("{commit}:{file}")])?;
            Ok(Content { file, bytes })
        })
        .collect()
}

/// Every version of every manifest that a commit of any branch holds, each content once.
fn history(folder: &Path) -> Result<Vec<Content>, Failure> {
    let args = ["log", "--all", "--no-renames", "--diff-filter=AM", "--raw", "--no-abbrev", "--format=commit %h", "-m"];
    let listed = git::run(folder, args)?;
    let (mut seen, mut found, mut commit) = (BTreeSet::new(), Vec::new(), String::new());
    for line in String::from_utf8_lossy(&listed).lines() {
        if let Some(id) = line.strip_prefix("commit ") {
            id.clone_into(&mut commit);
        }
        let Some((facts, path)) = line.strip_prefix(':').and_then(|line| line.split_once('\t')) else { continue };
        let Some(blob) = facts.split(' ').nth(3) else { continue };
        if files::is_manifest(Path::new(path)) && seen.insert((blob.to_owned(), path.to_owned())) {
            let bytes = git::run(folder, ["cat-file", "blob", blob])?;
            found.push(Content { file: format!("{commit}:{path}"), bytes });
        }
    }
    Ok(found)
}
