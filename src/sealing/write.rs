//! What to do with the Secret that exists, or does not: a decision, no request.
//!
//! Source: Sealed Secrets 0.36.6 (create or update, ownership by the uid of the controlling owner, `managed`, `patch`). One
//! deliberate difference: a Secret without owner reference that we made ourselves is recognised by its `unsealed-from`
//! annotation, so `skip-set-owner-references` alone works.

use serde_json::{Map, Value};

use super::opened::{SecretManifest, managed_by_us, skips_owner_reference};
use super::{MANAGED, PATCH, UNSEALED_FROM};
use crate::api::SealedSecret;
use crate::resource::Object;

/// How an existing Secret relates to a SealedSecret of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// It is the SealedSecret's: replace its content.
    Ours,
    /// It may be added to, but not taken over.
    Patch,
    /// It belongs to somebody else: hands off.
    Foreign,
}

/// The next write.
#[derive(Debug, PartialEq, Eq)]
pub enum Write {
    /// The Secret is as it should be.
    Nothing,
    /// Create this Secret.
    Create(SecretManifest),
    /// Replace the Secret by this; it carries the resourceVersion that was read.
    Update(SecretManifest),
}

/// Decides whether a SealedSecret may touch an existing Secret.
#[must_use]
pub fn ownership(live: &Object, sealed: &SealedSecret) -> Ownership {
    let is_true = |name| live.annotation(name) == Some("true");
    if is_true(PATCH) {
        Ownership::Patch
    } else if is_true(MANAGED) || is_controlled_by(live, sealed) {
        Ownership::Ours
    } else {
        Ownership::Foreign
    }
}

fn is_controlled_by(live: &Object, sealed: &SealedSecret) -> bool {
    let Some(uid) = sealed.metadata.uid.as_deref() else { return false };
    let owners = live.get(&["metadata", "ownerReferences"]).and_then(Value::as_array).into_iter().flatten();
    let controlled = owners.filter(|owner| owner.get("controller") == Some(&Value::Bool(true))).any(|owner| owner["uid"] == uid);
    controlled || skips_owner_reference(sealed) && managed_by_us(live.annotation(UNSEALED_FROM), uid)
}

/// Compares the wanted Secret with the existing one. [`Ownership::Foreign`] must have been refused before.
#[must_use]
pub fn plan_write(wanted: SecretManifest, live: Option<&SecretManifest>, ownership: Ownership) -> Write {
    let Some(live) = live else { return Write::Create(wanted) };
    let mut next = live.clone();
    match ownership {
        Ownership::Patch => add(&mut next, &wanted),
        Ownership::Ours | Ownership::Foreign => replace(&mut next, &wanted),
    }
    next.object_mut().0.insert("type".into(), wanted.get(&["type"]).cloned().unwrap_or_else(|| "Opaque".into()));
    if same_content(&next, live) { Write::Nothing } else { Write::Update(next) }
}

fn replace(next: &mut SecretManifest, wanted: &SecretManifest) {
    put(&mut next.object_mut().0, "data", wanted.get(&["data"]));
    for field in ["annotations", "labels", "ownerReferences"] {
        put(next.object_mut().metadata_mut(), field, wanted.get(&["metadata", field]));
    }
}

/// Adds data, labels and annotations. The owner is taken only when the merged annotations say `managed`.
fn add(next: &mut SecretManifest, wanted: &SecretManifest) {
    merge(&mut next.object_mut().0, "data", wanted.get(&["data"]));
    for field in ["annotations", "labels"] {
        merge(next.object_mut().metadata_mut(), field, wanted.get(&["metadata", field]));
    }
    if next.annotation(MANAGED) == Some("true") {
        put(next.object_mut().metadata_mut(), "ownerReferences", wanted.get(&["metadata", "ownerReferences"]));
    }
}

fn put(map: &mut Map<String, Value>, field: &str, value: Option<&Value>) {
    match value {
        Some(value) => map.insert(field.to_owned(), value.clone()),
        None => map.remove(field),
    };
}

fn merge(map: &mut Map<String, Value>, field: &str, additions: Option<&Value>) {
    let Some(Value::Object(additions)) = additions else { return };
    let entry = map.entry(field).or_insert_with(|| Value::Object(Map::new()));
    match entry {
        Value::Object(present) => present.extend(additions.clone()),
        other => *other = Value::Object(additions.clone()),
    }
}

/// Equal but for absent and empty maps, which mean the same.
fn same_content(one: &Object, other: &Object) -> bool {
    let paths: [&[&str]; 5] =
        [&["data"], &["type"], &["metadata", "annotations"], &["metadata", "labels"], &["metadata", "ownerReferences"]];
    paths.iter().all(|path| present(one.get(path)) == present(other.get(path)))
}

fn present(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    })
}
