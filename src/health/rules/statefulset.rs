//! apps/StatefulSet: healthy when enough pods are ready at the revision that its update strategy asks for.

use crate::health::Health;
use crate::health::condition::{number, spec_is_unobserved, status_number, text};
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Health {
    if status_number(live, "observedGeneration") == 0 || spec_is_unobserved(live) {
        return Health::progressing("Waiting for the newest spec to be observed");
    }
    let (replicas, ready) = (number(live, &["spec", "replicas"]), status_number(live, "readyReplicas"));
    if let Some(wanted) = replicas.filter(|wanted| ready < *wanted) {
        return Health::progressing(format!("Waiting for {} pods to be ready", wanted - ready));
    }
    match text(live, &["spec", "updateStrategy", "type"]) {
        "RollingUpdate" if live.get(&["spec", "updateStrategy", "rollingUpdate"]).is_some() => partitioned(live, replicas),
        "OnDelete" => Health::healthy(format!("{ready} pods are ready")),
        _ => by_revision(live),
    }
}

/// A rolling update with parameters. The revision is not compared, as upstream: below the partition old pods stay on purpose.
fn partitioned(live: &Object, replicas: Option<i64>) -> Health {
    let updated = status_number(live, "updatedReplicas");
    let partition = number(live, &["spec", "updateStrategy", "rollingUpdate", "partition"]);
    if let (Some(replicas), Some(partition)) = (replicas, partition)
        && updated < replicas - partition
    {
        let wanted = replicas - partition;
        return Health::progressing(format!("Waiting for partitioned rollout: {updated} of {wanted} pods are updated"));
    }
    Health::healthy(format!("Partitioned rollout complete: {updated} pods are updated"))
}

fn by_revision(live: &Object) -> Health {
    let (current, update) = (text(live, &["status", "currentRevision"]), text(live, &["status", "updateRevision"]));
    if current == update {
        let pods = status_number(live, "currentReplicas");
        Health::healthy(format!("Rolling update complete: {pods} pods at revision {current}"))
    } else {
        let pods = status_number(live, "updatedReplicas");
        Health::progressing(format!("Waiting for rolling update: {pods} pods at revision {update}"))
    }
}
