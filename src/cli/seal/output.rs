//! Where the sealed objects go: all of them, or none.

use std::io::Write as _;
use std::path::Path;

use super::input::Format;
use crate::cli::Failure;
use crate::resource::{Object, yaml};
use crate::ui::stream;

/// Writes the objects as one text: YAML documents, or JSON objects in a row.
pub fn render(objects: &[Object], format: Format) -> String {
    let one = |object: &Object| match format {
        Format::Yaml => yaml::to_yaml(&object.to_value()),
        // A map of strings always has a JSON form.
        Format::Json => serde_json::to_string_pretty(object).unwrap_or_default() + "\n",
    };
    let separator = if format == Format::Yaml { "---\n" } else { "" };
    objects.iter().map(one).collect::<Vec<_>>().join(separator)
}

/// Puts the text into a file in one step, or on standard output.
pub fn put(file: Option<&Path>, text: &str) -> Result<(), Failure> {
    let Some(path) = file else {
        stream::out(text);
        return Ok(());
    };
    replace(path, text).map_err(|error| Failure::new(format!("cannot write {}", path.display())).with_cause(&error))?;
    stream::say(&format!("wrote {}", path.display()));
    Ok(())
}

/// Replaces a file in one step; a link stays a link.
pub fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A link stays a link: what it points to is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".sealing-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    keep_mode(&path, file.as_file())?;
    file.persist(&path)?;
    Ok(())
}

/// Sealed objects are public: a new file gets the usual mode instead of a temporary file's, an old one keeps its own.
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
