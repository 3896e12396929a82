//! `merge`: the sets of the first generator, overridden by those of the others that have the same values of the merge keys.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{Generated, Scope, Stop, children, evaluate_child, part};
use crate::appset::params::{Params, overlay};

/// The sets of the first generator in order of their merge keys; sets that only later ones have are left out.
pub fn generate(section: &Json, scope: &Scope<'_>) -> Generated {
    let generators = children(section);
    if generators.len() < 2 {
        return Err(Stop::Failed("found less than two generators, Merge requires two or more".to_owned()));
    }
    let keys: Vec<String> = part(section, "mergeKeys")?;
    if keys.is_empty() {
        return Err(Stop::Failed("no merge keys were specified, Merge requires at least one".to_owned()));
    }
    let scope = scope.nested();
    let mut evaluated = Vec::new();
    let mut missing = false;
    for child in generators {
        match evaluate_child(child, &scope, "merge") {
            Ok(sets) => evaluated.push(by_key(sets, &keys)?),
            Err(Stop::Missing) => missing = true,
            Err(stop) => return Err(stop),
        }
    }
    if missing {
        return Err(Stop::Missing);
    }
    let mut evaluated = evaluated.into_iter();
    let mut base = evaluated.next().unwrap_or_default();
    for over in evaluated {
        for (key, set) in over {
            let Some(below) = base.get_mut(&key) else { continue };
            if scope.renderer.go { overlay(below, &set) } else { below.extend(set) }
        }
    }
    Ok(base.into_values().collect())
}

/// An absent key is null, so two sets without it are the same.
fn by_key(sets: Vec<Params>, keys: &[String]) -> Result<BTreeMap<String, Params>, String> {
    let mut found = BTreeMap::new();
    for set in sets {
        let key: Map<String, Json> = keys
            .iter()
            .map(|key| (key.clone(), set.get(key).map_or(Json::Null, crate::appset::params::Param::to_json)))
            .collect();
        let key = Json::Object(key).to_string();
        if found.insert(key.clone(), set).is_some() {
            return Err(format!(
                "the parameters from a generator were not unique by the given mergeKeys, Merge requires all param sets to be unique. Duplicate key was {key}"
            ));
        }
    }
    Ok(found)
}
