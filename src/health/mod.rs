//! Health of one live object, and of an Application from the health of its objects. Pure; `rules/` holds one file per kind.
//!
//! ```text
//! live object ── being deleted? ── script in argocd-cm? ── rule? ── in the table? ── standard conditions? ──> Health
//!                     │ yes             │ yes                                             │ no
//!                     └─> Progressing   └─> its answer, or Unknown                        └─> none: neutral
//! ```
//!
//! Kinds of Kubernetes have a rule in `rules/`; what is known of others is one table in `known/`.
//!
//! To add a rule: one file in `rules/`, one line in [`RULES`], one folder of cases in `tests/fixtures/health`. To add a kind to
//! the table: some lines in `known/tables`, one folder of cases.
//!
//! Source: Argo CD 3.5, built-in and bundled health checks (reference sections 7.1 to 7.3).

mod aggregate;
mod code;
mod condition;
mod generic;
pub mod known;
mod rules;
pub mod script;

pub use aggregate::{Item, aggregate, worst};
pub use code::{Health, HealthCode, UnknownCode};
pub use rules::{RULES, Rule};

use crate::customisation::Customisations;
use crate::resource::{Object, annotations};

/// Assesses one live object; `None` when nothing is known about its kind, which is neutral for the Application and done
/// for whoever waits.
#[must_use]
pub fn assess(live: &Object) -> Option<Health> {
    if is_going(live) {
        return Some(Health::progressing("Pending deletion"));
    }
    built_in(live)
}

/// Assesses one live object, with the operators' scripts before the built-in knowledge. `now` in seconds since 1970, for
/// scripts that ask.
///
/// # Errors
/// A script of the kind failed or was stopped. The object then counts as `Unknown`.
pub fn assess_with(live: &Object, customisations: &Customisations, now: i64) -> Result<Option<Health>, script::ScriptError> {
    if is_going(live) {
        return Ok(assess(live));
    }
    match customisations.health_script(&live.group_kind()) {
        Some(script) => script::run(&script, live, script::Limits::default(), now),
        None => Ok(built_in(live)),
    }
}

/// A hook keeps its result while it waits for its own finalizer: its completion is read from here.
fn is_going(live: &Object) -> bool {
    live.is_being_deleted() && !live.has_finalizer(annotations::HOOK_FINALIZER)
}

fn built_in(live: &Object) -> Option<Health> {
    let Some(rule) = RULES.iter().find(|rule| rule.applies_to(live)) else {
        return known::assess(live).unwrap_or_else(|| generic::assess(live));
    };
    if !rule.supports(live.version()) {
        let (api_version, kind) = (live.api_version(), live.kind());
        return Some(Health::new(HealthCode::Unknown, format!("unsupported {kind} version: {api_version}")));
    }
    Some((rule.assess)(live))
}

#[cfg(test)]
mod tests;
