//! `--merge-into` and `--set`: some items of a SealedSecret in a file, the rest of the file untouched.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::SealArgs;
use crate::cli::keys::certificate;
use crate::cli::secrets::files::{self, Mode};
use crate::cli::secrets::sealed::{self, with_items};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::resource::yaml::Document;
use crate::sealing::{
    Certificate, Keyring, Plaintext, SessionKey, Target, Trial, decode_base64, encode_base64, recorded_place, seal, secret_values,
};
use crate::ui::{age, stream};

/// What became of a file.
pub struct Update {
    pub text: String,
    pub changed: usize,
    pub kept: usize,
    pub target: Target,
}

/// Merges the Secret of the input into FILE.
pub async fn merge_into(file: &Path, args: &SealArgs, cx: &Context) -> CommandResult {
    let input = super::input::read(args.files.iter().chain(&args.filenames))?;
    let [secret] = input.secrets.as_slice() else {
        return Err(Failure::new(format!("--merge-into takes one Secret, and the input holds {}", input.secrets.len())));
    };
    let values = secret_values(secret)?;
    if values.is_empty() && !args.allow_empty_data {
        return Err(crate::sealing::SealSecretError::Empty { name: secret.name().to_owned() }.into());
    }
    finish(file, &values, args, cx).await
}

/// Sets one key of FILE to what is typed or piped in.
pub async fn set(key: &str, args: &SealArgs, cx: &Context) -> CommandResult {
    let key = key.strip_suffix("=-").unwrap_or(key);
    if key.contains('=') {
        return Err(
            Failure::new("--set takes no value: other users of this machine could read it").with_hint("pipe it in: --set KEY=-")
        );
    }
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
    finish(file, &BTreeMap::from([(key.to_owned(), value)]), args, cx).await
}

async fn finish(file: &Path, values: &BTreeMap<String, Plaintext>, args: &SealArgs, cx: &Context) -> CommandResult {
    let keys = if args.recovery.is_given() { Some(args.recovery.keyring()?) } else { None };
    let name = files::describe(file);
    let text = files::read_text(file)?;
    let documents = sealed::documents(&name, &text)?;
    let certificate = certificate::obtain(args.cert.as_deref(), &args.controller_name, cx).await?;
    certificate::refuse_expired(&certificate, age::now())?;
    let update = update(&name, &text, documents, values, keys.as_ref(), &certificate)?;
    let Target { scope, .. } = update.target;
    stream::say(&format!("sealing {name} for {}, scope {scope} (from the file)", update.target));
    if !args.check && update.changed > 0 {
        files::replace(file, update.text.as_bytes(), Mode::Public)?;
    }
    let verb = if args.check { "would change" } else { "changed" };
    stream::say(&format!("{name}  {} keys {verb}, {} kept", update.changed, update.kept));
    Ok(if args.check && update.changed > 0 { Exit::No } else { Exit::Done })
}

/// Seals values for the only SealedSecret of a text, for the place and scope that it was sealed for. With keys, an item that holds the
/// same value already keeps its ciphertext.
pub fn update(
    file: &str,
    text: &str,
    documents: Vec<Document>,
    values: &BTreeMap<String, Plaintext>,
    keys: Option<&Keyring>,
    certificate: &Certificate,
) -> Result<Update, Failure> {
    let all = sealed::find(file, &documents)?;
    let [found] = all.as_slice() else {
        return Err(Failure::new(format!("{file} must hold one SealedSecret, and holds {}", all.len())));
    };
    if found.sealed.spec.data.is_some() {
        return Err(Failure::new(format!("{file}: the deprecated format has no single keys"))
            .with_hint("kubectl gitops reseal FILE --key BACKUP"));
    }
    let own = Target::of(&found.sealed.metadata);
    let target = recorded_place(&found.sealed, &own).unwrap_or(own);
    let (label, mut trial) = (target.label(), Trial::default());
    let mut changed = BTreeMap::new();
    for (key, value) in values {
        let present = found.sealed.spec.encrypted_data.get(key).and_then(|item| decode_base64(item).ok());
        let known = present.and_then(|blob| keys?.open(&label, &blob, &mut trial));
        if known.as_ref() != Some(value) {
            let blob = seal(certificate.public_key(), &label, &SessionKey::new(rand::random()), value.reveal())?;
            changed.insert(key.clone(), encode_base64(&blob));
        }
    }
    let json = documents[found.document].value.pointer(&found.pointer).cloned().unwrap_or_default();
    let kept = found.sealed.spec.encrypted_data.len()
        - changed.keys().filter(|key| found.sealed.spec.encrypted_data.contains_key(*key)).count();
    let text = sealed::change(file, text, documents, &[(found, with_items(&json, &changed))])?;
    Ok(Update { text, changed: changed.len(), kept, target })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sealing::fixtures::{certificate, keyring};

    const FILE: &str = "# mine\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\n  namespace: web\n  annotations:\n    \
                        sealedsecrets.bitnami.com/namespace-wide: \"true\"\nspec:\n  encryptedData: {}\n---\nkind: ConfigMap # kept\n";

    fn set(text: &str, values: &[(&str, &str)]) -> Update {
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), Plaintext::new(v.as_bytes().to_vec()))).collect();
        let documents = sealed::documents("f", text).unwrap();
        update("f", text, documents, &values, Some(&keyring(&["small"])), &certificate("small")).unwrap()
    }

    #[test]
    fn unchanged_keys_keep_their_ciphertext_and_the_scope_is_the_files() {
        let first = set(FILE, &[("a", "1"), ("b", "marker")]);
        assert_eq!((first.changed, first.kept, first.target.to_string()), (2, 0, "web/*".to_owned()));
        assert!(first.text.starts_with("# mine\n") && first.text.ends_with("---\nkind: ConfigMap # kept\n"), "{}", first.text);
        assert!(!first.text.contains("marker"));
        let second = set(&first.text, &[("a", "2"), ("b", "marker")]);
        assert_eq!((second.changed, second.kept), (1, 1));
        let differing = first.text.lines().zip(second.text.lines()).filter(|(old, new)| old != new).count();
        assert_eq!(differing, 1, "only the line of `a` is another");
        assert_eq!(set(&second.text, &[("a", "2")]).changed, 0);
    }
}
