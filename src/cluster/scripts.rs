//! Health of live objects with the operators' scripts, which must not hold the controller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::customisation::Customisations;
use crate::health::script::ScriptError;
use crate::health::{self, Health, HealthCode};
use crate::resource::{GroupKind, Object};

/// How often the script of a kind is stopped at its limits before it is no longer run.
const MAX_STOPS: u32 = 3;

/// Assesses objects; cheap to clone. The default has no scripts.
#[derive(Debug, Clone, Default)]
pub struct HealthScripts {
    customisations: Arc<Customisations>,
    stopped: Arc<Mutex<HashMap<GroupKind, u32>>>,
}

impl HealthScripts {
    /// Takes the scripts of some customisations.
    #[must_use]
    pub fn new(customisations: Arc<Customisations>) -> Self {
        Self { customisations, stopped: Arc::default() }
    }

    /// Health of one object; a script that fails makes it `Unknown`, with the error.
    #[must_use]
    pub fn assess(&self, object: &Object) -> Option<Health> {
        let kind = object.group_kind();
        if self.customisations.is_empty() || self.customisations.health_script(&kind).is_none() {
            return health::assess(object);
        }
        let unknown = |text: String| Some(Health::new(HealthCode::Unknown, text));
        if self.stops(&kind) >= MAX_STOPS {
            return unknown(format!("the health script of {kind} was stopped {MAX_STOPS} times and is not run any more"));
        }
        match health::assess_with(object, &self.customisations, jiff::Timestamp::now().as_second()) {
            Ok(health) => health,
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

    fn scripts(source: &str) -> HealthScripts {
        let data = [("resource.customizations.health.a.io_A".to_owned(), source.to_owned())].into();
        HealthScripts::new(Arc::new(Customisations::from_config_map(&data)))
    }

    fn told(scripts: &HealthScripts, group: &str) -> String {
        let object = Object::from_value(json!({ "apiVersion": format!("{group}/v1"), "kind": "A" })).unwrap_or_default();
        scripts.assess(&object).map(|health| format!("{} {}", health.status, health.message)).unwrap_or_default()
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
}
