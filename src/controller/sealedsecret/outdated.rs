//! SealedSecrets whose status we have just written, as they were before: the watch still has to show what they are now.
//!
//! The Secret that was opened is often seen before the status is. Looking at the old object then would write the same status once more,
//! meet a conflict and read the object again: two requests for nothing. The newer version is sure to come, and with it another look.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::secrets::Place;

/// The resourceVersion that each status was written upon.
#[derive(Default)]
pub(super) struct Outdated {
    versions: Mutex<BTreeMap<Place, String>>,
}

impl Outdated {
    /// Notes that a write has replaced `version`.
    pub fn add(&self, place: Place, version: Option<&str>) {
        if let Some(version) = version {
            self.versions.lock().unwrap_or_else(PoisonError::into_inner).insert(place, version.to_owned());
        }
    }

    /// Whether this version was replaced. Any other one is the newer one, or the object is gone and came back: the note goes.
    pub fn holds(&self, place: &Place, version: Option<&str>) -> bool {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let is_outdated = versions.get(place).is_some_and(|replaced| Some(replaced.as_str()) == version);
        if !is_outdated {
            versions.remove(place);
        }
        is_outdated
    }

    /// Drops the note about an object that is gone.
    pub fn forget(&self, place: &Place) {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_outdated_until_another_one_is_seen() {
        let (outdated, place) = (Outdated::default(), ("web".to_owned(), "db".to_owned()));
        assert!(!outdated.holds(&place, Some("1")));
        outdated.add(place.clone(), Some("1"));
        assert!(outdated.holds(&place, Some("1")) && outdated.holds(&place, Some("1")));
        assert!(!outdated.holds(&place, Some("2")));
        assert!(!outdated.holds(&place, Some("1")), "the note is gone");
    }
}
