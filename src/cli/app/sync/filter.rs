//! `--resource GROUP:KIND:NAME`: which objects a selective sync is about. Pure.

use std::str::FromStr;

use crate::api::application::{ResourceStatus, SyncOperationResource};

/// One `--resource`: `GROUP:KIND:NAME` or `GROUP:KIND:NAMESPACE/NAME`, `*` for any part, `!` in front leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceFilter {
    exclude: bool,
    group: String,
    kind: String,
    namespace: Option<String>,
    name: String,
}

impl FromStr for ResourceFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write GROUP:KIND:NAME or GROUP:KIND:NAMESPACE/NAME, for example apps:Deployment:web".to_owned();
        let (exclude, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let mut parts = rest.splitn(3, ':');
        let (group, kind, name) = match (parts.next(), parts.next(), parts.next()) {
            (Some(group), Some(kind), Some(name)) if !kind.is_empty() && !name.is_empty() => (group, kind, name),
            _ => return Err(wrong()),
        };
        let (namespace, name) = match name.split_once('/') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name),
            None => (None, name),
        };
        if name.is_empty() {
            return Err(wrong());
        }
        Ok(Self { exclude, group: group.into(), kind: kind.into(), namespace, name: name.into() })
    }
}

impl ResourceFilter {
    fn matches(&self, object: &ResourceStatus) -> bool {
        let same = |pattern: &str, value: &str| pattern == "*" || pattern == value;
        same(&self.group, &object.group)
            && same(&self.kind, &object.kind)
            && same(&self.name, &object.name)
            && self.namespace.as_deref().is_none_or(|namespace| same(namespace, &object.namespace))
    }
}

/// The objects that the filters choose: those that an including filter matches, or all when there is none, without those
/// that an excluding filter matches. Hooks cannot be chosen.
#[must_use]
pub fn choose(filters: &[ResourceFilter], known: &[ResourceStatus]) -> Vec<SyncOperationResource> {
    let any_including = filters.iter().any(|filter| !filter.exclude);
    let included =
        |object: &ResourceStatus| !any_including || filters.iter().any(|filter| !filter.exclude && filter.matches(object));
    let excluded = |object: &ResourceStatus| filters.iter().any(|filter| filter.exclude && filter.matches(object));
    let chosen = known.iter().filter(|object| !object.hook && included(object) && !excluded(object));
    chosen
        .map(|object| SyncOperationResource {
            group: object.group.clone(),
            kind: object.kind.clone(),
            name: object.name.clone(),
            namespace: object.namespace.clone(),
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn known() -> Vec<ResourceStatus> {
        let object = |group: &str, kind: &str, namespace: &str, name: &str| ResourceStatus {
            group: group.into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
            ..ResourceStatus::default()
        };
        vec![
            object("", "Service", "web", "web"),
            object("apps", "Deployment", "web", "web"),
            object("apps", "Deployment", "job", "web"),
        ]
    }

    fn chosen(filters: &[&str]) -> Vec<String> {
        let filters: Vec<ResourceFilter> = filters.iter().map(|text| text.parse().unwrap()).collect();
        choose(&filters, &known()).iter().map(|one| format!("{}/{}/{}", one.kind, one.namespace, one.name)).collect()
    }

    #[test]
    fn filters_include_and_exclude() {
        assert_eq!(chosen(&["apps:Deployment:web"]), ["Deployment/web/web", "Deployment/job/web"]);
        assert_eq!(chosen(&["apps:Deployment:web/web"]), ["Deployment/web/web"]);
        assert_eq!(chosen(&["!apps:*:*"]), ["Service/web/web"]);
        assert_eq!(chosen(&["*:*:web", "!:Service:web"]), ["Deployment/web/web", "Deployment/job/web"]);
        assert!(chosen(&[":Service:other"]).is_empty());
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "web", "apps:Deployment", "apps::web", "apps:Deployment:", "apps:Deployment:ns/"] {
            assert!(text.parse::<ResourceFilter>().is_err(), "{text}");
        }
    }
}
