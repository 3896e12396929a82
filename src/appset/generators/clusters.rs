//! `clusters`: the registered clusters.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Generated, Scope, add_values};
use crate::appset::inputs::Cluster;
use crate::appset::params::{Param, Params};
use crate::appset::selector::Selector;
use crate::project::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER};
use crate::template::normalize;

/// One set per cluster by name, and last the local one when no selector is written and no Secret registers it.
pub fn generate(section: &Json, scope: &Scope<'_>) -> Generated {
    let selector = Selector::parse(section.get("selector"))?;
    // Two Secrets with one name are one cluster; the last one counts.
    let chosen: BTreeMap<&str, &Cluster> = scope
        .inputs
        .clusters
        .iter()
        .filter(|cluster| selector.matches(&cluster.labels))
        .map(|cluster| (cluster.name.as_str(), cluster))
        .collect();
    let mut sets = Vec::new();
    for cluster in chosen.values() {
        let mut set = params_of(cluster);
        add_metadata(&mut set, cluster, scope.renderer.go);
        sets.push(set);
    }
    if selector.is_empty() && !chosen.values().any(|cluster| cluster.server == IN_CLUSTER_SERVER) {
        sets.push(params_of(&local()));
    }
    sets.iter_mut().try_for_each(|set| add_values(section, set, scope.renderer))?;
    if section.get("flatList").and_then(Json::as_bool) == Some(true) {
        return Ok(vec![Params::from([("clusters".to_owned(), Param::Sets(sets))])]);
    }
    Ok(sets)
}

/// The cluster that the controller runs in.
pub fn local() -> Cluster {
    Cluster { name: IN_CLUSTER_NAME.into(), server: IN_CLUSTER_SERVER.into(), ..Cluster::default() }
}

fn params_of(cluster: &Cluster) -> Params {
    Params::from([
        ("name".to_owned(), Param::from(cluster.name.as_str())),
        ("nameNormalized".to_owned(), Param::from(normalize(&cluster.name))),
        ("server".to_owned(), Param::from(cluster.server.as_str())),
        ("project".to_owned(), Param::from(cluster.project.as_str())),
    ])
}

fn add_metadata(set: &mut Params, cluster: &Cluster, go: bool) {
    let parts = [("labels", &cluster.labels), ("annotations", &cluster.annotations)];
    if go {
        let present = parts.into_iter().filter(|(_, map)| !map.is_empty());
        let metadata = present.map(|(name, map)| (name.to_owned(), Param::TextMap(map.clone()))).collect();
        set.insert("metadata".into(), Param::Map(metadata));
        return;
    }
    for (name, map) in parts {
        set.extend(map.iter().map(|(key, value)| (format!("metadata.{name}.{key}"), Param::from(value.as_str()))));
    }
}
