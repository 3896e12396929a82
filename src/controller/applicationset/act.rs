//! Writes what the plan says. One Application's failure does not stop the others.

use std::collections::BTreeMap;

use futures::StreamExt;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value as Json, json};

use super::Context;
use crate::api::ApplicationSet;
use crate::appset::plan::{self, Step};
use crate::appset::status::Problem;

/// Names in one event.
const SHOWN: usize = 5;

/// What was done to one Application.
enum Done {
    Created,
    Updated,
    Deleted,
    Nothing,
}

/// What was written.
#[derive(Default)]
pub struct Acted {
    /// Applications that are there now and were not before.
    pub created: Vec<Json>,
    /// Names of those that are gone.
    pub deleted: Vec<String>,
    /// Why the first of them, by name, could not be written.
    pub problem: Option<Problem>,
}

/// Writes all steps and tells about them in one event for each kind.
pub async fn act(set: &ApplicationSet, steps: Vec<Step>, cx: &Context) -> Acted {
    let (writes, deletions): (Vec<_>, Vec<_>) = steps.into_iter().partition(|step| !matches!(step, Step::Delete { .. }));
    let mut acted = Acted::default();
    let mut told: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut problems: BTreeMap<String, Problem> = BTreeMap::new();
    // What is new comes before what goes.
    for steps in [writes, deletions] {
        let results = steps.into_iter().map(|step| async move {
            let done = write(set, &step, cx).await;
            (step, done)
        });
        let mut results = futures::stream::iter(results).buffer_unordered(cx.options.concurrent_updates);
        while let Some((step, done)) = results.next().await {
            let name = step.name().to_owned();
            match done {
                Ok(Done::Nothing) => {}
                Ok(Done::Created) => {
                    told.entry("created").or_default().push(name);
                    if let Step::Create(app) = step {
                        acted.created.push(app);
                    }
                }
                Ok(Done::Updated) => told.entry("updated").or_default().push(name),
                Ok(Done::Deleted) => {
                    told.entry("Deleted").or_default().push(name.clone());
                    acted.deleted.push(name);
                }
                Err(message) => {
                    let reason = match step {
                        Step::Create(_) => "CreateApplicationError",
                        Step::Update { .. } => "UpdateApplicationError",
                        Step::Delete { .. } => "DeleteApplicationError",
                    };
                    problems.insert(name, Problem { reason, message });
                }
            }
        }
    }
    for (action, names) in told {
        cx.tell(set, false, action, &note(action, names)).await;
    }
    acted.problem = problems.into_values().next();
    acted
}

fn note(action: &str, mut names: Vec<String>) -> String {
    names.sort();
    let more = names.len().saturating_sub(SHOWN);
    let plural = if names.len() == 1 { "" } else { "s" };
    let shown = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{action} Application{plural} {shown}{rest}")
}

async fn write(set: &ApplicationSet, step: &Step, cx: &Context) -> Result<Done, String> {
    let api = cx.applications(set.namespace());
    let failed =
        |verb: &str, error: kube::Error| format!("cannot {verb} Application {}/{}: {error}", set.namespace(), step.name());
    match step {
        Step::Create(app) => {
            let object: DynamicObject = serde_json::from_value(app.clone()).map_err(|error| error.to_string())?;
            match api.create(&post(cx), &object).await {
                Ok(_) => Ok(Done::Created),
                // The watch had not told of it yet.
                Err(kube::Error::Api(status)) if status.code == 409 => adopt(set, app, &api, cx).await,
                Err(error) => Err(failed("create", error)),
            }
        }
        Step::Update { name, patch } => match api.patch(name, &patching(cx), &Patch::Merge(patch)).await {
            Ok(_) => Ok(Done::Updated),
            Err(error) => Err(failed("update", error)),
        },
        Step::Delete { name, uid, finalizers } => {
            if let Some(finalizers) = finalizers {
                let patch = json!({ "metadata": { "finalizers": finalizers, "uid": uid } });
                match api.patch(name, &patching(cx), &Patch::Merge(patch)).await {
                    Err(error) if !is_gone(&error) => return Err(failed("free", error)),
                    _ => {}
                }
            }
            let precondition = Preconditions { uid: Some(uid.clone()), resource_version: None };
            let params =
                DeleteParams { preconditions: Some(precondition), dry_run: cx.options.dry_run, ..DeleteParams::default() };
            match api.delete(name, &params).await {
                Ok(_) => Ok(Done::Deleted),
                // Gone already, or another one of the same name by now: the watch tells.
                Err(error) if is_gone(&error) || matches!(&error, kube::Error::Api(status) if status.code == 409) => {
                    Ok(Done::Nothing)
                }
                Err(error) => Err(failed("delete", error)),
            }
        }
    }
}

/// An Application that exists already is changed to what is wanted.
async fn adopt(set: &ApplicationSet, wanted: &Json, api: &Api<DynamicObject>, cx: &Context) -> Result<Done, String> {
    let name = wanted.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default();
    let live = api.get(name).await.map_err(|error| format!("cannot read Application {name}: {error}"))?;
    let live = serde_json::to_value(live).map_err(|error| error.to_string())?;
    match plan::update(set, wanted, &live, &cx.options.settings)? {
        None => Ok(Done::Nothing),
        Some(patch) => {
            let written = api.patch(name, &patching(cx), &Patch::Merge(patch)).await;
            written.map(|_| Done::Updated).map_err(|error| format!("cannot update Application {name}: {error}"))
        }
    }
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn post(cx: &Context) -> PostParams {
    PostParams { dry_run: cx.options.dry_run, field_manager: Some(super::FIELD_MANAGER.into()) }
}

/// Parameters of every patch.
pub fn patching(cx: &Context) -> PatchParams {
    PatchParams { dry_run: cx.options.dry_run, field_manager: Some(super::FIELD_MANAGER.into()), ..PatchParams::default() }
}
