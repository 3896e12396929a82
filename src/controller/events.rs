//! Kubernetes Events about Applications and ApplicationSets, with Argo CD's reasons.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::api::Application;

/// The API server refuses longer notes.
const LONGEST_NOTE: usize = 1024;

/// Writes Events; cheap to clone.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// Makes a recorder for this controller.
    #[must_use]
    pub fn new(client: Client, component: &str) -> Self {
        Self { recorder: Recorder::new(client, Reporter { controller: component.into(), instance: None }) }
    }

    /// Writes one Event about an Application. Failing to is logged and otherwise without effect.
    pub async fn publish(&self, app: &Application, warning: bool, reason: &str, note: &str) {
        self.publish_about(&app.object_ref(&()), warning, reason, note).await;
    }

    /// Writes one Event about any object, as [`Self::publish`] does.
    pub async fn publish_about(&self, about: &ObjectReference, warning: bool, reason: &str, note: &str) {
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(shortened(note)),
            action: reason.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, about).await {
            tracing::warn!(%error, reason, "cannot write an event");
        }
    }
}

fn shortened(note: &str) -> String {
    if note.len() <= LONGEST_NOTE {
        return note.to_owned();
    }
    let mut end = LONGEST_NOTE - 4;
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} ...", &note[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_notes_are_cut_at_a_character() {
        let long = "é".repeat(1000);
        let cut = shortened(&long);
        assert!(cut.len() <= LONGEST_NOTE && cut.ends_with(" ..."));
        assert_eq!(shortened("short"), "short");
    }
}
