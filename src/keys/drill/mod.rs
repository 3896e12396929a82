//! The offline drill: does this backup open every SealedSecret of this repository?
//!
//! A SealedSecret is bound to the namespace and name of the final object, and in the repository it may still carry others
//! (Kustomize renames and moves at build time). Whoever holds the keys can open with any label, so the drill tries the places
//! that the repository itself speaks of, and says under which one each object opened.

mod candidates;
mod repository;

pub use candidates::{Places, Renaming};
pub use repository::{Found, Repository, Unreadable, read_repository};

use serde::Serialize;

use crate::advice::{Advice as _, one_line};
use crate::sealing::{Keyring, Target, Trial, opens_as, unseal};

/// What the drill found out about one SealedSecret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drilled {
    /// `namespace/name` as in the file.
    pub object: String,
    /// The file, relative to the repository.
    pub file: String,
    /// Line on which the document begins.
    pub line: usize,
    /// Place for which it was sealed, if it opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_as: Option<String>,
    /// Whether that is another place than the one in the file.
    pub renamed: bool,
    /// Why it did not open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Places that were tried in vain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<String>,
}

/// Tries to open everything that was found. Opens in memory; keeps no value.
#[must_use]
pub fn drill(repository: &Repository, keys: &Keyring, places: &Places) -> Vec<Drilled> {
    repository.sealed.iter().map(|found| drill_one(found, keys, places)).collect()
}

fn drill_one(found: &Found, keys: &Keyring, places: &Places) -> Drilled {
    let own = Target::of(&found.sealed.metadata);
    let candidates = places.candidates(&found.sealed);
    let mut trial = Trial::default();
    let opened = candidates.iter().find(|place| opens_as(&found.sealed, place, keys, &mut trial));
    let object = if own.namespace.is_empty() { own.name.clone() } else { format!("{}/{}", own.namespace, own.name) };
    Drilled {
        object,
        file: found.file.clone(),
        line: found.line,
        renamed: opened.is_some_and(|place| place.label() != own.label()),
        opened_as: opened.map(ToString::to_string),
        problem: if opened.is_some() { None } else { Some(explain(found, keys, &mut trial)) },
        tried: if opened.is_some() { Vec::new() } else { candidates.iter().map(ToString::to_string).collect() },
    }
}

fn explain(found: &Found, keys: &Keyring, trial: &mut Trial) -> String {
    match unseal(&found.sealed, keys, trial) {
        Ok(_) => "opens only in part".to_owned(),
        Err(error) if error.hint().is_some() => error.to_string(),
        Err(error) => one_line(&error, &error),
    }
}

#[cfg(test)]
mod tests;
