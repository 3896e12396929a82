//! What a chart depends on: charts in other folders that it names with `file://`, charts in its own `charts/`, and charts from
//! elsewhere.
//!
//! Source: Helm 4 `dependency build`: only the chart itself is looked at, not the charts it depends on; versions are those of the
//! lock file where there is one.

use serde_json::Value;

use crate::resource::yaml;
use crate::source::{Charts, Entry, EntryKind, Freshness, Origin, SourceTree, clean_path, version};

use super::super::{RenderError, directory};

/// One entry of `dependencies` in `Chart.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Version or constraint; the version of the lock file once that was looked at.
    pub(super) version: String,
    pub(super) repository: String,
    /// Another name, for a chart that is there twice; empty for none.
    pub(super) alias: String,
}

/// What has to be brought into `charts/` before Helm can render.
#[derive(Debug, Clone, Default)]
pub(super) struct Missing {
    /// Folders of this repository, from its root.
    pub(super) local: Vec<(Dependency, String)>,
    pub(super) remote: Vec<Dependency>,
}

/// A dependency from elsewhere whose version is known.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) origin: Origin,
}

/// The dependencies of the chart in a folder, from `Chart.yaml`, or `requirements.yaml` of the oldest charts.
///
/// Helm judges these files itself, and says what is wrong with them.
pub(super) fn listed(tree: &SourceTree, folder: &str) -> Result<Vec<Dependency>, RenderError> {
    let mut found = Vec::new();
    for file in ["Chart.yaml", "requirements.yaml"] {
        found.extend(read(tree, folder, file)?.unwrap_or_default());
    }
    Ok(found)
}

fn read(tree: &SourceTree, folder: &str, file: &str) -> Result<Option<Vec<Dependency>>, RenderError> {
    let path = clean_path(&format!("{folder}/{file}"))?;
    let Some(entry) = tree.entry(&path)?.filter(is_file) else { return Ok(None) };
    let text = directory::decode(&path, tree.read(&entry)?)?;
    let Ok(chart) = yaml::parse_one(&text) else { return Ok(None) };
    let list = chart["dependencies"].as_array().into_iter().flatten();
    Ok(Some(list.map(dependency).collect()))
}

fn dependency(value: &Value) -> Dependency {
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    // A version that looks like a number is one in YAML.
    let version = if value["version"].is_number() { value["version"].to_string() } else { text("version") };
    Dependency { name: text("name"), version, repository: text("repository"), alias: text("alias") }
}

/// The folder of a `file://` dependency, from the root of the repository.
pub(super) fn folder_of(dependency: &Dependency, chart: &str) -> Result<Option<String>, RenderError> {
    let Some(path) = dependency.repository.strip_prefix("file://") else { return Ok(None) };
    let outside = || {
        let problem = format!("the dependency `{}` leads out of the repository ({})", dependency.name, dependency.repository);
        RenderError::option("path", problem)
    };
    if path.starts_with('/') {
        return Err(outside());
    }
    clean_path(&format!("{chart}/{path}")).map(Some).map_err(|_| outside())
}

/// What is not in `charts/` yet. Where something is missing, the lock file has to fit.
pub(super) fn missing(tree: &SourceTree, chart: &str, dependencies: &[Dependency]) -> Result<Missing, RenderError> {
    let charts = clean_path(&format!("{chart}/charts"))?;
    let present = match tree.entry(&charts)? {
        Some(entry) if entry.kind == EntryKind::Directory => tree.list(&charts, false)?,
        _ => Vec::new(),
    };
    let mut missing = Missing::default();
    let absent = |one: &&Dependency| !one.repository.is_empty() && !present.iter().any(|entry| holds(entry, &one.name));
    let wanted: Vec<&Dependency> = dependencies.iter().filter(absent).collect();
    if wanted.is_empty() {
        return Ok(missing);
    }
    let lock = locked(tree, chart, dependencies)?;
    for one in wanted {
        if let Some(folder) = folder_of(one, chart)? {
            missing.local.push((one.clone(), folder));
        } else {
            let pinned = lock.as_ref().and_then(|lock| lock.iter().find(|entry| entry.name == one.name));
            missing.remote.push(Dependency { version: pinned.unwrap_or(one).version.clone(), ..one.clone() });
        }
    }
    Ok(missing)
}

/// True for the packed or unpacked chart of this name.
fn holds(entry: &Entry, name: &str) -> bool {
    let file = entry.path.rsplit_once('/').map_or(entry.path.as_str(), |(_, file)| file);
    if entry.kind == EntryKind::Directory {
        return file == name;
    }
    let version = file.strip_suffix(".tgz").and_then(|file| file.strip_prefix(name)).and_then(|rest| rest.strip_prefix('-'));
    version.is_some_and(version::is_version)
}

/// The lock file, `None` without one.
fn locked(tree: &SourceTree, chart: &str, dependencies: &[Dependency]) -> Result<Option<Vec<Dependency>>, RenderError> {
    let mut lock = None;
    let mut named = "";
    for (file, of) in [("Chart.lock", "Chart.yaml"), ("requirements.lock", "requirements.yaml")] {
        if lock.is_none() {
            lock = read(tree, chart, file)?;
            named = of;
        }
    }
    let fits = |lock: &[Dependency]| {
        lock.len() == dependencies.len()
            && dependencies.iter().zip(lock).all(|(one, pinned)| {
                one.name == pinned.name && (one.version.is_empty() || version::satisfies(&one.version, &pinned.version))
            })
    };
    match lock {
        Some(lock) if !fits(&lock) => {
            let lock = if named == "Chart.yaml" { "Chart.lock" } else { "requirements.lock" };
            let problem = format!(
                "the lock file ({lock}) is out of sync with the dependencies file ({named}) in `{chart}`. Please update the dependencies"
            );
            Err(RenderError::option("path", problem))
        }
        other => Ok(other),
    }
}

/// Finds out which versions of the dependencies from elsewhere are meant.
pub(super) async fn resolve(remote: &[Dependency], charts: Option<&Charts>, project: &str) -> Result<Vec<Resolved>, RenderError> {
    let mut resolved = Vec::new();
    for one in remote {
        let Some(charts) = charts else {
            return Err(RenderError::NotSupportedYet {
                what: format!("fetching the dependency `{}` of the chart here", one.name),
                instead: "run `helm dependency build` and commit the folder charts/".into(),
            });
        };
        let failed = |error| RenderError::Dependency { name: one.name.clone(), error };
        let origin = charts.origin_of_dependency(&one.repository, &one.name, project).map_err(failed)?;
        let wanted = if one.version.is_empty() { "*" } else { &one.version };
        let version = charts.resolve(&origin, wanted, Freshness::Polled).await.map_err(failed)?;
        resolved.push(Resolved { name: one.name.clone(), version, origin });
    }
    Ok(resolved)
}

pub(super) fn is_file(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::File | EntryKind::Executable)
}
