//! What `kustomize edit` would do to a kustomization, done in memory: one process less per option and render.
//!
//! Source: Argo CD 3.5 kustomize options (reference section 1.7), `kustomize edit` 5.8. The fixtures of `tests/fixtures/render/
//! kustomize` hold what the real program made of the same options.

use serde_json::{Map, Value, json};

use crate::api::application::{IntOrString, Kustomize};

use super::super::RenderError;
use super::super::environment::Environment;

/// Applies the options to a kustomization, in the order of the original.
pub(super) fn apply(
    kustomization: &Value,
    options: &Kustomize,
    environment: &Environment,
    exists: &dyn Fn(&str) -> Result<bool, RenderError>,
) -> Result<Value, RenderError> {
    let mut map = kustomization.as_object().cloned().unwrap_or_default();
    for (field, value) in [("namePrefix", &options.name_prefix), ("nameSuffix", &options.name_suffix)] {
        if !value.is_empty() {
            map.insert(field.into(), value.as_str().into());
        }
    }
    set_images(&mut map, &options.images, environment)?;
    set_replicas(&mut map, options)?;
    add_labels(&mut map, options, environment)?;
    add_annotations(&mut map, options, environment)?;
    if !options.namespace.is_empty() {
        map.insert("namespace".into(), options.namespace.as_str().into());
    }
    if !options.patches.is_empty() {
        list(&mut map, "patches")?.extend(options.patches.iter().cloned());
    }
    add_components(&mut map, options, exists)?;
    Ok(Value::Object(map))
}

/// One image override as the kustomization holds it.
#[derive(Debug, Default, PartialEq)]
struct Image {
    name: String,
    new_name: String,
    new_tag: String,
    digest: String,
}

impl Image {
    /// Parses `[old=]new[:tag][@digest]`; without `old=` a tag or a digest has to be there.
    fn parse(text: &str) -> Option<Self> {
        let (name, overwrite) = match text.split_once('=') {
            Some((name, overwrite)) => (Some(name), overwrite),
            None => (None, text),
        };
        let (rest, digest) = overwrite.split_once('@').unwrap_or((overwrite, ""));
        // A colon before a slash belongs to the port of the registry.
        let (new_name, new_tag) = rest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((rest, ""));
        let image = Self {
            name: name.unwrap_or(new_name).into(),
            new_name: name.map_or("", |_| new_name).into(),
            new_tag: new_tag.into(),
            digest: digest.into(),
        };
        let says_something = name.is_some_and(|_| !overwrite.is_empty()) || !new_tag.is_empty() || !digest.is_empty();
        says_something.then_some(image)
    }

    /// An asterisk keeps what the kustomization says.
    fn keep_from(&mut self, existing: Option<&Value>) {
        let old =
            |field: &str| existing.and_then(|image| image.get(field)).and_then(Value::as_str).unwrap_or_default().to_owned();
        for (value, field) in [(&mut self.new_name, "newName"), (&mut self.new_tag, "newTag"), (&mut self.digest, "digest")] {
            if value == "*" {
                *value = old(field);
            }
        }
    }

    fn into_value(self) -> Value {
        let fields = [("name", self.name), ("newName", self.new_name), ("newTag", self.new_tag), ("digest", self.digest)];
        Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(field, value)| (field.to_owned(), value.into()))
                .collect(),
        )
    }
}

fn set_images(map: &mut Map<String, Value>, images: &[String], environment: &Environment) -> Result<(), RenderError> {
    for text in images {
        let text = environment.substitute(text);
        let mut image = Image::parse(&text).ok_or_else(|| {
            RenderError::option("kustomize.images", format!("`{text}` is not of the form [old=]new[:tag][@digest]"))
        })?;
        let images = list(map, "images")?;
        let existing = images.iter().position(|old| old.get("name").and_then(Value::as_str).unwrap_or_default() == image.name);
        image.keep_from(existing.map(|at| &images[at]));
        if let Some(at) = existing {
            images.remove(at);
        }
        images.push(image.into_value());
    }
    Ok(())
}

fn set_replicas(map: &mut Map<String, Value>, options: &Kustomize) -> Result<(), RenderError> {
    for replica in &options.replicas {
        let count = match &replica.count {
            IntOrString::Int(count) => *count,
            IntOrString::String(text) => text.parse().map_err(|_| {
                RenderError::option("kustomize.replicas", format!("`{text}` is no number (replicas of `{}`)", replica.name))
            })?,
        };
        let replicas = list(map, "replicas")?;
        replicas.retain(|old| old.get("name").and_then(Value::as_str) != Some(&replica.name));
        replicas.push(json!({"name": replica.name, "count": count}));
    }
    Ok(())
}

fn add_labels(map: &mut Map<String, Value>, options: &Kustomize, environment: &Environment) -> Result<(), RenderError> {
    if options.common_labels.is_empty() {
        return Ok(());
    }
    if options.label_include_templates && !options.label_without_selector {
        return Err(RenderError::option("kustomize.labelIncludeTemplates", "it needs labelWithoutSelector: true"));
    }
    let pairs = if options.label_without_selector { pairs_without_selector(map, options)? } else { child(map, "commonLabels")? };
    for (name, value) in &options.common_labels {
        add_pair(pairs, "Labels", name, &environment.substitute(value), options.force_common_labels)?;
    }
    Ok(())
}

/// The pairs of the first entry of `labels` that treats templates the same way; a new entry when there is none.
fn pairs_without_selector<'m>(
    map: &'m mut Map<String, Value>,
    options: &Kustomize,
) -> Result<&'m mut Map<String, Value>, RenderError> {
    let labels = list(map, "labels")?;
    let flag = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_bool).unwrap_or_default();
    let fitting =
        |entry: &Value| !flag(entry, "includeSelectors") && flag(entry, "includeTemplates") == options.label_include_templates;
    let at = labels.iter().position(fitting).unwrap_or(labels.len());
    if at == labels.len() {
        labels.push(json!({"includeTemplates": options.label_include_templates}));
    }
    match &mut labels[at] {
        Value::Object(entry) => child(entry, "pairs"),
        _ => Err(RenderError::option("path", "`labels` of the kustomization holds an entry that is no map")),
    }
}

fn add_annotations(map: &mut Map<String, Value>, options: &Kustomize, environment: &Environment) -> Result<(), RenderError> {
    for (name, value) in &options.common_annotations {
        let value = if options.common_annotations_envsubst { environment.substitute(value) } else { value.clone() };
        add_pair(child(map, "commonAnnotations")?, "Annotations", name, &value, options.force_common_annotations)?;
    }
    Ok(())
}

fn add_pair(pairs: &mut Map<String, Value>, what: &str, name: &str, value: &str, force: bool) -> Result<(), RenderError> {
    if name.is_empty() {
        return Err(RenderError::option(format!("kustomize.common{what}"), "a name is empty"));
    }
    if pairs.contains_key(name) && !force {
        let problem = format!("`{name}` is in the kustomization already; forceCommon{what}: true overwrites it");
        return Err(RenderError::option(format!("kustomize.common{what}"), problem));
    }
    pairs.insert(name.to_owned(), without_quotes(value).into());
    Ok(())
}

/// The original passes `name:value` on a command line, whose parser takes double quotes off.
fn without_quotes(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

fn add_components(
    map: &mut Map<String, Value>,
    options: &Kustomize,
    exists: &dyn Fn(&str) -> Result<bool, RenderError>,
) -> Result<(), RenderError> {
    for path in &options.components {
        let refuse = |problem: &str| RenderError::option("kustomize.components", format!("`{path}` {problem}"));
        if path.contains(['*', '?', '[']) {
            return Err(refuse("is a pattern; name every component"));
        }
        if !path.contains("://") && !exists(path)? {
            if options.ignore_missing_components {
                continue;
            }
            return Err(refuse("does not exist; ignoreMissingComponents: true leaves it out"));
        }
        let components = list(map, "components")?;
        if !components.iter().any(|old| old.as_str() == Some(path)) {
            components.push(path.as_str().into());
        }
    }
    Ok(())
}

fn list<'m>(map: &'m mut Map<String, Value>, field: &str) -> Result<&'m mut Vec<Value>, RenderError> {
    let value = map.entry(field).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut().ok_or_else(|| RenderError::option("path", format!("`{field}` of the kustomization is no list")))
}

fn child<'m>(map: &'m mut Map<String, Value>, field: &str) -> Result<&'m mut Map<String, Value>, RenderError> {
    let value = map.entry(field).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().ok_or_else(|| RenderError::option("path", format!("`{field}` of the kustomization is no map")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn reads_images_as_the_original() {
        let image = |text| Image::parse(text).map(|image| [image.name, image.new_name, image.new_tag, image.digest].join(" "));
        for (text, expected) in [
            ("nginx:1", "nginx  1 "),
            ("nginx=foo:1", "nginx foo 1 "),
            ("nginx=foo", "nginx foo  "),
            ("e@sha256:x", "e   sha256:x"),
            ("f=g:1@sha256:abc", "f g 1 sha256:abc"),
            ("localhost:5000/x:1", "localhost:5000/x  1 "),
            ("j=localhost:5000/x", "j localhost:5000/x  "),
        ] {
            assert_eq!(image(text).unwrap(), expected, "{text}");
        }
        for text in ["nginx", "localhost:5000/x", ""] {
            assert_eq!(image(text), None, "{text}");
        }
    }
}
