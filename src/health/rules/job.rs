//! batch/Job: healthy when it completed.
//!
//! Conditions count by being there, whatever their status, as upstream; only `Suspended` is also asked for its status. So a
//! resumed job (`Suspended=False`) is healthy while it runs.

use crate::health::Health;
use crate::health::condition::conditions;
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    let (mut failure, mut end, mut suspended) = (None, None, false);
    for condition in conditions(live) {
        match condition.type_ {
            "Failed" => failure = Some(condition.message),
            "Complete" => end = Some(condition.message),
            "Suspended" => {
                end = Some(condition.message);
                suspended |= condition.is_true();
            }
            _ => {}
        }
    }
    match (failure, end) {
        (Some(message), _) => Health::degraded(message),
        (None, Some(message)) if suspended => Health::suspended(message),
        (None, Some(message)) => Health::healthy(message),
        (None, None) => Health::progressing(""),
    }
}
