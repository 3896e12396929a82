//! Health of one live object. Pure; `rules/` holds one file per kind.

use crate::resource::Object;

/// Health codes, best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HealthCode {
    /// Works.
    Healthy,
    /// Paused on purpose.
    Suspended,
    /// On its way.
    Progressing,
    /// Not there.
    Missing,
    /// Failed.
    Degraded,
    /// Cannot be told.
    Unknown,
}

/// Health with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The code.
    pub status: HealthCode,
    /// The reason, for people.
    pub message: String,
}

/// Health of a live object; `None` for kinds without any.
#[must_use]
pub fn assess(_live: &Object) -> Option<Health> {
    None
}
