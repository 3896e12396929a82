//! `tests/fixtures/diff/<case>/`: `target.yaml`, `live.yaml`, `expected` (same, differs, undecided); `app.yaml` is an
//! Application's `ignoreDifferences`, `config.yaml` the data of `argocd-cm`, `respected.yaml` what a sync with
//! `RespectIgnoreDifferences=true` applies.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use super::*;
use crate::customisation::Customisations;
use crate::resource::{Object, yaml};

fn read<T: serde::de::DeserializeOwned + Default>(path: &Path) -> T {
    let Ok(text) = fs::read_to_string(path) else { return T::default() };
    serde_json::from_value(yaml::parse_one(&text).unwrap()).unwrap()
}

#[test]
fn every_case_of_a_comparison_gets_its_verdict() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diff");
    let mut count = 0;
    for case in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let (target, live): (Object, Object) = (read(&case.join("target.yaml")), read(&case.join("live.yaml")));
        let customisations = Customisations::from_config_map(&read(&case.join("config.yaml")));
        assert_eq!(customisations.problems, [], "{name}");
        let app: Vec<_> = read(&case.join("app.yaml"));
        let rules = Rules::of(&live.key(), &app, &customisations).with_owners(&live);
        let verdict = match compare_locally(&target, &live, &rules) {
            Verdict::Same => "same",
            Verdict::Differs => "differs",
            Verdict::Undecided => "undecided",
        };
        assert_eq!(verdict, fs::read_to_string(case.join("expected")).unwrap().trim(), "{name}");
        if case.join("respected.yaml").exists() {
            let respected: Object = read(&case.join("respected.yaml"));
            assert_eq!(with_ignored_of(&target, &live, &rules).to_value(), respected.to_value(), "{name}");
        }
        count += 1;
    }
    assert!(count >= 15, "only {count} cases");
}
