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

/// Puts text into a file in one step, or on standard output.
pub fn put(file: Option<&Path>, text: &str) -> Result<(), Failure> {
    let Some(path) = file else {
        stream::out(text);
        return Ok(());
    };
    // Its owner's only, as the original's: in recovery it holds plaintext.
    replace(path, text.as_bytes(), Mode::Private)
}
