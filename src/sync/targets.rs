//! Turns rendered manifests into targets: namespaces filled in, tracking marks set, duplicates dropped.
//!
//! Source: Argo CD 3.5 (reference sections 4.1 and 6.2).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::api::Application;
use crate::customisation::ResourceSettings;
use crate::resource::{GroupKind, Object, ResourceKey};

/// The target state of one Application.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// Targets by identity.
    pub objects: BTreeMap<ResourceKey, Object>,
    /// What was noticed on the way: condition type and message.
    pub notices: Vec<(&'static str, String)>,
}

impl Targets {
    /// Identities of all targets.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<ResourceKey> {
        self.objects.keys().cloned().collect()
    }

    /// Kinds of all targets.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<GroupKind> {
        self.objects.keys().map(ResourceKey::group_kind).collect()
    }
}

/// Where targets go and how they are marked.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Instance name of the Application.
    pub instance: &'a str,
    /// Namespace of the destination, may be empty.
    pub namespace: &'a str,
    /// Server URL of the destination cluster.
    pub server: &'a str,
    /// What operators say about objects.
    pub settings: &'a ResourceSettings,
}

/// Prepares rendered manifests for comparison and sync.
///
/// `namespaced` says whether a kind lives in namespaces, `None` when the cluster does not serve it; a CRD among the manifests
/// answers for its own kind, any other unknown kind counts as namespaced. Objects of excluded kinds are left out, with a warning.
pub fn prepare(objects: Vec<Object>, place: Place<'_>, namespaced: impl Fn(&GroupKind) -> Option<bool>) -> Targets {
    let declared = scopes_of_crds(&objects);
    let mut targets = Targets::default();
    let mut seen: BTreeMap<ResourceKey, usize> = BTreeMap::new();
    for (index, mut object) in objects.into_iter().enumerate() {
        let kind = object.group_kind();
        if place.settings.kinds.excludes(&kind, place.server) {
            targets.notices.push(("ExcludedResourceWarning", excluded(&object)));
            continue;
        }
        let is_namespaced = namespaced(&kind).or_else(|| declared.get(&kind).copied()).unwrap_or(true);
        if !is_namespaced {
            object.set_namespace("");
        } else if object.namespace().is_empty() {
            object.set_namespace(place.namespace);
        }
        let key = identity(&object, index);
        if is_namespaced && key.namespace.is_empty() {
            let text = format!("Namespace for {} {}/{}, Kind={} is missing.", key.name, key.group, object.version(), key.kind);
            targets.notices.push(("InvalidSpecError", text));
        }
        place.settings.tracking.mark(&mut object, place.instance, place.namespace);
        *seen.entry(key.clone()).or_default() += 1;
        targets.objects.insert(key, object);
    }
    for (key, count) in seen.into_iter().filter(|(_, count)| *count > 1) {
        let text = format!(
            "Resource {}/{}/{}/{} appeared {count} times among application resources.",
            key.group, key.kind, key.namespace, key.name
        );
        targets.notices.push(("RepeatedResourceWarning", text));
    }
    targets
}

fn excluded(object: &Object) -> String {
    format!("Resource {}/{} {} is excluded in the settings", object.group(), object.kind(), object.name())
}

/// Objects with only `generateName` are distinct: the index is part of their key.
fn identity(object: &Object, index: usize) -> ResourceKey {
    let mut key = object.key();
    if key.name.is_empty() && !object.generate_name().is_empty() {
        key.name = format!("{}{index}", object.generate_name());
    }
    key
}

/// Kinds that CRDs among the manifests declare, and whether they are namespaced.
#[must_use]
pub fn scopes_of_crds(objects: &[Object]) -> BTreeMap<GroupKind, bool> {
    let crds = objects.iter().filter(|object| object.kind() == "CustomResourceDefinition");
    crds.filter_map(|crd| {
        let text = |path: &[&str]| crd.get(path).and_then(Value::as_str);
        let kind = GroupKind::new(text(&["spec", "group"])?, text(&["spec", "names", "kind"])?);
        Some((kind, text(&["spec", "scope"]) != Some("Cluster")))
    })
    .collect()
}

/// The destination's namespace as `CreateNamespace=true` wants it; `None` when nobody asks for it, or it is a target itself.
#[must_use]
pub fn managed_namespace(app: &Application, sync_options: &[String], is_target: impl Fn(&ResourceKey) -> bool) -> Option<Object> {
    let name = &app.spec.destination.namespace;
    let asked = sync_options.iter().any(|option| option == "CreateNamespace=true");
    if !asked || name.is_empty() || is_target(&ResourceKey::new("", "Namespace", "", name)) {
        return None;
    }
    let mut namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    if let Some(metadata) = app.spec.sync_policy.as_ref().and_then(|policy| policy.managed_namespace_metadata.as_ref()) {
        namespace["metadata"]["labels"] = json!(metadata.labels);
        namespace["metadata"]["annotations"] = json!(metadata.annotations);
    }
    Object::from_value(namespace).ok()
}

/// True when the namespace has metadata to be kept, so that it is applied although it exists.
#[must_use]
pub fn has_namespace_metadata(app: &Application) -> bool {
    app.spec.sync_policy.as_ref().is_some_and(|policy| policy.managed_namespace_metadata.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::annotations::TRACKING_ID;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap_or_default()
    }

    fn scope(kind: &GroupKind) -> Option<bool> {
        match kind.kind.as_str() {
            "ConfigMap" => Some(true),
            "ClusterRole" => Some(false),
            _ => None,
        }
    }

    fn prepared(values: Vec<Value>, namespace: &str) -> Targets {
        let settings = ResourceSettings::default();
        let place = Place { instance: "web", namespace, server: "https://kubernetes.default.svc", settings: &settings };
        prepare(values.into_iter().map(object).collect(), place, scope)
    }

    /// T86: what is excluded is as good as not in Git.
    #[test]
    fn objects_of_excluded_kinds_are_left_out_with_a_warning() {
        let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "a" } });
        let targets = prepared(vec![lease], "prod");
        assert!(targets.objects.is_empty());
        let text = "Resource coordination.k8s.io/Lease a is excluded in the settings";
        assert_eq!(targets.notices, [("ExcludedResourceWarning", text.to_owned())]);
    }

    #[test]
    fn namespaces_are_filled_in_and_cleared_by_scope() {
        let targets = prepared(
            vec![
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" } }),
                json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                        "metadata": { "name": "r", "namespace": "stray" } }),
            ],
            "prod",
        );
        let keys: Vec<String> = targets.objects.keys().map(ToString::to_string).collect();
        assert_eq!(keys, ["ConfigMap prod/a", "rbac.authorization.k8s.io/ClusterRole r"]);
        let marks: Vec<_> = targets.objects.values().filter_map(|one| one.annotation(TRACKING_ID)).collect();
        assert_eq!(marks, ["web:/ConfigMap:prod/a", "web:rbac.authorization.k8s.io/ClusterRole:prod/r"]);
    }

    #[test]
    fn the_last_of_two_equal_objects_wins_with_a_warning() {
        let one =
            |data: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": { "k": data } });
        let targets = prepared(vec![one("1"), one("2")], "prod");
        assert_eq!(targets.objects.len(), 1);
        assert_eq!(targets.objects.values().next().and_then(|one| one.get(&["data", "k"]).cloned()), Some(json!("2")));
        let text = "Resource /ConfigMap/prod/a appeared 2 times among application resources.";
        assert_eq!(targets.notices, [("RepeatedResourceWarning", text.to_owned())]);
    }

    #[test]
    fn a_crd_in_the_same_set_says_the_scope_of_its_kind_and_gets_no_mark() {
        let targets = prepared(
            vec![
                json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": "w" },
                        "spec": { "group": "x.io", "scope": "Cluster", "names": { "kind": "Widget" } } }),
                json!({ "apiVersion": "x.io/v1", "kind": "Widget", "metadata": { "name": "a", "namespace": "stray" } }),
            ],
            "prod",
        );
        let widget = &targets.objects[&ResourceKey::new("x.io", "Widget", "", "a")];
        assert!(widget.annotation(TRACKING_ID).is_some());
        assert_eq!(targets.objects.values().filter(|one| one.annotation(TRACKING_ID).is_none()).count(), 1);
    }

    #[test]
    fn a_missing_namespace_is_named() {
        let targets = prepared(vec![json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" } })], "");
        assert_eq!(targets.notices, [("InvalidSpecError", "Namespace for a /v1, Kind=ConfigMap is missing.".to_owned())]);
    }
}
