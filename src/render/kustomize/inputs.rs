//! What a kustomize build reads, found by walking kustomization files.
//!
//! Everything the build may read has to be among the inputs, for a missing one would mean a stale answer. So whatever is not
//! understood (plugins, Helm charts, remote bases, links, unknown fields) makes the whole commit the input. The walk goes on all
//! the same: whether anything lies on another machine decides whether the build gets the network.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::source::{EntryKind, SourceError, SourceTree, clean_path};

use super::super::{Input, RenderError, detect};

/// Fields that hold no paths.
const PLAIN: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "commonLabels",
    "labels",
    "commonAnnotations",
    "images",
    "imageTags",
    "replicas",
    "vars",
    "buildMetadata",
    "sortOptions",
    "generatorOptions",
];
/// Lists of files and folders with kustomizations.
const RESOURCES: &[&str] = &["resources", "bases", "components"];
/// Lists of files.
const FILES: &[&str] = &["crds", "configurations"];
/// Lists of maps with a `path`.
const WITH_PATH: &[&str] = &["patches", "patchesJson6902", "replacements"];
/// Lists of generators of ConfigMaps and Secrets.
const GENERATORS: &[&str] = &["configMapGenerator", "secretGenerator"];

/// What a build reads.
pub(super) struct Inputs {
    /// Exactly these paths, `None` for what must not be there; or anything in the commit.
    exact: Option<BTreeMap<String, Option<String>>>,
    uses_environment: bool,
    remote: bool,
}

/// Something that is not understood.
struct NotUnderstood;

enum Stop {
    NotUnderstood,
    Failed(SourceError),
}

impl From<NotUnderstood> for Stop {
    fn from(_: NotUnderstood) -> Self {
        Self::NotUnderstood
    }
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        match error {
            // The build may still find it in its own way, or say so better.
            SourceError::PathOutside { .. } | SourceError::PathMissing { .. } | SourceError::SymlinkOutside { .. } => {
                Self::NotUnderstood
            }
            other => Self::Failed(other),
        }
    }
}

/// Finds the inputs of the kustomization in a folder, given its content as it will be built.
pub(super) fn find(tree: &SourceTree, folder: &str, kustomization: &Value) -> Result<Inputs, RenderError> {
    let folders = BTreeSet::from([folder.to_owned()]);
    let mut walk = Walk { tree, paths: BTreeMap::new(), folders, understood: true, uses_environment: false, remote: false };
    let files = walk.kustomization_files(folder).map(drop);
    walk.note(files)?;
    let read = walk.kustomization(folder, kustomization);
    walk.note(read)?;
    Ok(Inputs { exact: walk.understood.then_some(walk.paths), uses_environment: walk.uses_environment, remote: walk.remote })
}

impl Inputs {
    /// The inputs for the key and for the caller.
    pub(super) fn listed(&self, tree: &SourceTree) -> Vec<Input> {
        match &self.exact {
            Some(paths) => paths.iter().map(|(path, id)| Input { path: path.clone(), id: id.clone() }).collect(),
            None => vec![Input { path: String::new(), id: Some(tree.root_id()) }],
        }
    }

    /// The paths to check out, or `None` for all.
    pub(super) fn paths(&self) -> Option<Vec<String>> {
        let paths = self.exact.as_ref()?;
        Some(paths.iter().filter(|(_, id)| id.is_some()).map(|(path, _)| path.clone()).collect())
    }

    /// True when the output may depend on environment variables: an env file may name one without a value.
    pub(super) fn may_use_environment(&self) -> bool {
        self.uses_environment || self.exact.is_none()
    }

    /// True when a part of it lies on another machine, so that nothing here tells whether it changed.
    pub(super) const fn remote(&self) -> bool {
        self.remote
    }
}

struct Walk<'t> {
    tree: &'t SourceTree,
    paths: BTreeMap<String, Option<String>>,
    folders: BTreeSet<String>,
    understood: bool,
    uses_environment: bool,
    remote: bool,
}

impl Walk<'_> {
    /// Remembers that something is not understood, and goes on.
    fn note(&mut self, step: Result<(), Stop>) -> Result<(), SourceError> {
        match step {
            Ok(()) => Ok(()),
            Err(Stop::NotUnderstood) => {
                self.understood = false;
                Ok(())
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Notes which kustomization files a folder has and lacks; returns the path of the only one.
    fn kustomization_files(&mut self, folder: &str) -> Result<String, Stop> {
        let mut present = Vec::new();
        for name in detect::KUSTOMIZATION_NAMES {
            let path = clean_path(&format!("{folder}/{name}"))?;
            let entry = self.tree.entry(&path)?;
            if entry.as_ref().is_some_and(|entry| !matches!(entry.kind, EntryKind::File | EntryKind::Executable)) {
                return Err(NotUnderstood.into());
            }
            if entry.is_some() {
                present.push(path.clone());
            }
            self.paths.insert(path, entry.map(|entry| entry.id));
        }
        match present.as_slice() {
            [only] => Ok(only.clone()),
            _ => Err(NotUnderstood.into()),
        }
    }

    fn folder(&mut self, folder: &str) -> Result<(), Stop> {
        if !self.folders.insert(folder.to_owned()) {
            return Ok(());
        }
        let path = self.kustomization_files(folder)?;
        let entry = self.tree.entry(&path)?.ok_or(NotUnderstood)?;
        let kustomization = super::read(self.tree, &entry).map_err(|_| NotUnderstood)?;
        self.kustomization(folder, &kustomization)
    }

    fn kustomization(&mut self, folder: &str, kustomization: &Value) -> Result<(), Stop> {
        for (field, value) in kustomization.as_object().ok_or(NotUnderstood)? {
            let field = field.as_str();
            if PLAIN.contains(&field) || value.is_null() {
                continue;
            }
            if field == "openapi" {
                let read = self.path_of(folder, value);
                self.note(read)?;
                continue;
            }
            let Some(items) = value.as_array() else {
                self.understood = false;
                continue;
            };
            for item in items {
                let read = self.item(folder, field, item);
                self.note(read)?;
            }
        }
        Ok(())
    }

    fn item(&mut self, folder: &str, field: &str, item: &Value) -> Result<(), Stop> {
        match field {
            _ if RESOURCES.contains(&field) => self.resource(folder, text(item)?),
            _ if FILES.contains(&field) => self.file(folder, text(item)?),
            _ if WITH_PATH.contains(&field) => self.path_of(folder, item),
            _ if GENERATORS.contains(&field) => self.generator(folder, item),
            "patchesStrategicMerge" => self.file_or_inline(folder, text(item)?),
            "helmCharts" => {
                self.remote |= item.get("repo").and_then(Value::as_str).is_some_and(|repo| !repo.is_empty());
                Err(NotUnderstood.into())
            }
            _ => {
                // Generators and transformers may be folders as well, with bases of their own.
                let looked = item.as_str().map_or(Ok(()), |path| self.resource(folder, path));
                self.note(looked)?;
                Err(NotUnderstood.into())
            }
        }
    }

    fn resource(&mut self, folder: &str, path: &str) -> Result<(), Stop> {
        let path = self.local(folder, path)?;
        match self.tree.entry(&path)?.map(|entry| entry.kind) {
            Some(EntryKind::Directory) => self.folder(&path),
            _ => self.file("", &path),
        }
    }

    /// A file that has to be there.
    fn file(&mut self, folder: &str, path: &str) -> Result<(), Stop> {
        let path = self.local(folder, path)?;
        let entry = self.tree.entry(&path)?.ok_or(NotUnderstood)?;
        if !matches!(entry.kind, EntryKind::File | EntryKind::Executable) {
            return Err(NotUnderstood.into());
        }
        self.paths.insert(path, Some(entry.id));
        Ok(())
    }

    /// An entry of `patchesStrategicMerge`: what is no file is the patch itself.
    fn file_or_inline(&mut self, folder: &str, text: &str) -> Result<(), Stop> {
        if text.contains('\n') { Ok(()) } else { self.file(folder, text) }
    }

    fn path_of(&mut self, folder: &str, item: &Value) -> Result<(), Stop> {
        match item.as_object().ok_or(NotUnderstood)?.get("path") {
            None | Some(Value::Null) => Ok(()),
            Some(path) => self.file(folder, text(path)?),
        }
    }

    fn generator(&mut self, folder: &str, item: &Value) -> Result<(), Stop> {
        let item = item.as_object().ok_or(NotUnderstood)?;
        for field in ["env", "envs"] {
            self.uses_environment |= item.get(field).is_some_and(|value| !value.is_null());
        }
        if let Some(env) = item.get("env").filter(|value| !value.is_null()) {
            self.file(folder, text(env)?)?;
        }
        for field in ["envs", "files"] {
            for entry in item.get(field).and_then(Value::as_array).into_iter().flatten() {
                let entry = text(entry)?;
                // `key=path`, or a path whose last part is the key.
                let path = if field == "files" { entry.split_once('=').map_or(entry, |(_, path)| path) } else { entry };
                self.file(folder, path)?;
            }
        }
        Ok(())
    }

    /// A path from the root of the repository; what looks like a URL is not understood.
    fn local(&mut self, folder: &str, path: &str) -> Result<String, Stop> {
        if path.contains('\n') {
            return Err(NotUnderstood.into());
        }
        if let Ok(local) = clean_path(&format!("{folder}/{path}"))
            && !path.starts_with('/')
            && self.tree.entry(&local)?.is_some()
        {
            return Ok(local);
        }
        self.remote |= looks_remote(path);
        Err(NotUnderstood.into())
    }
}

/// True for the forms in which a kustomization names a file or a repository on another machine. One on this machine is none of its
/// business.
///
/// Source: Kustomize 5.8, remote targets.
fn looks_remote(path: &str) -> bool {
    const PREFIXES: [&str; 4] = ["git::", "git@", "gh:", "github.com:"];
    let first = path.split('/').next().unwrap_or_default();
    let names_a_host = path.contains('/') && !first.starts_with('.') && first.contains('.');
    !path.starts_with("file:") && path.contains("://") || PREFIXES.iter().any(|prefix| path.starts_with(prefix)) || names_a_host
}

fn text(value: &Value) -> Result<&str, NotUnderstood> {
    value.as_str().ok_or(NotUnderstood)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_forms_are_told_from_paths() {
        for remote in [
            "https://host/x.yaml",
            "github.com/org/repo//base?ref=v1",
            "git@host.example:org/repo",
            "ssh://git@host/repo",
            "git::https://host/repo",
            "host.example/repo.git/base",
        ] {
            assert!(looks_remote(remote), "{remote}");
        }
        for local in ["../base", "./a.b/c", "cm.yaml", "base/cm.yaml", "/etc/passwd", "..a/b", "file:///cache/git/x"] {
            assert!(!looks_remote(local), "{local}");
        }
    }
}
