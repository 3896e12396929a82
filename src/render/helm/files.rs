//! Value files: which files of the commit a Helm source names, in the order in which they count.
//!
//! Source: Argo CD 3.5 (reference section 1.8): relative to the chart, `/` is the root of the repository, globs in lexical
//! order at their place; a file that is named keeps its place although a glob matches it as well.

use std::collections::BTreeSet;

use crate::source::{EntryKind, Followed, SourceError, SourceTree, clean_path};

use super::super::environment::Environment;
use super::super::{Input, RenderError};

/// What was found for the paths of a source.
#[derive(Default)]
pub(super) struct Files {
    /// Paths from the root of the repository, in order.
    pub(super) paths: Vec<String>,
    /// What this answer depends on.
    pub(super) inputs: Vec<Input>,
    /// True when a link was followed, so that the paths alone do not say what is read.
    pub(super) linked: bool,
}

/// Finds value files.
pub(super) fn values(
    tree: &SourceTree,
    chart: &str,
    named: &[String],
    ignore_missing: bool,
    environment: &Environment,
) -> Result<Files, RenderError> {
    let mut found = Files::default();
    let mut resolved = Vec::new();
    for name in named {
        resolved.push(path_of(chart, name, environment, "helm.valueFiles")?);
    }
    let explicit: BTreeSet<&String> = resolved.iter().filter(|path| !is_glob(path)).collect();
    for path in &resolved {
        if is_glob(path) {
            let matches = matching(tree, path, &mut found)?;
            if matches.is_empty() && !ignore_missing {
                return Err(RenderError::option("helm.valueFiles", format!("no file matches `{path}`")));
            }
            for file in matches {
                if !explicit.contains(&file) && !found.paths.contains(&file) {
                    found.paths.push(file);
                }
            }
        } else if add(tree, path, &mut found)? {
            found.paths.push(path.clone());
        } else if !ignore_missing {
            return Err(missing("helm.valueFiles", path));
        }
    }
    Ok(found)
}

/// Finds the one file of a file parameter.
pub(super) fn parameter(
    tree: &SourceTree,
    chart: &str,
    name: &str,
    environment: &Environment,
    found: &mut Files,
) -> Result<String, RenderError> {
    let path = path_of(chart, name, environment, "helm.fileParameters")?;
    if add(tree, &path, found)? { Ok(path) } else { Err(missing("helm.fileParameters", &path)) }
}

fn missing(field: &str, path: &str) -> RenderError {
    RenderError::option(field, format!("there is no file `{path}` in the repository"))
}

/// Path from the root of the repository.
fn path_of(chart: &str, name: &str, environment: &Environment, field: &str) -> Result<String, RenderError> {
    if name.starts_with("https://") || name.starts_with("http://") {
        return Err(RenderError::NotSupportedYet {
            what: format!("a value file from a URL (spec.source.{field})"),
            instead: "commit the file to the repository".into(),
        });
    }
    let first = name.split('/').next().unwrap_or_default();
    if let Some(reference) = first.strip_prefix('$')
        && name.contains('/')
        && !environment.0.contains_key(reference.trim_matches(['{', '}']))
    {
        return Err(RenderError::NotSupportedYet {
            what: format!("a file of another source (`{name}` in spec.source.{field})"),
            instead: "keep the file in the repository of the chart".into(),
        });
    }
    let name = environment.substitute(name);
    let path = match name.strip_prefix('/') {
        Some(from_root) => from_root.to_owned(),
        None => format!("{chart}/{name}"),
    };
    clean_path(&path).map_err(|_| RenderError::option(field, format!("`{name}` leads out of the repository")))
}

/// Notes a file as an input; false when there is none.
fn add(tree: &SourceTree, path: &str, found: &mut Files) -> Result<bool, RenderError> {
    let entry = tree.entry(path)?;
    let file = match &entry {
        Some(entry) if entry.kind == EntryKind::Symlink => {
            found.linked = true;
            match tree.follow(entry)? {
                Followed::To(target) => Some(target),
                Followed::Missing => None,
            }
        }
        other => other.clone(),
    };
    found.inputs.push(Input { path: path.to_owned(), id: entry.map(|entry| entry.id) });
    Ok(file.is_some_and(|file| matches!(file.kind, EntryKind::File | EntryKind::Executable)))
}

fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// Files that a glob matches, in lexical order. The folder above the first asterisk is the input: a new file may match.
fn matching(tree: &SourceTree, pattern: &str, found: &mut Files) -> Result<Vec<String>, RenderError> {
    let glob = globset::GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| RenderError::option("helm.valueFiles", format!("`{pattern}`: {}", error.kind())))?
        .compile_matcher();
    let plain = &pattern[..pattern.find(['*', '?', '[']).unwrap_or(pattern.len())];
    let folder = plain.rsplit_once('/').map_or("", |(folder, _)| folder);
    let id = tree.id_of(folder)?;
    let present = id.is_some();
    found.inputs.push(Input { path: folder.to_owned(), id });
    if !present {
        return Ok(Vec::new());
    }
    let entries = match tree.list(folder, true) {
        Ok(entries) => entries,
        Err(SourceError::PathMissing { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut paths = Vec::new();
    for entry in entries.into_iter().filter(|entry| glob.is_match(&entry.path)) {
        if add(tree, &entry.path, found)? {
            paths.push(entry.path);
        }
    }
    Ok(paths)
}
