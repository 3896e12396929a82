//! How live objects are read: their health with the operators' scripts, and the mark of the Application that manages them.
//!
//! The settings are exchanged while the controller runs; a script must not hold it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};

use crate::customisation::ResourceSettings;
use crate::health::script::ScriptError;
use crate::health::{self, Health, HealthCode};
use crate::resource::{GroupKind, Object};

/// How often the script of a kind is stopped at its limits before it is no longer run.
const MAX_STOPS: u32 = 3;

/// Reads live objects; cheap to clone, and all clones see the same settings. The default has no scripts.
#[derive(Debug, Clone, Default)]
pub struct Lens {
    settings: Arc<RwLock<Arc<ResourceSettings>>>,
    stopped: Arc<Mutex<HashMap<GroupKind, u32>>>,
}

/// Health of one object, and whether it is only known that its script failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Health, if the kind has one.
    pub health: Option<Health>,
    /// True when the operators' script failed; the health is `Unknown` then and its message the error.
    pub failed: bool,
}

impl Lens {
    /// Reads with these settings.
    #[must_use]
    pub fn new(settings: ResourceSettings) -> Self {
        Self { settings: Arc::new(RwLock::new(Arc::new(settings))), stopped: Arc::default() }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<ResourceSettings> {
        Arc::clone(&self.settings.read().expect("no holder of this lock panics"))
    }

    /// Exchanges the settings; false when they are what they were. Scripts that were given up get another chance.
    pub fn replace(&self, settings: ResourceSettings) -> bool {
        let mut current = self.settings.write().expect("no holder of this lock panics");
        if **current == settings {
            return false;
        }
        *current = Arc::new(settings);
        self.lock().clear();
        true
    }

    /// Health of one object; a script that fails makes it `Unknown`, with the error.
    #[must_use]
    pub fn assess(&self, object: &Object) -> Reading {
        let kind = object.group_kind();
        let settings = self.settings();
        let customisations = &settings.customisations;
        if customisations.is_empty() || customisations.health_script(&kind).is_none() {
            return Reading { health: health::assess(object), failed: false };
        }
        let unknown = |text: String| Reading { health: Some(Health::new(HealthCode::Unknown, text)), failed: true };
        if self.stops(&kind) >= MAX_STOPS {
            return unknown(format!("the health script of {kind} was stopped {MAX_STOPS} times and is not run any more"));
        }
        match health::assess_with(object, customisations, jiff::Timestamp::now().as_second()) {
            Ok(health) => Reading { health, failed: false },
            Err(error) => {
                if matches!(error, ScriptError::TooLong(_) | ScriptError::TooLarge(_)) {
                    tracing::warn!(%kind, name = object.name(), %error, "health script stopped");
                    *self.lock().entry(kind).or_default() += 1;
                }
                unknown(error.to_string())
            }
        }
    }

    fn stops(&self, kind: &GroupKind) -> u32 {
        self.lock().get(kind).copied().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<GroupKind, u32>> {
        self.stopped.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(source: &str) -> ResourceSettings {
        let data = [("resource.customizations.health.a.io_A".to_owned(), source.to_owned())].into();
        ResourceSettings::from_config_map(&data)
    }

    fn scripts(source: &str) -> Lens {
        Lens::new(settings(source))
    }

    fn told(scripts: &Lens, group: &str) -> String {
        let object = Object::from_value(json!({ "apiVersion": format!("{group}/v1"), "kind": "A" })).unwrap_or_default();
        scripts.assess(&object).health.map(|health| format!("{} {}", health.status, health.message)).unwrap_or_default()
    }

    #[test]
    fn a_script_decides_for_its_kind_and_an_error_is_unknown() {
        assert_eq!(told(&scripts("return {status='Suspended', message='x'}"), "a.io"), "Suspended x");
        assert_eq!(told(&scripts("return {status='Suspended'}"), "b.io"), "");
        assert!(told(&scripts("error('no')"), "a.io").starts_with("Unknown "));
    }

    /// Each run may cost a second; a script that never ends must not cost one for every event of every object.
    #[test]
    fn a_script_that_never_ends_is_given_up() {
        let scripts = scripts("while true do end");
        for _ in 0..MAX_STOPS {
            assert!(told(&scripts, "a.io").contains("was stopped after"));
        }
        assert!(told(&scripts, "a.io").contains("not run any more"));
    }

    #[test]
    fn settings_are_exchanged_under_way_and_a_given_up_script_may_run_again() {
        let scripts = scripts("while true do end");
        (0..MAX_STOPS).for_each(|_| drop(told(&scripts, "a.io")));
        assert!(!scripts.replace(settings("while true do end")), "the same");
        assert!(scripts.clone().replace(settings("return {status='Suspended'}")));
        assert_eq!(told(&scripts, "a.io"), "Suspended ");
    }
}
