//! Which key is meant: by the name of its Secret, or by the beginning of its fingerprint.

use super::place::full_name;
use crate::cli::Failure;
use crate::keys::KeySecret;
use crate::ui::nearest::nearest;

/// Shorter beginnings of fingerprints are refused: they are typing errors.
const SHORTEST: usize = 4;

/// Finds the one key that is meant.
///
/// # Errors
/// When there is none or more than one, with the nearest name.
pub fn choose<'a>(secrets: &'a [KeySecret], text: &str) -> Result<&'a KeySecret, Failure> {
    let named: Vec<&KeySecret> = secrets.iter().filter(|secret| secret.name() == text || full_name(secret) == text).collect();
    let found = if named.is_empty() { secrets.iter().filter(|secret| fingerprint_begins(secret, text)).collect() } else { named };
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(unknown(secrets, text)),
        several => {
            let names = several.iter().map(|secret| full_name(secret)).collect::<Vec<_>>().join(", ");
            Err(Failure::new(format!("{text:?} means more than one key: {names}"))
                .with_hint("give more of the fingerprint, or NAMESPACE/NAME"))
        }
    }
}

/// The certificate's digest in hex, with or without `sha256:`, or the key's id as `SHA256:` writes it.
fn fingerprint_begins(secret: &KeySecret, text: &str) -> bool {
    let Ok(key) = secret.read().key else { return false };
    let bare = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    let digest = key.certificate().fingerprint.trim_start_matches("sha256:").to_owned();
    let id_begins =
        text.strip_prefix("SHA256:").is_some_and(|rest| rest.len() >= SHORTEST) && key.id().as_str().starts_with(text);
    id_begins || (bare.len() >= SHORTEST && digest.starts_with(&bare))
}

fn unknown(secrets: &[KeySecret], text: &str) -> Failure {
    let names: Vec<String> = secrets.iter().map(|secret| secret.name().to_owned()).collect();
    let failure = Failure::new(format!("there is no sealing key {text:?}"));
    match nearest(text, names.iter().map(String::as_str)) {
        Some(name) => failure.with_hint(format!("did you mean {name}?")),
        None => failure.with_hint("kubectl gitops keys list"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;
    use crate::sealing::encode_base64;
    use crate::sealing::fixtures::{certificate, text};

    fn secrets() -> Vec<KeySecret> {
        let secret = |namespace: &str, name: &str, key: &str| {
            let pem = |file: String| encode_base64(text(&file).as_bytes());
            let value = json!({"metadata": {"namespace": namespace, "name": name}, "data": {
                "tls.key": pem(format!("keys/test-only-{key}.key")), "tls.crt": pem(format!("keys/test-only-{key}.crt"))}});
            serde_json::from_value(value).unwrap()
        };
        vec![secret("argocd", "sealed-secrets-keyabc", "old"), secret("argocd", "x", "new"), secret("kube-system", "x", "small")]
    }

    #[test]
    fn by_name_or_by_the_beginning_of_the_fingerprint() {
        let secrets = secrets();
        let old = certificate("old");
        for text in
            ["sealed-secrets-keyabc", &old.fingerprint, &old.fingerprint[..14], &old.fingerprint[7..12], old.key_id().as_str()]
        {
            assert_eq!(choose(&secrets, text).unwrap().name(), "sealed-secrets-keyabc", "{text}");
        }
        assert_eq!(choose(&secrets, "kube-system/x").unwrap().metadata.namespace.as_deref(), Some("kube-system"));
    }

    #[test]
    fn slips_get_a_hint() {
        let secrets = secrets();
        let failure = |text: &str| choose(&secrets, text).unwrap_err();
        assert_eq!(failure("sealed-secrets-keyabd").hint.as_deref(), Some("did you mean sealed-secrets-keyabc?"));
        assert_eq!(failure("x").what, "\"x\" means more than one key: argocd/x, kube-system/x");
        assert_eq!(failure("zzzz").hint.as_deref(), Some("kubectl gitops keys list"));
        assert_eq!(failure("").what, "there is no sealing key \"\"");
    }
}
