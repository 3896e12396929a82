//! The deletion budget: how much one sync may delete without asking. Pure.
//!
//! ```text
//! kubectl-gitops.io/deletion-budget: "10, 20%, data"     on the Application; application.deletionBudget in argocd-cm for all
//! ```
//!
//! A number is a count of objects, a percentage is of the objects that the Application has in the cluster, `data` stands for any
//! object whose deletion takes data along. The first limit that is passed holds every deletion of the sync, after everything
//! else was applied, until somebody approves; `off` takes a default away.
//!
//! Argo CD has nothing of the kind: a wrong path or a broken overlay deletes everything that it no longer names.

use crate::api::Application;
use crate::resource::ResourceKey;
use crate::resource::annotations::{DELETION_APPROVED, DELETION_BUDGET};

/// Kinds whose deletion takes data along.
const DATA: &[(&str, &str)] = &[
    ("", "PersistentVolumeClaim"),
    ("", "PersistentVolume"),
    ("", "Namespace"),
    ("apps", "StatefulSet"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
];

/// How much one sync may delete without asking. The default is without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    count: Option<usize>,
    percent: Option<usize>,
    data: bool,
}

/// A budget that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no deletion budget: write a count, a percentage or `data`, or several of them with commas, or `off`")]
pub struct InvalidBudget(String);

impl Budget {
    /// Reads `10, 20%, data`; nothing and `off` are without limit.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read(text: &str) -> Result<Self, InvalidBudget> {
        let mut budget = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "off") {
            let invalid = || InvalidBudget(text.to_owned());
            match part.strip_suffix('%') {
                Some(percent) => {
                    let percent: usize = percent.trim().parse().map_err(|_| invalid())?;
                    budget.percent = Some(percent).filter(|percent| *percent <= 100).ok_or_else(invalid).map(Some)?;
                }
                None if part == "data" => budget.data = true,
                None => budget.count = Some(part.parse().map_err(|_| invalid())?),
            }
        }
        Ok(budget)
    }

    /// The budget of an Application: its own, else the default of all. One that cannot be read permits no deletion at all.
    #[must_use]
    pub fn of(app: &Application, default: &str) -> (Self, Option<InvalidBudget>) {
        match Self::read(app.annotation(DELETION_BUDGET).unwrap_or(default)) {
            Ok(budget) => (budget, None),
            Err(error) => (Self { count: Some(0), ..Self::default() }, Some(error)),
        }
    }

    /// Says what of the budget a sync would pass that deletes `doomed` of `all` live objects; `None` when it stays within.
    #[must_use]
    pub fn passed<'a>(self, doomed: impl Iterator<Item = &'a ResourceKey> + Clone, all: usize) -> Option<String> {
        let number = doomed.clone().count();
        if number == 0 {
            return None;
        }
        if let Some(count) = self.count.filter(|count| number > *count) {
            return Some(format!(
                "{number} of {all} objects would be deleted, more than the {count} that the deletion budget permits"
            ));
        }
        if let Some(percent) = self.percent.filter(|percent| number * 100 > all * percent) {
            return Some(format!(
                "{number} of {all} objects would be deleted, more than the {percent} percent that the deletion budget permits"
            ));
        }
        let mut doomed = doomed;
        let has_data = |key: &&ResourceKey| DATA.iter().any(|(group, kind)| *group == key.group && *kind == key.kind);
        let first = doomed.find(|key| self.data && has_data(key))?;
        Some(format!("{first} would be deleted together with its data"))
    }
}

/// How a person lets a held deletion go on.
#[must_use]
pub fn how_to_approve(app: &Application) -> String {
    format!(
        "kubectl annotate application -n {} {} {DELETION_APPROVED}=$(date -u +%Y-%m-%dT%H:%M:%SZ) --overwrite",
        app.namespace(),
        app.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(kinds: &[(&str, &str)]) -> Vec<ResourceKey> {
        kinds.iter().enumerate().map(|(at, (group, kind))| ResourceKey::new(*group, *kind, "n", format!("o{at}"))).collect()
    }

    fn passed(budget: &str, doomed: &[(&str, &str)], all: usize) -> bool {
        let keys = keys(doomed);
        Budget::read(budget).is_ok_and(|budget| budget.passed(keys.iter(), all).is_some())
    }

    #[test]
    fn each_limit_counts_for_itself() {
        let three = [("", "ConfigMap"), ("", "ConfigMap"), ("", "Service")];
        assert!(!passed("", &three, 3) && !passed("off", &three, 3));
        assert!(!passed("3", &three, 3) && passed("2", &three, 3) && passed("0", &three, 100));
        assert!(!passed("50%", &three, 6) && passed("49%", &three, 6));
        assert!(passed("10, 20%", &three, 6), "the first that is passed");
        let claim = [("", "PersistentVolumeClaim")];
        assert!(passed("data", &claim, 100) && !passed("data", &three, 3) && !passed("5", &claim, 100));
        assert!(!passed("0", &[], 5), "nothing to delete");
        for odd in ["x", "-1", "101%", "10 objects", "%"] {
            assert!(Budget::read(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn an_application_has_its_own_budget_and_a_broken_one_permits_nothing() {
        let mut app = Application::default();
        assert_eq!(Budget::of(&app, "5").0, Budget { count: Some(5), ..Budget::default() });
        app.metadata.annotations = Some([(DELETION_BUDGET.to_owned(), "off".to_owned())].into());
        assert_eq!(Budget::of(&app, "5").0, Budget::default());
        app.metadata.annotations = Some([(DELETION_BUDGET.to_owned(), "a few".to_owned())].into());
        let (budget, problem) = Budget::of(&app, "5");
        assert_eq!(budget.count, Some(0));
        assert!(problem.is_some_and(|problem| problem.to_string().contains("a few")));
    }
}
