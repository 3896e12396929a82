//! What Git shall say: the drifted fields with their live values. Pure.

use serde::Serialize;
use serde_json::Value;

use crate::cli::Failure;
use crate::cli::app::diff::Compared;
use crate::cli::app::drift::{Drifted, drift};
use crate::diff::path::{Step, get, steps};
use crate::diff::{Change, ObjectDiff};
use crate::resource::{Object, ResourceKey};

/// One field of one object, as it shall be.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The object.
    pub key: ResourceKey,
    /// The field, for people.
    pub path: String,
    /// The field.
    pub steps: Vec<Step>,
    /// Value in Git.
    pub git: Option<Value>,
    /// Value in the cluster; `None` to take the field away.
    pub live: Option<Value>,
    /// The live object, to find the names of list items in.
    pub object: Object,
}

impl Wish {
    /// Object and field, as a difference names them.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.key, self.path)
    }

    /// It cannot be, because of this.
    #[must_use]
    pub fn left(&self, reason: &str) -> Left {
        Left { field: self.name(), reason: reason.to_owned(), hint: None }
    }
}

/// Something that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Object and field.
    pub field: String,
    /// Why.
    pub reason: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// None of these can be, because of this.
#[must_use]
pub fn all_left(wishes: &[Wish], reason: &str) -> Vec<Left> {
    wishes.iter().map(|wish| wish.left(reason)).collect()
}

/// What shall be brought to Git, and what cannot be whatever the source is.
///
/// # Errors
/// When an object that is asked for has not drifted.
pub fn wishes(compared: &Compared, only: &[String], forced: &[String]) -> Result<(Vec<Wish>, Vec<Left>), Failure> {
    let chosen: Vec<&ObjectDiff> = compared.diff.objects.iter().filter(|object| is_meant(object, only)).collect();
    if let Some(missing) = only.iter().find(|one| chosen.iter().all(|object| !is_meant(object, std::slice::from_ref(one)))) {
        return Err(Failure::new(format!("{missing} has not drifted")).with_hint("kubectl gitops drift NAME"));
    }
    let written = drift("", compared);
    let (mut wishes, mut left) = (Vec::new(), Vec::new());
    for object in chosen {
        match object_wishes(object, compared, &written, forced) {
            Ok(fields) => fields.into_iter().for_each(|field| match field {
                Ok(wish) => wishes.push(wish),
                Err(one) => left.push(one),
            }),
            Err(one) => left.push(one),
        }
    }
    Ok((wishes, left))
}

fn is_meant(object: &ObjectDiff, only: &[String]) -> bool {
    let matches = |text: &String| {
        let (kind, name) = text.split_once('/').unwrap_or(("", text));
        name == object.key.name && (kind.is_empty() || kind.eq_ignore_ascii_case(&object.key.kind))
    };
    only.is_empty() || only.iter().any(matches)
}

fn object_wishes(
    object: &ObjectDiff,
    compared: &Compared,
    written: &[Drifted],
    forced: &[String],
) -> Result<Vec<Result<Wish, Left>>, Left> {
    let whole = |reason: &str| Left { field: object.key.to_string(), reason: reason.to_owned(), hint: None };
    match object.change {
        Change::Create => return Err(whole("it is gone from the cluster; take it out of Git by hand if that is meant")),
        Change::Delete => return Err(whole("it is in the cluster and not in Git; a sync with --prune deletes it")),
        Change::Update => {}
    }
    if object.fields.iter().any(|field| field.masked) {
        let key = &object.key;
        let hint = format!("kubectl get secret {} -n {} -o yaml | kubectl gitops seal > FILE", key.name, key.namespace);
        return Err(Left { hint: Some(hint), ..whole("the values of a Secret do not go into Git unsealed") });
    }
    let Some(live) = compared.live_object(&object.key).cloned() else { return Err(whole("it is gone from the cluster")) };
    let name = object.key.to_string();
    let owned = |path: &str| written.iter().find(|one| one.r#ref == name && one.path == path && one.expected);
    let is_forced = |path: &str| forced.iter().any(|one| one.trim_start_matches('.') == path.trim_start_matches('.'));
    let differing = object.fields.iter().filter(|field| field.word() != "same");
    Ok(differing
        .map(|field| {
            let left = |reason: String, hint| Left { field: format!("{name} {}", field.path), reason, hint };
            if let Some(owner) = owned(&field.path).filter(|_| !is_forced(&field.path)) {
                let hint = format!("leave it out of Git, or adopt --force-field {}", field.path.trim_start_matches('.'));
                return Err(left(format!("it is written by {}, not by a person", owner.manager), Some(hint)));
            }
            let steps = steps(&field.path).filter(|_| !field.path.ends_with(" (order)"));
            let steps = steps.ok_or_else(|| left("only the order of the items differs".to_owned(), None))?;
            // From the object itself: a difference may show less than there is.
            let value = get(&live.to_value(), &steps).cloned();
            Ok(Wish {
                key: object.key.clone(),
                path: field.path.clone(),
                git: field.to.clone(),
                live: value.or_else(|| field.from.clone()),
                steps,
                object: live.clone(),
            })
        })
        .collect())
}
