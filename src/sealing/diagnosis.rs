//! Why no key opens an item: what the object itself gives away.
//!
//! Sealing leaves the original name and namespace in the template, so a renamed object can be told from a foreign key. Only
//! places that the object names are tried: nobody learns anything here that is not in front of him already.

use serde_json::Value;

use super::{Keyring, Scope, Target, Trial};
use crate::api::SealedSecret;

/// Why no key opens an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diagnosis {
    /// There is not a single key.
    NoKeys,
    /// Proven by opening it: it was sealed for another place.
    SealedFor {
        /// Where it opens.
        actual: Target,
        /// Where the object is.
        wanted: Target,
    },
    /// The template names another place, which does not open either.
    Renamed {
        /// The place that the template names.
        recorded: Target,
        /// Where the object is.
        wanted: Target,
    },
    /// Nothing is known: another cluster's key, a key that is gone, another name, or damaged data.
    Unknown {
        /// Where the object is.
        wanted: Target,
    },
}

impl Diagnosis {
    /// What was found, to be put behind `no key could decrypt secret (…)`.
    pub(super) fn finding(&self) -> Option<String> {
        match self {
            Self::NoKeys => Some("the controller has no sealing key".to_owned()),
            Self::SealedFor { actual, wanted } if (&actual.namespace, &actual.name) == (&wanted.namespace, &wanted.name) => {
                Some(format!("it was sealed with scope {}, but the object's annotations say {}", actual.scope, wanted.scope))
            }
            Self::SealedFor { actual, wanted } => {
                Some(format!("it was sealed for {actual}, but this object is {}/{}", wanted.namespace, wanted.name))
            }
            Self::Renamed { recorded, wanted } => Some(format!(
                "its template says that it was sealed for {recorded}, but this object is {}/{}, and no key opens it for either",
                wanted.namespace, wanted.name
            )),
            Self::Unknown { .. } => None,
        }
    }

    /// What to change.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::NoKeys => "restore the sealing keys from a backup, or seal again".to_owned(),
            Self::SealedFor { actual, wanted } if (&actual.namespace, &actual.name) == (&wanted.namespace, &wanted.name) => {
                scope_hint(actual, wanted)
            }
            Self::SealedFor { wanted, .. } => reseal_hint(wanted),
            Self::Renamed { wanted, .. } | Self::Unknown { wanted } => {
                format!("seal it again for {wanted} with this cluster's certificate, or restore the key that sealed it")
            }
        }
    }
}

fn scope_hint(actual: &Target, wanted: &Target) -> String {
    match (actual.scope.annotation(), wanted.scope.annotation()) {
        (Some(missing), _) => format!("set the annotation {missing}: \"true\" on the SealedSecret"),
        (None, Some(stray)) => format!("remove the annotation {stray} from the SealedSecret"),
        (None, None) => reseal_hint(wanted),
    }
}

fn reseal_hint(wanted: &Target) -> String {
    format!(
        "seal it again for namespace {} and name {}, or give it its old name and namespace; Kustomize's namePrefix, nameSuffix and \
         namespace rename after sealing, so seal for the final name",
        wanted.namespace, wanted.name
    )
}

/// Tries the other places that the object names on one item that did not open.
pub(super) fn diagnose(sealed: &SealedSecret, wanted: &Target, blob: &[u8], keys: &Keyring, trial: &mut Trial) -> Diagnosis {
    if keys.is_empty() {
        return Diagnosis::NoKeys;
    }
    let recorded = recorded_place(sealed, wanted);
    let wanted_label = wanted.label();
    let places = recorded.iter().chain([wanted]).flat_map(all_scopes);
    for actual in places.filter(|place| place.label() != wanted_label) {
        if keys.open(&actual.label(), blob, trial).is_some() {
            return Diagnosis::SealedFor { actual, wanted: wanted.clone() };
        }
    }
    match recorded {
        Some(recorded) => Diagnosis::Renamed { recorded, wanted: wanted.clone() },
        None => Diagnosis::Unknown { wanted: wanted.clone() },
    }
}

/// The place that was noted in the template when the object was sealed, if it is another one.
#[must_use]
pub fn recorded_place(sealed: &SealedSecret, wanted: &Target) -> Option<Target> {
    let metadata = sealed.spec.template.as_ref()?.metadata.as_ref()?;
    let field = |name, otherwise: &str| {
        metadata.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).unwrap_or(otherwise).to_owned()
    };
    let recorded = Target::new(field("namespace", &wanted.namespace), field("name", &wanted.name), wanted.scope);
    (recorded != *wanted).then_some(recorded)
}

fn all_scopes(place: &Target) -> [Target; 3] {
    [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide].map(|scope| Target { scope, ..place.clone() })
}
