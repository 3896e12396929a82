//! An ApplicationSet that is being deleted and still holds a finalizer of ours.
//!
//! Source: Argo CD 3.5 (reference sections 1.2 and 1.12).

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use serde_json::{Value as Json, json};

use super::{Context, Error, act};
use crate::api::ApplicationSet;
use crate::appset::plan::{Policy, owned};
use crate::appset::rollout;
use crate::resource::annotations::RESOURCES_FINALIZER;

/// How soon to look again while an Application goes.
const LINGER: Duration = Duration::from_secs(10);

/// Lets go of the Applications or deletes them in order, as the policy and the strategy say; then lets the ApplicationSet go.
///
/// # Errors
/// A write failed.
pub async fn step(set: &ApplicationSet, live: &[Json], cx: &Context) -> Result<Action, Error> {
    let finalizers = set.metadata.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == RESOURCES_FINALIZER) {
        return Ok(Action::await_change());
    }
    let owned = owned(set, live);
    // A policy that cannot be read permits no deletion.
    if cx.options.settings.policy_of(set).is_ok_and(Policy::deletes) {
        let in_order = cx.options.progressive_syncs && rollout::deletes_in_reverse(set);
        let next = in_order.then(|| rollout::next_deletion(set, &owned, &cx.clusters.all())).flatten();
        if let Some(next) = next {
            let acted = act::act(set, next.into_iter().collect(), cx).await;
            return match acted.problem {
                Some(problem) => Err(Error::Write(problem.message)),
                None => Ok(Action::requeue(LINGER)),
            };
        }
    } else {
        for app in owned {
            release(set, app, cx).await?;
        }
    }
    let left: Vec<String> = finalizers.into_iter().filter(|finalizer| finalizer != RESOURCES_FINALIZER).collect();
    let patch = json!({ "metadata": { "finalizers": left } });
    match cx.sets(set.namespace()).patch(set.name(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(Action::await_change()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Action::await_change()),
        Err(error) => Err(Error::Write(format!("cannot take the finalizer from ApplicationSet {}: {error}", set.name()))),
    }
}

/// Without owner the garbage collector leaves an Application alone.
async fn release(set: &ApplicationSet, app: &Json, cx: &Context) -> Result<(), Error> {
    let name = app.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default();
    let patch = json!({ "metadata": { "ownerReferences": null } });
    match cx.applications(set.namespace()).patch(name, &act::patching(cx), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Error::Write(format!("cannot release Application {name}: {error}"))),
    }
}
