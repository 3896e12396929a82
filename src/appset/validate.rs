//! What is wrong with single Applications. One that is invalid is neither created nor changed nor deleted; the others go on.
//!
//! Source: Argo CD 3.5 (reference section 1.10).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::inputs::{Cluster, Inputs};
use crate::project::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER};

/// Longest name of an object.
const MAX_NAME: usize = 253;

/// The Applications that may be written, by name, and what is wrong with the others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Invalid {
    /// Message by name.
    pub problems: BTreeMap<String, String>,
}

impl Invalid {
    /// The message of the condition: that of the last Application, and how many more there are.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        let (_, last) = self.problems.last_key_value()?;
        let more = self.problems.len() - 1;
        Some(if more == 0 { last.clone() } else { format!("{last} (and {more} more)") })
    }
}

/// Parts the Applications that may be written, sorted by name, from those that may not.
#[must_use]
pub fn validate(applications: Vec<Json>, inputs: &Inputs) -> (Vec<Json>, Invalid) {
    let mut invalid = Invalid::default();
    let mut valid: BTreeMap<String, Json> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for app in applications {
        let name = text(&app, "/metadata/name").to_owned();
        if !seen.insert(name.clone()) {
            // Which of the two is meant nobody knows.
            valid.remove(&name);
            invalid.problems.insert(name.clone(), format!("ApplicationSet contains applications with duplicate name: {name}"));
        } else if let Some(problem) = problem_of(&app, &name, inputs) {
            invalid.problems.insert(name, problem);
        } else {
            valid.insert(name, app);
        }
    }
    (valid.into_values().collect(), invalid)
}

fn problem_of(app: &Json, name: &str, inputs: &Inputs) -> Option<String> {
    if name.is_empty() {
        return Some(
            "application name is empty: template.metadata.name must render to a name (generateName is not supported)".into(),
        );
    }
    if let Some(problem) = name_problem(name) {
        return Some(format!("application {name:?}: {problem}"));
    }
    let project = text(app, "/spec/project");
    if !inputs.projects.contains(project) {
        return Some(format!("application references project {project} which does not exist"));
    }
    destination_problem(app, &inputs.clusters).map(|problem| format!("application destination spec is invalid: {problem}"))
}

fn name_problem(name: &str) -> Option<String> {
    if name.len() > MAX_NAME {
        return Some(format!("the name has {} characters, Kubernetes allows {MAX_NAME}", name.len()));
    }
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good =
        name.split('.').all(|part| part.starts_with(edge) && part.ends_with(edge) && part.chars().all(|c| edge(c) || c == '-'));
    (!good).then(|| {
        "a name consists of lower case letters, digits, `-` and `.`, and begins and ends with a letter or digit".to_owned()
    })
}

/// Why a destination names no cluster, or no single one; none when it can be used.
///
/// A server that nobody registered is no problem here: the Application says so itself once it exists. Upstream 3.x leaves such
/// an Application out, 2.x created it; its own first example names servers that are not registered.
#[must_use]
pub fn destination_problem(app: &Json, clusters: &[Cluster]) -> Option<String> {
    let (server, name) = (text(app, "/spec/destination/server"), text(app, "/spec/destination/name"));
    match (server, name) {
        ("", "") => Some("destination server and name are both missing: set one of them".to_owned()),
        (_, "") => None,
        ("", name) => {
            let registered: Vec<&Cluster> = clusters.iter().filter(|cluster| cluster.name == name).collect();
            let implicit = name == IN_CLUSTER_NAME && !clusters.iter().any(|cluster| cluster.server == IN_CLUSTER_SERVER);
            match registered.len() + usize::from(implicit) {
                0 => Some(format!("unable to find destination server: there are no clusters with this name: {name}")),
                1 => None,
                many => Some(format!("unable to find destination server: there are {many} clusters with the same name: {name}")),
            }
        }
        (server, name) => Some(format!("application destination can't have both name and server defined: {name} {server}")),
    }
}

/// True when the destination resolves to exactly one cluster that is known.
#[must_use]
pub fn is_resolvable(app: &Json, clusters: &[Cluster]) -> bool {
    let server = text(app, "/spec/destination/server").trim_end_matches('/');
    let known = server.is_empty() || server == IN_CLUSTER_SERVER || clusters.iter().any(|cluster| cluster.server == server);
    known && destination_problem(app, clusters).is_none()
}

fn text<'a>(app: &'a Json, pointer: &str) -> &'a str {
    app.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}
