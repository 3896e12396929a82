//! Kustomize: an image or a number of replicas is changed where the kustomization sets it, everything else becomes a patch.

use serde_json::{Map, Value, json};

use super::files::Files;
use super::wish::{Left, Wish};
use crate::diff::path::{Step, position};
use crate::resource::yaml;

const NAMES: &[&str] = &["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// Fields by which strategic merge patches find the items of lists.
const MERGE_KEYS: &[&str] = &["name", "mountPath", "containerPort", "port"];

/// Edits the kustomization and its patches; gives back what was changed and what could not be.
pub fn edit(files: &mut Files, wishes: Vec<Wish>) -> (Vec<Wish>, Vec<Left>) {
    let Some(path) = NAMES.iter().map(|name| files.in_folder(name)).find(|path| files.text(path).is_some()) else {
        return (Vec::new(), super::wish::all_left(&wishes, "the source has no kustomization file"));
    };
    let (mut done, mut left) = (Vec::new(), Vec::new());
    for wish in wishes {
        match edit_one(files, &path, &wish) {
            Ok(()) => done.push(wish),
            Err(reason) => left.push(wish.left(&reason)),
        }
    }
    (done, left)
}

fn edit_one(files: &mut Files, path: &str, wish: &Wish) -> Result<(), String> {
    let text = files.text(path).cloned().unwrap_or_default();
    let mut kustomization = yaml::parse_one(&text).map_err(|error| error.to_string())?;
    if !set_replicas(&mut kustomization, wish) && !set_image(&mut kustomization, wish) {
        let name = patch_name(wish);
        add_patch(files, &name, wish)?;
        if !list(&mut kustomization, "patches")?.iter().any(|patch| patch["path"] == name) {
            // With a target it does not matter which namespace or prefix the object gets later.
            let mut target = json!({ "kind": wish.key.kind, "name": wish.key.name });
            if !wish.key.group.is_empty() {
                target["group"] = json!(wish.key.group);
            }
            list(&mut kustomization, "patches")?.push(json!({ "path": name, "target": target }));
        }
    }
    files.change(path, 0, kustomization).map_err(|error| error.to_string())
}

fn list<'a>(kustomization: &'a mut Value, field: &str) -> Result<&'a mut Vec<Value>, String> {
    let map = kustomization.as_object_mut().ok_or("the kustomization is no map")?;
    map.entry(field).or_insert_with(|| json!([])).as_array_mut().ok_or_else(|| format!("{field} is no list"))
}

/// `replicas: [{name: web, count: 3}]`
fn set_replicas(kustomization: &mut Value, wish: &Wish) -> bool {
    let Some(count) = wish.live.as_ref().filter(|value| value.is_number() && wish.path == ".spec.replicas") else { return false };
    let entries = kustomization.get_mut("replicas").and_then(Value::as_array_mut);
    let entry = entries.into_iter().flatten().find(|entry| entry["name"] == wish.key.name.as_str());
    entry.is_some_and(|entry| {
        entry["count"] = count.clone();
        true
    })
}

/// `images: [{name: web, newName: registry/web, newTag: "1.4"}]`, where Git's image comes from this entry and only the tag differs.
fn set_image(kustomization: &mut Value, wish: &Wish) -> bool {
    if wish.steps.last() != Some(&Step::Key("image".to_owned())) {
        return false;
    }
    let (Some(git), Some(live)) = (wish.git.as_ref().and_then(Value::as_str), wish.live.as_ref().and_then(Value::as_str)) else {
        return false;
    };
    let (Some((old_name, _)), Some((new_name, tag))) = (split(git), split(live)) else { return false };
    let entries = kustomization.get_mut("images").and_then(Value::as_array_mut);
    let is_meant = |entry: &&mut Value| {
        let name = entry.get("newName").or_else(|| entry.get("name")).and_then(Value::as_str);
        name == Some(old_name) && old_name == new_name && entry.get("digest").is_none()
    };
    entries.into_iter().flatten().find(is_meant).is_some_and(|entry| {
        entry["newTag"] = json!(tag);
        true
    })
}

/// Name and tag of an image; a colon before a slash belongs to the port of the registry.
fn split(image: &str) -> Option<(&str, &str)> {
    image.rsplit_once(':').filter(|(name, tag)| !tag.contains('/') && !name.contains('@'))
}

fn patch_name(wish: &Wish) -> String {
    format!("adopted-{}-{}.yaml", wish.key.kind.to_lowercase(), wish.key.name)
}

/// Adds the field to the object's strategic merge patch.
fn add_patch(files: &mut Files, name: &str, wish: &Wish) -> Result<(), String> {
    let path = files.in_folder(name);
    let metadata = json!({ "name": wish.key.name });
    let head = json!({ "apiVersion": wish.object.api_version(), "kind": wish.key.kind, "metadata": metadata });
    let Some(text) = files.text(&path).cloned() else {
        let mut patch = head;
        merge(&mut patch, below(&wish.object.to_value(), &wish.steps, wish.live.as_ref())?);
        files.put(path, yaml::to_yaml(&patch));
        return Ok(());
    };
    let mut patch = yaml::parse_one(&text).map_err(|error| format!("{path}: {error}"))?;
    merge(&mut patch, below(&wish.object.to_value(), &wish.steps, wish.live.as_ref())?);
    files.change(&path, 0, patch).map_err(|error| format!("{path}: {error}"))
}

/// The value with everything around it that a patch needs to find its place.
fn below(live: &Value, steps: &[Step], value: Option<&Value>) -> Result<Value, String> {
    let Some((step, rest)) = steps.split_first() else { return Ok(value.cloned().unwrap_or(Value::Null)) };
    match step {
        Step::Key(key) => {
            let inner = below(live.get(key).unwrap_or(&Value::Null), rest, value)?;
            Ok(Value::Object(Map::from_iter([(key.clone(), inner)])))
        }
        Step::Item(item) => {
            let items = live.as_array().map(Vec::as_slice).unwrap_or_default();
            let Some(present) = position(items, item).and_then(|number| items.get(number)) else {
                // Only Git has it: it is taken away by its name.
                return Ok(json!([{ "name": item, "$patch": "delete" }]));
            };
            if rest.is_empty() {
                return Ok(json!([value]));
            }
            let keys: Map<String, Value> =
                MERGE_KEYS.iter().filter_map(|key| Some(((*key).to_owned(), present.get(*key)?.clone()))).collect();
            if keys.is_empty() {
                return Err("the items of this list have no names, so a patch would replace them all".to_owned());
            }
            let mut inner = below(present, rest, value)?;
            inner.as_object_mut().into_iter().for_each(|map| map.extend(keys.clone()));
            Ok(json!([inner]))
        }
    }
}

/// Puts one patch into another; items of lists meet by their merge keys.
fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                match target.get_mut(&key) {
                    Some(present) => merge(present, value),
                    None => drop(target.insert(key, value)),
                }
            }
        }
        (Value::Array(target), Value::Array(patch)) => {
            for item in patch {
                let same = |one: &&mut Value| MERGE_KEYS.iter().all(|key| one.get(*key) == item.get(*key));
                match target.iter_mut().find(same) {
                    Some(present) => merge(present, item),
                    None => target.push(item),
                }
            }
        }
        (target, patch) => *target = patch,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::diff::path::steps;
    use crate::resource::{Object, ResourceKey};

    fn wish(path: &str, git: Value, live: Value) -> Wish {
        let object = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "replicas": 5, "template": { "spec": { "containers": [
                { "name": "main", "image": "r.example:5000/web:2", "ports": [{ "name": "http", "containerPort": 80 }] } ] } } } });
        Wish {
            key: ResourceKey::new("apps", "Deployment", "shop", "web"),
            path: path.to_owned(),
            steps: steps(path).unwrap(),
            git: Some(git),
            live: Some(live),
            object: Object::from_value(object).unwrap(),
        }
    }

    #[test]
    fn what_the_kustomization_sets_is_changed_there() {
        let mut kustomization = json!({ "replicas": [{ "name": "web", "count": 3 }], "images": [{ "name": "web", "newName": "r.example:5000/web", "newTag": "1" }] });
        assert!(set_replicas(&mut kustomization, &wish(".spec.replicas", json!(3), json!(5))));
        let image = ".spec.template.spec.containers[main].image";
        assert!(set_image(&mut kustomization, &wish(image, json!("r.example:5000/web:1"), json!("r.example:5000/web:2"))));
        assert!(!set_image(&mut kustomization, &wish(image, json!("r.example:5000/web:1"), json!("other/web:2"))));
        let expected = json!({ "replicas": [{ "name": "web", "count": 5 }], "images": [{ "name": "web", "newName": "r.example:5000/web", "newTag": "2" }] });
        assert_eq!(kustomization, expected);
    }

    #[test]
    fn a_patch_names_the_items_it_changes() {
        let of = |path: &str, value: Value| {
            let wish = wish(path, json!(null), value);
            below(&wish.object.to_value(), &wish.steps, wish.live.as_ref()).unwrap()
        };
        let mut patch = of(".spec.template.spec.containers[main].ports[http].protocol", json!("UDP"));
        merge(&mut patch, of(".spec.template.spec.containers[main].image", json!("web:2")));
        merge(&mut patch, of(".spec.replicas", json!(5)));
        let expected = json!({ "spec": { "replicas": 5, "template": { "spec": { "containers": [
            { "name": "main", "image": "web:2", "ports": [{ "name": "http", "containerPort": 80, "protocol": "UDP" }] } ] } } } });
        assert_eq!(patch, expected);
    }
}
