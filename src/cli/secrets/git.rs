//! The little that the commands about secrets ask of Git: which files changed, what they hold, whether work would be lost.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::Failure;

/// Runs git in a folder and gives its standard output.
pub fn run<S: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = S>) -> Result<Vec<u8>, Failure> {
    let output = Command::new("git").arg("-C").arg(folder).args(args).stdin(std::process::Stdio::null()).output();
    let output = output.map_err(|error| Failure::new("cannot run git").with_cause(&error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("git failed").trim_start_matches("fatal: ");
    Err(Failure::new(format!("git: {said}")))
}

/// The top folder of the work tree that holds a folder; none when it is not in one.
pub fn top(folder: &Path) -> Option<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let output = run(folder, ["rev-parse", "--show-toplevel"]).ok()?;
    Some(PathBuf::from(String::from_utf8_lossy(&output).trim_end()))
}

/// Names of a `-z` list.
pub fn names(output: &[u8]) -> Vec<String> {
    output
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

/// Refuses to change files that hold uncommitted work.
pub fn refuse_dirty(files: &[PathBuf]) -> Result<(), Failure> {
    let mut dirty = Vec::new();
    for file in files {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (Some(_), Some(name)) = (top(folder), file.file_name()) else { continue };
        let args: [&OsStr; 4] = ["status".as_ref(), "--porcelain".as_ref(), "--".as_ref(), name];
        if !run(folder, args)?.is_empty() {
            dirty.push(file.display().to_string());
        }
    }
    match dirty.as_slice() {
        [] => Ok(()),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            Err(Failure::new(format!("{first}{more} not committed; a mistake could not be taken back"))
                .with_hint("commit first, or --allow-dirty"))
        }
    }
}
