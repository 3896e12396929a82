//! The sealing keys: are there any, are they backed up, can people seal.

use jiff::Timestamp;
use kube::core::ObjectMeta;

use super::{Check, Status};
use crate::cli::Context;
use crate::cli::keys::certificate;
use crate::keys::{Custody, Standing, inventory, store, unbacked};
use crate::sealing::Certificate;
use crate::ui::age;

/// A certificate that is over so soon needs a new one.
const SOON_SECONDS: i64 = 30 * 24 * 60 * 60;
/// A backup that nobody has tried to open for so long may as well not exist.
const DRILL_SECONDS: i64 = 100 * 24 * 60 * 60;

pub async fn check(cx: &Context) -> Vec<Check> {
    let mut checks = kept(cx).await;
    checks.push(match certificate::from_cluster(store::SERVICE, cx).await {
        Ok(pem) => match Certificate::from_pem(&pem) {
            Ok(found) => usable(&found.fingerprint, found.not_after, age::now()),
            Err(error) => Check::fail(
                "certificate",
                format!("the published certificate cannot be used: {error}"),
                "kubectl gitops keys rotate",
            ),
        },
        Err(failure) => Check::refused("certificate", Status::Fail, &failure),
    });
    checks
}

fn usable(fingerprint: &str, not_after: Timestamp, now: Timestamp) -> Check {
    let left = not_after.as_second() - now.as_second();
    match left {
        ..=0 => Check::fail("certificate", format!("{fingerprint} has expired"), "kubectl gitops keys rotate"),
        1..=SOON_SECONDS => {
            Check::warn("certificate", format!("{fingerprint} expires in {}", age::human(left)), "kubectl gitops keys rotate")
        }
        _ => Check::ok("certificate", format!("can be fetched: {fingerprint}")),
    }
}

async fn kept(cx: &Context) -> Vec<Check> {
    let Ok(client) = cx.client().await else { return Vec::new() };
    let mut notes = Vec::new();
    let mut first = true;
    for namespace in inventory::key_namespaces(&cx.flags.controller_namespace) {
        match inventory::list_notes(&client, &namespace).await {
            Ok(found) => notes.extend(found.into_iter().map(|one| one.metadata)),
            Err(error) if first => {
                return vec![Check::refused(
                    "keys",
                    Status::Warn,
                    &cx.explain(&error, &format!("list the keys in {namespace:?}")),
                )];
            }
            Err(_) => {}
        }
        first = false;
    }
    custody(&notes, age::now())
}

/// What is noted on the keys about their backups and drills.
fn custody(keys: &[ObjectMeta], now: Timestamp) -> Vec<Check> {
    let counting: Vec<&ObjectMeta> = keys.iter().filter(|key| Standing::of(key) == Standing::Counts).collect();
    if counting.is_empty() {
        return vec![Check::fail(
            "keys",
            "there is no sealing key",
            "the controller makes one when it starts: kubectl gitops status",
        )];
    }
    let mut checks = vec![Check::ok("keys", format!("in use: {}", counting.len()))];
    let unsafe_keys = unbacked(counting.iter().copied());
    checks.push(match unsafe_keys.first() {
        None => Check::ok("backup", "every key is in a backup"),
        Some(name) => Check::warn(
            "backup",
            format!("{} in no backup, among them {name}: what is sealed for it is lost with the cluster", unsafe_keys.len()),
            "kubectl gitops keys backup --to backup.age --recipient age1...",
        ),
    });
    let drills = counting.iter().filter_map(|key| Custody::of(key).drill).filter_map(|drill| drill.at.parse::<Timestamp>().ok());
    let hint = "kubectl gitops keys verify-backup backup.age --repo . --record";
    checks.push(match drills.max() {
        None => Check::warn("drill", "no backup was ever proven to open everything", hint),
        Some(last) if now.as_second() - last.as_second() > DRILL_SECONDS => {
            Check::warn("drill", format!("the last drill was {} ago", age::human(now.as_second() - last.as_second())), hint)
        }
        Some(last) => Check::ok("drill", format!("{} ago", age::human(now.as_second() - last.as_second()))),
    });
    checks
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::keys::{ACTIVE_LABEL, LAST_BACKUP, LAST_DRILL};

    const NOW: &str = "2026-11-25T12:00:00Z";

    fn key(notes: &[(&str, &str)]) -> ObjectMeta {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ObjectMeta {
            name: Some("k".into()),
            labels: Some(pairs(&[(ACTIVE_LABEL, "active")])),
            annotations: Some(pairs(notes)),
            ..ObjectMeta::default()
        }
    }

    fn statuses(keys: &[ObjectMeta]) -> Vec<(&'static str, Status)> {
        custody(keys, NOW.parse().unwrap()).iter().map(|check| (check.id, check.status)).collect()
    }

    #[test]
    fn a_key_needs_a_backup_and_the_backup_a_drill() {
        assert_eq!(statuses(&[]), [("keys", Status::Fail)]);
        assert_eq!(statuses(&[key(&[])]), [("keys", Status::Ok), ("backup", Status::Warn), ("drill", Status::Warn)]);
        let old = [(LAST_BACKUP, NOW), (LAST_DRILL, "2026-01-01T00:00:00Z")];
        assert_eq!(statuses(&[key(&old)])[1..], [("backup", Status::Ok), ("drill", Status::Warn)]);
        assert_eq!(statuses(&[key(&[(LAST_BACKUP, NOW), (LAST_DRILL, NOW)])])[2], ("drill", Status::Ok));
    }

    #[test]
    fn a_certificate_that_is_nearly_over_is_told() {
        let at = |text: &str| usable("sha256:ab", text.parse().unwrap(), NOW.parse().unwrap()).status;
        assert_eq!(
            [at("2026-11-25T11:00:00Z"), at("2026-12-01T00:00:00Z"), at("2036-01-01T00:00:00Z")],
            [Status::Fail, Status::Warn, Status::Ok]
        );
    }
}
