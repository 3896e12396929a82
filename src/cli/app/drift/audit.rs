//! The API server's audit log: it knows users, which the objects do not.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use super::find::Drifted;
use crate::cli::Failure;

/// managedFields are in whole seconds, and the log's times are those of the request.
const NEAR_SECONDS: i64 = 2;

/// Writes of the log.
#[derive(Debug, Default)]
pub struct Users(Vec<Write>);

#[derive(Debug)]
struct Write {
    user: String,
    /// Lower case, in the singular or plural as in the log.
    resource: String,
    namespace: String,
    name: String,
    at: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    object_ref: Option<Reference>,
    stage_timestamp: Option<Timestamp>,
    request_received_timestamp: Option<Timestamp>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Reference {
    resource: String,
    namespace: String,
    name: String,
}

/// Reads the writes of a log; lines of another form are left out.
///
/// # Errors
/// When the file cannot be read, or holds no event at all.
pub fn read(path: &Path) -> Result<Users, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot read {}", path.display())).with_cause(&error);
    let (mut writes, mut events) = (Vec::new(), 0);
    for line in BufReader::new(std::fs::File::open(path).map_err(failed)?).lines() {
        let Ok(event) = serde_json::from_str::<Event>(&line.map_err(failed)?) else { continue };
        events += 1;
        writes.extend(write(event));
    }
    if events == 0 {
        return Err(Failure::new(format!("{} holds no audit event", path.display()))
            .with_hint("give the file of --audit-log-path of the API server: one JSON object a line"));
    }
    Ok(Users(writes))
}

fn write(event: Event) -> Option<Write> {
    let at = event.request_received_timestamp.or(event.stage_timestamp)?;
    let target = event.object_ref?;
    matches!(event.verb.as_str(), "update" | "patch" | "create" | "delete").then_some(Write {
        user: event.user.username,
        resource: target.resource,
        namespace: target.namespace,
        name: target.name,
        at,
    })
}

impl Users {
    /// Who wrote this, if the log has a write of the object at that time.
    pub fn who(&self, drifted: &Drifted) -> Option<String> {
        let at: Timestamp = drifted.time.parse().ok()?;
        let (kind, place) = drifted.r#ref.split_once(' ')?;
        let kind = kind.rsplit('/').next().unwrap_or(kind).to_lowercase();
        let (namespace, name) = place.split_once('/').unwrap_or(("", place));
        let is_it = |write: &&Write| {
            write.name == name
                && write.namespace == namespace
                && write.resource.starts_with(kind.trim_end_matches('y'))
                && (write.at.as_second() - at.as_second()).abs() <= NEAR_SECONDS
        };
        self.0
            .iter()
            .filter(is_it)
            .min_by_key(|write| (write.at.as_second() - at.as_second()).abs())
            .map(|write| write.user.clone())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_the_write_at_that_time_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        let event = |user: &str, verb: &str, at: &str| {
            format!(
                "{{\"verb\":\"{verb}\",\"user\":{{\"username\":\"{user}\"}},\"requestReceivedTimestamp\":\"{at}\",\
                 \"objectRef\":{{\"resource\":\"networkpolicies\",\"namespace\":\"web\",\"name\":\"fence\"}}}}\n"
            )
        };
        let lines = [
            event("bob", "patch", "2026-11-25T13:00:00.5Z"),
            event("ann", "update", "2026-11-25T14:02:00.9Z"),
            event("eve", "get", "2026-11-25T14:02:00.1Z"),
        ];
        std::fs::write(&log, lines.concat()).unwrap();
        let drifted = |time: &str| Drifted {
            app: String::new(),
            r#ref: "networking.k8s.io/NetworkPolicy web/fence".into(),
            path: ".spec".into(),
            change: "changed",
            git: None,
            live: None,
            masked: false,
            manager: "kubectl-edit".into(),
            operation: "Update".into(),
            subresource: String::new(),
            time: time.into(),
            user: None,
            expected: false,
        };
        let users = read(&log).unwrap();
        assert_eq!(users.who(&drifted("2026-11-25T14:02:00Z")).as_deref(), Some("ann"));
        assert_eq!(users.who(&drifted("2026-11-25T15:00:00Z")), None);
        std::fs::write(&log, "no log\n").unwrap();
        assert!(read(&log).is_err());
    }
}
