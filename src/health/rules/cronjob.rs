//! batch/CronJob: degraded when its last finished run was not successful, as far as the status can tell.

use crate::health::Health;
use crate::health::condition::{list, text};
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    // Not Suspended: that would make the whole Application suspended for good.
    if live.get(&["spec", "suspend"]) == Some(&true.into()) {
        return Health::healthy("CronJob is Suspended");
    }
    if live.get(&["status"]).is_none() {
        return Health::progressing("Waiting for CronJob");
    }
    let (scheduled, successful) = (text(live, &["status", "lastScheduleTime"]), text(live, &["status", "lastSuccessfulTime"]));
    if scheduled.is_empty() {
        return Health::healthy("CronJob has not been scheduled yet");
    }
    if successful.is_empty() {
        return Health::healthy("CronJob has never completed successfully; the status does not say whether a run failed");
    }
    if !list(live, &["status", "active"]).is_empty() {
        return Health::healthy("CronJob is running; the status does not say whether the run before it failed");
    }
    // Both are RFC 3339 in UTC with whole seconds, so their text order is their time order.
    if successful < scheduled {
        return Health::degraded("The last run of the CronJob did not complete successfully");
    }
    Health::healthy("The last run of the CronJob completed successfully")
}
