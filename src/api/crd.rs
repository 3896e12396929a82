//! The CustomResourceDefinitions of our kinds, generated from the types beside this file.
//!
//! The rule that decides everything here: what Argo CD's and Sealed Secrets' own definitions accept must be accepted and
//! kept. So every object is open (`x-kubernetes-preserve-unknown-fields`), nothing has a schema default, and a field is
//! required only where the originals require it. A field that nobody knows is reported by the controller, as a condition.
//!
//! Sources: Argo CD 3.5 `manifests/crds`, Sealed Secrets 0.36.6 `helm/sealed-secrets/crds`: names, short names, columns,
//! required fields, and which kinds have a status subresource.

mod structural;

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::application::{ApplicationSpec, ApplicationStatus, Operation};
use super::applicationset::ApplicationSetSpec;
use super::appproject::AppProjectSpec;
use super::sealedsecret::{SealedSecretSpec, SealedSecretStatus};
use crate::resource::yaml::to_yaml;
use structural::{forget_descriptions, open_object, require};

/// What differs from one definition to the next.
struct Definition {
    group: &'static str,
    kind: &'static str,
    singular: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    description: &'static str,
    /// Application and AppProject must not have one: Argo CD's clients write their status through the main resource.
    status_subresource: bool,
    required: &'static [&'static str],
    columns: &'static [Column],
    sections: fn() -> Map<String, Value>,
}

/// A column of `kubectl get`.
struct Column {
    name: &'static str,
    json_path: &'static str,
    type_: &'static str,
    /// Above 0 the column shows only with `-o wide`.
    priority: u8,
}

const fn text(name: &'static str, json_path: &'static str, priority: u8) -> Column {
    Column { name, json_path, type_: "string", priority }
}

const AGE: Column = Column { name: "Age", json_path: ".metadata.creationTimestamp", type_: "date", priority: 0 };

const DEFINITIONS: &[Definition] = &[
    Definition {
        group: "argoproj.io",
        kind: "Application",
        singular: "application",
        plural: "applications",
        short_names: &["app", "apps"],
        description: "Manifests from one or more sources, kept in sync with one destination.",
        status_subresource: false,
        required: &["metadata", "spec"],
        columns: &[
            text("Sync Status", ".status.sync.status", 0),
            text("Health Status", ".status.health.status", 0),
            text("Revision", ".status.sync.revision", 10),
            text("Project", ".spec.project", 10),
        ],
        sections: application,
    },
    Definition {
        group: "argoproj.io",
        kind: "ApplicationSet",
        singular: "applicationset",
        plural: "applicationsets",
        short_names: &["appset", "appsets"],
        description: "Generators and a template: one Application per set of parameters.",
        status_subresource: true,
        required: &["metadata", "spec"],
        columns: &[
            Column { name: "Applications", json_path: ".status.resourcesCount", type_: "integer", priority: 0 },
            text("Health Status", ".status.health.status", 0),
            AGE,
        ],
        sections: applicationset,
    },
    Definition {
        group: "argoproj.io",
        kind: "AppProject",
        singular: "appproject",
        plural: "appprojects",
        short_names: &["appproj", "appprojs"],
        description: "The fence around a group of Applications: sources, destinations and kinds they may use.",
        status_subresource: false,
        required: &["metadata", "spec"],
        columns: &[text("Description", ".spec.description", 0), AGE],
        sections: appproject,
    },
    Definition {
        group: "bitnami.com",
        kind: "SealedSecret",
        singular: "sealedsecret",
        plural: "sealedsecrets",
        short_names: &[],
        description: "A Secret that only the cluster it was sealed for can open.",
        status_subresource: true,
        required: &["spec"],
        columns: &[text("Status", ".status.conditions[0].message", 0), text("Synced", ".status.conditions[0].status", 0), AGE],
        sections: sealedsecret,
    },
];

/// Returns the definitions of all our kinds, as objects for the API server.
#[must_use]
pub fn all() -> Vec<Value> {
    DEFINITIONS.iter().map(definition).collect()
}

/// Returns file name and content of each definition, as they are kept in `deploy/crds`.
#[must_use]
pub fn yaml() -> Vec<(String, String)> {
    let header = "# Generated from src/api by `cargo run --example generate`; do not edit.\n";
    DEFINITIONS
        .iter()
        .map(|one| {
            let body = to_yaml(&definition(one));
            (format!("{}_{}.yaml", one.group, one.plural), format!("{header}{body}"))
        })
        .collect()
}

fn definition(one: &Definition) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{}.{}", one.plural, one.group), "labels": labels(one) },
        "spec": {
            "group": one.group,
            "names": names(one),
            "scope": "Namespaced",
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "subresources": if one.status_subresource { json!({ "status": {} }) } else { json!({}) },
                "additionalPrinterColumns": one.columns.iter().map(column).collect::<Vec<_>>(),
                "schema": { "openAPIV3Schema": schema(one) },
            }],
        },
    })
}

fn labels(one: &Definition) -> Value {
    let part_of = if one.group == "argoproj.io" { "argocd" } else { "sealed-secrets" };
    json!({ "app.kubernetes.io/name": format!("{}.{}", one.plural, one.group), "app.kubernetes.io/part-of": part_of })
}

fn names(one: &Definition) -> Value {
    let mut names = json!({
        "kind": one.kind,
        "listKind": format!("{}List", one.kind),
        "plural": one.plural,
        "singular": one.singular,
    });
    if !one.short_names.is_empty() {
        names["shortNames"] = json!(one.short_names);
    }
    names
}

fn column(one: &Column) -> Value {
    let mut column = json!({ "name": one.name, "jsonPath": one.json_path, "type": one.type_ });
    if one.priority > 0 {
        column["priority"] = json!(one.priority);
    }
    column
}

fn schema(one: &Definition) -> Value {
    let mut properties = (one.sections)();
    properties.insert("apiVersion".into(), json!({ "type": "string" }));
    properties.insert("kind".into(), json!({ "type": "string" }));
    properties.insert("metadata".into(), json!({ "type": "object" }));
    json!({ "type": "object", "description": one.description, "required": one.required, "properties": properties })
}

fn application() -> Map<String, Value> {
    let mut spec = of::<ApplicationSpec>();
    require(&mut spec, &["destination", "project"]);
    let (mut status, mut operation) = (of::<ApplicationStatus>(), of::<Operation>());
    // A source appears ten times more below; `kubectl explain application.spec.source` says what its fields mean.
    for section in [&mut status, &mut operation] {
        forget_descriptions(section, &["source", "sources"]);
    }
    sections([("spec", spec), ("status", status), ("operation", operation)])
}

fn applicationset() -> Map<String, Value> {
    let mut spec = of::<ApplicationSetSpec>();
    require(&mut spec, &["generators", "template"]);
    require(&mut spec["properties"]["template"], &["metadata", "spec"]);
    sections([("spec", spec), ("status", open_object())])
}

fn appproject() -> Map<String, Value> {
    sections([("spec", of::<AppProjectSpec>()), ("status", open_object())])
}

fn sealedsecret() -> Map<String, Value> {
    let mut spec = of::<SealedSecretSpec>();
    require(&mut spec, &["encryptedData"]);
    // Clients of every age write `null` here and upstream keeps it, so it must not be refused or rewritten.
    for field in ["metadata", "data"] {
        spec["properties"]["template"]["properties"][field]["nullable"] = Value::Bool(true);
    }
    sections([("spec", spec), ("status", of::<SealedSecretStatus>())])
}

fn sections<const N: usize>(sections: [(&str, Value); N]) -> Map<String, Value> {
    sections.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn of<T: JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    structural::from_json_schema(settings.into_generator().into_root_schema_for::<T>().to_value())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::resource::yaml::parse_one;

    /// Argo CD's own three take more than 1.8 MB; this is what a cluster and a code review can bear.
    const MAX_TOTAL_BYTES: usize = 150_000;

    #[test]
    fn the_shipped_files_are_the_generated_ones() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/crds");
        let mut total = 0;
        let mut expected = Vec::new();
        for (name, text) in yaml() {
            total += text.len();
            let shipped = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
            assert!(shipped == text, "deploy/crds/{name} is out of date: run `cargo run --example generate`");
            expected.push(name);
        }
        let mut found: Vec<_> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert!(total < MAX_TOTAL_BYTES, "{total} bytes");
    }

    #[test]
    fn the_yaml_reads_back_as_the_same_object() {
        for ((name, text), object) in yaml().into_iter().zip(all()) {
            assert_eq!(parse_one(&text).unwrap(), object, "{name}");
        }
    }

    #[test]
    fn only_the_kinds_whose_clients_expect_it_have_a_status_subresource() {
        let with_status: Vec<_> = all()
            .into_iter()
            .filter(|crd| crd["spec"]["versions"][0]["subresources"].get("status").is_some())
            .map(|crd| crd["spec"]["names"]["kind"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(with_status, ["ApplicationSet", "SealedSecret"]);
    }

    /// What a definition accepts must also survive being read and written by our code.
    #[test]
    fn the_types_keep_every_field_of_the_originals() {
        fn round_trip<T: serde::de::DeserializeOwned + serde::Serialize>(object: &Value) -> Value {
            serde_json::to_value(serde_json::from_value::<T>(object.clone()).unwrap()).unwrap()
        }
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/crds");
        for kind in ["application", "applicationset", "appproject", "sealedsecret"] {
            let text = std::fs::read_to_string(folder.join(format!("complete-{kind}.yaml"))).unwrap();
            let object = parse_one(&text).unwrap();
            let round_trip = match kind {
                "application" => round_trip::<crate::api::Application>,
                "applicationset" => round_trip::<crate::api::ApplicationSet>,
                "appproject" => round_trip::<crate::api::AppProject>,
                _ => round_trip::<crate::api::SealedSecret>,
            };
            let mut lost = Vec::new();
            collect_lost(&round_trip(&object), &object, kind, &mut lost);
            assert!(lost.is_empty(), "{}", lost.join("\n"));
        }
    }

    fn collect_lost(kept: &Value, wanted: &Value, path: &str, lost: &mut Vec<String>) {
        match (kept, wanted) {
            (Value::Object(kept), Value::Object(wanted)) => {
                for (key, value) in wanted {
                    collect_lost(kept.get(key).unwrap_or(&Value::Null), value, &format!("{path}.{key}"), lost);
                }
            }
            (Value::Array(kept), Value::Array(wanted)) if kept.len() == wanted.len() => {
                for (kept, wanted) in kept.iter().zip(wanted) {
                    collect_lost(kept, wanted, &format!("{path}[]"), lost);
                }
            }
            _ if kept == wanted => {}
            _ => lost.push(format!("{path}: {wanted} became {kept}")),
        }
    }

    #[test]
    fn schemas_are_structural() {
        for crd in all() {
            check_structural(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], crd["metadata"]["name"].as_str().unwrap());
        }
    }

    /// The API server's rules, plus ours: every object with named fields below the root keeps unknown ones.
    fn check_structural(schema: &Value, path: &str) {
        let map = schema.as_object().unwrap_or_else(|| panic!("{path}: not an object"));
        let open = map.get("x-kubernetes-preserve-unknown-fields").is_some();
        let int_or_string = map.get("x-kubernetes-int-or-string").is_some();
        assert!(map.contains_key("type") || open || int_or_string, "{path}: no type");
        for forbidden in ["$ref", "$schema", "$defs", "title", "default", "anyOf", "oneOf", "allOf", "const"] {
            assert!(!map.contains_key(forbidden), "{path}: {forbidden}");
        }
        assert!(map.get("type").is_none_or(Value::is_string), "{path}: more than one type");
        let properties = map.get("properties").and_then(Value::as_object);
        let additional = map.get("additionalProperties");
        assert!(properties.is_none() || additional.is_none(), "{path}: additionalProperties beside properties");
        if map.get("type") == Some(&json!("object")) && path.contains('/') && !path.ends_with("/metadata") {
            assert!(open || additional.is_some(), "{path}: would drop unknown fields");
        }
        for (name, child) in properties.into_iter().flatten() {
            check_structural(child, &format!("{path}/{name}"));
        }
        for (name, child) in [("items", map.get("items")), ("*", additional)] {
            if let Some(child) = child {
                check_structural(child, &format!("{path}/{name}"));
            }
        }
        assert!(map.get("type") != Some(&json!("array")) || map.contains_key("items"), "{path}: list without items");
    }
}
