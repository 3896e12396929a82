//! Reads manifests with exact errors, and replaces files in one step.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::cli::Failure;
use crate::ui::stream;

/// Standard input, as a file name.
pub const STDIN: &str = "-";

/// A file's name for messages.
pub fn describe(file: &Path) -> String {
    if file.as_os_str() == STDIN { "stdin".to_owned() } else { file.display().to_string() }
}

/// Reads a file, or standard input for `-`.
pub fn read_bytes(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    let outcome = if file.as_os_str() == STDIN {
        if std::io::stdin().is_terminal() {
            stream::say("reading from the terminal; end with Ctrl-D");
        }
        std::io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|content| *bytes = content)
    };
    outcome.map_err(|error| Failure::new(format!("cannot read {}", describe(file))).with_cause(&error))?;
    Ok(bytes)
}

/// Reads a text in UTF-8.
pub fn read_text(file: &Path) -> Result<Zeroizing<String>, Failure> {
    text_of(&describe(file), &read_bytes(file)?)
}

/// Takes bytes as UTF-8 and says so if they are something else.
pub fn text_of(name: &str, bytes: &[u8]) -> Result<Zeroizing<String>, Failure> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    text.map(|text| Zeroizing::new(text.to_owned())).ok_or_else(|| {
        let encoding = if is_utf16(bytes) { "is UTF-16, not UTF-8" } else { "is not UTF-8" };
        Failure::new(format!("{name} {encoding}"))
            .with_hint("PowerShell writes UTF-16 with `>`; use `| Out-File -Encoding utf8`, or a pipe")
    })
}

fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff])
        || bytes.iter().take(64).filter(|byte| **byte == 0).count() > 8
}

/// Who may read a file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everybody, as for any file in Git; a present file keeps its mode.
    Public,
    /// The owner only, whatever the present file's mode was.
    Private,
}

/// Replaces a file in one step: readers see the old content or the new one. A link stays a link.
pub fn replace(path: &Path, content: &[u8], mode: Mode) -> Result<(), Failure> {
    write_beside(path, content, mode).map_err(|error| Failure::new(format!("cannot write {}", path.display())).with_cause(&error))
}

fn write_beside(path: &Path, content: &[u8], mode: Mode) -> std::io::Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".sealing-").tempfile_in(folder)?;
    file.write_all(content)?;
    if mode == Mode::Public {
        keep_mode(&path, file.as_file())?;
    }
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

/// A temporary file is its owner's only; a new public file gets the usual mode, an old one keeps its own.
#[cfg(unix)]
fn keep_mode(path: &Path, file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_or(0o644, |metadata| metadata.permissions().mode() & 0o777);
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn keep_mode(_: &Path, _: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

/// The manifests that paths stand for: files as they are, folders with everything below them, `.git` left out. Sorted. Symbolic
/// links below a folder are not followed.
pub fn manifests<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    let mut found = BTreeSet::new();
    for path in paths {
        if path.is_dir() {
            walk(path, &mut found).map_err(|error| Failure::new(format!("cannot read {}", path.display())).with_cause(&error))?;
        } else {
            found.insert(path.clone());
        }
    }
    Ok(found.into_iter().collect())
}

fn walk(folder: &Path, found: &mut BTreeSet<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && entry.file_name() != ".git" {
            walk(&path, found)?;
        } else if kind.is_file() && is_manifest(&path) {
            found.insert(path.strip_prefix(".").unwrap_or(&path).to_owned());
        }
    }
    Ok(())
}

/// Whether a file may hold manifests, by its name.
pub fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json")) || path.file_name().is_some_and(|name| name == "Kustomization")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn utf16_is_named() {
        let utf16: Vec<u8> = "kind: Secret".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [[&[0xff, 0xfe], utf16.as_slice()].concat(), utf16] {
            assert_eq!(text_of("f", &bytes).unwrap_err().what, "f is UTF-16, not UTF-8");
        }
        assert_eq!(text_of("f", b"\xc3").unwrap_err().what, "f is not UTF-8");
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_mode_and_a_private_one_is_the_owners() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        replace(&path, b"1", Mode::Public).unwrap();
        assert_eq!(mode(), 0o644);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"2", Mode::Public).unwrap();
        assert_eq!(mode(), 0o640);
        replace(&path, b"3", Mode::Private).unwrap();
        assert_eq!((mode(), std::fs::read(&path).unwrap()), (0o600, b"3".to_vec()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }
}
