//! What there is to seal.

use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::cli::secrets::files;
use crate::resource::{Object, yaml};
use crate::sealing::SecretManifest;
use serde_json::Value;

/// YAML or JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

impl Format {
    /// Parses `-o`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "yaml" => Ok(Self::Yaml),
            "json" => Ok(Self::Json),
            _ => Err("offered are: yaml, json".to_owned()),
        }
    }

    /// What a file's extension stands for.
    pub fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// The Secrets of all inputs, in order. Their values are wiped when this is dropped.
#[derive(Debug)]
pub struct Input {
    pub secrets: Vec<SecretManifest>,
    /// Format of the first input.
    pub format: Format,
    files: Vec<PathBuf>,
}

impl Input {
    /// The file everything came from, if it is one file.
    pub fn only_file(&self) -> Option<&Path> {
        match self.files.as_slice() {
            [file] => Some(file),
            _ => None,
        }
    }
}

/// Reads files, `-` being standard input, or standard input when there is none.
pub fn read<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Result<Input, Failure> {
    let mut files: Vec<PathBuf> = files.cloned().collect();
    if files.is_empty() {
        files.push("-".into());
    }
    let mut input = Input { secrets: Vec::new(), format: Format::Yaml, files: Vec::new() };
    for (index, file) in files.iter().enumerate() {
        let text = files::read_text(file)?;
        if index == 0 && text.trim_start().starts_with('{') {
            input.format = Format::Json;
        }
        input.secrets.extend(parse(&files::describe(file), &text)?);
        if file.as_os_str() != "-" {
            input.files.push(file.clone());
        }
    }
    Ok(input)
}

/// The Secrets of one text. A document that is something else is an error: it would be missing in the output without a word.
fn parse(file: &str, text: &str) -> Result<Vec<SecretManifest>, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::new(format!("{file} is empty"))
            .with_hint("kubectl create secret generic NAME --from-literal=KEY=VALUE --dry-run=client -o yaml"));
    }
    let documents =
        yaml::parse_stream(text).map_err(|error| Failure::new(format!("{file}:{}: {}", error.line, error.problem)))?;
    let mut secrets = Vec::new();
    for document in documents {
        take(&format!("{file}:{}", document.line), document.value, &mut secrets)?;
    }
    if secrets.is_empty() { Err(Failure::new(format!("there is no Secret in {file}"))) } else { Ok(secrets) }
}

pub fn take(place: &str, mut value: Value, secrets: &mut Vec<SecretManifest>) -> Result<(), Failure> {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if matches!(kind.as_str(), "List" | "SecretList")
        && let Some(Value::Array(items)) = value.get_mut("items")
    {
        let items = std::mem::take(items);
        return items.into_iter().try_for_each(|item| take(place, item, secrets));
    }
    let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    // Wrapped first, so that it is wiped even when it is refused.
    let secret = Object::from_value(value)
        .map(SecretManifest::new)
        .map_err(|_| Failure::new(format!("{place} is not a Kubernetes object")))?;
    match kind.as_str() {
        "Secret" => {
            secrets.push(secret);
            Ok(())
        }
        "SealedSecret" => Err(Failure::new(format!("{place}: SealedSecret {name:?} is sealed already"))
            .with_hint("give the plain Secret; to move a SealedSecret, seal its Secret again for the new place")),
        "" => Err(Failure::new(format!("{place} has no kind")).with_hint("add `apiVersion: v1` and `kind: Secret`")),
        other => {
            Err(Failure::new(format!("{place}: {other} {name:?} is not a Secret"))
                .with_hint("give a file that holds Secrets only"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse("f", text).unwrap().iter().map(|secret| secret.name().to_owned()).collect()
    }

    fn refused(text: &str) -> String {
        parse("f", text).unwrap_err().what
    }

    #[test]
    fn takes_streams_and_lists_in_yaml_and_json() {
        assert_eq!(names("kind: Secret\nmetadata: {name: a}\n---\n---\nkind: Secret\nmetadata: {name: b}\n"), ["a", "b"]);
        assert_eq!(names("kind: List\nitems:\n- {kind: Secret, metadata: {name: a}}\n"), ["a"]);
        assert_eq!(
            names(r#"{"kind": "Secret", "metadata": {"name": "a"}} {"kind": "Secret", "metadata": {"name": "b"}}"#),
            ["a", "b"]
        );
    }

    #[test]
    fn refuses_whatever_would_be_lost() {
        assert_eq!(refused(" \n"), "f is empty");
        assert_eq!(refused("---\n---\n"), "there is no Secret in f");
        assert_eq!(refused("kind: Secret\n---\nkind: ConfigMap\nmetadata: {name: x}\n"), "f:3: ConfigMap \"x\" is not a Secret");
        assert_eq!(refused("kind: SealedSecret\nmetadata: {name: x}\n"), "f:1: SealedSecret \"x\" is sealed already");
        assert_eq!(refused("metadata: {name: x}\n"), "f:1 has no kind");
        assert!(refused("kind: Secret\nstringData: {a: [marker\n").starts_with("f:"));
        assert!(refused(r#"{"kind": "Secret"} {"kind""#).starts_with("f:"), "cut off, so kubeseal would hang");
    }

    #[test]
    fn no_error_shows_a_value() {
        for text in ["kind: X\nstringData: {a: marker}\n", "stringData: {a: marker\n", "- marker\n"] {
            assert!(!format!("{:?}", parse("f", text).unwrap_err()).contains("marker"), "{text}");
        }
    }
}
