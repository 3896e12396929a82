//! What the cluster remembers about a key: whether it counts, which backup holds it, and whether that was proven.

use kube::core::ObjectMeta;
use serde::Serialize;

use super::secret::{ACTIVE_LABEL, LAST_BACKUP, LAST_BACKUP_FILE, LEGACY_NAME};

/// Annotation of a key Secret: when a backup that holds it last opened everything (RFC 3339).
pub const LAST_DRILL: &str = "kubectl-gitops.io/last-drill";
/// Annotation of a key Secret: `sha256:` digest of that backup's file.
pub const LAST_DRILL_FILE: &str = "kubectl-gitops.io/last-drill-file";
/// Value of [`ACTIVE_LABEL`] on keys that were taken out of use.
pub const RETIRED: &str = "retired";

/// Something that was done with a backup file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// When, RFC 3339.
    pub at: String,
    /// `sha256:` digest of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// The last backup and the last drill of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Custody {
    /// The last backup that holds it.
    pub backup: Option<Proof>,
    /// The last drill in which a backup that holds it opened everything.
    pub drill: Option<Proof>,
}

impl Custody {
    /// Reads what is noted on a key Secret.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        let note = |name: &str| metadata.annotations.as_ref().and_then(|all| all.get(name)).cloned();
        let proof = |at: &str, file: &str| Some(Proof { at: note(at)?, file: note(file) });
        Self { backup: proof(LAST_BACKUP, LAST_BACKUP_FILE), drill: proof(LAST_DRILL, LAST_DRILL_FILE) }
    }
}

/// Whether a Secret counts as a sealing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Counts,
    /// Its label has another value than `active`: this one.
    SetAside(String),
    /// It carries no such label.
    Unlabelled,
}

impl Standing {
    /// Reads the label; the legacy name counts without one.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        let label = metadata.labels.as_ref().and_then(|labels| labels.get(ACTIVE_LABEL));
        match label {
            _ if metadata.name.as_deref() == Some(LEGACY_NAME) => Self::Counts,
            Some(value) if value == "active" => Self::Counts,
            Some(value) => Self::SetAside(value.clone()),
            None => Self::Unlabelled,
        }
    }
}

/// Names the keys that count and are in no backup: what they seal is lost with the cluster.
#[must_use]
pub fn unbacked<'a>(keys: impl IntoIterator<Item = &'a ObjectMeta>) -> Vec<&'a str> {
    keys.into_iter().filter(|key| is_unbacked(key)).filter_map(|key| key.name.as_deref()).collect()
}

/// Whether a key counts and is in no backup.
pub(super) fn is_unbacked(key: &ObjectMeta) -> bool {
    key.deletion_timestamp.is_none() && Standing::of(key) == Standing::Counts && Custody::of(key).backup.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, label: Option<&str>, annotations: &[(&str, &str)]) -> ObjectMeta {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ObjectMeta {
            name: Some(name.into()),
            labels: label.map(|value| pairs(&[(ACTIVE_LABEL, value)])),
            annotations: Some(pairs(annotations)),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn keys_that_count_and_are_in_no_backup_are_named() {
        let keys = [
            key("new", Some("active"), &[]),
            key("saved", Some("active"), &[(LAST_BACKUP, "2026-11-01T00:00:00Z")]),
            key("old", Some(RETIRED), &[]),
            key(LEGACY_NAME, None, &[]),
            key("other", None, &[]),
        ];
        assert_eq!(unbacked(&keys), ["new", LEGACY_NAME]);
    }

    #[test]
    fn a_drill_is_read_with_the_file_that_was_proven() {
        let key = key("k", Some("active"), &[(LAST_DRILL, "2026-11-01T00:00:00Z"), (LAST_DRILL_FILE, "sha256:ab")]);
        let drill = Proof { at: "2026-11-01T00:00:00Z".into(), file: Some("sha256:ab".into()) };
        assert_eq!(Custody::of(&key), Custody { backup: None, drill: Some(drill) });
    }
}
