//! The objects that come in: Secrets to seal, SealedSecrets to check.

use serde_json::Value;

use crate::api::SealedSecret;
use crate::cli::Failure;
use crate::resource::{Object, yaml};
use crate::sealing::SecretManifest;

/// What the original says when it finds nothing, whatever the reason.
const NOTHING: &str = "no secrets found. Ensure the input is valid and UTF-8 encoded";

/// The Secrets of a stream of YAML or JSON. A document that cannot be read is an error: the original drops it, or hangs.
///
/// As the original, takes a document without `kind`; unlike it, looks into lists and refuses other kinds, whose values it would
/// seal as if they were secret, or lose.
pub fn secrets(bytes: &[u8]) -> Result<Vec<SecretManifest>, Failure> {
    let mut secrets = Vec::new();
    for (line, value) in documents(bytes)? {
        take_secret(line, value, &mut secrets)?;
    }
    if secrets.is_empty() { Err(Failure::new(NOTHING)) } else { Ok(secrets) }
}

fn take_secret(line: usize, mut value: Value, secrets: &mut Vec<SecretManifest>) -> Result<(), Failure> {
    if let Some(Value::Array(items)) = value.get_mut("items") {
        let items = std::mem::take(items);
        return items.into_iter().try_for_each(|item| take_secret(line, item, secrets));
    }
    // Wrapped first, so that it is wiped even when it is refused.
    let secret = Object::from_value(value).map(SecretManifest::new);
    let secret = secret.map_err(|_| Failure::new(format!("line {line}: not a Kubernetes object")))?;
    match secret.kind() {
        "Secret" | "" => {
            secrets.push(secret);
            Ok(())
        }
        "SealedSecret" => Err(Failure::new(format!("line {line}: SealedSecret {:?} is sealed already", secret.name()))
            .with_hint("--re-encrypt puts it under the newest key")),
        kind => Err(Failure::new(format!("line {line}: {kind} {:?} is not a Secret", secret.name()))),
    }
}

/// The SealedSecrets of a stream. None at all is an error: a check that passes on nothing checks nothing.
pub fn sealed_secrets(bytes: &[u8]) -> Result<Vec<SealedSecret>, Failure> {
    let mut sealed = Vec::new();
    for (line, value) in documents(bytes)? {
        let items = match value {
            Value::Object(mut map) if map.get("items").is_some_and(Value::is_array) => match map.remove("items") {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            },
            other => vec![other],
        };
        for item in items {
            sealed.push(sealed_secret(line, item)?);
        }
    }
    if sealed.is_empty() {
        return Err(Failure::new("no SealedSecrets found. Ensure the input is valid and UTF-8 encoded"));
    }
    Ok(sealed)
}

/// One SealedSecret.
pub fn sealed_secret(line: usize, value: Value) -> Result<SealedSecret, Failure> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    if text("kind") != "SealedSecret" || text("apiVersion") != "bitnami.com/v1alpha1" {
        let found = if text("kind").is_empty() { "this".to_owned() } else { text("kind") };
        return Err(Failure::new(format!("line {line}: {found} is not a SealedSecret of bitnami.com/v1alpha1")));
    }
    // The parser's own message may show a value.
    serde_json::from_value(value).map_err(|_| Failure::new(format!("line {line}: this SealedSecret cannot be read")))
}

/// Documents with their lines; empty ones are left out.
fn documents(bytes: &[u8]) -> Result<Vec<(usize, Value)>, Failure> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(
            Failure::new(NOTHING).with_hint("PowerShell writes UTF-16 with `>`; use `| Out-File -Encoding utf8`, or a pipe")
        );
    };
    let documents = yaml::parse_stream(text).map_err(|error| Failure::new(format!("the input cannot be read: {error}")))?;
    Ok(documents.into_iter().map(|document| (document.line, document.value)).collect())
}
