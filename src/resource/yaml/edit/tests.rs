//! Edits by example, and the two promises for any change: exactly the wanted value, and every other line as it was.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::json;

use super::super::{parse_one, parse_stream};
use super::*;

/// Sets fields of the first document; `null` removes one.
fn change(text: &str, fields: &[(&str, Value)]) -> Result<String, EditError> {
    let document = parse_stream(text).unwrap().remove(0);
    let mut wanted = document.value;
    for (pointer, value) in fields {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = wanted.pointer_mut(parent).unwrap();
        match value {
            Value::Null => drop(parent.as_object_mut().unwrap().remove(key)),
            value => parent[key] = value.clone(),
        }
    }
    edit(text, &[Edit { span: document.span, wanted }])
}

fn becomes(text: &str, fields: &[(&str, Value)], expected: &str) {
    assert_eq!(change(text, fields).unwrap(), expected);
}

#[test]
fn a_scalar_keeps_its_style_and_what_surrounds_it() {
    let text = "# top\na:\n    x: old # why\n    'y': \"old\"\n\n    z: 'old'\n---\nother: [1,  2]\n";
    let fields = [("/a/x", json!("new")), ("/a/y", json!("new")), ("/a/z", json!("new"))];
    becomes(text, &fields, "# top\na:\n    x: new # why\n    'y': \"new\"\n\n    z: 'new'\n---\nother: [1,  2]\n");
}

#[test]
fn windows_line_ends_stay() {
    becomes(
        "a:\r\n  x: old\r\n  y: 1\r\n",
        &[("/a/x", json!("new")), ("/a/z", json!("q"))],
        "a:\r\n  x: new\r\n  y: 1\r\n  z: q\r\n",
    );
}

#[test]
fn block_scalars_are_replaced_whole() {
    becomes("a: |\n  AAAA\n  BBBB\n\n# c\nb: 1\n", &[("/a", json!("CCCC"))], "a: |-\n  CCCC\n\n# c\nb: 1\n");
    becomes("a: >-\n    AAAA\n    BBBB\nb: 1\n", &[("/a", json!("CCCC"))], "a: |-\n    CCCC\nb: 1\n");
}

#[test]
fn entries_come_and_go() {
    let text = "a:\n  x: 1 # one\n  # two\n  y: 2\nb: {}\n";
    becomes(text, &[("/a/z", json!("3"))], "a:\n  x: 1 # one\n  # two\n  y: 2\n  z: \"3\"\nb: {}\n");
    becomes(text, &[("/a/x", Value::Null)], "a:\n  # two\n  y: 2\nb: {}\n");
    becomes(text, &[("/b", json!({"m": {"k": "v"}}))], "a:\n  x: 1 # one\n  # two\n  y: 2\nb:\n  m:\n    k: v\n");
    becomes("a:\n  x: 1\nb: 2\n", &[("/a/x", Value::Null)], "a: {}\nb: 2\n");
    becomes("a:\nb: 2", &[("/a", json!({"k": "v"})), ("/c", json!("d"))], "a:\n  k: v\nb: 2\nc: d");
}

#[test]
fn flow_style_and_json_stay_what_they_are() {
    becomes(
        "v: {a: {x: 1, w: old}} # end\n",
        &[("/v/a/w", json!("new")), ("/v/a/z", json!("q"))],
        "v: {a: {x: 1, w: new, \"z\": \"q\"}} # end\n",
    );
    let json_text = "{\n\t\"a\": {\n\t\t\"x\": \"old\"\n\t}\n}\n";
    becomes(
        json_text,
        &[("/a/x", json!("new")), ("/a/y", json!("q"))],
        "{\n\t\"a\": {\n\t\t\"x\": \"new\",\n\t\t\"y\": \"q\"\n\t}\n}\n",
    );
}

#[test]
fn items_of_lists_and_later_documents_are_reached() {
    let text = "\u{feff}kind: List\nitems:\n- kind: A\n  v: old\n- kind: B\n---\nv: old\n";
    let documents = parse_stream(text).unwrap();
    let edits: Vec<Edit> = documents
        .into_iter()
        .map(|document| {
            let mut wanted = document.value;
            match wanted.pointer_mut("/items/0/v") {
                Some(value) => *value = json!("new"),
                None => wanted["v"] = json!("new"),
            }
            Edit { span: document.span, wanted }
        })
        .collect();
    assert_eq!(edit(text, &edits).unwrap(), "\u{feff}kind: List\nitems:\n- kind: A\n  v: new\n- kind: B\n---\nv: new\n");
}

#[test]
fn what_is_shared_is_refused_and_not_broken() {
    let shared = "a: &v old\nb: *v\n";
    assert!(matches!(change(shared, &[("/a", json!("new"))]), Err(EditError::NotEditable { .. })));
    becomes(shared, &[("/b", json!("new"))], "a: &v old\nb: new\n");
    let merged = "x: &x {k: old}\nz:\n  <<: *x\n";
    assert!(matches!(change(merged, &[("/z/k", json!("new"))]), Err(EditError::NotEditable { line: 3, .. })));
}

#[test]
fn ten_thousand_keys_are_edited_in_one_pass() {
    let mut text = String::from("d:\n");
    (0..10_000).for_each(|n| text.push_str(&format!("  k{n}: old\n")));
    let document = parse_stream(&text).unwrap().remove(0);
    let mut wanted = document.value;
    wanted["d"].as_object_mut().unwrap().values_mut().for_each(|value| *value = json!("new"));
    assert_eq!(edit(&text, &[Edit { span: document.span, wanted }]).unwrap(), text.replace("old", "new"));
}

/// A map of two levels, written in one of several ways, with comments.
fn document() -> impl Strategy<Value = (String, Vec<String>)> {
    let line = (0..5_usize, "[a-zA-Z0-9+/]{1,40}", any::<bool>());
    (prop::collection::vec(line, 1..8), any::<bool>(), 1..5_usize).prop_map(|(lines, crlf, indent)| {
        let pad = " ".repeat(indent);
        let mut text = String::from("# head\nkind: X\nspec: # of it\n");
        let mut keys = Vec::new();
        for (number, (style, value, comment)) in lines.into_iter().enumerate() {
            let written = match style {
                0 => format!("\"{value}\""),
                1 => format!("'{value}'"),
                2 => format!("|-\n{pad}  {value}"),
                3 => format!(">-\n{pad}   {value}"),
                _ => format!("v{value}"),
            };
            let remark = if comment && style != 2 && style != 3 { "  # note" } else { "" };
            text.push_str(&format!("{pad}k{number}: {written}{remark}\n"));
            keys.push(format!("k{number}"));
        }
        text.push_str("tail: [1,   2]   # end\n");
        (if crlf { text.replace('\n', "\r\n") } else { text }, keys)
    })
}

proptest! {
    #[test]
    fn an_edit_gives_the_wanted_value_and_leaves_other_lines_alone(
        (text, keys) in document(), chosen in any::<prop::sample::Index>(), new in "[a-zA-Z0-9+/=]{1,60}",
    ) {
        let key = chosen.get(&keys);
        let edited = change(&text, &[(&format!("/spec/{key}"), json!(new))]).unwrap();
        let mut wanted = parse_one(&text).unwrap();
        wanted["spec"][key] = json!(new);
        prop_assert_eq!(parse_one(&edited).unwrap(), wanted);
        // The lines of every other entry are still there, in order, with their line ends.
        let start = text.find(&format!("{key}: ")).unwrap();
        let rest = &text[start..];
        let after = ["k", "tail"].iter().filter_map(|next| rest[3..].find(&format!("\n{}", if *next == "tail" { "tail" } else { " " }))).min();
        prop_assert!(edited.starts_with(&text[..start]));
        let tail = &text[text.find("tail:").unwrap()..];
        prop_assert!(edited.ends_with(tail));
        prop_assert!(after.is_some());
        prop_assert_eq!(edited.contains("\r\n"), text.contains("\r\n"));
        prop_assert_eq!(edited.matches("# note").count() + 1 >= text.matches("# note").count(), true);
    }
}
