//! `--merge-into`: adds sealed items to a SealedSecret file.
//!
//! The items are sealed for where that file says it is, scope included. The file keeps its format, and in YAML its comments and
//! the order of its lines; what cannot be kept is refused before anything is written.

use std::path::Path;

use serde_json::{Map, Value};

use super::options::Options;
use super::{certificate, files, input, seal};
use crate::cli::{Context, Failure};
use crate::resource::{Object, yaml};
use crate::sealing::{CLUSTER_WIDE, NAMESPACE_WIDE, Target};

/// Seals the input's values into the file.
pub async fn run(file: &Path, options: &Options, cx: &Context) -> Result<(), Failure> {
    let bytes = files::read_input(options.input.as_deref(), "json/yaml k8s resource")?;
    let certificate = certificate::obtain(options, cx).await?;
    let text = files::read_text(file)?;
    let present = only_document(file, &text)?;
    let target = Target::of(&input::sealed_secret(1, present.clone()).map_err(|failure| in_file(file, failure))?.metadata);
    seal::refuse_mismatch(&target.namespace, options)?;
    if options.scope_is_given && options.scope != target.scope {
        let what = format!("{} has scope {}, and --scope says {}", file.display(), target.scope, options.scope);
        return Err(Failure::new(what).with_hint("leave --scope out; items are sealed for the scope of the file"));
    }
    let mut merged = present.clone();
    for secret in input::secrets(&bytes)? {
        seal::refuse_empty(&secret, options)?;
        merge(&mut merged, &seal::seal_secret(&secret, target.clone(), &certificate)?);
    }
    files::put(Some(file), &rewritten(file, &text, &present, &merged)?)
}

fn in_file(file: &Path, failure: Failure) -> Failure {
    Failure { what: format!("{}: {}", file.display(), failure.what), ..failure }
}

fn only_document(file: &Path, text: &str) -> Result<Value, Failure> {
    let documents = yaml::parse_stream(text).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    let count = documents.len();
    match <[yaml::Document; 1]>::try_from(documents) {
        Ok([document]) => Ok(document.value),
        Err(_) => Err(Failure::new(format!("{} holds {count} documents; merging needs exactly one", file.display()))
            .with_hint("put the SealedSecret into a file of its own")),
    }
}

/// Takes items, labels and annotations over; the scope stays the file's.
fn merge(into: &mut Value, sealed: &Object) {
    let mut take = |path: &[&str]| {
        let Some(Value::Object(new)) = sealed.get(path) else { return };
        let new: Map<String, Value> = new
            .iter()
            .filter(|(name, _)| ![CLUSTER_WIDE, NAMESPACE_WIDE].contains(&name.as_str()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        if new.is_empty() {
            return;
        }
        let mut place = &mut *into;
        for field in path {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[*field];
        }
        match place {
            Value::Object(present) => present.extend(new),
            other => *other = Value::Object(new),
        }
    };
    take(&["spec", "encryptedData"]);
    take(&["spec", "template", "metadata", "labels"]);
    take(&["spec", "template", "metadata", "annotations"]);
}

/// The file's new text.
fn rewritten(file: &Path, text: &str, present: &Value, merged: &Value) -> Result<String, Failure> {
    if text.trim_start().starts_with('{') {
        return Ok(serde_json::to_string_pretty(merged).unwrap_or_default() + "\n");
    }
    let items = |value: &Value| value.pointer("/spec/encryptedData").and_then(Value::as_object).cloned().unwrap_or_default();
    let (before, after) = (items(present), items(merged));
    let mut changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let edited = changed.try_fold(text.to_owned(), |text, (key, value)| with_item(&text, key, value));
    // The proof that editing lines did what was meant.
    if let Some(edited) = edited.filter(|edited| yaml::parse_one(edited).is_ok_and(|value| value == *merged)) {
        return Ok(edited);
    }
    if text.contains('#') {
        return Err(Failure::new(format!("{} holds comments that would be lost", file.display()))
            .with_hint("write encryptedData one item a line, and set labels and annotations of the template by hand"));
    }
    Ok(yaml::to_yaml(merged))
}

/// Sets one line below `encryptedData:`; `None` when the file is not written that way.
fn with_item(text: &str, key: &str, value: &Value) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_head = |line: &&str| matches!(line.trim(), "encryptedData:" | "encryptedData: {}");
    let head = lines.iter().position(is_head)?;
    let indent = |line: &str| line.len() - line.trim_start().len();
    let is_blank = |line: &str| line.trim().is_empty();
    let below = |start: usize, depth: usize| {
        let deeper = lines[start..].iter().take_while(|line| is_blank(line) || indent(line) > depth).count();
        // Blank lines and comments behind the last entry belong to what follows.
        (start..start + deeper)
            .rev()
            .find(|at| !is_blank(lines[*at]) && !lines[*at].trim_start().starts_with('#'))
            .map_or(start, |at| at + 1)
    };
    let end = below(head + 1, indent(lines[head]));
    let entries = lines[head + 1..end].iter().filter(|line| !is_blank(line) && !line.trim_start().starts_with('#'));
    let depth = entries.map(|line| indent(line)).min().unwrap_or(indent(lines[head]) + 2);
    let pair = yaml::to_yaml(&Value::Object(Map::from_iter([(key.to_owned(), value.clone())])));
    let name = pair.split_once(": ")?.0;
    let starts = [format!("{name}:"), format!("\"{key}\":"), format!("'{key}':")];
    let is_entry = |line: &str| indent(line) == depth && starts.iter().any(|start| line.trim_start().starts_with(start));
    let (from, to) = match (head + 1..end).find(|at| is_entry(lines[*at])) {
        Some(at) => (at, below(at + 1, depth).min(end).max(at + 1)),
        None => (end, end),
    };
    let new = format!("{}{pair}", " ".repeat(depth));
    let head_line = lines[head].replace("encryptedData: {}", "encryptedData:");
    let mut out: String = lines[..head].concat() + &head_line + &lines[head + 1..from].concat();
    if !out.ends_with('\n') {
        out.push('\n');
    }
    Some(out + &new + &lines[to..].concat())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn set(text: &str, key: &str) -> String {
        with_item(text, key, &"NEW".into()).unwrap()
    }

    #[test]
    fn an_item_is_added_behind_the_last_and_replaced_in_place() {
        let text = "spec:\n  # why\n  encryptedData:\n    a: AAA # old\n    b: BBB\n\n  # below\n  template: {}\n";
        let expected =
            "spec:\n  # why\n  encryptedData:\n    a: AAA # old\n    b: BBB\n    c: NEW\n\n  # below\n  template: {}\n";
        assert_eq!(set(text, "c"), expected);
        assert_eq!(set(text, "b"), text.replace("BBB", "NEW"));
    }

    #[test]
    fn values_over_several_lines_are_replaced_whole() {
        let text = "spec:\n  encryptedData:\n    a: |\n      AA\n      BB\n    b: B\n";
        assert_eq!(set(text, "a"), "spec:\n  encryptedData:\n    a: NEW\n    b: B\n");
        assert_eq!(set("spec:\n  encryptedData: {}\n", "a"), "spec:\n  encryptedData:\n    a: NEW\n");
        assert_eq!(set("spec:\n  encryptedData:\n    a: A", "b"), "spec:\n  encryptedData:\n    a: A\n    b: NEW\n");
        assert_eq!(with_item("spec: {encryptedData: {a: A}}\n", "b", &"NEW".into()), None);
    }

    #[test]
    fn comments_that_cannot_be_kept_stop_the_merge() {
        let present = serde_json::json!({"spec": {"encryptedData": {"a": "A"}}});
        let merged = serde_json::json!({"spec": {"encryptedData": {"a": "A", "b": "B"}}});
        let rewrite = |text: &str| rewritten(Path::new("f"), text, &present, &merged);
        assert_eq!(rewrite("spec: {encryptedData: {a: A}}\n").unwrap(), yaml::to_yaml(&merged));
        assert!(rewrite("# kept\nspec: {encryptedData: {a: A}}\n").is_err());
    }
}
