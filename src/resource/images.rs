//! Container images that an object names.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Object;

/// Where pod specs sit: in a Pod, in a template, in a CronJob's job template.
const POD_SPECS: &[&[&str]] = &[&["spec"], &["spec", "template", "spec"], &["spec", "jobTemplate", "spec", "template", "spec"]];

/// Returns the images of an object's containers, sorted; init containers do not count, as in Argo CD.
#[must_use]
pub fn images(object: &Object) -> Vec<String> {
    let specs = POD_SPECS.iter().filter_map(|path| object.get(path));
    let containers = specs.filter_map(|spec| spec.get("containers").and_then(Value::as_array)).flatten();
    let found: BTreeSet<String> =
        containers.filter_map(|container| container.get("image").and_then(Value::as_str)).map(str::to_owned).collect();
    found.into_iter().collect()
}
