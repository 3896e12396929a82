//! Health of one live object, and of an Application from the health of its objects. Pure; `rules/` holds one file per kind.
//!
//! ```text
//! live object ── being deleted? ── rule of its group and kind? ── supported version? ──> Health
//!                     │ yes               │ no                        │ no
//!                     └─> Progressing     └─> none: neutral           └─> Unknown
//! ```
//!
//! To add a rule: one file in `rules/`, one line in [`RULES`], one folder of cases in `tests/fixtures/health`.
//!
//! Source: Argo CD 3.5, built-in and bundled health checks (reference sections 7.1 to 7.3).

mod aggregate;
mod code;
mod condition;
mod rules;
pub mod script;

pub use aggregate::{Item, aggregate, worst};
pub use code::{Health, HealthCode, UnknownCode};
pub use rules::{RULES, Rule};

use crate::resource::{Object, annotations};

/// Assesses one live object; `None` when nothing is known about its kind, which is neutral for the Application and done
/// for whoever waits.
#[must_use]
pub fn assess(live: &Object) -> Option<Health> {
    // A hook keeps its result while it waits for its own finalizer: its completion is read from here.
    if live.is_being_deleted() && !live.has_finalizer(annotations::HOOK_FINALIZER) {
        return Some(Health::progressing("Pending deletion"));
    }
    let rule = RULES.iter().find(|rule| rule.applies_to(live))?;
    if !rule.supports(live.version()) {
        let (api_version, kind) = (live.api_version(), live.kind());
        return Some(Health::new(HealthCode::Unknown, format!("unsupported {kind} version: {api_version}")));
    }
    Some((rule.assess)(live))
}

#[cfg(test)]
mod tests;
