//! What has to be written so that the live Applications are the generated ones. Pure.
//!
//! Source: Argo CD 3.5 (reference sections 1.7 to 1.9).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::budget::{Budget, Held};
use super::inputs::Cluster;
use super::template::normalised;
use super::validate::is_resolvable;
use crate::api::ApplicationSet;
use crate::api::application::ResourceIgnoreDifferences;
use crate::diff;
use crate::resource::annotations::{REFRESH, RESOURCES_FINALIZER};
use crate::resource::{Object, merge_patch};

/// Annotations that other programs put on an Application and that stay.
const KEPT_ANNOTATIONS: &[&str] = &["notified.notifications.argoproj.io", REFRESH, "argocd.argoproj.io/hydrate"];
/// Finalizers of hooks, which are not the template's business.
const KEPT_FINALIZERS: &[&str] = &["pre-delete-finalizer.argocd.argoproj.io", "post-delete-finalizer.argocd.argoproj.io"];

/// What may be done with Applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// `create-only`.
    CreateOnly,
    /// `create-update`.
    CreateUpdate,
    /// `create-delete`.
    CreateDelete,
    /// `sync`: everything.
    #[default]
    Sync,
}

impl Policy {
    /// Reads the word that is written in an ApplicationSet or a flag; empty is `sync`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "create-only" => Some(Self::CreateOnly),
            "create-update" => Some(Self::CreateUpdate),
            "create-delete" => Some(Self::CreateDelete),
            "sync" | "" => Some(Self::Sync),
            _ => None,
        }
    }

    /// Whether Applications may be changed.
    #[must_use]
    pub const fn updates(self) -> bool {
        matches!(self, Self::CreateUpdate | Self::Sync)
    }

    /// Whether Applications may be deleted.
    #[must_use]
    pub const fn deletes(self) -> bool {
        matches!(self, Self::CreateDelete | Self::Sync)
    }
}

/// What the installation chose.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Policy of ApplicationSets that choose none.
    pub policy: Policy,
    /// An ApplicationSet may choose its own policy.
    pub policy_override: bool,
    /// Annotations that stay on every Application.
    pub preserved_annotations: Vec<String>,
    /// Labels that stay on every Application.
    pub preserved_labels: Vec<String>,
    /// How many deletions need no approval.
    pub budget: Budget,
}

impl Settings {
    /// The policy in force for an ApplicationSet.
    ///
    /// # Errors
    /// It names a policy that does not exist.
    pub fn policy_of(&self, set: &ApplicationSet) -> Result<Policy, String> {
        let own = set.spec.sync_policy.as_ref().and_then(|policy| policy.applications_sync.as_deref());
        match own.filter(|own| self.policy_override && !own.is_empty()) {
            None => Ok(self.policy),
            Some(word) => Policy::parse(word).ok_or_else(|| {
                format!("spec.syncPolicy.applicationsSync: unknown policy {word:?} (known: create-only, create-update, create-delete, sync)")
            }),
        }
    }
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Create this Application.
    Create(Json),
    /// Change the Application of this name with a JSON merge patch.
    Update {
        /// Its name.
        name: String,
        /// The patch.
        patch: Json,
    },
    /// Delete an Application.
    Delete {
        /// Its name.
        name: String,
        /// Its identity, so that a newer one of the same name stays.
        uid: String,
        /// Finalizers to leave first, where the deletion would wait for a cluster that is not known.
        finalizers: Option<Vec<String>>,
    },
}

impl Step {
    /// Name of the Application.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Create(app) => name_of(app),
            Self::Update { name, .. } | Self::Delete { name, .. } => name,
        }
    }
}

/// What has to be written, and what cannot or may not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Writes in order of names, deletions last.
    pub steps: Vec<Step>,
    /// Deletions that wait for an approval.
    pub held: Option<Held>,
    /// Why single Applications are left alone, by name.
    pub problems: BTreeMap<String, String>,
}

/// What is wished for and what there is.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// Valid Applications, normalised.
    pub wanted: &'a [Json],
    /// Names of all generated Applications, invalid ones too.
    pub generated: &'a BTreeSet<String>,
    /// All Applications of the namespace.
    pub live: &'a [Json],
    /// Registered clusters.
    pub clusters: &'a [Cluster],
}

/// Makes the plan.
///
/// # Errors
/// An option of the ApplicationSet is wrong; nothing may be done then.
pub fn plan(set: &ApplicationSet, state: State<'_>, settings: &Settings, now: Timestamp) -> Result<Plan, String> {
    let policy = settings.policy_of(set)?;
    let rules = IgnoreRules::of(set)?;
    let live: BTreeMap<&str, &Json> = state.live.iter().map(|app| (name_of(app), app)).collect();
    let mut plan = Plan::default();
    for wanted in state.wanted {
        let name = name_of(wanted);
        let Some(found) = live.get(name) else {
            plan.steps.push(Step::Create(created(set, wanted)));
            continue;
        };
        if !policy.updates() && is_owned(found, set) {
            continue;
        }
        match update_with(set, wanted, found, settings, &rules) {
            Ok(None) => {}
            Ok(Some(patch)) => plan.steps.push(Step::Update { name: name.to_owned(), patch }),
            Err(problem) => {
                plan.problems.insert(name.to_owned(), problem);
            }
        }
    }
    if policy.deletes() {
        let owned = owned(set, state.live);
        // Those that are going already need nobody's approval any more.
        let leaving = owned.iter().copied().filter(|app| app.pointer("/metadata/deletionTimestamp").is_none());
        let doomed: Vec<&Json> = leaving.filter(|app| !state.generated.contains(name_of(app))).collect();
        plan.held = settings.budget.check(set, &doomed, owned.len(), now)?;
        if plan.held.is_none() {
            plan.steps.extend(doomed.into_iter().map(|app| delete(app, state.clusters)));
        }
    }
    Ok(plan)
}

/// The Applications that an ApplicationSet owns, by name. An owner is known by its name: one that was deleted without its
/// Applications and made again owns them.
#[must_use]
pub fn owned<'a>(set: &ApplicationSet, live: &'a [Json]) -> Vec<&'a Json> {
    let mut owned: Vec<&Json> = live.iter().filter(|app| is_owned(app, set)).collect();
    owned.sort_by_key(|app| name_of(app));
    owned
}

/// Name of the ApplicationSet that an Application belongs to.
#[must_use]
pub fn owner_of(app: &Json) -> Option<&str> {
    let controller = controller_of(app)?;
    let is_set = controller["kind"] == "ApplicationSet" && is_argo(controller);
    controller["name"].as_str().filter(|_| is_set)
}

fn is_owned(app: &Json, set: &ApplicationSet) -> bool {
    owner_of(app) == Some(set.name())
}

fn is_argo(reference: &Json) -> bool {
    reference["apiVersion"].as_str().is_some_and(|version| version.starts_with("argoproj.io/"))
}

fn controller_of(app: &Json) -> Option<&Json> {
    let references = app.pointer("/metadata/ownerReferences")?.as_array()?;
    references.iter().find(|reference| reference["controller"] == true)
}

/// The reference that makes an ApplicationSet the owner.
#[must_use]
pub fn owner_reference(set: &ApplicationSet) -> Json {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "name": set.name(),
        "uid": set.metadata.uid.clone().unwrap_or_default(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

fn created(set: &ApplicationSet, wanted: &Json) -> Json {
    let mut app = wanted.clone();
    app["apiVersion"] = json!("argoproj.io/v1alpha1");
    app["kind"] = json!("Application");
    app["metadata"]["namespace"] = json!(set.namespace());
    app["metadata"]["ownerReferences"] = json!([owner_reference(set)]);
    app
}

/// The merge patch that makes the live Application the wanted one; none when it is. Also for one that was created meanwhile.
///
/// # Errors
/// It belongs to another controller, or `ignoreApplicationDifferences` is wrong.
pub fn update(set: &ApplicationSet, wanted: &Json, live: &Json, settings: &Settings) -> Result<Option<Json>, String> {
    update_with(set, wanted, live, settings, &IgnoreRules::of(set)?)
}

fn update_with(
    set: &ApplicationSet,
    wanted: &Json,
    live: &Json,
    settings: &Settings,
    rules: &IgnoreRules,
) -> Result<Option<Json>, String> {
    let before = comparable(live);
    let mut after = comparable(wanted);
    if wanted.get("operation").is_none_or(Json::is_null) {
        set_or_remove(&mut after, "operation", before.get("operation").cloned());
    }
    keep_preserved(&mut after, &before, set, settings);
    after["metadata"]["ownerReferences"] = json!(with_owner(set, live)?);
    let name = name_of(wanted);
    Ok(merge_patch(&rules.without_ignored(before, name), &rules.without_ignored(after, name)))
}

/// The parts of an Application that belong to the template.
fn comparable(app: &Json) -> Json {
    let read = |pointer: &str| app.pointer(pointer).filter(|value| !value.is_null()).cloned();
    let mut metadata = Map::new();
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let empty = |value: &Json| value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
        if let Some(value) = read(&format!("/metadata/{field}")).filter(|value| !empty(value)) {
            metadata.insert(field.to_owned(), value);
        }
    }
    let mut app = json!({ "metadata": metadata, "spec": read("/spec").unwrap_or_else(|| json!({})) });
    let operation = read("/operation");
    // A live Application that cannot be read is compared as it is.
    if let Ok(normal) = normalised(app.clone()) {
        app = json!({ "metadata": app["metadata"], "spec": normal["spec"] });
    }
    set_or_remove(&mut app, "operation", operation);
    app
}

fn set_or_remove(object: &mut Json, key: &str, value: Option<Json>) {
    let Some(map) = object.as_object_mut() else { return };
    match value {
        Some(value) => drop(map.insert(key.to_owned(), value)),
        None => drop(map.remove(key)),
    }
}

fn keep_preserved(after: &mut Json, before: &Json, set: &ApplicationSet, settings: &Settings) {
    let own = set.spec.preserved_fields.clone().unwrap_or_default();
    let built_in = KEPT_ANNOTATIONS.iter().map(|name| (*name).to_owned());
    let annotations = built_in.chain(settings.preserved_annotations.iter().cloned()).chain(own.annotations);
    let labels = settings.preserved_labels.iter().cloned().chain(own.labels);
    for (field, keys) in [("annotations", annotations.collect::<Vec<_>>()), ("labels", labels.collect())] {
        for key in keys {
            if let Some(value) = before["metadata"].get(field).and_then(|map| map.get(&key)) {
                after["metadata"][field][key] = value.clone();
            }
        }
    }
    let hooks = before["metadata"]
        .get("finalizers")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter(|one| one.as_str().is_some_and(|one| KEPT_FINALIZERS.iter().any(|kept| one.starts_with(kept))));
    let mut finalizers = after["metadata"].get("finalizers").and_then(Json::as_array).cloned().unwrap_or_default();
    for hook in hooks {
        if !finalizers.contains(hook) {
            finalizers.push(hook.clone());
        }
    }
    if !finalizers.is_empty() {
        after["metadata"]["finalizers"] = Json::Array(finalizers);
    }
}

/// The owner references with this ApplicationSet among them.
fn with_owner(set: &ApplicationSet, live: &Json) -> Result<Vec<Json>, String> {
    let own = |reference: &Json| reference["kind"] == "ApplicationSet" && is_argo(reference) && reference["name"] == set.name();
    if let Some(other) = controller_of(live).filter(|controller| !own(controller)) {
        let owner = format!("{} {}", other["kind"].as_str().unwrap_or_default(), other["name"].as_str().unwrap_or_default());
        return Err(format!("Application {}/{} is already owned by another controller: {owner}", set.namespace(), name_of(live)));
    }
    let mut references: Vec<Json> =
        live.pointer("/metadata/ownerReferences").and_then(Json::as_array).cloned().unwrap_or_default();
    match references.iter_mut().find(|reference| own(reference)) {
        Some(reference) => *reference = owner_reference(set),
        None => references.push(owner_reference(set)),
    }
    Ok(references)
}

/// An Application whose cluster is not known could never be finished: its finalizer goes first, and its objects stay.
pub(super) fn delete(app: &Json, clusters: &[Cluster]) -> Step {
    let text = |pointer: &str| app.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
    let finalizers: Vec<String> = app
        .pointer("/metadata/finalizers")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect();
    let stuck = finalizers.iter().any(|one| one == RESOURCES_FINALIZER) && !is_resolvable(app, clusters);
    let left = stuck.then(|| finalizers.into_iter().filter(|one| one != RESOURCES_FINALIZER).collect());
    Step::Delete { name: text("/metadata/name"), uid: text("/metadata/uid"), finalizers: left }
}

/// `ignoreApplicationDifferences`, checked.
struct IgnoreRules(Vec<(String, diff::IgnoreRule)>);

impl IgnoreRules {
    fn of(set: &ApplicationSet) -> Result<Self, String> {
        let mut rules = Vec::new();
        for (index, one) in set.spec.ignore_application_differences.iter().enumerate() {
            let rule = diff::IgnoreRule::from(&ResourceIgnoreDifferences {
                json_pointers: one.json_pointers.clone(),
                jq_path_expressions: one.jq_path_expressions.clone(),
                ..ResourceIgnoreDifferences::default()
            });
            rule.check().map_err(|error| format!("spec.ignoreApplicationDifferences[{index}]: {error}"))?;
            rules.push((one.name.clone(), rule));
        }
        Ok(Self(rules))
    }

    fn without_ignored(&self, app: Json, name: &str) -> Json {
        let applying = self.0.iter().filter(|(only, _)| only.is_empty() || only == name);
        let rules: Vec<&diff::IgnoreRule> = applying.map(|(_, rule)| rule).collect();
        if rules.is_empty() {
            return app;
        }
        match Object::from_value(app) {
            Ok(mut object) => {
                rules.into_iter().for_each(|rule| rule.remove_from(&mut object));
                object.into_value()
            }
            Err(app) => app,
        }
    }
}

fn name_of(app: &Json) -> &str {
    app.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default()
}
