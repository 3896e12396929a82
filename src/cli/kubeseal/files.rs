//! Reading and writing, with the original's messages.

use std::io::{ErrorKind, IsTerminal as _, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::Failure;
use crate::cli::seal::Format;
use crate::cli::secrets::files::{Mode, replace};
use crate::resource::yaml;
use crate::ui::stream;

/// Reads a file as it is.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    std::fs::read(path).map(Zeroizing::new).map_err(|error| cannot_open(path, &error))
}

/// Reads a text file.
pub fn read_text(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Failure::new(format!("{} is not UTF-8", path.display())))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn cannot_open(path: &Path, error: &std::io::Error) -> Failure {
    let problem = match error.kind() {
        ErrorKind::NotFound => "no such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    Failure::new(format!("open {}: {problem}", path.display()))
}

/// Reads the input file, or standard input.
pub fn read_input(file: Option<&Path>, expected: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if let Some(path) = file {
        let failed = |failure: Failure| Failure { what: "Could not read file specified with --secret-file".into(), ..failure };
        return read(path).map_err(failed);
    }
    if std::io::stdin().is_terminal() {
        stream::say(&format!("(tty detected: expecting {expected} in stdin)"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Failure::new("cannot read standard input").with_cause(&error))?;
    Ok(bytes)
}

/// Writes objects as the original does: JSON one after the other, YAML each behind a separator.
pub fn render(objects: &[serde_json::Value], format: Format) -> String {
    let one = |object: &serde_json::Value| match format {
        Format::Yaml => format!("---\n{}", yaml::to_yaml(object)),
        // A map of strings always has a JSON form.
        Format::Json => serde_json::to_string_pretty(object).unwrap_or_default() + "\n",
    };
    objects.iter().map(one).collect()
}

/// Puts sealed text or a certificate into a file in one step, or on standard output. A present file keeps its mode.
pub fn put(file: Option<&Path>, text: &str) -> Result<(), Failure> {
    put_as(file, text, Mode::Public)
}

/// Puts plaintext into a file that only its owner may read, or on standard output.
pub fn put_plaintext(file: Option<&Path>, text: &str) -> Result<(), Failure> {
    put_as(file, text, Mode::Private)
}

fn put_as(file: Option<&Path>, text: &str, mode: Mode) -> Result<(), Failure> {
    let Some(path) = file else {
        stream::out(text);
        return Ok(());
    };
    replace(path, text.as_bytes(), mode)
}

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn sealed_files_keep_their_mode_and_plaintext_is_its_owners_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.yaml");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        put(Some(&path), "sealed").unwrap();
        assert_eq!(mode(), 0o640);
        put_plaintext(Some(&path), "plain").unwrap();
        assert_eq!(mode(), 0o600);
    }
}
