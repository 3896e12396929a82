//! Deletions that a person has to approve: the sync options `Prune=confirm` and `Delete=confirm`. Pure.
//!
//! Source: Argo CD 3.5 (reference sections 6.7 and 6.13): the approval is an annotation of the Application with a time; it
//! counts for what was started before that time.

use jiff::Timestamp;

use crate::api::Application;
use crate::resource::Object;
use crate::resource::annotations::{DELETION_APPROVED, SYNC_OPTIONS};

/// True when a person approved deletions at `since` or later. Unreadable times approve nothing.
#[must_use]
pub fn is_approved_since(app: &Application, since: Timestamp) -> bool {
    let approved = app.annotation(DELETION_APPROVED).and_then(|text| text.trim().parse::<Timestamp>().ok());
    approved.is_some_and(|approved| approved >= since)
}

/// True when pruning this live object needs an approval. Its own annotation beats the option of the Application.
#[must_use]
pub fn guards_prune(live: &Object, confirm_all: bool) -> bool {
    guards(live, "Prune", confirm_all)
}

/// True when deleting this live object together with its Application needs an approval.
///
/// As in Argo CD, what may not be pruned without approval may not be deleted without it either.
#[must_use]
pub fn guards_deletion(live: &Object, app: &Application) -> bool {
    guards(live, "Delete", app.has_sync_option("Delete=confirm")) || guards(live, "Prune", app.has_sync_option("Prune=confirm"))
}

fn guards(live: &Object, verb: &str, confirm_all: bool) -> bool {
    let says = |value: &str| live.has_option(SYNC_OPTIONS, &format!("{verb}={value}"));
    says("confirm") || (confirm_all && !says("true") && !says("false"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live(options: &str) -> Object {
        let value = json!({ "metadata": { "annotations": { SYNC_OPTIONS: options } } });
        Object::from_value(value).unwrap_or_default()
    }

    #[test]
    fn an_objects_own_option_beats_that_of_the_application() {
        assert!(guards_prune(&live("Prune=confirm"), false));
        assert!(guards_prune(&live(""), true));
        assert!(!guards_prune(&live("Prune=true"), true));
        assert!(!guards_prune(&live("Prune=false"), true));
        assert!(!guards_prune(&live("Delete=confirm"), false));
    }

    #[test]
    fn an_approval_counts_from_its_time_on() {
        let mut app = Application::default();
        let since: Timestamp = "2026-01-01T10:00:00Z".parse().unwrap_or_default();
        assert!(!is_approved_since(&app, since));
        for (time, expected) in [
            ("2026-01-01T09:59:59Z", false),
            ("2026-01-01T10:00:00Z", true),
            ("2026-01-01T11:00:00+01:00", true),
            ("soon", false),
            ("", false),
        ] {
            app.metadata.annotations = Some([(DELETION_APPROVED.to_owned(), time.to_owned())].into());
            assert_eq!(is_approved_since(&app, since), expected, "{time}");
        }
    }
}
