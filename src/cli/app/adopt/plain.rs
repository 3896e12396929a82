//! Plain manifests: the field is changed where it stands.

use std::collections::BTreeMap;

use serde_json::Value;

use super::files::Files;
use super::wish::{Left, Wish};
use crate::diff::path::set;
use crate::resource::{Object, ResourceKey, yaml};

/// Changes each object's document; gives back what was changed and what could not be.
pub fn edit(files: &mut Files, wishes: Vec<Wish>, namespace: &str) -> (Vec<Wish>, Vec<Left>) {
    let (mut done, mut left) = (Vec::new(), Vec::new());
    let mut by_object: BTreeMap<ResourceKey, Vec<Wish>> = BTreeMap::new();
    wishes.into_iter().for_each(|wish| by_object.entry(wish.key.clone()).or_default().push(wish));
    for (key, wishes) in by_object {
        let Some((path, number, mut wanted)) = find(files, &key, namespace) else {
            left.extend(super::wish::all_left(&wishes, "no file of the source holds this object as it is"));
            continue;
        };
        let mut edited = Vec::new();
        for wish in wishes {
            let mut next = wanted.clone();
            // One field at a time, so that one that cannot be edited does not take the others with it.
            let fits = set(&mut next, &wish.steps, wish.live.clone());
            match if fits {
                files.change(&path, number, next.clone()).map_err(|error| error.to_string())
            } else {
                Err(missing(&path))
            } {
                Ok(()) => {
                    wanted = next;
                    edited.push(wish);
                }
                Err(reason) => left.push(wish.left(&reason)),
            }
        }
        done.extend(edited);
    }
    (done, left)
}

fn missing(path: &str) -> String {
    format!("{path} has no such field; the API server filled it in")
}

/// The document with this object: file, number and value.
pub fn find(files: &Files, key: &ResourceKey, namespace: &str) -> Option<(String, usize, Value)> {
    for (path, text) in files.texts() {
        let Ok(documents) = yaml::parse_stream(&text) else { continue };
        for (number, document) in documents.into_iter().enumerate() {
            let Ok(object) = Object::from_value(document.value) else { continue };
            if is_it(&object, key, namespace) {
                return Some((path, number, object.into_value()));
            }
        }
    }
    None
}

/// A manifest without a namespace goes to the Application's; of a kind without namespaces the key has none.
fn is_it(object: &Object, key: &ResourceKey, namespace: &str) -> bool {
    let same_place = match object.namespace() {
        "" => key.namespace.is_empty() || key.namespace == namespace,
        other => key.namespace.is_empty() || key.namespace == other,
    };
    object.group() == key.group && object.kind() == key.kind && object.name() == key.name && same_place
}
