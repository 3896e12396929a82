//! Which keys SealedSecrets need, found by trial: the format does not name the key.

use std::collections::BTreeSet;

use crate::api::SealedSecret;
use crate::sealing::{KeyId, Keyring, Target, Trial, decode_base64};

use super::drill::{Places, Repository};

/// What one SealedSecret needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// `namespace/name`; with the file in front when it comes from a repository.
    pub object: String,
    /// The keys that open its items.
    pub keys: BTreeSet<KeyId>,
    /// Items that no key opens, so that it cannot be told what they need.
    pub unopened: usize,
}

/// Looks at SealedSecrets of a cluster, on all processors: each item costs at least one private-key operation.
#[must_use]
pub fn in_cluster(objects: &[SealedSecret], keys: &Keyring) -> Vec<Usage> {
    in_parallel(objects, |sealed, last| usage(name(sealed), sealed, &Places::default(), keys, last))
}

/// Looks at the SealedSecrets of a repository, at every place that the repository speaks of.
#[must_use]
pub fn in_repository(repository: &Repository, keys: &Keyring) -> Vec<Usage> {
    let places = Places { renamings: repository.renamings.clone(), named: Vec::new() };
    in_parallel(&repository.sealed, |found, last| {
        let object = format!("{}:{} {}", found.file, found.line, name(&found.sealed));
        usage(object, &found.sealed, &places, keys, last)
    })
}

/// The objects among them that need this key.
pub fn needing<'a>(usages: &'a [Usage], key: &'a KeyId) -> impl Iterator<Item = &'a Usage> {
    usages.iter().filter(move |usage| usage.keys.contains(key))
}

fn name(sealed: &SealedSecret) -> String {
    let target = Target::of(&sealed.metadata);
    if target.namespace.is_empty() { target.name } else { format!("{}/{}", target.namespace, target.name) }
}

fn in_parallel<T: Sync>(objects: &[T], look: impl Fn(&T, &mut Option<KeyId>) -> Usage + Sync) -> Vec<Usage> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let chunks = objects.chunks(objects.len().div_ceil(threads).max(1));
    let look = &look;
    std::thread::scope(|scope| {
        let running: Vec<_> = chunks
            .map(|chunk| {
                scope.spawn(move || {
                    // Neighbours are often sealed with the same key.
                    let mut last = None;
                    chunk.iter().map(|object| look(object, &mut last)).collect::<Vec<_>>()
                })
            })
            .collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))).collect()
    })
}

fn usage(object: String, sealed: &SealedSecret, places: &Places, keys: &Keyring, last: &mut Option<KeyId>) -> Usage {
    let mut candidates = places.candidates(sealed);
    let mut usage = Usage { object, keys: BTreeSet::new(), unopened: 0 };
    let mut trial = Trial { last: last.take(), ..Trial::default() };
    for text in sealed.spec.encrypted_data.values().chain(&sealed.spec.data) {
        let blob = decode_base64(text).unwrap_or_default();
        match candidates.iter().position(|place| keys.open(&place.label(), &blob, &mut trial).is_some()) {
            Some(place) => {
                // The other items were sealed for the same place.
                candidates.swap(0, place);
                usage.keys.extend(trial.last.clone());
            }
            None => usage.unopened += 1,
        }
    }
    *last = trial.last;
    usage
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;
    use crate::resource::Object;
    use crate::sealing::fixtures::{certificate, key, keyring};
    use crate::sealing::{Scope, SealedFor, SessionKey, seal_secret};

    fn sealed(name: &str, with: &str) -> SealedSecret {
        let secret =
            Object::from_value(json!({"metadata": {"name": name}, "stringData": {"a": "marker", "b": "marker"}})).unwrap();
        let place = SealedFor { target: Target::new("web", name, Scope::Strict), name_in_file: None, namespace_in_file: None };
        let sealed = seal_secret(&secret, &place, &certificate(with), &mut || SessionKey::new([3; 32])).unwrap();
        serde_json::from_value(sealed.into_value()).unwrap()
    }

    #[test]
    fn each_object_names_every_key_that_one_of_its_items_needs() {
        let (mut mixed, old) = (sealed("mixed", "new"), sealed("mixed", "old"));
        mixed.spec.encrypted_data.insert("a".into(), old.spec.encrypted_data["a"].clone());
        let objects = [sealed("db", "new"), mixed, sealed("lost", "small")];
        let usages = in_cluster(&objects, &keyring(&["old", "new"]));
        let (old, new) = (key("old").id().clone(), key("new").id().clone());
        assert_eq!(usages[0].keys, [new.clone()].into());
        assert_eq!(usages[1].keys, [old.clone(), new].into());
        assert_eq!((usages[2].keys.len(), usages[2].unopened), (0, 2));
        assert_eq!(needing(&usages, &old).map(|usage| usage.object.as_str()).collect::<Vec<_>>(), ["web/mixed"]);
        assert!(!format!("{usages:?}").contains("marker"));
    }
}
