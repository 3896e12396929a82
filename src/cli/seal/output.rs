//! Where the sealed objects go: all of them, or none.

use std::path::Path;

use super::input::Format;
use crate::cli::Failure;
use crate::cli::secrets::files::{self, Mode};
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
    files::replace(path, text.as_bytes(), Mode::Public)?;
    stream::say(&format!("wrote {}", path.display()));
    Ok(())
}
