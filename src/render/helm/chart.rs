//! What a chart consists of: its folder, charts in other folders that it names with `file://`, and what its templates call.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::resource::yaml;
use crate::source::{EntryKind, SourceTree, clean_path};

use super::super::{RenderError, directory};

/// Most charts that are reached through `file://`.
const MAX_CHARTS: usize = 100;
/// Functions whose answer is another one in every render.
const CHANGING: &[&str] = &[
    "randAlphaNum",
    "randAlpha",
    "randAscii",
    "randNumeric",
    "randBytes",
    "randInt",
    "uuidv4",
    "now",
    "ago",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "htpasswd",
    "bcrypt",
    "encryptAES",
    "shuffle",
];

/// The folders of a chart and of those it depends on through `file://`, and its dependencies from elsewhere.
pub(super) struct Chart {
    pub(super) folders: Vec<String>,
    /// Name and repository of dependencies that only a network has.
    pub(super) remote: Vec<(String, String)>,
    pub(super) has_links: bool,
}

/// Walks a chart. A dependency that is not there is left to Helm, which says so.
pub(super) fn walk(tree: &SourceTree, folder: &str) -> Result<Chart, RenderError> {
    let mut chart = Chart { folders: Vec::new(), remote: Vec::new(), has_links: false };
    let (mut open, mut seen) = (vec![folder.to_owned()], BTreeSet::new());
    while let Some(folder) = open.pop() {
        if seen.len() == MAX_CHARTS || !seen.insert(folder.clone()) {
            continue;
        }
        let entries = tree.list(&folder, true)?;
        chart.has_links |= entries.iter().any(|entry| entry.kind == EntryKind::Symlink);
        for (name, repository) in dependencies(tree, &folder)? {
            if let Some(path) = repository.strip_prefix("file://") {
                let target = clean_path(&format!("{folder}/{path}"))
                    .map_err(|_| RenderError::option("path", format!("the dependency `{name}` leads out of the repository")))?;
                if tree.entry(&target)?.is_some_and(|entry| entry.kind == EntryKind::Directory) {
                    open.push(target);
                }
            } else if !repository.is_empty() {
                chart.remote.push((name, repository));
            }
        }
        chart.folders.push(folder);
    }
    Ok(chart)
}

/// Name and repository of each dependency in `Chart.yaml`, or `requirements.yaml` of the oldest charts.
fn dependencies(tree: &SourceTree, folder: &str) -> Result<Vec<(String, String)>, RenderError> {
    let mut found = Vec::new();
    for file in ["Chart.yaml", "requirements.yaml"] {
        let path = clean_path(&format!("{folder}/{file}"))?;
        let entry = tree.entry(&path)?.filter(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Executable));
        let Some(entry) = entry else { continue };
        // Helm judges the file itself, and says what is wrong with it.
        let Ok(chart) = yaml::parse_one(&directory::decode(&path, tree.read(&entry)?)?) else { continue };
        let text = |dependency: &Value, field| dependency[field].as_str().unwrap_or_default().to_owned();
        let list = chart["dependencies"].as_array().into_iter().flatten();
        found.extend(list.map(|dependency| (text(dependency, "name"), text(dependency, "repository"))));
    }
    Ok(found)
}

/// One sentence for each template that never gives the same answer, or that asks the cluster.
pub(super) fn changing_templates(tree: &SourceTree, folders: &[String]) -> Result<Vec<String>, RenderError> {
    let mut warnings = Vec::new();
    for folder in folders {
        for entry in tree.list(folder, true)? {
            if !entry.path.contains("templates/") || !matches!(entry.kind, EntryKind::File | EntryKind::Executable) {
                continue;
            }
            let text = String::from_utf8_lossy(&tree.read(&entry)?).into_owned();
            let called = calls(&text);
            if let Some(function) = CHANGING.iter().find(|function| called.contains(*function)) {
                warnings.push(format!(
                    "`{}` calls {function}, which gives something else in every render; a new commit or a restart of the \
                     controller makes the application OutOfSync",
                    entry.path
                ));
            }
            if called.contains("lookup") {
                warnings.push(format!("`{}` calls lookup, which finds nothing where charts are rendered", entry.path));
            }
        }
    }
    Ok(warnings)
}

/// The words inside `{{ }}`, strings and comments left out.
fn calls(template: &str) -> BTreeSet<&str> {
    let mut words = BTreeSet::new();
    for action in template.split("{{").skip(1) {
        let action = action.split("}}").next().unwrap_or_default();
        if action.trim_start_matches('-').trim_start().starts_with("/*") {
            continue;
        }
        let code = action.split(['"', '`']).step_by(2);
        words.extend(code.flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '$' | '_'))));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_count() {
        let called =
            calls("now {{ now | quote }} {{- /* uuidv4 */ -}} {{ .Values.lookup }} {{ printf \"genCA\" (randAlpha 5) }}");
        assert!(called.contains("now") && called.contains("randAlpha"));
        assert!(!called.contains("uuidv4") && !called.contains("lookup") && !called.contains("genCA"), "{called:?}");
    }
}
