//! What a chart consists of, and what its templates call.

use std::collections::BTreeSet;

use crate::source::{EntryKind, SourceTree, texts_of_archive};

use super::super::RenderError;
use super::dependencies::{self, Dependency, Missing};

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
/// Fields that say the same in every render, because nothing is ever installed.
const FIXED: &[(&str, &str)] = &[("Release.IsInstall", "true"), ("Release.IsUpgrade", "false"), ("Release.Revision", "1")];

/// The folders of a chart and of those it depends on through `file://`, and what is missing in its `charts/`.
pub(super) struct Chart {
    pub(super) folders: Vec<String>,
    pub(super) missing: Missing,
    pub(super) has_links: bool,
    pub(super) warnings: Vec<String>,
}

/// Looks at a chart. A folder that is not there is left to Helm, which says so.
pub(super) fn walk(tree: &SourceTree, folder: &str) -> Result<Chart, RenderError> {
    let listed = dependencies::listed(tree, folder)?;
    let mut chart = Chart {
        folders: vec![folder.to_owned()],
        missing: dependencies::missing(tree, folder, &listed)?,
        has_links: false,
        warnings: Vec::new(),
    };
    for (dependency, inner) in &chart.missing.local {
        let known = chart.folders.contains(inner);
        if !known && tree.entry(inner)?.is_some_and(|entry| entry.kind == EntryKind::Directory) {
            chart.warnings.extend(left_out(tree, dependency, inner)?);
            chart.folders.push(inner.clone());
        }
    }
    for folder in &chart.folders {
        chart.has_links |= tree.list(folder, true)?.iter().any(|entry| entry.kind == EntryKind::Symlink);
    }
    Ok(chart)
}

/// Helm packs a chart of another folder as it is; what that one depends on in turn, it leaves out without a word.
fn left_out(tree: &SourceTree, dependency: &Dependency, folder: &str) -> Result<Vec<String>, RenderError> {
    let listed = dependencies::listed(tree, folder)?;
    let missing = dependencies::missing(tree, folder, &listed).unwrap_or_default();
    let names = missing.local.into_iter().map(|(one, _)| one.name).chain(missing.remote.into_iter().map(|one| one.name));
    let warning = |name| {
        format!(
            "the chart `{}` in `{folder}` depends on `{name}`, which is not in its charts/ folder, so Helm leaves it out; commit it there",
            dependency.name
        )
    };
    Ok(names.map(warning).collect())
}

/// One sentence for each template that never gives the same answer, or that asks the cluster or for what nobody knows.
/// `of` stands in front of their paths.
pub(super) fn changing_templates(tree: &SourceTree, folders: &[String], of: &str) -> Result<Vec<String>, RenderError> {
    let mut warnings = Vec::new();
    for folder in folders {
        for entry in tree.list(folder, true)? {
            let inside = entry.path.strip_prefix(folder.as_str()).unwrap_or(&entry.path);
            if !dependencies::is_file(&entry) {
                continue;
            }
            if inside.contains("charts/") && inside.ends_with(".tgz") {
                for (path, text) in texts_of_archive(&tree.read(&entry)?, is_template) {
                    warnings.extend(warnings_of(&format!("{of}{}: {path}", entry.path), &text));
                }
            } else if is_template(inside) {
                let text = String::from_utf8_lossy(&tree.read(&entry)?).into_owned();
                warnings.extend(warnings_of(&format!("{of}{}", entry.path), &text));
            }
        }
    }
    Ok(warnings)
}

fn is_template(path: &str) -> bool {
    path.contains("templates/")
}

fn warnings_of(path: &str, template: &str) -> Vec<String> {
    let called = calls(template);
    let mut warnings = Vec::new();
    if let Some(function) = CHANGING.iter().find(|function| called.contains(*function)) {
        warnings.push(format!(
            "`{path}` calls {function}, which gives something else in every render: a new commit or a restart of the controller \
             makes the application OutOfSync"
        ));
    }
    if called.contains("lookup") {
        warnings.push(format!("`{path}` calls lookup, which finds nothing where charts are rendered"));
    }
    for (field, value) in FIXED {
        if called.iter().any(|word| word.trim_start_matches(['$', '.']) == *field) {
            warnings.push(format!("`{path}` reads .{field}, which is always {value} where charts are rendered"));
        }
    }
    warnings
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
        let template = "now {{ now | quote }} {{- /* uuidv4 */ -}} {{ .Values.lookup }} {{ printf \"genCA\" (randAlpha 5) }}";
        let called = calls(template);
        assert!(called.contains("now") && called.contains("randAlpha"));
        assert!(!called.contains("uuidv4") && !called.contains("lookup") && !called.contains("genCA"), "{called:?}");
    }

    #[test]
    fn what_never_compares_equal_is_named() {
        let named = |template: &str| warnings_of("t.yaml", template).join("\n");
        assert!(named("{{ $key := genPrivateKey \"rsa\" }}").contains("`t.yaml` calls genPrivateKey"));
        assert!(named("{{ if (lookup \"v1\" \"Secret\" \"a\" \"b\") }}").contains("calls lookup"));
        assert!(named("{{ if .Release.IsInstall }}").contains(".Release.IsInstall, which is always true"));
        assert!(named("{{ if $.Release.IsUpgrade }}").contains("always false"));
        assert!(named("{{ .Values.now }} {{ .Release.Name }} {{ include \"now\" . }}").is_empty());
    }
}
