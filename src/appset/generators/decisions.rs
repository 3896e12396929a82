//! `clusterDecisionResource`: clusters that another resource decided on.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::clusters::local;
use super::{Generated, Scope, Stop, put_values, question, required};
use crate::appset::inputs::{Answer, Request};
use crate::appset::params::{Param, Params};

/// One set per decision that names a registered cluster. `values` are copied as they stand.
pub fn generate(section: &Json, scope: &Scope<'_>) -> Generated {
    required(section, "configMapRef")?;
    let Answer::Decisions(found) = scope.ask(Request::Decisions(question(section)))? else {
        return Err(Stop::Failed("the answer is not about decisions".to_owned()));
    };
    if found.match_key.is_empty() {
        return Ok(Vec::new());
    }
    let own = local();
    let mut sets = Vec::new();
    for decision in found.decisions.iter().filter_map(Json::as_object) {
        let wanted = decision.get(&found.match_key).and_then(Json::as_str);
        let registered = scope.inputs.clusters.iter().chain([&own]).find(|cluster| Some(cluster.name.as_str()) == wanted);
        let Some(cluster) = registered else { continue };
        let mut set = Params::from([
            ("name".to_owned(), Param::from(cluster.name.as_str())),
            ("server".to_owned(), Param::from(cluster.server.as_str())),
        ]);
        set.extend(decision.iter().map(|(key, value)| (key.clone(), Param::Text(Param::from(value).shown()))));
        let values = section.get("values").and_then(Json::as_object).into_iter().flatten();
        let values: BTreeMap<String, String> =
            values.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        if !values.is_empty() {
            put_values(&mut set, values, scope.renderer.go);
        }
        sets.push(set);
    }
    Ok(sets)
}
