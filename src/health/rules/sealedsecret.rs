//! bitnami.com/SealedSecret: healthy when the newest spec was opened.
//!
//! Different from Argo CD, whose check does not look at `observedGeneration` and so calls a SealedSecret healthy for a
//! moment after a change that cannot be opened. A status without it, from an old controller, counts as up to date.

use crate::health::Health;
use crate::health::condition::{condition, number};
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    let waiting = Health::progressing("Waiting for Sealed Secret to be decrypted");
    if number(live, &["status", "observedGeneration"]).is_some_and(|observed| observed < live.generation()) {
        return waiting;
    }
    match condition(live, "Synced") {
        Some(synced) if synced.is_false() => Health::degraded(synced.message),
        Some(synced) if synced.is_true() => Health::healthy(synced.message),
        _ => waiting,
    }
}
