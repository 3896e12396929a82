//! Everything in `argocd-cm` that is about objects in destination clusters, in one value that is exchanged as a whole.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{COMPARE_OPTIONS, Customisations, KindFilter, PREFIX, Problem};
use crate::resource::tracking::{Method, Tracking};
use crate::resource::yaml;

const EXCLUSIONS: &str = "resource.exclusions";
const INCLUSIONS: &str = "resource.inclusions";
const TRACKING_METHOD: &str = "application.resourceTrackingMethod";
const INSTANCE_LABEL_KEY: &str = "application.instanceLabelKey";
const INSTALLATION: &str = "installationID";
const RESPECT_RBAC: &str = "resource.respectRBAC";
const FILTER_UPDATES: &str = "resource.ignoreResourceUpdatesEnabled";
const IMPERSONATION: &str = "application.sync.impersonation.enabled";
const DELETION_BUDGET: &str = "application.deletionBudget";
const IMPERSONATION_ENFORCED: &str = "application.sync.impersonation.enforced";

/// Keys that are read here, besides those of [`Customisations`].
const KEYS: &[&str] = &[
    COMPARE_OPTIONS,
    EXCLUSIONS,
    INCLUSIONS,
    TRACKING_METHOD,
    INSTANCE_LABEL_KEY,
    INSTALLATION,
    RESPECT_RBAC,
    FILTER_UPDATES,
    IMPERSONATION,
    IMPERSONATION_ENFORCED,
    DELETION_BUDGET,
];

/// Under whose rights objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Impersonation {
    /// True when a sync acts as the ServiceAccount that the project names.
    pub enabled: bool,
    /// True when a sync fails for which the project names none; else the controller acts as itself.
    pub enforced: bool,
}

/// What operators say about objects in destination clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceSettings {
    /// What is changed about kinds.
    pub customisations: Customisations,
    /// Kinds that are left alone.
    pub kinds: KindFilter,
    /// How managed objects are marked.
    pub tracking: Tracking,
    /// True when a kind that may not be listed is looked at object by object instead of being an error.
    pub respect_rbac: bool,
    /// True when changes of ignored fields are no reason to look again.
    pub filter_updates: bool,
    /// Under whose rights objects are written.
    pub impersonation: Impersonation,
    /// How much one sync may delete without an approval, as written; empty is without limit.
    pub deletion_budget: String,
    /// What cannot be used, customisations included.
    pub problems: Vec<Problem>,
}

impl Default for ResourceSettings {
    fn default() -> Self {
        Self::from_config_map(&BTreeMap::new())
    }
}

impl ResourceSettings {
    /// Reads the data of `argocd-cm`. What cannot be read is named in `problems`, and its default holds.
    #[must_use]
    pub fn from_config_map(data: &BTreeMap<String, String>) -> Self {
        let text = |key: &str| data.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
        let customisations = Customisations::from_config_map(data);
        let mut problems = customisations.problems.clone();
        let mut problem = |key: &str, cause: String, hint: &str| {
            problems.push(Problem { key: key.into(), cause, hint: hint.into(), kinds: None });
        };
        let mut list = |key: &str| match text(key).map(yaml::parse_one) {
            None => Value::Null,
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                problem(key, error.to_string(), FILTER_HINT);
                Value::Null
            }
        };
        let (exclusions, inclusions) = (list(EXCLUSIONS), list(INCLUSIONS));
        let kinds = KindFilter::read(exclusions, inclusions).unwrap_or_else(|(key, cause)| {
            problem(key, cause, FILTER_HINT);
            KindFilter::default()
        });
        let respect_rbac = match text(RESPECT_RBAC) {
            None => false,
            Some("normal" | "strict") => true,
            Some(other) => {
                problem(RESPECT_RBAC, format!("`{other}` is not known"), "normal or strict");
                false
            }
        };
        let switch = |key: &str, default: bool| text(key).map_or(default, |text| text == "true");
        Self {
            kinds,
            tracking: Tracking {
                method: Method::read(text(TRACKING_METHOD).unwrap_or_default()),
                label: text(INSTANCE_LABEL_KEY).unwrap_or(crate::resource::annotations::INSTANCE_LABEL).to_owned(),
                installation: text(INSTALLATION).unwrap_or_default().to_owned(),
            },
            respect_rbac,
            filter_updates: switch(FILTER_UPDATES, true),
            impersonation: Impersonation {
                enabled: switch(IMPERSONATION, false),
                enforced: switch(IMPERSONATION_ENFORCED, true),
            },
            deletion_budget: text(DELETION_BUDGET).unwrap_or_default().to_owned(),
            customisations,
            problems,
        }
    }

    /// True when a key of `argocd-cm` is read here.
    #[must_use]
    pub fn reads(key: &str) -> bool {
        KEYS.contains(&key) || key.starts_with(PREFIX)
    }
}

const FILTER_HINT: &str = "a list of `{apiGroups: [], kinds: [], clusters: []}`; nothing is left alone until it can be read";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::GroupKind;

    fn read(pairs: &[(&str, &str)]) -> ResourceSettings {
        ResourceSettings::from_config_map(&pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
    }

    fn excludes(settings: &ResourceSettings, group: &str, kind: &str) -> bool {
        settings.kinds.excludes(&GroupKind::new(group, kind), "https://kubernetes.default.svc")
    }

    #[test]
    fn exclusions_beat_inclusions_and_an_inclusion_excludes_the_rest() {
        let none = read(&[]);
        assert!(excludes(&none, "", "Event") && excludes(&none, "events.k8s.io", "Event"));
        assert!(excludes(&none, "coordination.k8s.io", "Lease") && !excludes(&none, "apps", "Deployment"));
        let both = read(&[
            (EXCLUSIONS, "- {apiGroups: ['*.cilium.io'], kinds: [CiliumIdentity]}\n- {kinds: [Endpoints]}"),
            (INCLUSIONS, "- {apiGroups: ['*'], kinds: [Deployment, Endpoints, CiliumIdentity]}"),
        ]);
        assert!(!excludes(&both, "apps", "Deployment"));
        assert!(excludes(&both, "", "ConfigMap"), "not included");
        assert!(excludes(&both, "", "Endpoints"), "an exclusion wins");
        let elsewhere = read(&[(INCLUSIONS, "- {kinds: [Deployment], clusters: ['https://other*']}")]);
        assert!(!excludes(&elsewhere, "", "ConfigMap"));
    }

    #[test]
    fn what_cannot_be_read_is_named_and_the_rest_holds() {
        let odd = read(&[
            (EXCLUSIONS, "kinds: [Endpoints]"),
            (RESPECT_RBAC, "sometimes"),
            (TRACKING_METHOD, "label"),
            (INSTANCE_LABEL_KEY, "example.com/app"),
        ]);
        let keys: Vec<&str> = odd.problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, [EXCLUSIONS, RESPECT_RBAC]);
        assert_eq!((odd.tracking.method, odd.tracking.label.as_str()), (Method::Label, "example.com/app"));
        assert_eq!(read(&[(TRACKING_METHOD, "guess")]).tracking.method, Method::Annotation);
    }
}
