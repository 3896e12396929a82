//! Every recorded answer of the originals is ours too, except for the differences that are listed with their reasons.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{FunctionSet, Map, MissingKey, Options, StillWorld, Text, Value, render};

#[derive(Deserialize)]
struct Group {
    name: String,
    dot: String,
    #[serde(default)]
    missingkey: String,
    #[serde(default)]
    data: serde_json::Map<String, serde_json::Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    template: String,
    expected: Option<String>,
    expected_hex: Option<String>,
    error: Option<String>,
}

/// A case in which we answer something else than the original, on purpose.
#[derive(Deserialize)]
struct Difference {
    template: String,
    ours: String,
    why: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/go-template")
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn ours(group: &Group, template: &str) -> String {
    let (data, functions) = if group.dot == "json" {
        (Value::from_json(&serde_json::Value::Object(group.data.clone())), FunctionSet::ApplicationSets)
    } else {
        let texts = group.data.iter().map(|(key, value)| (Text::from(key.as_str()), Text::from(value.as_str().unwrap())));
        (Value::Map(Map::of_texts(texts.collect())), FunctionSet::SealedSecrets)
    };
    let missing_key = match group.missingkey.as_str() {
        "" => MissingKey::Default,
        option => MissingKey::from_option(&format!("missingkey={option}")).unwrap(),
    };
    let options = Options { missing_key, functions, confidential: false };
    match render("t", template, &data, options, &mut StillWorld::new()) {
        Ok(text) => match std::str::from_utf8(text.as_bytes()) {
            Ok(text) => format!("text: {text}"),
            Err(_) => format!("hex: {}", hex::encode(text.as_bytes())),
        },
        Err(error) => format!("error: {error}"),
    }
}

fn theirs(case: &Case) -> String {
    match case {
        Case { expected: Some(text), .. } => format!("text: {text}"),
        Case { expected_hex: Some(hex), .. } => format!("hex: {hex}"),
        Case { error: Some(error), .. } => format!("error: {error}"),
        Case { template, .. } => panic!("no answer is recorded for {template}"),
    }
}

fn files() -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = all
        .filter(|path| path.extension().is_some_and(|ending| ending == "json") && !path.ends_with("differences.json"))
        .collect();
    found.sort();
    found
}

#[test]
fn we_answer_what_go_and_sprig_answer() {
    let differences: Vec<Difference> = read(&folder().join("differences.json"));
    let mut listed: BTreeMap<&str, &Difference> = differences.iter().map(|known| (known.template.as_str(), known)).collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in files() {
        for group in read::<Vec<Group>>(&file) {
            for case in &group.cases {
                count += 1;
                let (ours, theirs) = (ours(&group, &case.template), theirs(case));
                let place = || format!("{} ({}): {}", file.file_name().unwrap().display(), group.name, case.template);
                match listed.remove(case.template.as_str()) {
                    Some(known) if known.ours == ours && ours != theirs => assert!(!known.why.is_empty()),
                    Some(known) => {
                        wrong.push(format!("{}\n  listed {}\n  ours   {ours}\n  theirs {theirs}", place(), known.ours))
                    }
                    None if ours == theirs => {}
                    None => wrong.push(format!("{}\n  ours   {ours}\n  theirs {theirs}", place())),
                }
            }
        }
    }
    wrong.extend(listed.keys().map(|template| format!("differences.json: there is no case {template}")));
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 400, "only {count} cases were found");
}

#[test]
fn every_function_has_a_case() {
    let mut words = BTreeSet::new();
    for file in files() {
        for group in read::<Vec<Group>>(&file) {
            for case in &group.cases {
                words.extend(case.template.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned));
            }
        }
    }
    let missing: Vec<&str> =
        FunctionSet::ApplicationSets.all().map(|(_, function)| function.name).filter(|name| !words.contains(*name)).collect();
    assert!(missing.is_empty(), "no case calls {missing:?}");
}
