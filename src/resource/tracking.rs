//! The mark that says which Application manages an object.
//!
//! Source: Argo CD 3.5 resource tracking (reference sections 4.1 and 4.2); the annotation is
//! `<instance>:<group>/<Kind>:<namespace>/<name>`.

use std::fmt;

use super::annotations::{INSTALLATION_ID, INSTANCE_LABEL, TRACKING_ID};
use super::{Object, ResourceKey};

/// Longest value of a label.
const LONGEST_LABEL: usize = 63;

/// Where the mark is written, and from where it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// In an annotation.
    #[default]
    Annotation,
    /// In a label. A copied mark cannot be told from a real one.
    Label,
    /// In an annotation, and for people in a label as well.
    AnnotationAndLabel,
}

impl Method {
    /// Reads the setting; what is not known is the default, as in Argo CD.
    #[must_use]
    pub fn read(text: &str) -> Self {
        match text {
            "label" => Self::Label,
            "annotation+label" => Self::AnnotationAndLabel,
            _ => Self::Annotation,
        }
    }
}

/// How managed objects are marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    /// Where the mark is.
    pub method: Method,
    /// Key of the label.
    pub label: String,
    /// Tells installations that share a cluster apart; empty for none.
    pub installation: String,
}

impl Default for Tracking {
    fn default() -> Self {
        Self { method: Method::Annotation, label: INSTANCE_LABEL.to_owned(), installation: String::new() }
    }
}

impl Tracking {
    /// Marks a target as managed by an Application. CRDs get no mark: deleting one deletes the data of every user of its kind.
    ///
    /// The id of a cluster-scoped object carries the destination's namespace.
    pub fn mark(&self, object: &mut Object, instance: &str, destination_namespace: &str) {
        object.remove_annotation(INSTALLATION_ID);
        let mut key = object.key();
        if key.kind == "CustomResourceDefinition" && key.group == "apiextensions.k8s.io" {
            return;
        }
        match self.method {
            Method::Annotation => {}
            Method::Label => return object.set_label(&self.label, instance),
            Method::AnnotationAndLabel => object.set_label(&self.label, as_label(instance)),
        }
        if key.namespace.is_empty() {
            destination_namespace.clone_into(&mut key.namespace);
        }
        object.set_annotation(TRACKING_ID, &TrackingId { instance: instance.to_owned(), key }.to_string());
        if !self.installation.is_empty() {
            object.set_annotation(INSTALLATION_ID, &self.installation);
        }
    }

    /// Reads the mark of a live object; `None` when nobody manages it, or another installation does.
    #[must_use]
    pub fn read(&self, object: &Object) -> Option<TrackingId> {
        if self.method == Method::Label {
            let instance = object.label(&self.label).filter(|instance| !instance.is_empty())?;
            return Some(TrackingId { instance: instance.to_owned(), key: object.key() });
        }
        let ours = object.annotation(INSTALLATION_ID).unwrap_or_default() == self.installation;
        object.annotation(TRACKING_ID).filter(|_| ours).and_then(TrackingId::parse)
    }
}

/// The beginning of a name that a label can hold.
fn as_label(instance: &str) -> &str {
    let end = instance.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST_LABEL).last().unwrap_or_default();
    let short = if instance.len() <= LONGEST_LABEL { instance } else { &instance[..end] };
    short.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
}

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
    use serde_json::json;

    use super::*;

    fn object() -> Object {
        let metadata = json!({ "name": "a", "annotations": { INSTALLATION_ID: "from Git" } });
        Object::from_value(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata })).unwrap_or_default()
    }

    fn tracking(method: &str, installation: &str) -> Tracking {
        Tracking { method: Method::read(method), installation: installation.into(), ..Tracking::default() }
    }

    #[test]
    fn each_method_reads_what_it_writes() {
        for (method, annotated, labelled) in
            [("annotation", true, false), ("label", false, true), ("annotation+label", true, true), ("typo", true, false)]
        {
            let (tracking, mut marked) = (tracking(method, ""), object());
            tracking.mark(&mut marked, "web", "prod");
            assert_eq!(marked.annotation(TRACKING_ID).is_some(), annotated, "{method}");
            assert_eq!(marked.label(INSTANCE_LABEL).is_some(), labelled, "{method}");
            assert_eq!(marked.annotation(INSTALLATION_ID), None, "{method}: what Git says of it goes");
            assert_eq!(tracking.read(&marked).map(|id| id.instance), Some("web".into()), "{method}");
        }
    }

    /// T28.
    #[test]
    fn a_long_name_is_cut_for_the_label_beside_the_annotation_only() {
        let long = format!("{}-{}", "a".repeat(62), "b".repeat(7));
        let mut marked = object();
        tracking("annotation+label", "").mark(&mut marked, &long, "prod");
        assert_eq!(marked.label(INSTANCE_LABEL), Some("a".repeat(62).as_str()), "63 characters, and none of them a hyphen last");
        assert_eq!(tracking("annotation", "").read(&marked).map(|id| id.instance), Some(long.clone()));
        let mut marked = object();
        tracking("label", "").mark(&mut marked, &long, "prod");
        assert_eq!(marked.label(INSTANCE_LABEL), Some(long.as_str()), "the API server says what is wrong");
    }

    #[test]
    fn another_installation_manages_its_own_objects() {
        let marked = |installation: &str| {
            let mut marked = object();
            tracking("annotation", installation).mark(&mut marked, "web", "prod");
            marked
        };
        assert!(tracking("annotation", "east").read(&marked("east")).is_some());
        assert!(tracking("annotation", "west").read(&marked("east")).is_none());
        assert!(tracking("annotation", "").read(&marked("east")).is_none());
        assert!(tracking("annotation", "east").read(&marked("")).is_none());
    }

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
