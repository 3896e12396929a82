//! Runs PreDelete and PostDelete hooks, and tidies up after them.

use crate::advice::one_line;
use crate::api::Application;
use crate::cluster::{ClusterError, KindInfo, Propagation, Writer};
use crate::controller::context::Context;
use crate::controller::inputs::{targets_of, why_not_permitted};
use crate::diff;
use crate::health::HealthCode;
use crate::resource::annotations::{HOOK_FINALIZER, OPERATION};
use crate::resource::{Object, ResourceKey};
use crate::sync::deletion::{HookStanding, HookStep, Moment, hook_step, hooks_of};
use crate::sync::hooks::{Attempt, DeletePolicies};

/// A hook as it is created for this deletion, and what the cluster has of that name.
struct Hook {
    object: Object,
    kind: KindInfo,
    live: Option<Object>,
    policies: DeletePolicies,
}

/// Does the next step for the hooks of one type; true when all of them have succeeded.
///
/// # Errors
/// With a text that names the hook.
pub(super) async fn run(app: &Application, moment: Moment, writer: &Writer, cx: &Context) -> Result<bool, String> {
    let hooks = read(app, moment, writer, cx).await?;
    let standings: Vec<(ResourceKey, HookStanding)> =
        hooks.iter().map(|hook| (hook.object.key(), standing(hook, app, moment, cx))).collect();
    match hook_step(&standings) {
        HookStep::Done => Ok(true),
        HookStep::Wait(_) => Ok(false),
        HookStep::Create(keys) => {
            for hook in hooks.iter().filter(|hook| keys.contains(&hook.object.key())) {
                create(hook, writer).await.map_err(|error| told(&hook.object.key(), &error))?;
            }
            Ok(false)
        }
        HookStep::Failed(key, message) => {
            for hook in hooks.iter().filter(|hook| hook.object.key() == key) {
                delete(hook, writer).await.map_err(|error| told(&key, &error))?;
            }
            Err(format!("{} hook {key} failed and is run again: {message}", moment.as_str()))
        }
    }
}

/// Lets go of the hooks of one type, and deletes those whose policy says so.
///
/// # Errors
/// With a text that names the hook.
pub(super) async fn clean_up(app: &Application, moment: Moment, writer: &Writer, cx: &Context) -> Result<(), String> {
    for hook in read(app, moment, writer, cx).await? {
        let key = hook.object.key();
        let Some(live) = hook.live.as_ref().filter(|live| of_this_deletion(live, app, moment)) else { continue };
        let health = cx.lens.assess(live).health.map(|health| health.status);
        let succeeded = health != Some(HealthCode::Degraded);
        let tidied = if hook.policies.deletes_at_end(succeeded) {
            delete(&hook, writer).await
        } else {
            writer.remove_finalizer(&hook.kind, &key, Some(live.uid()), HOOK_FINALIZER).await.map(|_| ())
        };
        tidied.map_err(|error| told(&key, &error))?;
    }
    Ok(())
}

async fn read(app: &Application, moment: Moment, writer: &Writer, cx: &Context) -> Result<Vec<Hook>, String> {
    let targets = targets_of(app, cx).await?;
    let attempt = attempt(app);
    let mut hooks = Vec::new();
    for (_, target) in hooks_of(&targets, moment) {
        let object = attempt.prepare_for(target, moment.as_str());
        let key = object.key();
        let missing = || format!("kind {} of {key} is not installed in the destination cluster", key.group_kind());
        let kind = cx.discovery.known(&key.group_kind()).ok_or_else(missing)?;
        if let Some(message) = why_not_permitted(app, &key, kind.namespaced, cx) {
            return Err(message);
        }
        let live = writer.get(&kind, &key).await.map_err(|error| told(&key, &error))?;
        hooks.push(Hook { policies: DeletePolicies::of(target), object, kind, live });
    }
    Ok(hooks)
}

/// Marks what is created for this deletion, so that nothing from before is taken for it.
fn attempt(app: &Application) -> Attempt {
    let since = app.metadata.deletion_timestamp.as_ref().map(|time| time.0.to_string());
    Attempt { started_at: since.unwrap_or_default(), number: 0, revision: String::new() }
}

fn of_this_deletion(live: &Object, app: &Application, moment: Moment) -> bool {
    live.annotation(OPERATION) == Some(&attempt(app).mark_for(moment.as_str()))
}

fn standing(hook: &Hook, app: &Application, moment: Moment, cx: &Context) -> HookStanding {
    let Some(live) = &hook.live else { return HookStanding::Missing { in_the_way: false } };
    if !of_this_deletion(live, app, moment) {
        return HookStanding::Missing { in_the_way: true };
    }
    let health = cx.lens.assess(live).health;
    let message = health.as_ref().map(|health| health.message.clone()).unwrap_or_default();
    HookStanding::Created { health: health.map(|health| health.status), message }
}

/// What is left from before goes first; the hook itself is created when that is gone.
async fn create(hook: &Hook, writer: &Writer) -> Result<(), ClusterError> {
    if hook.live.is_some() {
        return delete(hook, writer).await;
    }
    writer.apply(&hook.kind, &diff::normalise_target(&hook.object)).await.map(|_| ())
}

async fn delete(hook: &Hook, writer: &Writer) -> Result<(), ClusterError> {
    let Some(live) = &hook.live else { return Ok(()) };
    let key = hook.object.key();
    writer.remove_finalizer(&hook.kind, &key, Some(live.uid()), HOOK_FINALIZER).await?;
    writer.delete(&hook.kind, &key, Some(live.uid()), Propagation::Foreground).await
}

fn told(key: &ResourceKey, error: &ClusterError) -> String {
    format!("{key}: {}", one_line(error, error))
}
