//! What can stand in the way of a Secret, and how the condition and the Event say it.
//!
//! Source of reasons and texts of Events: Sealed Secrets 0.36.6 (reference 2.5 and 2.7).

use super::metrics::FailedStep;
use super::secrets::Place;
use super::status::Verdict;
use crate::advice::one_line;
use crate::sealing::UnsealError;

/// Longest message of an Event that the API server takes.
const LONGEST_NOTE: usize = 1024;

/// What stands in the way.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// The object is not a SealedSecret; only an edit helps.
    Unreadable(serde_json::Error),
    /// It does not open; only an edit or another key helps.
    Unseal(UnsealError),
    /// A Secret of its name belongs to somebody else.
    NotManaged { name: String },
    /// The API server refused or was away.
    Api(kube::Error),
    /// The task that opens was cancelled.
    Cancelled,
}

impl Obstacle {
    /// Whether it may go away without anybody touching the SealedSecret.
    pub const fn is_retried(&self) -> bool {
        matches!(self, Self::NotManaged { .. } | Self::Api(_) | Self::Cancelled)
    }

    /// Where it counts in the metrics.
    pub const fn failed_step(&self) -> FailedStep {
        match self {
            Self::Unreadable(_) | Self::Unseal(_) => FailedStep::Unseal,
            Self::NotManaged { .. } => FailedStep::Unmanaged,
            Self::Api(_) | Self::Cancelled => FailedStep::Update,
        }
    }

    /// Reason and text of the condition.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Unreadable(error) => Verdict::failed("Unreadable", format!("this is not a SealedSecret: {error}")),
            Self::Unseal(error) => Verdict::failed("UnsealFailed", one_line(error, error)),
            Self::NotManaged { name } => Verdict::failed(
                "NotManaged",
                format!(
                    "failed update: Resource \"{name}\" already exists and is not managed by SealedSecret (hint: delete that Secret, or annotate it with \
                     sealedsecrets.bitnami.com/managed: \"true\" to let it be replaced)"
                ),
            ),
            Self::Api(error) => Verdict::failed("UpdateFailed", api_message(error)),
            Self::Cancelled => Verdict::failed("UpdateFailed", "opening was interrupted".to_owned()),
        }
    }

    /// Reason and text of the Event, as upstream.
    pub fn event(&self, place: &Place) -> (&'static str, String) {
        match self {
            Self::Unreadable(_) | Self::Unseal(_) => ("ErrUnsealFailed", format!("Failed to unseal: {}", self.verdict().message)),
            Self::NotManaged { name } => {
                ("ErrUpdateFailed", format!("Resource \"{name}\" already exists and is not managed by SealedSecret"))
            }
            Self::Api(error) if is_immutable(error) => ("ErrUpdateFailed", immutable_note(place)),
            Self::Api(_) | Self::Cancelled => ("ErrUpdateFailed", self.verdict().message),
        }
    }
}

/// The API server names fields in its refusals and never the values of a Secret's data, which it takes as opaque bytes.
fn api_message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

fn is_immutable(error: &kube::Error) -> bool {
    api_message(error).ends_with("field is immutable when `immutable` is set")
}

fn immutable_note((namespace, name): &Place) -> String {
    format!(
        "Error updating {namespace}/{name}: the target Secret is immutable. Once a Secret is marked as immutable, it is not possible to revert this \
         change nor to mutate the contents of the data field. You can only delete and recreate the Secret."
    )
}

/// Cuts a text to what fits into an Event.
pub(super) fn shortened(mut note: String) -> String {
    if note.len() > LONGEST_NOTE {
        let mut end = LONGEST_NOTE - 4;
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        note.truncate(end);
        note.push_str(" ...");
    }
    note
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn refused(message: &str) -> Obstacle {
        let status = json!({"status": "Failure", "code": 422, "reason": "Invalid", "message": message});
        Obstacle::Api(kube::Error::Api(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn events_have_the_reasons_and_words_of_the_original() {
        let place = ("web".to_owned(), "db".to_owned());
        let immutable = "Secret \"db\" is invalid: data: Forbidden: field is immutable when `immutable` is set";
        let cases = [
            (
                Obstacle::Unseal(UnsealError::BothFormats),
                "ErrUnsealFailed",
                "Failed to unseal: cannot use the field 'encryptedData' and",
            ),
            (
                Obstacle::NotManaged { name: "db".into() },
                "ErrUpdateFailed",
                "Resource \"db\" already exists and is not managed by SealedSecret",
            ),
            (
                refused(immutable),
                "ErrUpdateFailed",
                "Error updating web/db: the target Secret is immutable. Once a Secret is marked as immutable, it is not possible to \
                 revert this change nor to mutate the contents of the data field. You can only delete and recreate the Secret.",
            ),
            (refused("quota exceeded"), "ErrUpdateFailed", "quota exceeded"),
        ];
        for (obstacle, reason, note) in cases {
            let event = obstacle.event(&place);
            assert!(event.0 == reason && event.1.starts_with(note), "{event:?}");
        }
        assert_eq!(refused(immutable).verdict().message, immutable, "the condition has the API server's words");
    }

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let cut = shortened("ä".repeat(LONGEST_NOTE));
        assert!(cut.len() <= LONGEST_NOTE && cut.ends_with("ä ..."), "{} bytes", cut.len());
        assert_eq!(shortened("short".into()), "short");
    }
}
