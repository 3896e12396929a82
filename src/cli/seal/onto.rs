//! One Secret, sealed onto what its file holds already. Pure but for the session keys.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::known::Known;
use super::place::Place;
use crate::api::SealedSecret;
use crate::cli::Failure;
use crate::sealing::{
    Certificate, Plaintext, SecretManifest, SessionKey, Target, Trial, encode_base64, recorded_place, seal, secret_values,
};

/// What became of the keys of one Secret, by name.
#[derive(Debug, Default, Clone, Serialize, PartialEq, Eq)]
pub struct Keys {
    /// With new ciphertext.
    pub changed: Vec<String>,
    /// With the ciphertext that was there.
    pub kept: Vec<String>,
    /// Not in the Secret any more.
    pub removed: Vec<String>,
}

impl Keys {
    /// `2 keys changed, 3 kept`.
    pub fn describe(&self) -> String {
        let removed = if self.removed.is_empty() { String::new() } else { format!(", {} removed", self.removed.len()) };
        format!("{} keys changed, {} kept{removed}", self.changed.len(), self.kept.len())
    }

    /// Adds those of another Secret.
    pub fn extend(&mut self, other: &Self) {
        self.changed.extend_from_slice(&other.changed);
        self.kept.extend_from_slice(&other.kept);
        self.removed.extend_from_slice(&other.removed);
    }
}

/// A sealed Secret.
pub struct Sealed {
    pub value: Value,
    pub keys: Keys,
}

/// Seals a Secret; items of the present object keep their ciphertext where their value is known to be the same. What a
/// Secret cannot say, the `template.data` of the present object, stays.
pub fn onto(
    secret: &SecretManifest,
    place: &Place,
    certificate: &Certificate,
    present: Option<&SealedSecret>,
    known: &Known,
    allow_empty: bool,
) -> Result<Sealed, Failure> {
    let mut value = super::seal(secret, place, certificate, allow_empty)?.to_value();
    let target = &place.sealed_for.target;
    let Some(present) = present else {
        let changed = items(&value).cloned().collect();
        return Ok(Sealed { value, keys: Keys { changed, ..Keys::default() } });
    };
    let mut keys = Keys::default();
    let mut trial = Trial::default();
    let is_same_place = sealed_for(present).label() == target.label();
    for (key, plain) in secret_values(secret)? {
        let item = present.spec.encrypted_data.get(&key).filter(|_| is_same_place);
        match item.filter(|item| known.is_same(target, &key, item, &plain, &mut trial)) {
            Some(item) => {
                value["spec"]["encryptedData"][key.as_str()] = item.as_str().into();
                keys.kept.push(key);
            }
            None => keys.changed.push(key),
        }
    }
    keys.removed =
        present.spec.encrypted_data.keys().filter(|key| value["spec"]["encryptedData"].get(key).is_none()).cloned().collect();
    if let Some(data) = present.spec.template.as_ref().and_then(|template| template.data.as_ref()) {
        value["spec"]["template"]["data"] = serde_json::json!(data);
    }
    Ok(Sealed { value, keys })
}

/// The place that a present object was sealed for.
pub fn sealed_for(present: &SealedSecret) -> Target {
    let own = Target::of(&present.metadata);
    recorded_place(present, &own).unwrap_or(own)
}

/// Seals those values of some keys that are not known to be the same already.
pub fn fresh(
    values: &BTreeMap<String, Plaintext>,
    present: &SealedSecret,
    certificate: &Certificate,
    known: &Known,
) -> Result<BTreeMap<String, String>, Failure> {
    let target = sealed_for(present);
    let (label, mut trial) = (target.label(), Trial::default());
    let mut changed = BTreeMap::new();
    for (key, value) in values {
        let item = present.spec.encrypted_data.get(key);
        if !item.is_some_and(|item| known.is_same(&target, key, item, value, &mut trial)) {
            let blob = seal(certificate.public_key(), &label, &SessionKey::new(rand::random()), value.reveal())?;
            changed.insert(key.clone(), encode_base64(&blob));
        }
    }
    Ok(changed)
}

fn items(value: &Value) -> impl Iterator<Item = &String> {
    value.pointer("/spec/encryptedData").and_then(Value::as_object).into_iter().flat_map(|items| items.keys())
}
