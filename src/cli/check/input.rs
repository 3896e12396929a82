//! Objects and settings from files.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::advice::Advice as _;
use crate::cli::Failure;
use crate::customisation::Customisations;
use crate::resource::{Object, yaml};
use crate::ui::stream;

/// The text of a file; `-` is standard input.
fn text(file: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot read {}", name(file))).with_cause(&error);
    if file.as_os_str() != "-" {
        return std::fs::read_to_string(file).map_err(failed);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn name(file: &Path) -> String {
    if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() }
}

/// All objects of a file, lists taken apart.
pub(in crate::cli) fn objects(file: &Path) -> Result<Vec<Object>, Failure> {
    let documents = yaml::parse_stream(&text(file)?)
        .map_err(|error| Failure::new(format!("cannot read {}", name(file))).with_cause(&error))?;
    let mut found = Vec::new();
    for document in documents {
        let object = Object::from_value(document.value).map_err(|_| {
            Failure::new(format!("{}: a document is no object", name(file))).with_hint("give a Kubernetes object")
        })?;
        match object.0.get("items") {
            Some(Value::Array(items)) if object.kind() == "List" => {
                found.extend(items.iter().filter_map(|item| Object::from_value(item.clone()).ok()));
            }
            _ => found.push(object),
        }
    }
    if found.is_empty() {
        return Err(Failure::new(format!("{} holds no object", name(file))));
    }
    Ok(found)
}

/// The one object of a file.
pub(in crate::cli) fn object(file: &Path) -> Result<Object, Failure> {
    let mut found = objects(file)?;
    match found.pop() {
        Some(object) if found.is_empty() => Ok(object),
        _ => Err(Failure::new(format!("{} holds several objects", name(file))).with_hint("give one object")),
    }
}

/// The customisations of an `argocd-cm`, or none without a file. What cannot be used is told on standard error.
pub(in crate::cli) fn customisations(file: Option<&Path>) -> Result<Customisations, Failure> {
    let Some(file) = file else { return Ok(Customisations::default()) };
    let config = object(file)?;
    // The bare data is fine as well, as in a values file.
    let data = if config.kind() == "ConfigMap" { config.0.get("data").and_then(Value::as_object) } else { Some(&config.0) };
    let texts: BTreeMap<String, String> =
        data.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    let found = Customisations::from_config_map(&texts);
    for problem in &found.problems {
        stream::say(&format!("warning: {problem}{}", problem.hint().map(|hint| format!(" (hint: {hint})")).unwrap_or_default()));
    }
    Ok(found)
}
