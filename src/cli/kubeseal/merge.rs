//! `--merge-into`: adds sealed items to a SealedSecret file.
//!
//! The items are sealed for where that file says it is, scope included. The file keeps its format, and in YAML its comments and
//! the order of its lines; what cannot be kept is refused before anything is written.

use std::path::Path;

use serde_json::Value;

use super::options::Options;
use super::{certificate, files, input, seal};
use crate::cli::secrets::sealed::merge_template;
use crate::cli::{Context, Failure};
use crate::resource::yaml::{self, Document, Edit};
use crate::sealing::Target;

/// Seals the input's values into the file.
pub async fn run(file: &Path, options: &Options, cx: &Context) -> Result<(), Failure> {
    let bytes = files::read_input(options.input.as_deref(), "json/yaml k8s resource")?;
    let certificate = certificate::obtain(options, cx).await?;
    let text = files::read_text(file)?;
    let present = only_document(file, &text)?;
    let target =
        Target::of(&input::sealed_secret(1, present.value.clone()).map_err(|failure| failure.at(file.display()))?.metadata);
    seal::refuse_mismatch(&target.namespace, options)?;
    if options.scope_is_given && options.scope != target.scope {
        let what = format!("{} has scope {}, and --scope says {}", file.display(), target.scope, options.scope);
        return Err(Failure::new(what).with_hint("leave --scope out; items are sealed for the scope of the file"));
    }
    let mut merged = present.value.clone();
    for secret in input::secrets(&bytes)? {
        seal::refuse_empty(&secret, options)?;
        merge(&mut merged, &seal::seal_secret(&secret, target.clone(), &certificate)?.to_value());
    }
    files::put(Some(file), &rewritten(file, &text, present, merged)?)
}

fn only_document(file: &Path, text: &str) -> Result<Document, Failure> {
    let documents = yaml::parse_stream(text).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    let count = documents.len();
    match <[Document; 1]>::try_from(documents) {
        Ok([document]) => Ok(document),
        Err(_) => Err(Failure::new(format!("{} holds {count} documents; merging needs exactly one", file.display()))
            .with_hint("put the SealedSecret into a file of its own")),
    }
}

fn merge(into: &mut Value, sealed: &Value) {
    merge_template(into, sealed);
    let items = sealed.pointer("/spec/encryptedData").and_then(Value::as_object);
    for (key, item) in items.into_iter().flatten() {
        into["spec"]["encryptedData"][key.as_str()] = item.clone();
    }
}

/// The file's new text.
fn rewritten(file: &Path, text: &str, present: Document, merged: Value) -> Result<String, Failure> {
    if text.trim_start().starts_with('{') {
        return Ok(serde_json::to_string_pretty(&merged).unwrap_or_default() + "\n");
    }
    match yaml::edit(text, &[Edit { span: present.span, wanted: merged.clone() }]) {
        Ok(edited) => Ok(edited),
        Err(error) if text.contains('#') => {
            let failure = Failure::from(error).at(file.display());
            Err(Failure { what: format!("{}; written anew, it would lose its comments", failure.what), ..failure })
        }
        Err(_) => Ok(yaml::to_yaml(&merged)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sealing::CLUSTER_WIDE;

    fn merged(text: &str) -> Result<String, Failure> {
        let document = only_document(Path::new("f"), text).unwrap();
        let mut wanted = document.value.clone();
        let new = serde_json::json!({"spec": {
            "encryptedData": {"b": "B"},
            "template": {"metadata": {"labels": {"app": "db"}, "annotations": {CLUSTER_WIDE: "true"}}},
        }});
        merge(&mut wanted, &new);
        rewritten(Path::new("f"), text, document, wanted)
    }

    #[test]
    fn comments_and_lines_that_do_not_change_stay() {
        let text = "spec:\n  # why\n  encryptedData:\n    a: AAA # old\n\n  # below\n  template: # here\n    metadata:\n      name: x # its name\n";
        let new = merged(text).unwrap();
        let expected = "spec:\n  # why\n  encryptedData:\n    a: AAA # old\n    b: B\n\n  # below\n  template: # here\n    metadata:\n      name: x # its name\n      labels:\n        app: db\n";
        assert_eq!(new, expected, "the scope of the input is not the file's");
    }

    #[test]
    fn comments_that_cannot_be_kept_stop_the_merge() {
        let text = "x: &a {a: A}\nspec:\n  encryptedData: *a\n";
        assert!(merged(text).unwrap().contains("b: B"));
        assert!(merged(&format!("# kept\n{text}")).unwrap_err().what.ends_with("would lose its comments"));
    }
}
