//! `resource.compareoptions`.

use serde::Deserialize;
use serde_json::Value;

/// Of which kinds `status` does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum StatusFields {
    /// Of all kinds.
    #[default]
    All,
    /// Of CustomResourceDefinitions.
    Crd,
    /// Of none: `status` in Git counts.
    None,
}

/// Settings for all comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CompareOptions {
    /// Rules of aggregated roles do not count.
    pub ignore_aggregated_roles: bool,
    /// Of which kinds `status` does not count.
    pub ignore_status: StatusFields,
    /// What does not count for a comparison is no reason to compare again either.
    pub ignore_differences_on_updates: bool,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { ignore_aggregated_roles: false, ignore_status: StatusFields::All, ignore_differences_on_updates: true }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Written {
    ignore_aggregated_roles: bool,
    ignore_resource_status_field: Value,
    ignore_differences_on_resource_updates: Option<bool>,
}

impl CompareOptions {
    /// Reads the value of the key, already parsed.
    pub(super) fn read(value: Value) -> Result<Self, String> {
        let written: Written = if value.is_null() {
            Written::default()
        } else {
            serde_json::from_value(value).map_err(|error| error.to_string())?
        };
        let ignore_status = match &written.ignore_resource_status_field {
            Value::String(text) if text == "crd" => StatusFields::Crd,
            Value::String(text) if matches!(text.as_str(), "none" | "off" | "false") => StatusFields::None,
            // YAML reads `off` as false.
            Value::Bool(false) => StatusFields::None,
            Value::String(text) if !matches!(text.as_str(), "all" | "") => {
                return Err(format!("ignoreResourceStatusField: `{text}` is none of all, crd, none"));
            }
            _ => StatusFields::All,
        };
        Ok(Self {
            ignore_aggregated_roles: written.ignore_aggregated_roles,
            ignore_status,
            ignore_differences_on_updates: written.ignore_differences_on_resource_updates.unwrap_or(true),
        })
    }
}
