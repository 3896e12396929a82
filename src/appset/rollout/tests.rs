//! How a rolling sync goes on, and how deletion goes back.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::api::application::IntOrString;

fn set(steps: &Json, statuses: &Json) -> ApplicationSet {
    serde_json::from_value(json!({ "metadata": { "name": "s" }, "spec": { "generators": [], "template": {},
        "strategy": { "type": "RollingSync", "deletionOrder": "reverse", "rollingSync": { "steps": steps } } },
        "status": { "applicationStatus": statuses } }))
    .unwrap()
}

fn app(name: &str, env: &str, sync: &str, health: &str) -> Json {
    let source = json!({ "repoURL": "r", "path": "p" });
    json!({ "metadata": { "name": name, "labels": { "env": env } },
        "spec": { "source": source, "destination": {}, "syncPolicy": { "automated": { "prune": true, "enabled": false } } },
        "status": { "sync": { "status": sync, "revision": "1", "comparedTo": { "source": source, "destination": {} } }, "health": { "status": health } } })
}

fn steps() -> Json {
    json!([{ "matchExpressions": [{ "key": "env", "operator": "In", "values": ["dev"] }] },
           { "matchExpressions": [{ "key": "env", "operator": "In", "values": ["prod"] }], "maxUpdate": "50%" }])
}

fn pass(steps: &Json, statuses: &Json, apps: &[Json]) -> Progress {
    let set = set(steps, statuses);
    let live: Vec<&Json> = apps.iter().collect();
    advance(&set, set.rollout_steps().unwrap(), apps, &live, &|_| false, "2026-11-25T12:00:00Z".parse().unwrap())
}

fn states(progress: &Progress) -> Vec<(String, String)> {
    progress.statuses.iter().map(|one| (one.application.clone(), format!("{} {}", one.step, one.status))).collect()
}

fn expect(progress: &Progress, wanted: &[(&str, &str)]) {
    let wanted: Vec<(String, String)> = wanted.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(states(progress), wanted);
}

#[test]
fn a_step_waits_for_those_before_and_syncs_no_more_than_its_share() {
    let mut apps = vec![
        app("a", "dev", "OutOfSync", "Healthy"),
        app("b", "prod", "OutOfSync", "Healthy"),
        app("c", "prod", "OutOfSync", "Healthy"),
        app("d", "none", "OutOfSync", "Healthy"),
    ];
    let first = pass(&steps(), &json!([]), &apps);
    expect(&first, &[("a", "1 Pending"), ("b", "2 Waiting"), ("c", "2 Waiting"), ("d", "-1 Waiting")]);
    let operation = &first.syncs["a"];
    assert_eq!((first.syncs.len(), &operation["sync"]["prune"], &operation["retry"]["limit"]), (1, &json!(true), &json!(5)));
    // It syncs, fails and stays Progressing: nothing behind it moves.
    apps[0]["status"]["operationState"] = json!({ "phase": "Failed", "startedAt": "2026-11-25T12:00:01Z" });
    let second = pass(&steps(), &serde_json::to_value(&first.statuses).unwrap(), &apps);
    expect(&second, &[("a", "1 Progressing"), ("b", "2 Waiting"), ("c", "2 Waiting"), ("d", "-1 Waiting")]);
    assert!(second.syncs.is_empty() && second.rollout.as_ref().unwrap().progressing);
    apps[0]["status"]["sync"]["status"] = json!("Synced");
    let third = pass(&steps(), &serde_json::to_value(&second.statuses).unwrap(), &apps);
    expect(&third, &[("a", "1 Healthy"), ("b", "2 Pending"), ("c", "2 Waiting"), ("d", "-1 Waiting")]);
    // Later trouble does not take Healthy away; another revision does.
    apps[0]["status"]["health"]["status"] = json!("Degraded");
    let fourth = pass(&steps(), &serde_json::to_value(&third.statuses).unwrap(), &apps);
    assert_eq!(fourth.statuses[0].status, "Healthy");
    apps[0]["status"]["sync"] = json!({ "status": "OutOfSync", "revision": "2" });
    let fifth = pass(&steps(), &serde_json::to_value(&fourth.statuses).unwrap(), &apps);
    assert_eq!((fifth.statuses[0].status.as_str(), fifth.statuses[0].target_revisions[0].as_str()), ("Pending", "2"));
}

#[test]
fn percentages_are_floored_with_at_least_one_and_zero_is_never() {
    let of = |text: &str| max_update(Some(&IntOrString::String(text.into())), 9);
    assert_eq!((of("50%"), of("1%"), of("0%"), of("0"), of("3"), of("x")), (4, 1, 0, 0, 3, 1));
    assert_eq!((max_update(None, 9), max_update(Some(&IntOrString::Int(0)), 9)), (9, 0));
}

#[test]
fn not_in_selects_what_lacks_the_label_and_exists_is_an_error() {
    let lacking = json!([{ "matchExpressions": [{ "key": "tier", "operator": "NotIn", "values": ["x"] }] }]);
    expect(&pass(&lacking, &json!([]), &[app("a", "dev", "OutOfSync", "")]), &[("a", "1 Pending")]);
    let exists = json!([{ "matchExpressions": [{ "key": "env", "operator": "Exists" }] }]);
    let progress = pass(&exists, &json!([]), &[app("a", "dev", "OutOfSync", "")]);
    expect(&progress, &[("a", "-1 Waiting")]);
    assert!(progress.rollout.unwrap().invalid.unwrap().contains("\"Exists\""));
}

#[test]
fn automated_syncs_are_held_on_all_of_them() {
    let mut apps = [json!({ "spec": { "syncPolicy": { "automated": { "prune": true } } } }), json!({ "spec": {} })];
    hold_automated_syncs(&mut apps);
    assert_eq!(apps[0]["spec"]["syncPolicy"]["automated"], json!({ "prune": true, "enabled": false }));
    assert_eq!(apps[1], json!({ "spec": {} }));
}

#[test]
fn deletion_goes_backwards_one_by_one() {
    let set = set(&steps(), &json!([]));
    let apps = [app("a", "dev", "", ""), app("b", "prod", "", ""), app("z", "none", "", "")];
    let mut owned: Vec<&Json> = apps.iter().collect();
    let next = |owned: &[&Json]| next_deletion(&set, owned, &[]).map(|step| step.map(|step| step.name().to_owned()));
    assert_eq!(next(&owned), Some(Some("b".into())));
    let mut going = apps[1].clone();
    going["metadata"]["deletionTimestamp"] = json!("t");
    owned[1] = &going;
    assert_eq!(next(&owned), Some(None), "one at a time");
    owned.remove(1);
    assert_eq!(next(&owned), Some(Some("a".into())));
    owned.remove(0);
    assert_eq!(next(&owned), None, "what no step selects is the garbage collector's");
}
