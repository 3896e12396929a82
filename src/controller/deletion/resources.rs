//! Deletes the objects of an Application, highest sync wave first, each wave gone before the next.
//!
//! Different from Argo CD: an object that carries a copy of the mark stays.

use jiff::Timestamp;

use crate::api::Application;
use crate::cluster::{ClusterError, LiveObject, Propagation, Writer};
use crate::controller::context::Context;
use crate::controller::inputs::instance_of;
use crate::resource::annotations::{
    DELETION_APPROVED, HELM_RESOURCE_POLICY, HOOK_FINALIZER, RESOURCES_FINALIZER_BACKGROUND, SYNC_OPTIONS,
};
use crate::resource::{GroupKind, Object};
use crate::sync::{confirmation, hooks};

/// What is left to do.
pub(super) enum Next {
    /// Objects remain.
    Wait,
    /// Nothing may be deleted yet.
    Hold(String),
    /// Nothing is left.
    Nothing,
}

/// Deletes the next wave.
///
/// # Errors
/// When the cluster cannot be asked or refuses.
pub(super) async fn delete_next_wave(
    app: &Application,
    finalizers: &[String],
    writer: &Writer,
    cx: &Context,
) -> Result<Next, ClusterError> {
    let instance = instance_of(app, cx);
    let listed = app.status.iter().flat_map(|status| &status.resources);
    let kinds: std::collections::BTreeSet<GroupKind> =
        listed.map(|one| GroupKind::new(one.group.clone(), one.kind.clone())).collect();
    cx.discovery.ensure(&kinds).await?;
    let known = kinds.into_iter().filter_map(|kind| cx.discovery.known(&kind).map(|info| (kind, info)));
    let known: std::collections::BTreeMap<_, _> = known.filter(|(_, info)| info.watchable).collect();
    if let Some(failure) = cx.cache.manage(&instance, &known, &std::collections::BTreeSet::new()).await.pop() {
        return Err(failure.error);
    }
    let live = cx.cache.live(&instance, &std::collections::BTreeSet::new());
    let doomed: Vec<(Object, &LiveObject)> = live
        .values()
        .filter(|live| live.is_own() && !live.has_owner)
        .map(|live| (live.object(), live.as_ref()))
        .filter(|(object, _)| is_deleted_with_app(object, app))
        .collect();
    if doomed.iter().any(|(_, live)| live.being_deleted) {
        return Ok(Next::Wait);
    }
    if let Some(message) = held(app, doomed.iter().map(|(object, _)| object)) {
        return Ok(Next::Hold(message));
    }
    let Some(wave) = doomed.iter().map(|(object, _)| hooks::wave(object)).max() else { return Ok(Next::Nothing) };
    let background = finalizers.iter().any(|finalizer| finalizer == RESOURCES_FINALIZER_BACKGROUND);
    let propagation = if background { Propagation::Background } else { Propagation::Foreground };
    for (object, live) in doomed.iter().filter(|(object, _)| hooks::wave(object) == wave) {
        if let Some(info) = known.get(&live.key.group_kind()) {
            // No operation runs any more that would let go of a hook.
            if object.has_finalizer(HOOK_FINALIZER) {
                writer.remove_finalizer(info, &live.key, Some(object.uid()), HOOK_FINALIZER).await?;
            }
            writer.delete(info, &live.key, Some(object.uid()), propagation).await?;
        }
    }
    Ok(Next::Wait)
}

/// One object that needs an approval holds all of them, as in Argo CD; unlike there, the Application says so.
fn held<'a>(app: &Application, doomed: impl Iterator<Item = &'a Object>) -> Option<String> {
    let since = app.metadata.deletion_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
    if confirmation::is_approved_since(app, since) {
        return None;
    }
    let guarded: Vec<String> =
        doomed.filter(|object| confirmation::guards_deletion(object, app)).map(|object| object.key().to_string()).collect();
    (!guarded.is_empty()).then(|| {
        format!(
            "waiting for deletion confirmation of {} (hint: set the annotation {DELETION_APPROVED} of the Application to the current time)",
            guarded.join(", ")
        )
    })
}

fn is_deleted_with_app(object: &Object, app: &Application) -> bool {
    let kept = object.has_option(SYNC_OPTIONS, "Delete=false")
        || (app.has_sync_option("Delete=false") && !object.has_option(SYNC_OPTIONS, "Delete=true"))
        || object.annotation(HELM_RESOURCE_POLICY) == Some("keep");
    let is_crd = object.kind() == "CustomResourceDefinition";
    let is_itself = object.kind() == "Application" && object.name() == app.name() && object.namespace() == app.namespace();
    !kept && !is_crd && !is_itself
}
