//! One Application as the commands see it: the object as it came, and what it means.

use jiff::Timestamp;
use kube::core::{DynamicObject, TypeMeta};
use serde_json::Value;

use crate::api::Application;
use crate::api::application::{ApplicationSource, ApplicationStatus, OperationState};
use crate::ui::age;

use super::AppRef;

/// One Application: the object as the API server gave it, and our reading of it.
#[derive(Debug, Clone)]
pub struct App {
    /// The object with every field, also those we do not know.
    pub raw: Value,
    /// Our reading; of an object that we cannot read only the metadata.
    pub app: Application,
    /// Why the object cannot be read.
    pub unreadable: Option<String>,
}

impl From<DynamicObject> for App {
    fn from(mut object: DynamicObject) -> Self {
        // Items of a list carry no kind of their own.
        object.types.get_or_insert_with(TypeMeta::resource::<Application>);
        let metadata = object.metadata.clone();
        let mut raw = serde_json::to_value(object).unwrap_or_default();
        if let Some(metadata) = raw.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        match serde_json::from_value::<Application>(raw.clone()) {
            Ok(app) => Self { raw, app, unreadable: None },
            Err(error) => {
                let app = Application { metadata, ..Application::default() };
                Self { raw, app, unreadable: Some(format!("cannot read this object: {error}")) }
            }
        }
    }
}

impl App {
    /// `NAMESPACE/NAME`, as commands accept it.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.app.namespace(), self.app.name())
    }

    /// Namespace and name.
    #[must_use]
    pub fn reference(&self) -> AppRef {
        AppRef { namespace: self.app.namespace().to_owned(), name: self.app.name().to_owned() }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.app.name()
    }

    /// The status, if the controller wrote one.
    #[must_use]
    pub const fn status(&self) -> Option<&ApplicationStatus> {
        self.app.status.as_ref()
    }

    /// The running or last operation.
    #[must_use]
    pub fn operation_state(&self) -> Option<&OperationState> {
        self.status()?.operation_state.as_ref()
    }

    /// `Synced`, `OutOfSync` or `Unknown`.
    #[must_use]
    pub fn sync(&self) -> &str {
        let word = self.status().and_then(|status| status.sync.as_ref()).map(|sync| sync.status.as_str());
        word.filter(|word| !word.is_empty()).unwrap_or("Unknown")
    }

    /// `Healthy`, `Progressing`, `Degraded`, `Suspended`, `Missing` or `Unknown`.
    #[must_use]
    pub fn health(&self) -> &str {
        let word = self.status().and_then(|status| status.health.as_ref()).map(|health| health.status.as_str());
        word.filter(|word| !word.is_empty()).unwrap_or("Unknown")
    }

    /// The compared revision, short; several sources are joined with commas; empty before the first comparison.
    #[must_use]
    pub fn revision(&self) -> String {
        let Some(sync) = self.status().and_then(|status| status.sync.as_ref()) else { return String::new() };
        revisions(&sync.revision, &sync.revisions)
    }

    /// True when a sync is requested, runs, or waits for its next attempt.
    #[must_use]
    pub fn is_operating(&self) -> bool {
        self.app.operation.is_some()
            || self.operation_state().is_some_and(|state| matches!(state.phase.as_str(), "Running" | "Terminating"))
    }

    /// True when somebody asked for the deletion of the Application.
    #[must_use]
    pub const fn is_being_deleted(&self) -> bool {
        self.app.metadata.deletion_timestamp.is_some()
    }

    /// True when nothing about the Application needs a look.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.sync() == "Synced" && matches!(self.health(), "Healthy" | "Suspended") && !self.operation_failed()
    }

    /// True when the last operation did not succeed.
    #[must_use]
    pub fn operation_failed(&self) -> bool {
        self.operation_state().is_some_and(|state| matches!(state.phase.as_str(), "Failed" | "Error"))
    }

    /// The most important thing to know, or nothing: an error, a running or failed operation, the reason of the health.
    #[must_use]
    pub fn message(&self) -> String {
        if let Some(reason) = &self.unreadable {
            return reason.clone();
        }
        if self.is_being_deleted() {
            return "is being deleted".into();
        }
        let condition =
            || self.status()?.conditions.iter().find(|one| one.type_.ends_with("Error")).map(|one| one.message.clone());
        let operation = || {
            let state = self.operation_state().filter(|state| state.phase != "Succeeded")?;
            Some(format!("{}: {}", state.phase, state.message))
        };
        let requested = || self.app.operation.is_some().then(|| "sync requested".to_owned());
        let health = || self.status()?.health.as_ref().map(|health| health.message.clone());
        let found = condition().or_else(operation).or_else(requested).or_else(health);
        found.map(|text| text.trim_end_matches(": ").to_owned()).unwrap_or_default()
    }

    /// Age of the object.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> String {
        age::since(self.raw.pointer("/metadata/creationTimestamp").and_then(Value::as_str), now)
    }

    /// Sorts the worst first: health, then sync status, then namespace and name.
    #[must_use]
    pub fn order(&self) -> (usize, usize, String) {
        (badness(HEALTH_WORST_FIRST, self.health()), badness(SYNC_WORST_FIRST, self.sync()), self.full_name())
    }

    /// The cluster the objects go to.
    #[must_use]
    pub fn cluster(&self) -> &str {
        let destination = &self.app.spec.destination;
        if destination.name.is_empty() { &destination.server } else { &destination.name }
    }

    /// One fact about all sources, joined with commas.
    #[must_use]
    pub fn sources(&self, fact: impl Fn(&ApplicationSource) -> String) -> String {
        self.app.sources().into_iter().map(fact).collect::<Vec<_>>().join(",")
    }

    /// How automated sync is set: `off`, or `on` with what it also does.
    #[must_use]
    pub fn auto_sync(&self) -> String {
        let Some(automated) = self.app.automated() else { return "off".into() };
        let extras = [(automated.prune, "prune"), (automated.self_heal, "self-heal"), (automated.allow_empty, "allow-empty")];
        let on: Vec<&str> = extras.into_iter().filter_map(|(set, word)| set.then_some(word)).collect();
        if on.is_empty() { "on".into() } else { format!("on ({})", on.join(", ")) }
    }
}

const HEALTH_WORST_FIRST: &[&str] = &["Degraded", "Unknown", "Missing", "Progressing", "Suspended", "Healthy"];
const SYNC_WORST_FIRST: &[&str] = &["Unknown", "OutOfSync", "Synced"];

fn badness(worst_first: &[&str], word: &str) -> usize {
    worst_first.iter().position(|known| *known == word).unwrap_or(0)
}

/// Where manifests come from inside their repository: the path, or the chart.
#[must_use]
pub fn path_or_chart(source: &ApplicationSource) -> String {
    if source.chart.is_empty() { source.path.clone() } else { source.chart.clone() }
}

/// One or several revisions, short.
#[must_use]
pub fn revisions(single: &str, several: &[String]) -> String {
    if several.is_empty() { short(single) } else { several.iter().map(|one| short(one)).collect::<Vec<_>>().join(",") }
}

/// A commit or digest as people write it; anything else as it is.
#[must_use]
pub fn short(revision: &str) -> String {
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match revision.strip_prefix("sha256:") {
        Some(digest) if digest.len() == 64 && hex(digest) => format!("sha256:{}", &digest[..12]),
        _ if matches!(revision.len(), 40 | 64) && hex(revision) => revision[..7].to_owned(),
        _ => revision.to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    pub fn app(fields: Value) -> App {
        let mut object = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": { "name": "web", "namespace": "argocd" }, "spec": { "project": "", "destination": {} } });
        for (key, value) in fields.as_object().unwrap() {
            object[key] = value.clone();
        }
        App::from(serde_json::from_value::<DynamicObject>(object).unwrap())
    }

    #[test]
    fn an_unreadable_object_is_shown_and_not_dropped() {
        let broken = app(json!({ "spec": { "destination": 5 } }));
        assert_eq!((broken.full_name().as_str(), broken.sync(), broken.health()), ("argocd/web", "Unknown", "Unknown"));
        assert!(broken.message().starts_with("cannot read this object: "), "{}", broken.message());
    }

    #[test]
    fn the_message_is_the_most_important_one() {
        let healthy = json!({ "health": { "status": "Degraded", "message": "Caused by apps/Deployment:web/web" } });
        assert_eq!(app(json!({ "status": healthy })).message(), "Caused by apps/Deployment:web/web");
        let status = json!({ "conditions": [{ "type": "SharedResourceWarning", "message": "shared" },
            { "type": "ComparisonError", "message": "no such path" }],
            "operationState": { "phase": "Failed", "message": "one object failed", "operation": {}, "startedAt": "" } });
        assert_eq!(app(json!({ "status": status })).message(), "no such path");
        let failed =
            json!({ "operationState": { "phase": "Failed", "message": "one object failed", "operation": {}, "startedAt": "" } });
        assert_eq!(app(json!({ "status": failed })).message(), "Failed: one object failed");
        assert_eq!(app(json!({ "operation": { "sync": {} } })).message(), "sync requested");
    }

    #[test]
    fn revisions_are_short_when_they_are_hashes() {
        assert_eq!(short("3f2c1d9e8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e"), "3f2c1d9");
        assert_eq!(short("v1.2.3"), "v1.2.3");
        assert_eq!(short(&format!("sha256:{}", "ab".repeat(32))), "sha256:abababababab");
        assert_eq!(revisions("", &["main".into(), "1.0.0".into()]), "main,1.0.0");
    }

    #[test]
    fn the_worst_comes_first() {
        let with = |health: &str, sync: &str| {
            app(json!({ "status": { "health": { "status": health },
            "sync": { "status": sync, "comparedTo": { "destination": {} } } } }))
        };
        let mut all =
            [with("Healthy", "Synced"), with("Progressing", "Synced"), with("Healthy", "OutOfSync"), with("Degraded", "Synced")];
        all.sort_by_key(App::order);
        let words: Vec<_> = all.iter().map(|app| (app.health(), app.sync())).collect();
        assert_eq!(words, [("Degraded", "Synced"), ("Progressing", "Synced"), ("Healthy", "OutOfSync"), ("Healthy", "Synced")]);
    }
}
