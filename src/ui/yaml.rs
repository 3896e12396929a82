//! Values as YAML for the screen: quoted so that every YAML reader of Kubernetes gets the same values back.

use serde_json::Value;

use crate::resource::yaml::to_yaml;

/// Writes one value as YAML, ending in a line end.
#[must_use]
pub fn write(value: &Value) -> String {
    let text = to_yaml(value);
    if text.ends_with('\n') { text } else { text + "\n" }
}
