//! Says once what people should know about the keys: which cannot be used, and which are in no backup.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};

use super::SealingContext;
use crate::keys::StoredKey;

/// What was said already.
#[derive(Default)]
pub(super) struct KeyReports {
    told: BTreeSet<String>,
}

/// Something to say about one key: reason and note of an Event.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    reason: &'static str,
    note: String,
}

fn report(key: &StoredKey) -> Option<Report> {
    match &key.key {
        Err(problem) => Some(Report {
            reason: "BrokenSealingKey",
            note: format!("{problem}; the key is skipped. Mend the Secret, or remove its label, and it is looked at again"),
        }),
        Ok(_) if key.is_unbacked => Some(Report {
            reason: "SealingKeyNotBackedUp",
            note: "this key is in no backup: what it seals is lost with the cluster. Run: kubectl gitops keys backup".to_owned(),
        }),
        Ok(_) => None,
    }
}

impl KeyReports {
    /// Writes an Event for what is new, and shows the numbers.
    pub fn tell<'a>(&mut self, cx: &SealingContext, keys: impl Iterator<Item = &'a StoredKey>) {
        let mut still = BTreeSet::new();
        let (mut usable, mut unsaved) = (0, 0);
        for key in keys {
            usable += i64::from(key.key.is_ok());
            unsaved += i64::from(key.key.is_ok() && key.is_unbacked);
            let Some(report) = report(key) else { continue };
            let id = format!("{}/{} {} {}", key.namespace, key.name, report.reason, report.note);
            if !self.told.contains(&id) {
                tell(cx, key, &report);
            }
            still.insert(id);
        }
        self.told = still;
        cx.metrics().show_keys(usable, unsaved);
    }
}

fn tell(cx: &SealingContext, key: &StoredKey, report: &Report) {
    tracing::warn!(secret = key.name, namespace = key.namespace, reason = report.reason, "{}", report.note);
    let secret = ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Secret".into()),
        name: Some(key.name.clone()),
        namespace: Some(key.namespace.clone()),
        uid: key.uid.clone(),
        ..ObjectReference::default()
    };
    let reason = report.reason.to_owned();
    let event =
        Event { type_: EventType::Warning, action: reason.clone(), reason, note: Some(report.note.clone()), secondary: None };
    cx.events.add(event, secret);
}
