#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::health::HealthCode;

fn told(table: &str, object: serde_json::Value) -> Option<String> {
    let sections = parse::table(table).unwrap();
    let health = eval::assess(&sections[0].lines, &Object::from_value(object).unwrap())?;
    Some(format!("{} {}", health.status, health.message))
}

#[test]
fn every_table_can_be_read_and_no_kind_is_in_two_places() {
    let mut seen = BTreeSet::new();
    for (name, text) in TABLES {
        let sections = parse::table(text).map_err(|error| format!("{name}.table, {error}")).unwrap();
        for kind in sections.iter().flat_map(|section| &section.kinds) {
            assert!(seen.insert(kind.clone()), "{kind} is in two places");
            let own = |rule: &&super::super::Rule| format!("{}/{}", rule.group, rule.kind) == *kind;
            assert!(!super::super::RULES.iter().any(|rule| own(&rule)), "{kind} has a rule of its own");
        }
    }
    assert!(seen.len() > 200, "{}", seen.len());
}

#[test]
fn the_first_line_that_holds_decides() {
    let table = "[a/B]\neach status.conditions type=Ready\n  Degraded status=False \"{message|reason|'why?'}\"\n  Healthy status=True\nProgressing \"waiting for {kind}\"\n";
    let object = |conditions| json!({ "kind": "B", "status": { "conditions": conditions } });
    let ready = |status: &str| json!({ "type": "Ready", "status": status, "reason": "Because" });
    assert_eq!(told(table, object(json!([]))).unwrap(), "Progressing waiting for B");
    assert_eq!(told(table, object(json!([ready("False")]))).unwrap(), "Degraded Because");
    assert_eq!(told(table, object(json!([{ "type": "Other", "status": "False" }, ready("True")]))).unwrap(), "Healthy ");
}

#[test]
fn tests_of_a_line() {
    let object = json!({ "a": 1, "b": 2, "t": true, "f": false, "e": "", "s": "Some Text", "list": [{ "x": 1 }, { "x": 2 }],
        "n": null, "d": { "x.y/z-1": "5" }, "same": 1.0, "words": ["u", "v"] });
    let holds = [
        "a",
        "t",
        "e",
        "!f",
        "!n",
        "!q",
        "a=1",
        "a=0|1",
        "a!=2",
        "q!=1",
        "s^=Some",
        "s~=text",
        "a==same",
        "a<>b",
        "q==n",
        "a<b",
        "b>=2",
        "b-a<2",
        "q?3>b",
        "#list=2",
        "#q=0",
        "list.1.x=1",
        "list.last.x=2",
        "d.'x.y/z-1'>4",
        "e=''",
        "s='Some Text'",
        "some(list x=2)",
        "no(list x=3)",
        "every(list x>0)",
        "count(words .=u)<=1",
        "some(list x==$a)",
    ];
    let not = ["f", "n", "q", "!a", "a=2", "a!=1", "s^=Text", "q<1", "a>b", "some(list x=3)", "every(list x=1)", "some(q x)"];
    for (tests, expected) in [(&holds[..], true), (&not[..], false)] {
        for test in tests {
            let table = format!("[a/B]\nHealthy {test}\n");
            assert_eq!(told(&table, object.clone()).is_some(), expected, "{test}");
        }
    }
}

#[test]
fn messages() {
    let object = json!({ "kind": "B", "sha": "0123456789", "list": [{ "k": "x", "ok": true }, { "k": "y" }], "words": ["u", "v"], "map": { "b": { "m": 2 }, "a": { "m": 1 } } });
    let cases = [
        ("{kind:lower} {sha:7}", "b 0123456"),
        ("{q|'none'} {q|kind}", "none B"),
        ("{join ', ' list '{@}={k}'}", "1=x, 2=y"),
        ("{list 'bad: ' list !ok '{k}' '. '}{list 'none: ' list k=z '{k}' ''}", "bad: y. "),
        ("{count list ok} of {#list}", "1 of 2"),
        ("{join '+' words '{.}'}", "u+v"),
        ("{join ' ' map '{@}{m}'}", "a1 b2"),
        ("a{maybe ' (' sha ')'}{maybe ' (' q ')'}", "a (0123456789)"),
        ("{join ' ' list `{k}{maybe ':' ok '!'}`}", "x:true! y"),
        ("two\\nlines", "two\nlines"),
    ];
    for (message, expected) in cases {
        let table = format!("[a/B]\nHealthy \"{message}\"\n");
        assert_eq!(told(&table, object.clone()).unwrap(), format!("Healthy {expected}"), "{message}");
    }
}

#[test]
fn a_mistake_in_a_table_is_named_with_its_line() {
    for (table, line) in [
        ("Healthy\n", "line 1"),
        ("[a/B]\nFine\n", "line 2"),
        ("[a/B]\n  Healthy\n", "line 2"),
        ("[a/B]\neach\n", "line 2"),
        ("[a/B]\nHealthy \"open\n", "line 2"),
        ("[a/B]\nHealthy \"{open\"\n", "line 2"),
        ("[a/B]\nHealthy a<b?c\n", "line 2"),
    ] {
        assert!(parse::table(table).unwrap_err().starts_with(line), "{table}");
    }
}

#[test]
fn an_exact_kind_wins_over_a_pattern() {
    let object =
        |group: &str, kind: &str| Object::from_value(json!({ "apiVersion": format!("{group}/v1"), "kind": kind })).unwrap();
    let status = |group: &str, kind: &str| assess(&object(group, kind)).flatten().map(|health| health.status);
    assert_eq!(status("s3.aws.crossplane.io", "Bucket"), Some(HealthCode::Progressing));
    assert_eq!(status("s3.aws.crossplane.io", "BucketPolicy"), Some(HealthCode::Healthy));
    assert!(assess(&object("unknown.example.com", "Thing")).is_none());
    assert!(kinds().iter().any(|kind| kind == "cert-manager.io/Certificate"));
}
