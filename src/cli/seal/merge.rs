//! `--merge-into` and `--set`: some items of a SealedSecret in a file, the rest of the file untouched.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::SealArgs;
use super::known::Known;
use super::onto::{Keys, fresh, sealed_for};
use super::report::{self, Entry};
use crate::cli::keys::certificate;
use crate::cli::secrets::files::{self, Mode};
use crate::cli::secrets::sealed::{self, Found, merge_template, with_items};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::resource::Object;
use crate::resource::yaml::Document;
use crate::sealing::{Certificate, Plaintext, Scope, SecretManifest, Target, secret_template};
use crate::ui::{age, stream};

/// What became of a file.
pub struct Update {
    pub text: String,
    pub is_change: bool,
    pub keys: Keys,
    pub target: Target,
}

/// What is merged into a file.
pub struct Merged {
    source: String,
    values: BTreeMap<String, Plaintext>,
    /// Labels and annotations for its template, as a SealedSecret has them.
    template: Value,
}

/// Merges the Secret of the input into FILE.
pub async fn merge_into(file: &Path, args: &SealArgs, cx: &Context) -> CommandResult {
    let sources = super::input::read(args.files.iter().chain(&args.filenames), args.others())?;
    let secrets: Vec<_> = sources.iter().flat_map(|source| source.secrets.iter().map(move |plain| (source, plain))).collect();
    let [(source, plain)] = secrets.as_slice() else {
        return Err(Failure::new(format!("--merge-into takes one Secret, and the input holds {}", secrets.len())));
    };
    let values =
        super::checked_values(&plain.secret, args.allow_empty_data).map_err(|failure| failure.at(source.place_of(plain)))?;
    let merged = Merged { source: files::describe(&source.file), values, template: template(&plain.secret)? };
    finish(file, &merged, args, cx).await
}

/// Labels and annotations as sealing writes them: without copies of values.
fn template(secret: &SecretManifest) -> Result<Value, Failure> {
    let metadata = secret.get(&["metadata"]).cloned().unwrap_or_default();
    let bare = Object::from_value(json!({"kind": "Secret", "metadata": metadata}));
    let bare = bare.map_err(|_| Failure::new("the Secret has no metadata"))?;
    Ok(json!({"spec": {"template": secret_template(&bare, &Target::new("", "", Scope::Strict))}}))
}

/// Sets one key of FILE to what is typed or piped in.
pub async fn set(key: &str, args: &SealArgs, cx: &Context) -> CommandResult {
    let key = key.strip_suffix("=-").unwrap_or(key);
    if key.contains('=') {
        return Err(
            Failure::new("--set takes no value: other users of this machine could read it").with_hint("pipe it in: --set KEY=-")
        );
    }
    super::refuse_bad_key(key)?;
    let files: Vec<&PathBuf> = args.files.iter().chain(&args.filenames).collect();
    let [file] = files.as_slice() else {
        return Err(
            Failure::new("--set needs the file of one SealedSecret").with_hint("kubectl gitops seal --set KEY db-sealed.yaml")
        );
    };
    let value = if std::io::stdin().is_terminal() {
        let typed = rpassword::prompt_password(format!("Value of {key}: "));
        Plaintext::new(typed.map_err(|error| Failure::new("cannot read the value").with_cause(&error))?.into_bytes())
    } else {
        Plaintext::new(files::read_bytes(Path::new(files::STDIN))?.to_vec())
    };
    if value.reveal().is_empty() && !args.allow_empty_data {
        return Err(Failure::new(format!("the value of {key} is empty")).with_hint("--allow-empty-data if that is meant"));
    }
    let values = BTreeMap::from([(key.to_owned(), value)]);
    finish(file, &Merged { source: "stdin".to_owned(), values, template: Value::Null }, args, cx).await
}

async fn finish(file: &Path, merged: &Merged, args: &SealArgs, cx: &Context) -> CommandResult {
    let name = files::describe(file);
    let text = files::read_text(file)?;
    let documents = sealed::documents(&name, &text)?;
    let found = only(&name, &documents)?;
    let certificate = certificate::obtain(args.cert.as_deref(), &args.controller_name, cx).await?;
    certificate::refuse_expired(&certificate, age::now())?;
    let known = Known::find(args, &[sealed_for(&found.sealed)], cx).await?;
    let update = update(&name, &text, &documents, &found, merged, &known, &certificate)?;
    let Target { scope, .. } = update.target;
    stream::say(&format!("sealing {name} for {}, scope {scope} (from the file)", update.target));
    known.say_gap(update.keys.changed.len());
    if !args.check && update.is_change {
        files::replace(file, update.text.as_bytes(), Mode::Public)?;
    }
    let verb = if args.check { "would change" } else { "changed" };
    stream::say(&format!("{name}  {} keys {verb}, {} kept", update.keys.changed.len(), update.keys.kept.len()));
    let exit = if args.check && update.is_change { Exit::No } else { Exit::Done };
    report::print(args.report(), exit == Exit::Done, vec![Entry::at(merged.source.clone(), name, &update.target, update.keys)])?;
    Ok(exit)
}

/// The only SealedSecret of some documents.
fn only(file: &str, documents: &[Document]) -> Result<Found, Failure> {
    let all = sealed::find(file, documents)?;
    let count = all.len();
    let Ok([found]) = <[Found; 1]>::try_from(all) else {
        return Err(Failure::new(format!("{file} must hold one SealedSecret, and holds {count}")));
    };
    if found.sealed.spec.data.is_some() {
        return Err(Failure::new(format!("{file}: the deprecated format has no single keys"))
            .with_hint("kubectl gitops reseal FILE --key BACKUP"));
    }
    Ok(found)
}

/// Seals values for the place and scope that the present object was sealed for. An item that is known to hold the same value keeps
/// its ciphertext.
fn update(
    file: &str,
    text: &str,
    documents: &[Document],
    found: &Found,
    merged: &Merged,
    known: &Known,
    certificate: &Certificate,
) -> Result<Update, Failure> {
    let changed = fresh(&merged.values, &found.sealed, certificate, known)?;
    let kept = found.sealed.spec.encrypted_data.keys().filter(|key| !changed.contains_key(*key)).cloned().collect();
    let json = documents[found.document].value.pointer(&found.pointer).cloned().unwrap_or_default();
    let mut wanted = with_items(&json, &changed);
    merge_template(&mut wanted, &merged.template);
    let is_change = wanted != json;
    let text = sealed::change(file, text, documents, &[(found, wanted)])?;
    let keys = Keys { changed: changed.into_keys().collect(), kept, removed: Vec::new() };
    Ok(Update { text, is_change, keys, target: sealed_for(&found.sealed) })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sealing::fixtures::{certificate, keyring};

    const FILE: &str = "# mine\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\n  namespace: web\n  annotations:\n    \
                        sealedsecrets.bitnami.com/namespace-wide: \"true\"\nspec:\n  encryptedData: {}\n---\nkind: ConfigMap # kept\n";

    fn merge(text: &str, values: &[(&str, &str)], template: Value) -> Update {
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), Plaintext::new(v.as_bytes().to_vec()))).collect();
        let documents = sealed::documents("f", text).unwrap();
        let found = only("f", &documents).unwrap();
        let merged = Merged { source: "stdin".to_owned(), values, template };
        let known = Known::from_keys(keyring(&["small"]));
        update("f", text, &documents, &found, &merged, &known, &certificate("small")).unwrap()
    }

    fn set(text: &str, values: &[(&str, &str)]) -> Update {
        merge(text, values, Value::Null)
    }

    #[test]
    fn unchanged_keys_keep_their_ciphertext_and_the_scope_is_the_files() {
        let first = set(FILE, &[("a", "1"), ("b", "marker")]);
        assert_eq!((first.keys.changed.len(), first.keys.kept.len(), first.target.to_string()), (2, 0, "web/*".to_owned()));
        assert!(first.text.starts_with("# mine\n") && first.text.ends_with("---\nkind: ConfigMap # kept\n"), "{}", first.text);
        assert!(!first.text.contains("marker"));
        let second = set(&first.text, &[("a", "2"), ("b", "marker")]);
        assert_eq!((second.keys.changed, second.keys.kept), (vec!["a".to_owned()], vec!["b".to_owned()]));
        let differing = first.text.lines().zip(second.text.lines()).filter(|(old, new)| old != new).count();
        assert_eq!(differing, 1, "only the line of `a` is another");
        assert!(!set(&second.text, &[("a", "2")]).is_change);
    }

    #[test]
    fn labels_and_annotations_are_merged_and_copies_of_values_are_not() {
        let secret = json!({"kind": "Secret", "metadata": {"name": "x", "labels": {"app": "db"}, "annotations": {
            "note": "n", "kubectl.kubernetes.io/last-applied-configuration": "marker", "sealedsecrets.bitnami.com/cluster-wide": "true",
        }}});
        let secret = SecretManifest::new(Object::from_value(secret).unwrap());
        let merged = merge(FILE, &[], template(&secret).unwrap());
        assert!(merged.is_change && merged.keys.changed.is_empty());
        let value = crate::resource::yaml::parse_stream(&merged.text).unwrap().remove(0).value;
        assert_eq!(value["spec"]["template"], json!({"metadata": {"labels": {"app": "db"}, "annotations": {"note": "n"}}}));
        assert!(merged.text.starts_with("# mine\n"));
    }
}
