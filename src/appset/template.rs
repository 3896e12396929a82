//! From one set of parameters to one Application: merge the templates, render, patch.
//!
//! Source: Argo CD 3.5 (reference sections 1.3, 1.5 and 1.6).

use serde_json::{Map, Value as Json, json};

use super::params::Params;
use super::render::Renderer;
use super::strategic;
use crate::api::{Application, ApplicationSet};
use crate::resource::annotations::RESOURCES_FINALIZER;
use crate::resource::yaml;

/// What the metadata of a template may hold.
const METADATA: &[&str] = &["name", "namespace", "labels", "annotations", "finalizers"];

/// The template of a generator over that of the ApplicationSet.
///
/// What is empty in the generator's (`""`, `false`, 0, no entries) counts as not written, so it cannot take anything away.
#[must_use]
pub fn merged(own: Option<&Json>, common: &Json) -> Json {
    let mut merged = own.cloned().unwrap_or_else(|| json!({}));
    fill(&mut merged, common);
    merged
}

fn fill(own: &mut Json, common: &Json) {
    match (own, common) {
        (Json::Object(own), Json::Object(common)) => {
            for (key, value) in common {
                match own.get_mut(key) {
                    // Free-form values are one value and not merged.
                    Some(mine) if key == "valuesObject" => {
                        if is_zero(mine) {
                            *mine = value.clone();
                        }
                    }
                    Some(mine) => fill(mine, value),
                    None => {
                        own.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (own, common) if is_zero(own) => *own = common.clone(),
        _ => {}
    }
}

fn is_zero(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::Bool(true) => false,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.values().all(is_zero),
    }
}

/// Renders one Application, as JSON in the form that is written: normalised, without status.
///
/// An empty set leaves the template as it is and adds no finalizer. The namespace is always the ApplicationSet's.
///
/// # Errors
/// The template or the patch cannot be rendered, or what comes out is no Application.
pub fn application(set: &ApplicationSet, template: &Json, params: &Params, renderer: &Renderer<'_>) -> Result<Json, String> {
    let prepared = renderer.prepare(params);
    let mut metadata: Map<String, Json> = METADATA
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), template.get("metadata")?.get(field)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    metadata.remove("namespace");
    let mut app = json!({ "metadata": metadata, "spec": template.get("spec").cloned().unwrap_or_else(|| json!({})) });
    if !params.is_empty() {
        app = renderer.json(&app, &prepared).map_err(|error| format!("template.{error}"))?;
        let has_finalizers = app.pointer("/metadata/finalizers").and_then(Json::as_array).is_some_and(|all| !all.is_empty());
        let preserve = set.spec.sync_policy.as_ref().is_some_and(|policy| policy.preserve_resources_on_deletion);
        if !has_finalizers && !preserve {
            app["metadata"]["finalizers"] = json!([RESOURCES_FINALIZER]);
        }
    }
    if let Some(patch) = set.spec.template_patch.as_deref().filter(|patch| !patch.trim().is_empty()) {
        let text = renderer.text(patch, &prepared).map_err(|error| format!("templatePatch: {error}"))?;
        app = patched(app, &text).map_err(|error| format!("templatePatch: {error}"))?;
    }
    app["metadata"]["namespace"] = json!(set.namespace());
    normalised(app).map_err(|error| format!("the rendered template is no Application: {error}"))
}

/// The project cannot be patched.
fn patched(app: Json, text: &str) -> Result<Json, String> {
    let patch = yaml::parse_one(text).map_err(|error| format!("{error} in {text:?}"))?;
    if patch.is_null() {
        return Ok(app);
    }
    if !patch.is_object() {
        return Err(format!("it must render to a map, not to {patch}"));
    }
    let project = app.pointer("/spec/project").cloned();
    let mut patched = strategic::apply(app, &patch);
    match project {
        Some(project) => patched["spec"]["project"] = project,
        None => drop(patched.get_mut("spec").and_then(Json::as_object_mut).map(|spec| spec.remove("project"))),
    }
    Ok(patched)
}

/// An Application in the one form in which it is compared and written: read as our type and written again, the project
/// filled in, sections without content left out.
///
/// Without this, what one controller writes and what the other leaves out would be a difference for ever.
///
/// # Errors
/// It is no Application.
pub fn normalised(app: Json) -> Result<Json, String> {
    let mut app: Application = serde_json::from_value(app).map_err(|error| error.to_string())?;
    if app.spec.project.is_empty() {
        app.spec.project = "default".into();
    }
    let mut app = serde_json::to_value(app).map_err(|error| error.to_string())?;
    let Some(spec) = app.get_mut("spec").and_then(Json::as_object_mut) else { return Ok(app) };
    if spec.get("syncPolicy").is_some_and(|policy| policy == &json!({})) {
        spec.remove("syncPolicy");
    }
    spec.get_mut("source").map(without_empty_sections);
    spec.get_mut("sources").and_then(Json::as_array_mut).into_iter().flatten().for_each(without_empty_sections);
    Ok(app)
}

fn without_empty_sections(source: &mut Json) {
    if let Some(source) = source.as_object_mut() {
        source.retain(|key, value| !(matches!(key.as_str(), "helm" | "kustomize" | "directory") && is_zero(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generators_template_fills_and_cannot_unset() {
        let common = json!({ "metadata": { "labels": { "a": "1" } }, "spec": { "project": "p",
            "source": { "helm": { "valueFiles": ["a"], "valuesObject": { "x": 1 } } },
            "syncPolicy": { "automated": { "prune": true, "enabled": true } } } });
        let own = json!({ "metadata": { "labels": { "b": "2" } }, "spec": { "project": "",
            "source": { "helm": { "valueFiles": ["b"], "valuesObject": { "y": 2 } } },
            "syncPolicy": { "automated": { "prune": false, "enabled": false } } } });
        let expected = json!({ "metadata": { "labels": { "a": "1", "b": "2" } }, "spec": { "project": "p",
            "source": { "helm": { "valueFiles": ["b"], "valuesObject": { "y": 2 } } },
            "syncPolicy": { "automated": { "prune": true, "enabled": true } } } });
        assert_eq!(merged(Some(&own), &common), expected);
    }

    #[test]
    fn sections_without_content_do_not_count() {
        let app = |source: Json| {
            normalised(
                json!({ "metadata": {}, "spec": { "destination": {}, "source": source.clone(), "sources": [source], "syncPolicy": {} } }),
            )
        };
        assert_eq!(
            app(json!({ "repoURL": "r", "helm": { "releaseName": "" }, "kustomize": {}, "directory": { "recurse": false } })),
            app(json!({ "repoURL": "r" }))
        );
    }
}
