//! What can be seen in the files of a repository without any key. Pure: texts in, findings out.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::api::SealedSecret;
use crate::cli::explain::defect;
use crate::resource::yaml;
use crate::sealing::{Scope, Target, recorded_place};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The answer is no.
    Error,
    /// Worth a look; an error with `--strict`.
    Warning,
}

/// Something that is wrong in a file. No text in it depends on a secret value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub file: String,
    pub line: usize,
    pub level: Level,
    /// Stable code.
    pub code: &'static str,
    pub message: String,
    pub hint: Option<&'static str>,
}

/// A SealedSecret of the repository.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub file: String,
    pub line: usize,
    pub sealed: SealedSecret,
}

/// What was found in all files.
#[derive(Debug, Default)]
pub struct Scan {
    pub sealed: Vec<Sealed>,
    pub findings: Vec<Finding>,
    /// Objects that were looked at: Secrets and SealedSecrets.
    pub checked: usize,
    kustomizations: BTreeMap<String, Value>,
}

const SEAL_AND_CHANGE: &str = "seal it, and change the values: they are in git history";

impl Scan {
    /// Looks at one file.
    pub fn add_file(&mut self, file: &str, text: &str) {
        let documents = match yaml::parse_stream(text) {
            Ok(documents) => documents,
            Err(error) => return self.unreadable(file, text, &error),
        };
        for document in documents {
            self.add_value(file, document.line, &document.value);
        }
    }

    /// Notes a file that is no text.
    pub fn not_text(&mut self, file: &str, problem: String) {
        self.add(file, 1, Level::Error, "encoding", problem, Some("save it as UTF-8"));
    }

    fn unreadable(&mut self, file: &str, text: &str, error: &yaml::YamlError) {
        let speaks_of_secrets = text.contains("Secret");
        let (level, code) = match (text.contains("{{"), speaks_of_secrets) {
            (true, _) => (Level::Warning, "template"),
            (false, true) => (Level::Error, "unreadable"),
            (false, false) => (Level::Warning, "unreadable"),
        };
        let message = format!("cannot be read, so nothing is proven for it: {}", error.problem);
        self.add(file, error.line, level, code, message, None);
    }

    fn add(&mut self, file: &str, line: usize, level: Level, code: &'static str, message: String, hint: Option<&'static str>) {
        self.findings.push(Finding { file: file.to_owned(), line, level, code, message, hint });
    }

    fn add_value(&mut self, file: &str, line: usize, value: &Value) {
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
        let (kind, version) = (text("kind"), text("apiVersion"));
        if kind.ends_with("List")
            && let Some(Value::Array(items)) = value.get("items")
        {
            items.iter().for_each(|item| self.add_value(file, line, item));
        } else if kind == "Secret" && matches!(version, "v1" | "") {
            self.plain_secret(file, line, value);
        } else if kind == "SealedSecret" && version.starts_with("bitnami.com/") {
            self.sealed_secret(file, line, value);
        } else if is_kustomization(file, kind) {
            self.kustomization(file, line, value);
        } else if is_values(file) {
            self.values(file, line, "", value);
        }
    }

    fn plain_secret(&mut self, file: &str, line: usize, value: &Value) {
        self.checked += 1;
        let count = |section: &str| value.get(section).and_then(Value::as_object).map_or(0, serde_json::Map::len);
        let count = count("data") + count("stringData");
        let metadata = |field: &str| value.pointer(&format!("/metadata/{field}")).and_then(Value::as_str).unwrap_or_default();
        let name = [metadata("namespace"), metadata("name")]
            .iter()
            .filter(|part| !part.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("/");
        if count > 0 {
            let values = if count == 1 { "value" } else { "values" };
            self.add(
                file,
                line,
                Level::Error,
                "plain-secret",
                format!("Secret {name} holds {count} unencrypted {values}"),
                Some(SEAL_AND_CHANGE),
            );
        }
    }

    fn kustomization(&mut self, file: &str, line: usize, value: &Value) {
        for generator in value.get("secretGenerator").and_then(Value::as_array).into_iter().flatten() {
            let literals = generator.get("literals").and_then(Value::as_array).map_or(0, Vec::len);
            if literals > 0 {
                self.checked += 1;
                let name = generator.get("name").and_then(Value::as_str).unwrap_or_default();
                let message = format!("secretGenerator {name} holds {literals} unencrypted literals");
                self.add(file, line, Level::Error, "plain-secret", message, Some(SEAL_AND_CHANGE));
            }
        }
        self.kustomizations.insert(folder_of(file), value.clone());
    }

    /// Helm values are free text: a telling name with a value is worth a look, no more.
    fn values(&mut self, file: &str, line: usize, path: &str, value: &Value) {
        let Some(map) = value.as_object() else { return };
        for (key, value) in map {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if is_telling(key) && value.as_str().is_some_and(|text| !text.is_empty() && !text.contains("{{")) {
                self.add(
                    file,
                    line,
                    Level::Warning,
                    "values-secret",
                    format!("{path} looks like a secret in the clear"),
                    Some(SEAL_AND_CHANGE),
                );
            }
            self.values(file, line, &path, value);
        }
    }

    fn sealed_secret(&mut self, file: &str, line: usize, value: &Value) {
        self.checked += 1;
        let sealed: SealedSecret = match serde_json::from_value(value.clone()) {
            Ok(sealed) => sealed,
            Err(error) => {
                return self.add(
                    file,
                    line,
                    Level::Error,
                    "unreadable",
                    format!("SealedSecret that cannot be read: {error}"),
                    None,
                );
            }
        };
        let name = crate::cli::secrets::sealed::name_of(&sealed);
        if sealed.metadata.name.as_deref().unwrap_or_default().is_empty() {
            self.add(file, line, Level::Error, "no-name", "SealedSecret without metadata.name".to_owned(), None);
        }
        for (key, text) in &sealed.spec.encrypted_data {
            if let Some((code, message)) = defect(text) {
                self.add(
                    file,
                    line,
                    Level::Error,
                    code,
                    format!("SealedSecret {name}: item {key:?} {message}"),
                    Some("seal this key again"),
                );
            }
        }
        self.sealed.push(Sealed { file: file.to_owned(), line, sealed });
    }

    /// Compares the objects with each other and with the kustomizations beside them. Call it once, after all files.
    pub fn conclude(&mut self) {
        let mut seen: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        let mut findings = Vec::new();
        for one in &self.sealed {
            let name = crate::cli::secrets::sealed::name_of(&one.sealed);
            let folder = folder_of(&one.file);
            let mut add = |level, code, message: String, hint| {
                findings.push(Finding { file: one.file.clone(), line: one.line, level, code, message, hint });
            };
            let here = format!("{}:{}", one.file, one.line);
            let first =
                if name.contains('/') { Some(places.entry(name.clone()).or_insert_with(|| here.clone()).clone()) } else { None };
            if let Some(other) = seen.insert((folder.clone(), name.clone()), here.clone()) {
                add(Level::Error, "duplicate", format!("SealedSecret {name} is also in {other}"), Some("remove one of them"));
            } else if let Some(first) = first.filter(|first| *first != here) {
                add(
                    Level::Warning,
                    "sealed-twice",
                    format!("SealedSecret {name} is sealed in {first} too; in one cluster only one of them can be"),
                    Some("remove one of them, unless they are for different clusters"),
                );
            }
            if let Some(message) = self.kustomizations.get(&folder).and_then(|values| disagreement(&one.sealed, values)) {
                add(
                    Level::Error,
                    "kustomization",
                    format!("SealedSecret {name} {message}"),
                    Some("seal it for the final name: --as-name NAMESPACE/NAME"),
                );
            }
        }
        self.findings.extend(findings);
        self.findings.sort_by(|a, b| (&a.file, a.line, a.code).cmp(&(&b.file, b.line, b.code)));
    }
}

/// Whether the kustomization beside an object makes another one of it than the one that its template says it was sealed for.
fn disagreement(sealed: &SealedSecret, kustomization: &Value) -> Option<String> {
    let field = |name: &str| kustomization.get(name).and_then(Value::as_str).unwrap_or_default();
    let own = Target::of(&sealed.metadata);
    let sealed_for = recorded_place(sealed, &own).unwrap_or_else(|| own.clone());
    let namespace = if field("namespace").is_empty() { &own.namespace } else { field("namespace") };
    let name = format!("{}{}{}", field("namePrefix"), own.name, field("nameSuffix"));
    let becomes = Target::new(namespace, name, own.scope);
    let differs = becomes.label() != sealed_for.label() && !(sealed_for.namespace.is_empty() && own.scope != Scope::Strict);
    differs.then(|| format!("was sealed for {sealed_for}, but the kustomization makes it {becomes} (scope {})", own.scope))
}

fn folder_of(file: &str) -> String {
    Path::new(file).parent().map(|folder| folder.display().to_string()).unwrap_or_default()
}

fn is_kustomization(file: &str, kind: &str) -> bool {
    let name = Path::new(file).file_name().and_then(|name| name.to_str());
    matches!(kind, "Kustomization" | "Component")
        || matches!(name, Some("kustomization.yaml" | "kustomization.yml" | "Kustomization"))
}

fn is_values(file: &str) -> bool {
    let name = Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("values") && Path::new(name).extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn is_telling(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "passwd", "secretkey", "apikey", "api_key", "privatekey", "token"].iter().any(|word| key.ends_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(files: &[(&str, &str)]) -> Vec<String> {
        let mut scan = Scan::default();
        files.iter().for_each(|(file, text)| scan.add_file(file, text));
        scan.conclude();
        assert!(!format!("{:?}", scan.findings).contains("marker"), "a value is shown");
        scan.findings.iter().map(|one| format!("{}:{} {}", one.file, one.line, one.code)).collect()
    }

    const SEALED: &str = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db, namespace: web}\nspec:\n  encryptedData: {}\n";

    #[test]
    fn plain_secrets_are_found_wherever_they_hide() {
        let list = "kind: ConfigMap\n---\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a}, data: {x: bWFya2Vy}}\n";
        assert_eq!(codes(&[("l.yaml", list)]), ["l.yaml:3 plain-secret"]);
        assert_eq!(codes(&[("s.json", r#"{"kind": "Secret", "stringData": {"x": "marker"}}"#)]), ["s.json:1 plain-secret"]);
        let generator = "secretGenerator:\n- name: g\n  literals: [x=marker]\n";
        assert_eq!(codes(&[("a/kustomization.yaml", generator)]), ["a/kustomization.yaml:1 plain-secret"]);
        assert_eq!(codes(&[("values.yaml", "db: {password: marker, tokenTtl: 5m}\n")]), ["values.yaml:1 values-secret"]);
        assert_eq!(codes(&[("s.yaml", "kind: Secret\nmetadata: {name: empty}\n")]), [""; 0]);
    }

    #[test]
    fn what_cannot_be_read_is_not_passed_over() {
        assert_eq!(codes(&[("a.yaml", "kind: ConfigMap\n---\nkind: Secret\n  x: [\n")])[0].split(' ').nth(1), Some("unreadable"));
        assert_eq!(codes(&[("t.yaml", "kind: Secret\nname: {{ .x }}\n")]), ["t.yaml:2 template"]);
    }

    #[test]
    fn objects_that_cannot_open_where_they_end_up_are_found() {
        let kustomization = "namespace: prod\nresources: [db.yaml]\n";
        assert_eq!(codes(&[("o/db.yaml", SEALED), ("o/kustomization.yaml", kustomization)]), ["o/db.yaml:1 kustomization"]);
        assert_eq!(codes(&[("o/db.yaml", SEALED), ("o/kustomization.yaml", "namespace: web\n")]), [""; 0]);
        assert_eq!(
            codes(&[("o/a.yaml", SEALED), ("o/b.yaml", SEALED), ("p/c.yaml", SEALED)]),
            ["o/b.yaml:1 duplicate", "p/c.yaml:1 sealed-twice"]
        );
        let anywhere = SEALED.replace(", namespace: web", "");
        assert_eq!(codes(&[("o/a.yaml", &anywhere), ("p/a.yaml", &anywhere)]), [""; 0], "a kustomization names the namespace");
        let broken = SEALED.replace("{}", "{a: 'AgB x'}");
        assert_eq!(codes(&[("o/a.yaml", &broken)]), ["o/a.yaml:1 base64"]);
    }
}
