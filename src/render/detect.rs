//! Which tool renders a source, and the override files that may change its options.
//!
//! Source: Argo CD 3.5 tool detection (reference section 1.5).

use serde_json::Value;

use crate::api::application::ApplicationSource;
use crate::resource::yaml;
use crate::source::{Entry, EntryKind, SourceTree};

use super::{AppIdentity, RenderError, SourceType, Tools};

/// Names of a kustomization file.
pub(super) const KUSTOMIZATION_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Applies `.argocd-source.yaml` and `.argocd-source-<instance>.yaml` of the path as merge patches.
///
/// They change tool options; where the files come from is put back afterwards.
pub(super) fn with_overrides(
    source: &ApplicationSource,
    tree: &SourceTree,
    files: &[Entry],
    app: &AppIdentity,
) -> Result<ApplicationSource, RenderError> {
    let names = [".argocd-source.yaml".to_owned(), format!(".argocd-source-{}.yaml", app.instance_name)];
    let mut changed = source.clone();
    for name in names {
        let Some(entry) = files.iter().find(|entry| file_name(entry) == name && is_file(entry)) else { continue };
        let text = super::directory::decode(&entry.path, tree.read(entry)?)?;
        let patch = yaml::parse_one(&text).map_err(|error| RenderError::InvalidManifest {
            origin: entry.path.clone(),
            line: error.line,
            problem: error.problem,
        })?;
        changed = patched(&changed, &patch).map_err(|error| RenderError::InvalidManifest {
            origin: entry.path.clone(),
            line: 1,
            problem: error.to_string(),
        })?;
    }
    changed.repo_url.clone_from(&source.repo_url);
    changed.path.clone_from(&source.path);
    changed.chart.clone_from(&source.chart);
    changed.target_revision.clone_from(&source.target_revision);
    Ok(changed)
}

fn patched(source: &ApplicationSource, patch: &Value) -> Result<ApplicationSource, serde_json::Error> {
    if patch.is_null() {
        return Ok(source.clone());
    }
    let mut value = serde_json::to_value(source)?;
    merge(&mut value, patch);
    serde_json::from_value(value)
}

/// JSON merge patch, RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, change) in patch {
        if change.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), change);
        }
    }
}

/// The tool: an explicit block that says something, else what the files of the path show. One that the installation has switched
/// off leaves a plain directory.
pub(super) fn source_type(source: &ApplicationSource, files: &[Entry], tools: &Tools) -> Result<SourceType, RenderError> {
    let helm = source.helm.as_ref().is_some_and(|helm| !is_empty(helm));
    let kustomize =
        source.kustomize.as_ref().is_some_and(|kustomize| *kustomize != crate::api::application::Kustomize::default());
    let directory =
        source.directory.as_ref().is_some_and(|directory| *directory != crate::api::application::Directory::default());
    // An empty plugin block means "discover one", so its presence counts.
    let plugin = source.plugin.is_some();
    let present = [
        (helm, "helm", SourceType::Helm),
        (kustomize, "kustomize", SourceType::Kustomize),
        (directory, "directory", SourceType::Directory),
        (plugin, "plugin", SourceType::Plugin),
    ];
    let explicit: Vec<_> = present.into_iter().filter(|(present, _, _)| *present).collect();
    match explicit.as_slice() {
        [] => Ok(discover(files, tools)),
        [(_, _, only)] if tools.enables(*only) => Ok(*only),
        [_] => Ok(SourceType::Directory),
        several => Err(RenderError::SeveralTools { tools: several.iter().map(|(_, name, _)| *name).collect() }),
    }
}

/// The last of the telling files in lexical order decides, and every kustomization sorts after `Chart.yaml`.
fn discover(files: &[Entry], tools: &Tools) -> SourceType {
    let has = |matching: &dyn Fn(&str) -> bool| {
        files.iter().any(|entry| entry.kind != EntryKind::Directory && matching(file_name(entry)))
    };
    if tools.enables(SourceType::Kustomize) && has(&|name| KUSTOMIZATION_NAMES.contains(&name)) {
        SourceType::Kustomize
    } else if tools.enables(SourceType::Helm) && has(&|name| name.ends_with("Chart.yaml")) {
        SourceType::Helm
    } else {
        SourceType::Directory
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn is_file(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::File | EntryKind::Executable)
}

pub(super) fn file_name(entry: &Entry) -> &str {
    entry.path.rsplit_once('/').map_or(&entry.path, |(_, name)| name)
}
