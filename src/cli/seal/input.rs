//! What there is to seal.

use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::cli::secrets::{files, sealed};
use crate::resource::Object;
use crate::resource::yaml::Document;
use crate::sealing::SecretManifest;
use serde_json::Value;
use zeroize::Zeroizing;

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

/// What is done about objects that are no Secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// An error: they would be missing in the output without a word.
    Refuse,
    /// They are left where they are.
    Leave,
}

/// A text with Secrets. Their values are wiped when this is dropped.
pub struct Source {
    pub file: PathBuf,
    pub text: Zeroizing<String>,
    /// The documents, `null` where a Secret was.
    pub documents: Vec<Document>,
    pub secrets: Vec<Plain>,
    /// Whether it holds other objects as well.
    pub is_mixed: bool,
}

/// A Secret and where it stood.
pub struct Plain {
    /// Index of the document.
    pub document: usize,
    /// JSON pointer from the document to the Secret.
    pub pointer: String,
    pub secret: SecretManifest,
}

impl Source {
    /// Reads a file, or standard input for `-`.
    pub fn read(file: &Path, others: Others) -> Result<Self, Failure> {
        let text = files::read_text(file)?;
        if text.trim().is_empty() {
            return Err(Failure::new(format!("{} is empty", files::describe(file)))
                .with_hint("kubectl create secret generic NAME --from-literal=KEY=VALUE --dry-run=client -o yaml"));
        }
        Self::parse(file, text, others)
    }

    /// Takes the Secrets out of a text.
    pub fn parse(file: &Path, text: Zeroizing<String>, others: Others) -> Result<Self, Failure> {
        let name = files::describe(file);
        let documents = sealed::documents(&name, &text)?;
        let mut source = Self { file: file.to_owned(), text, documents, secrets: Vec::new(), is_mixed: false };
        for (index, document) in source.documents.iter_mut().enumerate() {
            let mut pointers = Vec::new();
            sealed::objects(&document.value, String::new(), &mut |_, pointer| {
                pointers.push(pointer);
                Ok(())
            })?;
            for pointer in pointers {
                let Some(value) = document.value.pointer_mut(&pointer) else { continue };
                match value.get("kind").and_then(Value::as_str) {
                    Some("Secret") => {
                        let place = format!("{name}:{}", document.line);
                        let secret = manifest(&place, std::mem::take(value))?;
                        source.secrets.push(Plain { document: index, pointer, secret });
                    }
                    _ if others == Others::Leave => source.is_mixed = true,
                    _ => return Err(refused(&format!("{name}:{}", document.line), std::mem::take(value))),
                }
            }
        }
        Ok(source)
    }

    /// A Secret's file and line.
    pub fn place_of(&self, plain: &Plain) -> String {
        let line = self.documents.get(plain.document).map_or(1, |document| document.line);
        format!("{}:{line}", files::describe(&self.file))
    }

    /// Format of the text.
    pub fn format(&self) -> Format {
        if self.text.trim_start().starts_with('{') { Format::Json } else { Format::Yaml }
    }
}

/// Reads files, `-` being standard input, or standard input when there is none. In order.
///
/// # Errors
/// When one cannot be read, or there is no Secret in any.
pub fn read<'a>(files: impl Iterator<Item = &'a PathBuf>, others: Others) -> Result<Vec<Source>, Failure> {
    let mut files: Vec<&Path> = files.map(PathBuf::as_path).collect();
    if files.is_empty() {
        files.push(Path::new(files::STDIN));
    }
    let sources = files.iter().map(|file| Source::read(file, others)).collect::<Result<Vec<_>, _>>()?;
    let is_missing = |source: &&Source| source.secrets.is_empty();
    let without = match others {
        Others::Refuse => sources.iter().find(is_missing),
        Others::Leave => sources.first().filter(|_| sources.iter().all(|source| source.secrets.is_empty())),
    };
    match without {
        Some(source) => Err(Failure::new(format!("there is no Secret in {}", files::describe(&source.file)))),
        None => Ok(sources),
    }
}

/// Wraps an object, so that its values are wiped even when it is refused.
fn manifest(place: &str, value: Value) -> Result<SecretManifest, Failure> {
    let object = Object::from_value(value);
    object.map(SecretManifest::new).map_err(|_| Failure::new(format!("{place} is not a Kubernetes object")))
}

fn refused(place: &str, value: Value) -> Failure {
    let object = match manifest(place, value) {
        Ok(object) => object,
        Err(failure) => return failure,
    };
    let kind = object.get(&["kind"]).and_then(Value::as_str).unwrap_or_default();
    let name = object.name();
    match kind {
        "SealedSecret" => Failure::new(format!("{place}: SealedSecret {name:?} is sealed already"))
            .with_hint("give the plain Secret; to move a SealedSecret, seal its Secret again for the new place"),
        "" => Failure::new(format!("{place} has no kind")).with_hint("add `apiVersion: v1` and `kind: Secret`"),
        other => Failure::new(format!("{place}: {other} {name:?} is not a Secret"))
            .with_hint("give a file that holds Secrets only, or --all to leave other objects out"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;

    fn parse(text: &str) -> Result<Source, Failure> {
        Source::parse(Path::new("f"), Zeroizing::new(text.to_owned()), Others::Refuse)
    }

    fn names(text: &str) -> Vec<String> {
        parse(text).unwrap().secrets.iter().map(|plain| plain.secret.name().to_owned()).collect()
    }

    fn refused(text: &str) -> String {
        parse(text).err().unwrap().what
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
        assert_eq!(refused("kind: Secret\n---\nkind: ConfigMap\nmetadata: {name: x}\n"), "f:3: ConfigMap \"x\" is not a Secret");
        assert_eq!(refused("kind: SealedSecret\nmetadata: {name: x}\n"), "f:1: SealedSecret \"x\" is sealed already");
        assert_eq!(refused("metadata: {name: x}\n"), "f:1 has no kind");
        assert!(refused("kind: Secret\nstringData: {a: [marker\n").starts_with("f:"));
        assert!(refused(r#"{"kind": "Secret"} {"kind""#).starts_with("f:"), "cut off, so kubeseal would hang");
    }

    #[test]
    fn other_objects_can_be_left_where_they_are() {
        let text = "kind: ConfigMap\nmetadata: {name: x}\n---\nkind: List\nitems:\n- {kind: Secret, metadata: {name: a}}\n";
        let source = Source::parse(Path::new("f"), Zeroizing::new(text.to_owned()), Others::Leave).unwrap();
        let [plain] = source.secrets.as_slice() else { panic!("one Secret") };
        assert!(source.is_mixed);
        assert_eq!((plain.document, plain.pointer.as_str(), plain.secret.name()), (1, "/items/0", "a"));
    }

    #[test]
    fn no_error_shows_a_value() {
        for text in ["kind: X\nstringData: {a: marker}\n", "stringData: {a: marker\n", "- marker\n"] {
            assert!(!format!("{:?}", parse(text).err().unwrap()).contains("marker"), "{text}");
        }
    }
}
