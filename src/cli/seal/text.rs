//! The new text of a file with sealed objects. Pure: values and the present text in, text out.

use serde_json::Value;

use super::input::{Format, Source};
use crate::cli::secrets::sealed::{self, Found};
use crate::resource::yaml::{self, Document};

/// A file with SealedSecrets as it is.
pub struct Present {
    pub text: String,
    documents: Vec<Document>,
    pub found: Vec<Found>,
}

impl Present {
    /// Reads a text that is about to be replaced; one that holds something else is nothing to keep.
    pub fn parse(text: String, format: Format) -> Option<Self> {
        let documents = sealed::documents("", &text).ok()?;
        let found = sealed::find("", &documents).ok()?;
        let is_json = text.trim_start().starts_with('{');
        (!found.is_empty() && is_json == (format == Format::Json)).then_some(Self { text, documents, found })
    }

    /// The object of this name and namespace.
    pub fn get(&self, value: &Value) -> Option<&Found> {
        self.found.iter().find(|found| is_same_object(found, value))
    }
}

fn is_same_object(found: &Found, value: &Value) -> bool {
    let field = |name: &str| value.pointer(&format!("/metadata/{name}")).and_then(Value::as_str).unwrap_or_default();
    let metadata = &found.sealed.metadata;
    metadata.name.as_deref().unwrap_or_default() == field("name")
        && metadata.namespace.as_deref().unwrap_or_default() == field("namespace")
}

/// The text of a file that holds exactly these objects. Comments, order and lines of a present one stay as far as they can.
pub fn of_objects(objects: &[Value], present: Option<Present>, format: Format) -> String {
    present.and_then(|present| edited(objects, present)).unwrap_or_else(|| render(objects, format))
}

fn edited(objects: &[Value], present: Present) -> Option<String> {
    let pairs = objects.iter().map(|object| Some((present.get(object)?, object))).collect::<Option<Vec<_>>>()?;
    if present.found.len() != objects.len() {
        return None;
    }
    let differs = |found: &Found, object: &Value| {
        let value = present.documents.get(found.document).and_then(|document| document.value.pointer(&found.pointer));
        value.is_none_or(|value| without_nulls(value) != *object)
    };
    let changes: Vec<_> = pairs
        .into_iter()
        .filter(|(found, object)| differs(found, object))
        .map(|(found, object)| (found, object.clone()))
        .collect();
    sealed::change("", &present.text, &present.documents, &changes).ok()
}

/// Other tools write `creationTimestamp: null`, which says nothing.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), without_nulls(value))).collect()
        }
        other => other.clone(),
    }
}

/// YAML documents, or JSON objects in a row.
pub fn render(objects: &[Value], format: Format) -> String {
    let one = |object: &Value| match format {
        Format::Yaml => yaml::to_yaml(object),
        Format::Json => json(object) + "\n",
    };
    let separator = if format == Format::Yaml { "---\n" } else { "" };
    objects.iter().map(one).collect::<Vec<_>>().join(separator)
}

fn json(value: &Value) -> String {
    // A map of strings always has a JSON form.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The text of a source with its Secrets replaced by these objects, in order. Other documents keep every byte; so do comments
/// around a Secret, but not those within it, which may hold old values.
pub fn in_place(source: &Source, objects: Vec<Value>) -> String {
    let mut documents: Vec<(&Document, Option<Value>)> = source.documents.iter().map(|document| (document, None)).collect();
    for (plain, object) in source.secrets.iter().zip(objects) {
        let Some((document, new)) = documents.get_mut(plain.document) else { continue };
        if let Some(place) = new.get_or_insert_with(|| document.value.clone()).pointer_mut(&plain.pointer) {
            *place = object;
        }
    }
    let (text, mut result, mut done) = (source.text.as_str(), String::new(), 0);
    for (document, new) in documents.into_iter().filter_map(|(document, new)| Some((document, new?))) {
        result.push_str(&text[done..document.span.start]);
        result.push_str(&replaced(&text[document.span.clone()], &new));
        done = document.span.end;
    }
    result + &text[done..]
}

fn replaced(old: &str, new: &Value) -> String {
    if old.trim_start().starts_with('{') {
        return json(new);
    }
    let new = yaml::to_yaml(new);
    let new = if old.contains("\r\n") { new.replace('\n', "\r\n") } else { new };
    let is_outside = |line: &&str| line.trim().is_empty() || line.starts_with(['#', '%']) || line.starts_with("---");
    let lines: Vec<&str> = old.split_inclusive('\n').collect();
    let before: String = lines.iter().copied().take_while(is_outside).collect();
    let behind = lines.iter().rev().take_while(|line| is_outside(line)).count();
    // Without any content there would be no Secret to replace.
    let after = lines[lines.len() - behind..].concat();
    before + &new + &after
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::path::Path;

    use super::super::input::Others;
    use super::*;
    use serde_json::json;
    use zeroize::Zeroizing;

    fn object(name: &str, item: &str) -> Value {
        json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": name}, "spec": {"encryptedData": {"a": item}}})
    }

    fn in_place_of(text: &str, objects: Vec<Value>) -> String {
        let source = Source::parse(Path::new("f"), Zeroizing::new(text.to_owned()), Others::Leave).unwrap();
        in_place(&source, objects)
    }

    #[test]
    fn a_secret_is_replaced_and_everything_around_it_stays() {
        let text = "# top\n---\nkind: Secret # marker\nmetadata: {name: a}\n# old value: marker\nstringData: {a: marker}\n# end\n---\n# mine\nkind: ConfigMap\nmetadata: {name: x} # kept\n";
        let new = in_place_of(text, vec![object("a", "A")]);
        let expected = format!(
            "# top\n---\n{}# end\n---\n# mine\nkind: ConfigMap\nmetadata: {{name: x}} # kept\n",
            yaml::to_yaml(&object("a", "A"))
        );
        assert_eq!(new, expected);
    }

    #[test]
    fn lists_json_and_line_ends_keep_their_form() {
        let list =
            in_place_of("kind: List\nitems:\n- {kind: ConfigMap}\n- {kind: Secret, data: {a: marker}}\n", vec![object("a", "A")]);
        assert_eq!(yaml::parse_one(&list).unwrap(), json!({"kind": "List", "items": [{"kind": "ConfigMap"}, object("a", "A")]}));
        let json = in_place_of(r#"{"kind": "Secret"} {"kind": "ConfigMap"}"#, vec![object("a", "A")]);
        assert!(json.starts_with("{\n") && json.ends_with(r#"} {"kind": "ConfigMap"}"#), "{json}");
        let crlf = in_place_of("kind: Secret\r\nstringData: {a: marker}\r\n", vec![object("a", "A")]);
        assert_eq!(crlf.matches('\n').count(), crlf.matches("\r\n").count());
        assert!(!(list + &json + &crlf).contains("marker"));
    }

    #[test]
    fn a_present_file_changes_only_where_it_must() {
        let text = "# mine\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  creationTimestamp: null\n  name: a\nspec:\n  encryptedData:\n    a: A # first\n";
        let present = |text: &str| Present::parse(text.to_owned(), Format::Yaml);
        assert_eq!(of_objects(&[object("a", "A")], present(text), Format::Yaml), text, "null says nothing");
        let changed = of_objects(&[object("a", "B")], present(text), Format::Yaml);
        assert!(changed.starts_with("# mine\n") && changed.contains("    a: B # first\n"), "{changed}");
        let other = [object("b", "B")];
        assert_eq!(of_objects(&other, present(text), Format::Yaml), render(&other, Format::Yaml));
        assert!(Present::parse("{broken".to_owned(), Format::Yaml).is_none());
        assert!(Present::parse(text.to_owned(), Format::Json).is_none(), "another format is written anew");
    }
}
