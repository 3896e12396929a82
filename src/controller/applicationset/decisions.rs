//! Answers `clusterDecisionResource`: lists the resources that decide about clusters.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams};
use serde_json::Value as Json;

use super::Context;
use crate::appset::{Answer, Decisions};

/// Reads the decisions in the `status` of all resources that the section chooses.
///
/// # Errors
/// The ConfigMap or the resources cannot be read, there is none, or its status is not as the ConfigMap says.
pub async fn read(section: &str, cx: &Context) -> Result<Answer, String> {
    let section: Json = serde_json::from_str(section).map_err(|error| error.to_string())?;
    let name = section["configMapRef"].as_str().unwrap_or_default();
    let maps: Api<ConfigMap> = Api::namespaced(cx.client.clone(), &cx.control_namespace);
    let map = maps.get(name).await.map_err(|error| format!("cannot read ConfigMap {name}: {error}"))?.data.unwrap_or_default();
    let value = |key: &str| map.get(key).map(|value| value.trim().to_owned()).unwrap_or_default();
    let list_key = Some(value("statusListKey")).filter(|key| !key.is_empty()).unwrap_or_else(|| "clusters".into());
    let found = list(&section, &value("apiVersion"), &value("kind"), name, cx).await?;
    let mut decisions = Vec::new();
    for object in &found {
        let status = &object.data["status"];
        if status.as_object().is_none_or(serde_json::Map::is_empty) {
            continue;
        }
        let items = status[&list_key].as_array().ok_or_else(|| {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            format!(
                "status.{list_key} of {name} is no list (hint: correct statusListKey in ConfigMap {})",
                section["configMapRef"]
            )
        })?;
        decisions.extend(items.iter().cloned());
    }
    Ok(Answer::Decisions(Decisions { match_key: value("matchKey"), decisions }))
}

async fn list(
    section: &Json,
    api_version: &str,
    plural: &str,
    config_map: &str,
    cx: &Context,
) -> Result<Vec<DynamicObject>, String> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if version.is_empty() || plural.is_empty() {
        return Err(format!("ConfigMap {config_map} needs apiVersion, and kind, which is the plural name of the resource"));
    }
    let resource = ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: api_version.into(),
        kind: plural.into(),
        plural: plural.into(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(cx.client.clone(), &cx.control_namespace, &resource);
    let name = section["name"].as_str().unwrap_or_default();
    let selector = labels(&section["labelSelector"]);
    let params = match (name.is_empty(), selector) {
        (false, Some(_)) => return Err("set either name or labelSelector, not both".into()),
        (true, None) => return Err("one of name and labelSelector is required".into()),
        (false, None) => ListParams::default().fields(&format!("metadata.name={name}")),
        (true, Some(selector)) => ListParams::default().labels(&selector),
    };
    let found = api.list(&params).await.map_err(|error| {
        format!("cannot list {plural} of {api_version}: {error} (hint: the controller needs the right to list them)")
    })?;
    if found.items.is_empty() {
        return Err(format!("no {plural} found in namespace {}", cx.control_namespace));
    }
    Ok(found.items)
}

/// A label selector as the API server takes it in a request.
fn labels(selector: &Json) -> Option<String> {
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> = pairs.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    for one in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = one["key"].as_str().unwrap_or_default();
        let values = one["values"].as_array().into_iter().flatten().filter_map(Json::as_str).collect::<Vec<_>>().join(",");
        parts.push(match one["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    (!parts.is_empty()).then(|| parts.join(","))
}
