//! A difference as data, ready to be shown: per object, field by field, with the values of Secrets hidden. Pure.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::resource::{Object, ResourceKey, annotations};

use super::mask;

/// What a sync would do to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is not there yet.
    Create,
    /// It differs.
    Update,
    /// It left the source.
    Delete,
}

/// One field that differs. Of a Secret also the keys that are the same, when another one differs.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// Where it is: `.spec.template.spec.containers[web].image`.
    pub path: String,
    /// Live value, `None` when the field is not there.
    pub from: Option<Value>,
    /// Predicted value, `None` when the field will not be there.
    pub to: Option<Value>,
    /// True when the values are placeholders for hidden ones.
    pub masked: bool,
}

impl FieldChange {
    /// `added`, `removed`, `changed` or `same`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (&self.from, &self.to) {
            (None, _) => "added",
            (_, None) => "removed",
            (from, to) if from == to => "same",
            _ => "changed",
        }
    }
}

/// One object that differs. Both objects are without hidden fields and values.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectDiff {
    /// The object.
    pub key: ResourceKey,
    /// What a sync would do.
    pub change: Change,
    /// Its sync wave.
    pub wave: i64,
    /// Fields that differ, in the order of the object; empty unless it is an update or a Secret.
    pub fields: Vec<FieldChange>,
    /// Live object.
    pub live: Option<Object>,
    /// The object as a sync would leave it.
    pub predicted: Option<Object>,
}

/// Compares an object with what a sync would make of it; `None` when a reader would see no difference.
///
/// Fields that the API server keeps for itself, `status` and the tracking mark are left out. Items of lists are matched by
/// the key that names them, so that an insertion is one change.
#[must_use]
pub fn object_diff(key: &ResourceKey, live: Option<&Object>, predicted: Option<&Object>) -> Option<ObjectDiff> {
    let wave = predicted.or(live).map(wave).unwrap_or_default();
    let secret = live.is_some_and(mask::is_secret) || predicted.is_some_and(mask::is_secret);
    let (mut live, mut predicted) = (live.map(visible), predicted.map(visible));
    if secret {
        mask::mask(live.as_mut(), predicted.as_mut());
    }
    let change = match (&live, &predicted) {
        (None, None) => return None,
        (None, Some(_)) => Change::Create,
        (Some(_), None) => Change::Delete,
        (Some(_), Some(_)) => Change::Update,
    };
    let mut fields = Vec::new();
    if change == Change::Update || secret {
        let top = |object: &Option<Object>| object.as_ref().map(|object| object.0.clone()).unwrap_or_default();
        let (from, to) = (top(&live), top(&predicted));
        compare_maps("", &data_only(from, change), &data_only(to, change), &mut fields);
    }
    if change == Change::Update && fields.is_empty() {
        return None;
    }
    if secret {
        mark_masked(&mut fields, live.as_ref(), predicted.as_ref());
    }
    Some(ObjectDiff { key: key.clone(), change, wave, fields, live, predicted })
}

/// Of a Secret that comes or goes only the data is told key by key.
fn data_only(object: Map<String, Value>, change: Change) -> Map<String, Value> {
    if change == Change::Update { object } else { object.into_iter().filter(|(field, _)| field == "data").collect() }
}

fn wave(object: &Object) -> i64 {
    let number = |name: &str| object.annotation(name).and_then(|text| text.parse().ok());
    number(annotations::SYNC_WAVE).or_else(|| number(annotations::HELM_HOOK_WEIGHT)).unwrap_or(0)
}

const HIDDEN_METADATA: &[&str] =
    &["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink", "deletionGracePeriodSeconds"];
const HIDDEN_ANNOTATIONS: &[&str] = &[annotations::TRACKING_ID, annotations::INSTALLATION_ID, annotations::LAST_APPLIED];

/// The object without the fields that are not the user's.
fn visible(object: &Object) -> Object {
    let mut object = object.clone();
    object.0.remove("status");
    for name in HIDDEN_ANNOTATIONS {
        object.remove_annotation(name);
    }
    let metadata = object.metadata_mut();
    for field in HIDDEN_METADATA {
        metadata.remove(*field);
    }
    for field in ["annotations", "labels"] {
        if metadata.get(field).is_some_and(|value| value.as_object().is_some_and(Map::is_empty)) {
            metadata.remove(field);
        }
    }
    object
}

fn compare(path: &str, from: Option<&Value>, to: Option<&Value>, fields: &mut Vec<FieldChange>) {
    // Kubernetes takes an explicit null for an absent field.
    let (from, to) = (from.filter(|value| !value.is_null()), to.filter(|value| !value.is_null()));
    match (from, to) {
        (Some(from), Some(to)) if from == to => {}
        (None, None) => {}
        (Some(Value::Object(from)), Some(Value::Object(to))) => compare_maps(path, from, to, fields),
        (Some(Value::Array(from)), Some(Value::Array(to))) => compare_lists(path, from, to, fields),
        _ => fields.push(FieldChange { path: path.to_owned(), from: from.cloned(), to: to.cloned(), masked: false }),
    }
}

fn compare_maps(path: &str, from: &Map<String, Value>, to: &Map<String, Value>, fields: &mut Vec<FieldChange>) {
    let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    for key in keys {
        compare(&format!("{path}{}", segment(key)), from.get(key), to.get(key), fields);
    }
}

/// A map key as a path segment; quoted where a dot or bracket would be read as something else.
fn segment(key: &str) -> String {
    let plain = key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) && !key.is_empty();
    if plain { format!(".{key}") } else { format!("[{key:?}]") }
}

/// Fields that name the items of Kubernetes lists, the commonest first.
pub(super) const ITEM_KEYS: &[&str] =
    &["name", "mountPath", "containerPort", "port", "key", "ip", "devicePath", "topologyKey", "type", "host", "path"];

fn compare_lists(path: &str, from: &[Value], to: &[Value], fields: &mut Vec<FieldChange>) {
    if let Some(key) = ITEM_KEYS.iter().find(|key| names_all(key, from) && names_all(key, to)) {
        return compare_named(path, key, from, to, fields);
    }
    if from.len() == to.len() {
        for (index, (from, to)) in from.iter().zip(to).enumerate() {
            compare(&format!("{path}[{index}]"), Some(from), Some(to), fields);
        }
        return;
    }
    fields.push(FieldChange {
        path: path.to_owned(),
        from: Some(Value::Array(from.to_vec())),
        to: Some(Value::Array(to.to_vec())),
        masked: false,
    });
}

pub(super) fn item_name(key: &str, item: &Value) -> Option<String> {
    match item.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// True when this field gives every item a name of its own.
pub(super) fn names_all(key: &str, items: &[Value]) -> bool {
    let names: BTreeSet<String> = items.iter().filter_map(|item| item_name(key, item)).collect();
    names.len() == items.len()
}

fn compare_named(path: &str, key: &str, from: &[Value], to: &[Value], fields: &mut Vec<FieldChange>) {
    let before = fields.len();
    let find = |items: &'_ [Value], name: &str| items.iter().find(|item| item_name(key, item).as_deref() == Some(name)).cloned();
    let order = |items: &[Value]| items.iter().filter_map(|item| item_name(key, item)).collect::<Vec<_>>();
    let (old, new) = (order(from), order(to));
    let gone = old.iter().filter(|name| !new.contains(name));
    for name in new.iter().chain(gone) {
        compare(&format!("{path}[{name}]"), find(from, name).as_ref(), find(to, name).as_ref(), fields);
    }
    // The same items in another order: it may matter, as for environment variables, so it is told.
    if fields.len() == before && old.cmp(&new) != Ordering::Equal {
        let names = |names: Vec<String>| Some(Value::from(names));
        fields.push(FieldChange { path: format!("{path} (order)"), from: names(old), to: names(new), masked: false });
    }
}

/// Marks the placeholders of a Secret, and adds the keys that are the same.
fn mark_masked(fields: &mut Vec<FieldChange>, live: Option<&Object>, predicted: Option<&Object>) {
    let is_data = |path: &str| path.starts_with(".data.") || path.starts_with(".data[") || path == ".data";
    let data = |object: Option<&Object>| {
        object.and_then(|one| one.get(&["data"])).and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let (from, to) = (data(live), data(predicted));
    fields.retain(|field| !is_data(&field.path));
    let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    fields.extend(keys.into_iter().map(|key| FieldChange {
        path: format!(".data{}", segment(key)),
        from: from.get(key).cloned(),
        to: to.get(key).cloned(),
        masked: true,
    }));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    fn deployment(spec: Value) -> Object {
        object(
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "web" }, "spec": spec }),
        )
    }

    fn diff(live: Option<&Object>, predicted: Option<&Object>) -> Option<ObjectDiff> {
        let key = live.or(predicted).map(Object::key).unwrap_or_else(|| ResourceKey::new("", "", "", ""));
        object_diff(&key, live, predicted)
    }

    fn told(live: &Object, predicted: &Object) -> Vec<(String, &'static str)> {
        let fields = diff(Some(live), Some(predicted)).map(|diff| diff.fields).unwrap_or_default();
        fields.iter().map(|field| (field.path.clone(), field.word())).collect()
    }

    #[test]
    fn list_items_are_matched_by_their_name() {
        let live = deployment(json!({ "containers": [{ "name": "web", "image": "web:1" }, { "name": "old", "image": "x" }] }));
        let new = deployment(json!({ "containers": [{ "name": "proxy", "image": "p" }, { "name": "web", "image": "web:2" }] }));
        let expected = [
            (".spec.containers[proxy]".to_owned(), "added"),
            (".spec.containers[web].image".to_owned(), "changed"),
            (".spec.containers[old]".to_owned(), "removed"),
        ];
        assert_eq!(told(&live, &new), expected);
    }

    #[test]
    fn mounts_of_one_volume_are_matched_by_their_path() {
        let mounts = |read_only: bool| {
            deployment(
                json!({ "volumeMounts": [{ "name": "v", "mountPath": "/a" }, { "name": "v", "mountPath": "/b", "readOnly": read_only }] }),
            )
        };
        assert_eq!(told(&mounts(true), &mounts(false)), [(".spec.volumeMounts[/b].readOnly".to_owned(), "changed")]);
    }

    #[test]
    fn a_new_order_is_told_and_so_is_a_list_without_names() {
        let env = |names: [&str; 2]| deployment(json!({ "env": [{ "name": names[0] }, { "name": names[1] }] }));
        assert_eq!(told(&env(["A", "B"]), &env(["B", "A"])), [(".spec.env (order)".to_owned(), "changed")]);
        let args = |args: Value| deployment(json!({ "args": args }));
        assert_eq!(told(&args(json!(["-v", "1"])), &args(json!(["-v", "2"]))), [(".spec.args[1]".to_owned(), "changed")]);
        assert_eq!(told(&args(json!(["-v"])), &args(json!(["-v", "2"]))), [(".spec.args".to_owned(), "changed")]);
    }

    #[test]
    fn what_the_api_server_keeps_for_itself_is_no_difference() {
        let mut live = deployment(json!({ "replicas": 2 }));
        let target = live.clone();
        live.set_annotation(annotations::TRACKING_ID, "web:apps/Deployment:web/web");
        live.set_annotation(annotations::LAST_APPLIED, "{}");
        for field in HIDDEN_METADATA {
            live.metadata_mut().insert((*field).into(), "x".into());
        }
        live.0.insert("status".into(), json!({ "replicas": 1 }));
        live.0.insert("spec".into(), json!({ "replicas": 2, "paused": null }));
        assert_eq!(diff(Some(&live), Some(&target)), None);
    }

    #[test]
    fn keys_with_dots_stay_readable() {
        let mut live = deployment(json!({}));
        let target = live.clone();
        live.set_annotation("example.com/owner", "ann");
        assert_eq!(told(&live, &target), [(".metadata.annotations".to_owned(), "removed")]);
        let mut other = target.clone();
        other.set_annotation("example.com/owner", "bob");
        assert_eq!(told(&live, &other), [(".metadata.annotations[\"example.com/owner\"]".to_owned(), "changed")]);
    }

    #[test]
    fn creation_and_deletion_carry_the_object_and_its_wave() {
        let mut target = deployment(json!({}));
        target.set_annotation(annotations::SYNC_WAVE, "-5");
        let created = diff(None, Some(&target)).unwrap();
        assert_eq!((created.change, created.wave, created.live.is_none()), (Change::Create, -5, true));
        assert_eq!(diff(Some(&target), None).unwrap().change, Change::Delete);
        assert_eq!(diff(None, None), None);
    }

    const MARKER: &str = "marker-plaintext-7f3a";

    fn secret(data: Value, plain: Value) -> Object {
        object(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "db", "namespace": "web",
            "annotations": { (annotations::LAST_APPLIED): MARKER } }, "data": data, "stringData": plain }))
    }

    #[test]
    fn a_secret_tells_which_keys_changed_and_no_value() {
        let encoded = STANDARD.encode(MARKER);
        let live = secret(json!({ "password": encoded, "user": "YW5u", "old": encoded }), json!(null));
        let new = secret(json!({ "user": "YW5u" }), json!({ "password": "other", "port": MARKER }));
        let diff = diff(Some(&live), Some(&new)).unwrap();
        let words: Vec<_> = diff.fields.iter().map(|field| (field.path.as_str(), field.word(), field.masked)).collect();
        let expected = [
            (".data.old", "removed", true),
            (".data.password", "changed", true),
            (".data.port", "added", true),
            (".data.user", "same", true),
        ];
        assert_eq!(words, expected);
        let everything =
            format!("{diff:?} {:?} {:?}", diff.live.as_ref().map(|one| &one.0), diff.predicted.as_ref().map(|one| &one.0));
        assert!(!everything.contains(MARKER) && !everything.contains(&encoded) && !everything.contains("YW5u"), "{everything}");
    }

    #[test]
    fn plain_and_encoded_values_of_a_secret_are_the_same_value() {
        let live = secret(json!({ "user": "YW5u" }), json!(null));
        assert_eq!(diff(Some(&live), Some(&secret(json!(null), json!({ "user": "ann" })))), None);
    }

    #[test]
    fn a_new_secret_and_a_broken_one_show_nothing_either() {
        for (live, new) in [
            (None, Some(secret(json!({ "password": STANDARD.encode(MARKER) }), json!({ "x": MARKER })))),
            (Some(secret(json!(MARKER), json!([MARKER]))), Some(secret(json!({ "a": MARKER }), json!({ "b": { "c": MARKER } })))),
        ] {
            let diff = diff(live.as_ref(), new.as_ref()).unwrap();
            let everything =
                format!("{diff:?} {:?} {:?}", diff.live.as_ref().map(|one| &one.0), diff.predicted.as_ref().map(|one| &one.0));
            assert!(!everything.contains(MARKER) && !everything.contains(&STANDARD.encode(MARKER)), "{everything}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c]{0,3}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("name|port|key|x|a.b/c", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_object_does_not_differ_from_itself(spec in any_value()) {
            prop_assert_eq!(diff(Some(&deployment(spec.clone())), Some(&deployment(spec))), None);
        }

        #[test]
        fn a_difference_is_never_lost(from in any_value(), to in any_value()) {
            let (one, other) = (deployment(from.clone()), deployment(to.clone()));
            prop_assert_eq!(diff(Some(&one), Some(&other)).is_none(), without_nulls(&from) == without_nulls(&to));
        }
    }

    /// Absent and null are the same in maps; in lists a null keeps its place.
    fn without_nulls(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                map.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), without_nulls(value))).collect()
            }
            Value::Array(items) => items.iter().map(without_nulls).collect(),
            other => other.clone(),
        }
    }
}
