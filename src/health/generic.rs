//! A kind that nobody knows, by the standard conditions of Kubernetes controllers, as far as they are beyond doubt.
//!
//! Different from Argo CD, which has no health for such a kind. Compatibility decides what counts: the verdict is worse than
//! `Healthy` only where the conditions say so in so many words, and only of the newest specification, so that an Application
//! that Argo CD calls healthy is not called degraded because of a word that a controller uses in its own way.
//!
//! ```text
//! Stalled=True            Degraded: the convention says that it will not go on by itself
//! Reconciling=True        Progressing
//! observed < generation   Progressing, where the object has Ready or Available as well
//! Ready or Available=True Healthy
//! anything else           no health, which is neutral; so is Ready=False, which some controllers use for "idle"
//! ```
//!
//! Source: the API conventions of Kubernetes on conditions, and the kstatus conventions on `Stalled` and `Reconciling`.

use super::Health;
use super::condition::{condition, number};
use crate::resource::Object;

pub(super) fn assess(live: &Object) -> Option<Health> {
    // Kinds of Kubernetes itself without a rule have no health, as in Argo CD.
    if !live.group().contains('.')
        || live.group().ends_with(".k8s.io")
        || (live.group(), live.kind()) == ("argoproj.io", "Application")
    {
        return None;
    }
    let holds = |type_: &str| condition(live, type_).filter(|found| found.is_true());
    if let Some(stalled) = holds("Stalled") {
        return Some(Health::degraded(stalled.message));
    }
    if let Some(reconciling) = holds("Reconciling") {
        return Some(Health::progressing(reconciling.message));
    }
    let standard = condition(live, "Ready").or_else(|| condition(live, "Available"))?;
    if number(live, &["status", "observedGeneration"]).is_some_and(|observed| observed < live.generation()) {
        return Some(Health::progressing("Waiting for the newest specification to be observed"));
    }
    standard.is_true().then(|| Health::healthy(standard.message))
}
