//! The mark that says which Application manages an object.
//!
//! Source: Argo CD 3.5 resource tracking (reference section 4.1), method `annotation`:
//! `<instance>:<group>/<Kind>:<namespace>/<name>`.

use std::fmt;

use super::ResourceKey;

/// Instance name of an Application: its name, with `namespace_` in front outside the control namespace.
#[must_use]
pub fn instance_name(app_namespace: &str, app_name: &str, control_namespace: &str) -> String {
    if app_namespace == control_namespace || app_namespace.is_empty() {
        app_name.to_owned()
    } else {
        format!("{app_namespace}_{app_name}")
    }
}

/// A parsed tracking id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackingId {
    /// Instance name of the Application.
    pub instance: String,
    /// The object the id was written for; of a cluster-scoped object the namespace is the Application's destination.
    pub key: ResourceKey,
}

impl fmt::Display for TrackingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ResourceKey { group, kind, namespace, name } = &self.key;
        write!(f, "{}:{group}/{kind}:{namespace}/{name}", self.instance)
    }
}

impl TrackingId {
    /// Parses an annotation value; `None` when it has another form, which means "not tracked".
    ///
    /// The third part may contain colons (RBAC names do), but neither of the last two parts a second slash.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (instance, group_kind, namespace_name) = (parts.next()?, parts.next()?, parts.next()?);
        let (group, kind) = group_kind.split_once('/')?;
        let (namespace, name) = namespace_name.split_once('/')?;
        if kind.contains('/') || name.contains('/') {
            return None;
        }
        Some(Self { instance: instance.to_owned(), key: ResourceKey::new(group, kind, namespace, name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_round_trip_with_colons_in_the_name() {
        let text = "web:rbac.authorization.k8s.io/ClusterRole:prod/system:foo:bar";
        let id = TrackingId::parse(text).unwrap_or_else(|| unreachable!("well-formed"));
        assert_eq!(id.key.name, "system:foo:bar");
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn refuses_other_forms() {
        for text in ["web", "web:/Service", "web:Service:ns/name", "web:/Service:ns/a/b", "web:a/b/C:ns/name"] {
            assert_eq!(TrackingId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn instance_names_carry_the_namespace_outside_the_control_namespace() {
        assert_eq!(instance_name("argocd", "web", "argocd"), "web");
        assert_eq!(instance_name("team", "web", "argocd"), "team_web");
    }
}
