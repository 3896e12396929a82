//! `-o`: Kubernetes objects are printed as they are, everything else as one report.

use serde::Serialize;
use serde_json::{Value, json};

use crate::ui::{stream, yaml};

use super::Failure;

/// `apiVersion` of the reports that commands print.
pub const REPORT_API_VERSION: &str = "kubectl-gitops.io/v1alpha1";

/// How a command prints its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Output {
    /// For people.
    #[default]
    Human,
    /// For people, with more columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// `resource/name`, one a line.
    Name,
}

impl Output {
    /// Parses `-o` of a command that prints Kubernetes objects.
    ///
    /// # Errors
    /// Lists what is offered.
    pub fn parse_object(text: &str) -> Result<Self, String> {
        Self::parse(text, &[Self::Wide, Self::Json, Self::Yaml, Self::Name])
    }

    /// Parses `-o` of a command that prints a report.
    ///
    /// # Errors
    /// Lists what is offered.
    pub fn parse_report(text: &str) -> Result<Self, String> {
        Self::parse(text, &[Self::Json, Self::Yaml])
    }

    fn parse(text: &str, offered: &[Self]) -> Result<Self, String> {
        let names = || offered.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ");
        offered.iter().copied().find(|one| one.as_str() == text).ok_or_else(|| format!("offered are: {}", names()))
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "",
            Self::Wide => "wide",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Name => "name",
        }
    }

    /// True when a program reads the answer.
    #[must_use]
    pub const fn is_machine(self) -> bool {
        matches!(self, Self::Json | Self::Yaml | Self::Name)
    }
}

/// Prints a value as one JSON or YAML document.
///
/// # Errors
/// When the value cannot be written, which is a bug.
pub fn print_document(output: Output, value: &impl Serialize) -> Result<(), Failure> {
    let cannot = |error| Failure::new("cannot write the answer").with_cause(&error);
    let text = match output {
        Output::Yaml => yaml::write(&serde_json::to_value(value).map_err(cannot)?),
        _ => serde_json::to_string_pretty(value).map_err(cannot)? + "\n",
    };
    stream::out(&text);
    Ok(())
}

/// Prints one JSON value on one line, for streams of objects; YAML documents are separated.
///
/// # Errors
/// As [`print_document`].
pub fn print_in_stream(output: Output, value: &Value) -> Result<(), Failure> {
    if output == Output::Yaml {
        stream::out("---\n");
        return print_document(output, value);
    }
    stream::out(&format!("{value}\n"));
    Ok(())
}

/// A Kubernetes `List` of objects.
#[must_use]
pub fn list_of(items: Vec<Value>) -> Value {
    json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "" }, "items": items })
}

/// Something that stands in the way, in a report. Codes are stable, texts are not.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Problem {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The object it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

/// A command's answer for programs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report<T> {
    api_version: &'static str,
    kind: &'static str,
    ok: bool,
    #[serde(flatten)]
    body: T,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
}

impl<T: Serialize> Report<T> {
    /// Makes a report of this kind; `ok` agrees with the exit code 0.
    pub const fn new(kind: &'static str, ok: bool, body: T, problems: Vec<Problem>) -> Self {
        Self { api_version: REPORT_API_VERSION, kind, ok, body, problems }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_format_lists_what_is_offered() {
        assert_eq!(Output::parse_object("wide"), Ok(Output::Wide));
        assert_eq!(Output::parse_object("go-template"), Err("offered are: wide, json, yaml, name".into()));
        assert_eq!(Output::parse_report("name"), Err("offered are: json, yaml".into()));
    }
}
