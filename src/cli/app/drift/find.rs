//! The drift of one Application as data. Pure.

use serde::Serialize;
use serde_json::Value;

use crate::cli::app::diff::Compared;
use crate::diff::path::steps;
use crate::diff::{Change, FieldChange, ObjectDiff, owner};
use crate::resource::Object;
use crate::resource::annotations::FIELD_MANAGER;

/// One field, or one whole object, that is not as Git says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drifted {
    /// `NAMESPACE/NAME` of the Application.
    pub app: String,
    /// `group/Kind namespace/name` of the object.
    pub r#ref: String,
    /// Path of the field; empty for a whole object.
    pub path: String,
    /// `changed`, `added` or `removed`, as the cluster differs from Git.
    pub change: &'static str,
    /// Value in Git; absent where Git has none, or where it is secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<Value>,
    /// Value in the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// True when the values are secret.
    pub masked: bool,
    /// The program that wrote it; empty when that is not recorded, as of removals.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The subresource it was written through.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// When, RFC 3339.
    pub time: String,
    /// Who, when an audit log tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// True when a controller of the cluster is meant to write it, such as an autoscaler.
    pub expected: bool,
}

/// Everything that has drifted.
pub fn drift(app: &str, compared: &Compared) -> Vec<Drifted> {
    let of = |object: &ObjectDiff| object_drift(app, object, compared.live_object(&object.key));
    compared.diff.objects.iter().flat_map(of).collect()
}

fn object_drift(app: &str, object: &ObjectDiff, live: Option<&Object>) -> Vec<Drifted> {
    let whole = |change| vec![Drifted { change, ..blank(app, object) }];
    match object.change {
        Change::Create => whole("removed"),
        Change::Delete => whole("added"),
        Change::Update => {
            let differing = object.fields.iter().filter(|field| field.word() != "same");
            differing.map(|field| field_drift(app, object, field, live)).collect()
        }
    }
}

fn blank(app: &str, object: &ObjectDiff) -> Drifted {
    Drifted {
        app: app.to_owned(),
        r#ref: object.key.to_string(),
        path: String::new(),
        change: "changed",
        git: None,
        live: None,
        masked: false,
        manager: String::new(),
        operation: String::new(),
        subresource: String::new(),
        time: String::new(),
        user: None,
        expected: false,
    }
}

fn field_drift(app: &str, object: &ObjectDiff, field: &FieldChange, live: Option<&Object>) -> Drifted {
    let path = field.path.trim_end_matches(" (order)");
    let writer = live.zip(steps(path)).and_then(|(live, steps)| owner(live, &steps, FIELD_MANAGER));
    let (manager, operation, subresource, time) =
        writer.map(|one| (one.manager, one.operation, one.subresource, one.time)).unwrap_or_default();
    Drifted {
        path: field.path.clone(),
        // A diff says what a sync would do; drift says what the cluster did.
        change: match field.word() {
            "added" => "removed",
            "removed" => "added",
            other => other,
        },
        git: field.to.clone().filter(|_| !field.masked),
        live: field.from.clone().filter(|_| !field.masked),
        masked: field.masked,
        expected: is_scaling(path, &manager, &subresource),
        manager,
        operation,
        subresource,
        time,
        ..blank(app, object)
    }
}

/// An autoscaler writes the number of replicas through the subresource made for it. People do too, with `kubectl scale`.
fn is_scaling(path: &str, manager: &str, subresource: &str) -> bool {
    path == ".spec.replicas" && subresource == "scale" && !manager.starts_with("kubectl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_autoscaler_is_expected_and_a_person_who_scales_is_not() {
        assert!(is_scaling(".spec.replicas", "kube-controller-manager", "scale"));
        assert!(!is_scaling(".spec.replicas", "kubectl", "scale"));
        assert!(!is_scaling(".spec.replicas", "kube-controller-manager", ""));
        assert!(!is_scaling(".spec.paused", "kube-controller-manager", "scale"));
    }
}
