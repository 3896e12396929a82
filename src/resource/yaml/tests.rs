#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Cases in which we answer otherwise than the original, with the reason.
const DIFFERENT: &[(&str, &str)] = &[
    ("22_json", "the escape `\\/` is JSON's and YAML 1.2's; kubectl reads such a file as JSON and takes it too"),
    ("10d_tab_blockscalar", "a tab after the indentation of a block scalar is content in YAML 1.2; nothing is misread"),
];

/// Numbers by value: `1000.0` is 1000, `-0` is 0.
fn by_value(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap();
            if float.fract() == 0.0 && float.abs() < 1e15 { json!(float as i64) } else { json!(float) }
        }
        Value::Array(items) => items.into_iter().map(by_value).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, by_value(value))).collect(),
        other => other,
    }
}

fn case_matches(input: &str, expected: &str) -> Result<(), String> {
    let answer = parse_one(input);
    match (expected.strip_prefix("ERR "), answer) {
        (Some(_), Err(_)) => Ok(()),
        (Some(problem), Ok(value)) => Err(format!("expected the error `{problem}`, got {value}")),
        (None, Err(error)) => Err(format!("expected {expected}, got the error `{error}`")),
        (None, Ok(value)) => {
            // The deepest case is deeper than serde_json reads; as text it compares as well.
            let same = match serde_json::from_str::<Value>(expected) {
                Ok(expected) => by_value(value.clone()) == by_value(expected),
                Err(_) => format!("{value}") == expected,
            };
            if same { Ok(()) } else { Err(format!("expected {expected}, got {value}")) }
        }
    }
}

#[test]
fn answers_as_the_original() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubernetes-yaml");
    let mut cases = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        cases += 1;
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let input = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
        let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap();
        let known = DIFFERENT.iter().any(|(case, _)| *case == name);
        match (case_matches(&input, expected.trim_end()), known) {
            (Err(problem), false) => wrong.push(format!("{name}: {problem}")),
            (Ok(()), true) => wrong.push(format!("{name}: matches now; take it off the list")),
            _ => {}
        }
    }
    assert!(cases >= 60, "only {cases} cases were found");
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn splits_streams_as_kubectl() {
    let values = |text: &str| {
        parse_stream(text).map(|all| all.into_iter().map(|document| (document.line, document.value)).collect::<Vec<_>>())
    };
    assert_eq!(
        values("---\na: 1\n---\n# nothing\n--- # c\nb: 2\n---\nnull\n").unwrap(),
        [(1, json!({"a": 1})), (6, json!({"b": 2}))]
    );
    assert_eq!(values("a: 1\r\n---\r\nb: 2\r\n").unwrap(), [(1, json!({"a": 1})), (3, json!({"b": 2}))]);
    assert_eq!(values("\n{\"a\": \"x\\/y\"}\n{\"b\": 2}").unwrap(), [(2, json!({"a": "x/y"})), (3, json!({"b": 2}))]);
    assert_eq!(values("{\"a\": 1}\n---\nb: yes\n").unwrap(), [(1, json!({"a": 1})), (2, json!({"b": true}))]);
    assert_eq!(values("").unwrap(), []);
    assert_eq!(values("a: |\n  ---\n  x\n").unwrap(), [(1, json!({"a": "---\nx\n"}))]);
    assert!(values("{apiVersion: v1}").is_err(), "a stream that starts with a brace is JSON");
}

#[test]
fn errors_name_the_line_of_the_stream() {
    let error = parse_stream("a: 1\n---\nb: 2\n---\nc: 3\nd: [\n").unwrap_err();
    assert!((6..=7).contains(&error.line), "{error}");
    assert_eq!(parse_stream("a: 1\n---\nb: .inf\n").unwrap_err().line, 3);
    assert_eq!(parse_stream("{\"a\": 1}\n{\"b\": }").unwrap_err().line, 2);
}

#[test]
fn writes_what_reads_back() {
    let tricky = [
        "",
        " ",
        "yes",
        "No",
        "on",
        "y",
        "~",
        "null",
        "true",
        "0644",
        "0o644",
        "0x1F",
        "1e3",
        "1_000",
        ".5",
        "5.",
        ".inf",
        "2001-12-14",
        "12:30:45",
        "- a",
        "a: b",
        "a:",
        "#a",
        "a #b",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "{a",
        "[a",
        "|",
        ">",
        "a\nb",
        "a\nb\n",
        "a\n\n",
        "\n",
        "\na",
        " a\nb",
        "a \nb",
        "a\tb",
        "\ta",
        "tab\t\nx",
        "x\n---\ny",
        "---",
        "...",
        "\u{85}",
        "\u{2028}x\ny",
        "\u{feff}a",
        "\u{7f}",
        "😀",
        "<<",
        "=",
        "a\\b",
        "\"q\"",
        "'q'",
        "a, b",
        "key\nline",
        "1.2.3",
        "v1",
        "1.20",
        "10Mi",
        "100m",
        "-1",
        "+1",
        "é",
        "a\r\nb",
        "\u{0}",
    ];
    for text in tricky {
        let value = json!({"v": text, "l": [text, [text, {text: text}]], "m": {text: {"x": [{}, []]}}});
        let yaml = to_yaml(&value);
        assert_eq!(parse_one(&yaml).unwrap_or_else(|error| panic!("{text:?}: {error}\n{yaml}")), value, "{yaml}");
        if !text.contains('\u{0}') {
            assert_eq!(parse_stream(&yaml).unwrap().len(), 1, "{yaml}");
        }
    }
}

#[test]
fn looks_like_kubectl_prints() {
    let value = json!({"apiVersion": "v1", "data": {"a": "yes", "script": "one\ntwo\n"}, "kind": "ConfigMap", "list": [{"a": 1, "b": [1, 2]}, "x"], "none": {}});
    insta::assert_snapshot!(to_yaml(&value), @r#"
    apiVersion: v1
    data:
      a: "yes"
      script: |
        one
        two
    kind: ConfigMap
    list:
    - a: 1
      b:
      - 1
      - 2
    - x
    none: {}
    "#);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e6f64..1e6).prop_filter("whole numbers come back as integers", |float| float.fract() != 0.0).prop_map(Value::from),
        "[ -~\n\t]{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[ -~\n]{0,8}", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_survives_a_round_trip(value in any_value()) {
        let yaml = to_yaml(&value);
        prop_assert_eq!(parse_one(&yaml).map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?, value);
    }

    #[test]
    fn no_text_makes_the_reader_fail_hard(text in "[ -~\n\t]{0,60}") {
        let _ = parse_stream(&text);
    }
}

/// kubectl itself reads what we write and finds the same object in it. Needs the program of `make tools`.
#[test]
fn kubectl_reads_back_what_is_written() {
    let kubectl = crate::testing::tool("kubectl");
    let data = json!({
        "bool": "yes", "octal": "0644", "exponent": "1e3", "nothing": "null", "empty": "", "date": "2001-12-14", "sixty": "12:30:45",
        "script": "#!/bin/sh\necho 'a: b'\n", "tabs": "a\tb\n\tc", "space": " x ", "on": "off", "y": "n", "merge": "<<", "colon": "a: b", "cr": "a\r\nb",
    });
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "y"}, "data": data});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("object.yaml");
    std::fs::write(&file, to_yaml(&object)).unwrap();
    let output = std::process::Command::new(kubectl)
        .args(["label", "--local", "-o", "json", "-f"])
        .arg(&file)
        .arg("a=b")
        .env("KUBECONFIG", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["data"], object["data"]);
}
