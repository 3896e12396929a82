//! Walks `tests/fixtures/health/<group or core>/<Kind>/<verdict>-<situation>.yaml`.
//!
//! The first word of the name is the expected verdict, `none` for a kind without a rule; a `.message` file beside it holds
//! the expected message.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{RULES, assess};
use crate::resource::Object;
use crate::resource::yaml::parse_one;

struct Case {
    kind: String,
    verdict: String,
    path: PathBuf,
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/health");
    let mut found = Vec::new();
    for group in children(&root) {
        for kind in children(&group) {
            for path in children(&kind).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "yaml")) {
                let verdict = name(&path).split('-').next().unwrap().to_owned();
                found.push(Case { kind: format!("{}/{}", name(&group), name(&kind)), verdict, path });
            }
        }
    }
    found
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// File names have no empty group.
fn folder_of(group: &str, kind: &str) -> String {
    format!("{}/{kind}", if group.is_empty() { "core" } else { group })
}

#[test]
fn every_case_gets_its_verdict() {
    let mut wrong = Vec::new();
    for case in cases() {
        let live = Object::from_value(parse_one(&fs::read_to_string(&case.path).unwrap()).unwrap()).unwrap();
        assert_eq!(folder_of(live.group(), live.kind()), case.kind, "{}", case.path.display());
        let health = assess(&live);
        let verdict = health.as_ref().map_or_else(|| "none".to_owned(), |health| health.status.as_str().to_lowercase());
        let message = health.map(|health| health.message).unwrap_or_default();
        let expected = fs::read_to_string(case.path.with_extension("message")).ok();
        if verdict != case.verdict || expected.is_some_and(|expected| expected.trim_end_matches('\n') != message) {
            wrong.push(format!("{}: {verdict} \"{message}\"", case.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_cases_for_more_than_one_verdict() {
    let mut verdicts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for case in cases() {
        verdicts.entry(case.kind).or_default().insert(case.verdict);
    }
    for rule in RULES {
        let folder = folder_of(rule.group, rule.kind);
        let tested = verdicts.get(&folder).map_or(0, BTreeSet::len);
        assert!(tested > 1, "{folder}: {tested} verdicts have a case in tests/fixtures/health/{folder}");
    }
}

#[test]
fn rules_are_sorted_and_unique() {
    assert!(RULES.is_sorted_by(|one, next| (one.group, one.kind) < (next.group, next.kind)));
}
