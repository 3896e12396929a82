#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn read(pairs: &[(&str, &str)]) -> Customisations {
    Customisations::from_config_map(&pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
}

fn script(found: &Customisations, group: &str, kind: &str) -> Option<String> {
    found.health_script(&GroupKind::new(group, kind)).map(|script| script.source)
}

#[test]
fn an_exact_key_beats_a_pattern_and_a_split_key_beats_the_map() {
    let found = read(&[
        (
            PREFIX,
            "a.io/A:\n  health.lua: map\n  health.lua.useOpenLibs: true\n'*.io/*':\n  health.lua: pattern\n'Pod':\n  health.lua: pod\n",
        ),
        ("resource.customizations.health.b.io_B", "split"),
        ("resource.customizations.health.a.io_A", "wins"),
        ("resource.customizations.health.all", "all"),
    ]);
    assert_eq!(found.problems, []);
    assert_eq!(script(&found, "a.io", "A").unwrap(), "wins");
    assert!(found.health_script(&GroupKind::new("a.io", "A")).unwrap().open_libs, "the map's other aspects stay");
    assert_eq!(script(&found, "b.io", "B").unwrap(), "split");
    assert_eq!(script(&found, "c.io", "C").unwrap(), "pattern");
    assert_eq!(script(&found, "apps", "Deployment").unwrap(), "all");
    assert_eq!(script(&found, "", "Pod").unwrap(), "pod");
    assert_eq!(script(&found, "", "Service"), None, "a pattern with a slash is not about the core group");
}

#[test]
fn ignored_differences_are_rules_of_their_kinds_and_all_includes_the_core_group() {
    let found = read(&[
        ("resource.customizations.ignoreDifferences.all", "managedFieldsManagers: [kube-controller-manager]"),
        (
            "resource.customizations.ignoreDifferences.apps_Deployment",
            "jsonPointers:\n- /spec/replicas\njqPathExpressions: ['.a']\n",
        ),
        (PREFIX, "Service:\n  ignoreDifferences: |\n    jsonPointers: [/spec/clusterIP]\n"),
    ]);
    let told: Vec<(&str, &str)> = found.ignore_differences().iter().map(|one| (one.group.as_str(), one.kind.as_str())).collect();
    assert_eq!(told, [("*", "*"), ("", "Service"), ("apps", "Deployment")]);
    assert_eq!(found.ignore_differences()[2].jq_path_expressions, [".a"]);
}

/// A typing error in one entry must not take the others away, and must not make us overwrite what it meant to protect.
#[test]
fn a_broken_entry_concerns_its_own_kind_only() {
    let found = read(&[
        ("resource.customizations.ignoreDifferences.apps_Deployment", "jsonPointers: /spec/replicas"),
        ("resource.customizations.ignoreDifferences.apps_StatefulSet", "jsonPointers: [/spec/replicas]"),
        ("resource.customizations.healt.apps_Deployment", "x"),
        ("resource.customizations.useOpenLibs.a_B", "maybe"),
        ("resource.customizations.health.a_b_c", "x"),
        (COMPARE_OPTIONS, "ignoreResourceStatusField: sometimes"),
    ]);
    let keys: Vec<&str> = found.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert!(found.problems.iter().all(|problem| !problem.cause.is_empty() && !problem.hint.is_empty()));
    assert!(found.problem_of(&GroupKind::new("apps", "Deployment")).is_some());
    assert!(found.problem_of(&GroupKind::new("apps", "StatefulSet")).is_none());
    assert_eq!(found.ignore_differences().len(), 1);
    assert_eq!(found.compare, CompareOptions::default());
}

#[test]
fn compare_options_as_texts_and_as_yaml_words() {
    let options = |text: &str| read(&[(COMPARE_OPTIONS, text)]).compare;
    assert!(options("ignoreAggregatedRoles: true").ignore_aggregated_roles);
    assert_eq!(options("ignoreResourceStatusField: crd").ignore_status, StatusFields::Crd);
    for off in ["off", "none", "'false'", "false"] {
        assert_eq!(options(&format!("ignoreResourceStatusField: {off}")).ignore_status, StatusFields::None, "{off}");
    }
    assert!(!options("ignoreDifferencesOnResourceUpdates: false").ignore_differences_on_updates);
    assert!(read(&[]).is_empty());
}

#[test]
fn known_types_are_read() {
    let found = read(&[("resource.customizations.knownTypeFields.a.io_B", "- field: spec.cpu\n  type: core/Quantity\n")]);
    assert_eq!(found.known_types(&GroupKind::new("a.io", "B"))[0].type_, "core/Quantity");
}
