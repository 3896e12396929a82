//! The options of `spec.source.helm`, and the arguments that they become.
//!
//! Source: Argo CD 3.5 Helm sources (reference section 1.8).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::api::Extra;
use crate::api::application::ApplicationSource;

use super::super::environment::Environment;
use super::super::{AppIdentity, RenderError};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct HelmOptions {
    pub(super) release_name: String,
    pub(super) value_files: Vec<String>,
    pub(super) ignore_missing_value_files: bool,
    pub(super) values: String,
    pub(super) values_object: Option<Value>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) file_parameters: Vec<FileParameter>,
    /// Sends credentials to other hosts of a chart repository; a chart from Git has none.
    #[serde(rename = "passCredentials")]
    _pass_credentials: bool,
    pub(super) skip_crds: bool,
    pub(super) skip_schema_validation: bool,
    pub(super) skip_tests: bool,
    pub(super) namespace: String,
    pub(super) kube_version: String,
    pub(super) api_versions: Vec<String>,
    pub(super) version: String,
    #[serde(flatten)]
    pub(super) extra: Extra,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameter {
    name: String,
    value: String,
    force_string: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct FileParameter {
    pub(super) name: String,
    pub(super) path: String,
}

impl HelmOptions {
    pub(super) fn of(source: &ApplicationSource) -> Result<Self, RenderError> {
        let value = source.helm.clone().filter(|value| !value.is_null()).unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let options: Self = serde_json::from_value(value).map_err(|error| RenderError::option("helm", error.to_string()))?;
        if !matches!(options.version.as_str(), "" | "v3" | "v4") {
            return Err(RenderError::option("helm.version", format!("`{}` is none of v3 and v4", options.version)));
        }
        Ok(options)
    }

    /// The values written in the Application itself. An object replaces the text, even an empty one.
    pub(super) fn inline_values(&self) -> Option<String> {
        match &self.values_object {
            // JSON is YAML, and has one way only to be read.
            Some(object) => Some(object.to_string()),
            None => Some(self.values.clone()).filter(|values| !values.is_empty()),
        }
    }

    pub(super) fn release_name<'a>(&'a self, app: &'a AppIdentity) -> &'a str {
        if self.release_name.is_empty() { &app.app_name } else { &self.release_name }
    }

    /// Arguments before the value files.
    pub(super) fn leading_arguments(&self, app: &AppIdentity, environment: &Environment) -> Vec<String> {
        let mut arguments = Vec::new();
        let namespace = if self.namespace.is_empty() { &app.destination_namespace } else { &self.namespace };
        if !namespace.is_empty() {
            arguments.extend(["--namespace".into(), namespace.clone()]);
        }
        let version = if self.kube_version.is_empty() { &app.cluster.version } else { &self.kube_version };
        if !version.is_empty() {
            arguments.extend(["--kube-version".into(), plain_version(version)]);
        }
        // The last of two parameters with the same name counts.
        for (flag, force_string) in [("--set", false), ("--set-string", true)] {
            let chosen = self.parameters.iter().filter(|one| one.force_string == force_string);
            let by_name: BTreeMap<&str, &str> = chosen.map(|one| (one.name.as_str(), one.value.as_str())).collect();
            for (name, value) in by_name {
                arguments.extend([flag.into(), format!("{name}={}", escape_commas(&environment.substitute(value)))]);
            }
        }
        arguments
    }

    /// Arguments after the value files.
    pub(super) fn trailing_arguments(&self, app: &AppIdentity) -> Vec<String> {
        let versions = if self.api_versions.is_empty() { &app.cluster.api_versions } else { &self.api_versions };
        let mut arguments: Vec<String> =
            versions.iter().flat_map(|version| ["--api-versions".to_owned(), version.clone()]).collect();
        let flags = [
            (!self.skip_crds, "--include-crds"),
            (self.skip_schema_validation, "--skip-schema-validation"),
            (self.skip_tests, "--skip-tests"),
        ];
        arguments.extend(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| (*flag).to_owned()));
        arguments
    }
}

/// `x.y.z` of a version such as `v1.33.2+k3s1`; what has no such form is left to Helm.
pub(in crate::render) fn plain_version(version: &str) -> String {
    let plain = version.trim_start_matches('v');
    let end = plain.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(plain.len());
    if end == 0 { version.to_owned() } else { plain[..end].to_owned() }
}

/// A comma would begin another parameter, unless the value is a list in braces or the comma is escaped already.
pub(super) fn escape_commas(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    let mut escaped = String::with_capacity(value.len());
    let mut before = None;
    for c in value.chars() {
        if c == ',' && before != Some('\\') {
            escaped.push('\\');
        }
        escaped.push(c);
        before = Some(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_are_escaped_outside_lists() {
        let cases = [("a,b", "a\\,b"), ("a\\,b", "a\\,b"), ("{a,b}", "{a,b}"), (",", "\\,"), ("a", "a")];
        for (value, expected) in cases {
            assert_eq!(escape_commas(value), expected);
        }
    }

    #[test]
    fn suffixes_of_cluster_versions_are_dropped() {
        let cases =
            [("v1.33.2+k3s1", "1.33.2"), ("1.30.4-gke.100", "1.30.4"), ("1.31", "1.31"), ("v1.36.0", "1.36.0"), ("x", "x")];
        for (version, expected) in cases {
            assert_eq!(plain_version(version), expected);
        }
    }
}
