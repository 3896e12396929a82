//! Values as YAML for the screen.

use serde_json::Value;

/// Writes one value as YAML.
#[must_use]
pub fn write(value: &Value) -> String {
    // A JSON value has only string keys and finite numbers, which is all that can go wrong.
    serde_yaml::to_string(value).unwrap_or_default()
}
