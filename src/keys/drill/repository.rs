//! Finds the SealedSecrets of a repository, and what in it renames or moves objects.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Renaming;
use crate::api::SealedSecret;
use crate::resource::yaml;

/// A SealedSecret in a file.
#[derive(Debug, Clone)]
pub struct Found {
    /// The file, relative to the repository.
    pub file: String,
    /// Line on which the document begins.
    pub line: usize,
    /// The object.
    pub sealed: SealedSecret,
}

/// A file that may hold SealedSecrets and cannot be read, so that nothing is proven for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The file, relative to the repository.
    pub file: String,
    /// Why.
    pub problem: String,
}

/// What a repository holds that matters to the drill.
#[derive(Debug, Clone, Default)]
pub struct Repository {
    /// Its SealedSecrets, by file and line.
    pub sealed: Vec<Found>,
    /// Files that speak of SealedSecrets and cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// What kustomizations and Applications do to names and namespaces.
    pub renamings: BTreeSet<Renaming>,
}

/// Reads every YAML and JSON file below a folder, except under `.git` and the paths in `skip`. Symbolic links are not followed.
///
/// # Errors
/// When a folder or file cannot be read: a drill that overlooks files proves nothing.
pub fn read_repository(root: &Path, skip: &[PathBuf]) -> io::Result<Repository> {
    let mut repository = Repository::default();
    for path in files(root, skip)? {
        let relative = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        repository.add_file(&relative, &text);
    }
    Ok(repository)
}

fn files(root: &Path, skip: &[PathBuf]) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if entry.file_name() == ".git" || skip.iter().any(|skipped| path.starts_with(root.join(skipped))) {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && is_manifest(&path) {
                found.insert(path);
            }
        }
    }
    Ok(found)
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json")) || path.file_name().is_some_and(|name| name == "Kustomization")
}

impl Repository {
    fn add_file(&mut self, file: &str, text: &str) {
        match yaml::parse_stream(text) {
            Ok(documents) => documents.into_iter().for_each(|document| self.add_value(file, document.line, document.value)),
            // Helm templates and the like are no YAML; they matter only if they may hold what must be proven.
            Err(error) if text.contains("SealedSecret") => {
                self.unreadable.push(Unreadable { file: file.to_owned(), problem: error.to_string() });
            }
            Err(_) => {}
        }
    }

    fn add_value(&mut self, file: &str, line: usize, mut value: Value) {
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if kind.ends_with("List")
            && let Some(Value::Array(items)) = value.get_mut("items")
        {
            std::mem::take(items).into_iter().for_each(|item| self.add_value(file, line, item));
        } else if kind == "SealedSecret" && api_version.starts_with("bitnami.com/") {
            self.add_sealed(file, line, value);
        } else if kind == "Application" && api_version.starts_with("argoproj.io/") {
            self.renamings.extend(of_application(&value));
        } else if is_kustomization(file, &kind) {
            self.renamings.extend(of_kustomization(&value));
        }
    }

    fn add_sealed(&mut self, file: &str, line: usize, value: Value) {
        match serde_json::from_value(value) {
            Ok(sealed) => self.sealed.push(Found { file: file.to_owned(), line, sealed }),
            Err(error) => self.unreadable.push(Unreadable { file: format!("{file}:{line}"), problem: error.to_string() }),
        }
    }
}

fn is_kustomization(file: &str, kind: &str) -> bool {
    let name = Path::new(file).file_name().and_then(|name| name.to_str());
    matches!(kind, "Kustomization" | "Component")
        || matches!(name, Some("kustomization.yaml" | "kustomization.yml" | "Kustomization"))
}

fn of_kustomization(value: &Value) -> Option<Renaming> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let renaming = Renaming {
        prefix: text("namePrefix"),
        suffix: text("nameSuffix"),
        namespace: Some(text("namespace")).filter(|namespace| !namespace.is_empty()),
    };
    (renaming != Renaming::default()).then_some(renaming)
}

/// The destination and the Kustomize options of each source.
fn of_application(value: &Value) -> Vec<Renaming> {
    let destination = value.pointer("/spec/destination/namespace").and_then(Value::as_str).map(str::to_owned);
    let sources =
        value.pointer("/spec/sources").and_then(Value::as_array).into_iter().flatten().chain(value.pointer("/spec/source"));
    let mut renamings: Vec<Renaming> = sources.filter_map(|source| of_kustomization(source.get("kustomize")?)).collect();
    for renaming in &mut renamings {
        renaming.namespace = renaming.namespace.take().or_else(|| destination.clone());
    }
    if destination.is_some() {
        renamings.push(Renaming { namespace: destination, ..Renaming::default() });
    }
    renamings
}
