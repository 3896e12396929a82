//! Test keys and cases of `tests/fixtures/sealing`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::{Certificate, Keyring, SealingKey};
use crate::resource::Object;

/// Folder of the sealing fixtures.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sealing")
}

/// Reads one fixture.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(folder().join(path)).unwrap_or_else(|error| unreachable!("{path}: {error}"))
}

/// A fixture as JSON.
pub fn yaml(path: &str) -> Value {
    crate::resource::yaml::parse_one(&text(path)).unwrap()
}

/// A fixture as an object.
pub fn object(path: &str) -> Object {
    Object::from_value(yaml(path)).unwrap()
}

/// One of the committed test keys: `old`, `new` or `small`.
pub fn key(name: &str) -> Arc<SealingKey> {
    let certificate = certificate(name);
    let key = SealingKey::from_pem(&text(&format!("keys/test-only-{name}.key")), certificate).unwrap();
    Arc::new(key.unwrap())
}

/// The certificate of a test key.
pub fn certificate(name: &str) -> Certificate {
    Certificate::from_pem(&text(&format!("keys/test-only-{name}.crt"))).unwrap()
}

/// A keyring of test keys.
pub fn keyring(names: &[&str]) -> Keyring {
    Keyring::new(names.iter().map(|name| key(name)))
}
