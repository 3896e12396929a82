//! Writing files that only their owner may read: all of them, or none.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cli::Failure;

/// A file to write.
pub struct NewFile<'a> {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub content: &'a [u8],
}

/// Refuses files that are there already.
pub fn refuse_present<'a>(paths: impl IntoIterator<Item = &'a Path>, other: &str) -> Result<(), Failure> {
    match paths.into_iter().find(|path| path.exists()) {
        Some(path) => {
            Err(Failure::new(format!("{} exists already", path.display())).with_hint(format!("another {other}, or --overwrite")))
        }
        None => Ok(()),
    }
}

/// Writes them, readable by the owner only, as temporary files are. The content of each is on the disk before any gets its name.
pub fn write_all(files: &[NewFile<'_>], overwrite: bool) -> Result<(), Failure> {
    let failed = |path: &Path, error: &std::io::Error| Failure::new(format!("cannot write {}", path.display())).with_cause(error);
    let mut ready = Vec::new();
    for file in files {
        ready.push((write(file).map_err(|error| failed(&file.path, &error))?, &file.path));
    }
    let mut done: Vec<&Path> = Vec::new();
    for (file, path) in ready {
        let kept = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
        if let Err(error) = kept {
            // What was replaced on request is gone either way; a new file alone would be half a result.
            if !overwrite {
                done.iter().for_each(|path| drop(std::fs::remove_file(path)));
            }
            return Err(failed(path, &error.error));
        }
        done.push(path);
    }
    Ok(())
}

fn write(file: &NewFile<'_>) -> std::io::Result<NamedTempFile> {
    let folder = file.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new().prefix(".keys-").tempfile_in(folder)?;
    temporary.write_all(file.content)?;
    temporary.as_file().sync_all()?;
    Ok(temporary)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn all_files_are_written_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("b"), "there").unwrap();
        let files = [NewFile { path: path("a"), content: b"1" }, NewFile { path: path("b"), content: b"2" }];
        let failure = write_all(&files, false).unwrap_err();
        assert_eq!(failure.what, format!("cannot write {}", path("b").display()));
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["b"]);
        write_all(&files, true).unwrap();
        assert_eq!((std::fs::read(path("a")).unwrap(), std::fs::read(path("b")).unwrap()), (b"1".to_vec(), b"2".to_vec()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(path("a")).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
