//! Does the tasks of one step. Never fails as a whole: what went wrong is in the results.

mod tidy;

use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;

use crate::advice::Advice;
use crate::api::application::ResourceResult;
use crate::cluster::{ClusterError, Discovery, KindInfo, Lens, LiveCache, Propagation, Writer, undeclared};
use crate::diff::redact;
use crate::resource::annotations::HOOK_FINALIZER;
use crate::resource::{Object, ResourceKey};
use crate::sync::hooks::HookPhase;
use crate::sync::results::{kubectl_name, result_of};
use crate::sync::tasks::{Action, Task, Way};

/// Requests in flight at once within a group of objects of one kind.
const PARALLEL: usize = 8;
/// How long a new CRD may take until its kind is served.
const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(3);
/// How often that is looked at.
const ESTABLISH_POLL: Duration = Duration::from_millis(100);
/// How long an object that is to be created again may take to go.
const DELETION_TIMEOUT: Duration = Duration::from_secs(30);
/// How often that is looked at.
const DELETION_POLL: Duration = Duration::from_millis(100);

/// What a sync needs to act.
#[derive(Clone)]
pub struct Executor {
    /// Writes to the destination.
    pub writer: Writer,
    /// Kinds of the destination.
    pub discovery: Discovery,
    /// Live state of the destination; told of every answer.
    pub cache: LiveCache,
    /// Health of what was written.
    pub lens: Lens,
    /// What happens to dependents of pruned objects.
    pub propagation: Propagation,
    /// Ask only, change nothing.
    pub dry_run: bool,
    /// What was applied client-side is taken over, with the fields of these managers.
    pub adoption: Adoption,
}

/// Whether fields that were applied client-side are taken over before an object is applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoption {
    /// `ClientSideApplyMigration=false`.
    pub off: bool,
    /// A further manager, which the Application names.
    pub manager: Option<String>,
}

impl Executor {
    /// Does the tasks of one step: prunes first, then applies kind by kind. A failed prune stops the step before its applies.
    pub async fn execute(&self, tasks: &[Task]) -> Vec<ResourceResult> {
        let (applies, prunes): (Vec<&Task>, Vec<&Task>) =
            tasks.iter().partition(|task| matches!(task.action, Action::Apply { .. }));
        let mut results = self.in_parallel(&prunes).await;
        if results.iter().any(|result| result.status == "SyncFailed") {
            return results;
        }
        for group in applies.chunk_by(|a, b| a.key.group_kind() == b.key.group_kind()) {
            results.extend(self.in_parallel(group).await);
            if group.first().is_some_and(|task| task.key.kind == "CustomResourceDefinition") && !self.dry_run {
                self.wait_until_served(group).await;
            }
        }
        results
    }

    async fn in_parallel(&self, tasks: &[&Task]) -> Vec<ResourceResult> {
        let runs: Vec<_> = tasks.iter().map(|task| self.run(task)).collect();
        futures::stream::iter(runs).buffered(PARALLEL).collect().await
    }

    async fn run(&self, task: &Task) -> ResourceResult {
        match &task.action {
            Action::Keep { message } => result_of(task, "PruneSkipped", (*message).to_owned(), HookPhase::Succeeded),
            Action::Prune { uid } => match self.prune(&task.key, uid).await {
                Ok(message) => result_of(task, "Pruned", message, HookPhase::Succeeded),
                Err(error) => failed(task, &error),
            },
            Action::Apply { unchanged: true, .. } => {
                result_of(task, "Synced", format!("{} unchanged", kubectl_name(&task.key)), HookPhase::Running)
            }
            Action::Apply { object, way, .. } => match self.write(object, *way).await {
                Ok(written) => {
                    let dry = if self.dry_run { " (dry run)" } else { "" };
                    let phase = if task.hook.is_some() || self.dry_run { written.hook_phase } else { HookPhase::Running };
                    result_of(task, "Synced", format!("{}{dry}", written.message), phase)
                }
                Err(error) => failed(task, &error),
            },
        }
    }

    async fn prune(&self, key: &ResourceKey, uid: &str) -> Result<String, ClusterError> {
        if self.dry_run {
            return Ok("pruned (dry run)".into());
        }
        let kind = self.kind(key).await?;
        self.writer.delete(&kind, key, Some(uid), self.propagation).await?;
        Ok("pruned".into())
    }

    async fn write(&self, target: &Object, way: Way) -> Result<Written, ClusterError> {
        let key = target.key();
        let kind = self.kind(&key).await?;
        let live = self.cache.get(&key);
        let before = live.as_ref().map(|live| live.resource_version.clone());
        let target = self.written(target);
        if self.dry_run {
            return self.dry_run(&kind, &target, before.is_some(), way).await;
        }
        if live.is_some_and(|live| !self.adoption.off && (live.client_side_applied || self.adoption.manager.is_some())) {
            self.writer.adopt_client_side(&kind, &key, self.adoption.manager.as_deref()).await?;
        }
        let (stored, message) = if way.replace {
            self.replace(&kind, &target, way.force).await?
        } else {
            self.apply(&kind, &target, before.as_deref(), way).await?
        };
        // A hook whose kind has no health is done at once; of a running one nothing is known before its controller acts.
        let hook_phase = HookPhase::from_health(self.lens.assess(&stored).health.map(|health| health.status));
        self.cache.observe(stored);
        Ok(Written { message, hook_phase })
    }

    /// What is sent of a target.
    fn written(&self, target: &Object) -> Object {
        let mut object = crate::diff::normalise_target(target);
        if self.lens.settings().customisations.compare.status_counts(&target.group_kind())
            && let Some(status) = target.0.get("status")
        {
            object.0.insert("status".into(), status.clone());
        }
        object
    }

    /// What has to be deleted first cannot be asked for: its refusal is no failure.
    async fn dry_run(&self, kind: &KindInfo, target: &Object, exists: bool, way: Way) -> Result<Written, ClusterError> {
        let left_out = match self.send(kind, target, way).await {
            Err(error) if !(way.force && is_unchangeable(&error)) => return Err(error),
            Ok((_, left_out)) => left_out,
            Err(_) => String::new(),
        };
        let verb = if exists { "configured" } else { "created" };
        Ok(Written { message: format!("{} {verb}{left_out}", kubectl_name(&target.key())), hook_phase: HookPhase::Succeeded })
    }

    /// Applies, or asks what applying would store. Fields that the schema does not declare are left out unless somebody is
    /// strict about them, and named in the text that is given back.
    async fn send(&self, kind: &KindInfo, target: &Object, way: Way) -> Result<(Object, String), ClusterError> {
        let mut target = std::borrow::Cow::Borrowed(target);
        let mut dropped: Vec<String> = Vec::new();
        loop {
            let answer =
                if self.dry_run { self.writer.dry_run(kind, &target).await } else { self.writer.apply(kind, &target).await };
            match answer {
                Ok(stored) => {
                    let left_out = dropped.iter().map(|field| format!("; unknown field {field} left out")).collect();
                    return Ok((stored, left_out));
                }
                Err(ClusterError::Refused { message, code }) if !way.strict => match undeclared::without(&target, &message) {
                    Some((left, fields)) => {
                        dropped.extend(fields);
                        target = std::borrow::Cow::Owned(left);
                    }
                    None => return Err(ClusterError::Refused { message, code }),
                },
                Err(error) => return Err(error),
            }
        }
    }

    async fn apply(
        &self,
        kind: &KindInfo,
        target: &Object,
        before: Option<&str>,
        way: Way,
    ) -> Result<(Object, String), ClusterError> {
        let name = kubectl_name(&target.key());
        let (stored, left_out) = match self.send(kind, target, way).await {
            Err(error) if way.force && is_unchangeable(&error) && !is_never_recreated(target) => {
                return Ok((self.recreate(kind, target).await?, format!("{name} replaced")));
            }
            other => other?,
        };
        let verb = match before {
            None if stored.generation() <= 1 => "created",
            Some(version) if version == stored.resource_version() => "unchanged",
            None | Some(_) => "configured",
        };
        Ok((stored, format!("{name} {verb}{left_out}")))
    }

    async fn replace(&self, kind: &KindInfo, target: &Object, force: bool) -> Result<(Object, String), ClusterError> {
        let key = target.key();
        let Some(live) = self.writer.get(kind, &key).await? else {
            return Ok((self.writer.apply(kind, target).await?, format!("{} created", kubectl_name(&key))));
        };
        if is_never_recreated(target) {
            let stored = self.writer.replace(kind, target, live.resource_version()).await?;
            return Ok((stored, format!("{}/{} updated", key.kind, key.name)));
        }
        let stored = if force {
            self.recreate(kind, target).await?
        } else {
            self.writer.replace(kind, target, live.resource_version()).await?
        };
        Ok((stored, format!("{} replaced", kubectl_name(&key))))
    }

    /// Deletes the live object, waits until it is gone, and creates the target. After a crash in between, the object is merely
    /// missing and the next attempt creates it.
    async fn recreate(&self, kind: &KindInfo, target: &Object) -> Result<Object, ClusterError> {
        let key = target.key();
        if let Some(live) = self.writer.get(kind, &key).await? {
            self.writer.remove_finalizer(kind, &key, Some(live.uid()), HOOK_FINALIZER).await?;
            self.writer.delete(kind, &key, Some(live.uid()), Propagation::Background).await?;
            self.wait_until_gone(kind, &key, live.uid()).await?;
        }
        self.writer.apply(kind, target).await
    }

    async fn wait_until_gone(&self, kind: &KindInfo, key: &ResourceKey, uid: &str) -> Result<(), ClusterError> {
        let deadline = tokio::time::Instant::now() + DELETION_TIMEOUT;
        while self.writer.get(kind, key).await?.is_some_and(|live| live.uid() == uid) {
            if tokio::time::Instant::now() > deadline {
                let message = format!("{} is still being deleted, it cannot be created again yet", kubectl_name(key));
                return Err(ClusterError::Conflict { message });
            }
            tokio::time::sleep(DELETION_POLL).await;
        }
        Ok(())
    }

    async fn kind(&self, key: &ResourceKey) -> Result<KindInfo, ClusterError> {
        let group_kind = key.group_kind();
        self.discovery.ensure([&group_kind]).await?;
        self.discovery.known(&group_kind).ok_or_else(|| ClusterError::UnknownKind { kind: group_kind.to_string() })
    }

    /// Waits until new kinds are served; a time-out is only logged, the objects of the kind then say what is wrong.
    async fn wait_until_served(&self, crds: &[&Task]) {
        let deadline = tokio::time::Instant::now() + ESTABLISH_TIMEOUT;
        for task in crds {
            let Action::Apply { object, .. } = &task.action else { continue };
            let text = |path: &[&str]| object.get(path).and_then(Value::as_str).unwrap_or_default();
            let kind = crate::resource::GroupKind::new(text(&["spec", "group"]), text(&["spec", "names", "kind"]));
            while self.discovery.known(&kind).is_none() {
                if tokio::time::Instant::now() > deadline {
                    tracing::warn!(%kind, "the new kind is not served yet");
                    return;
                }
                tokio::time::sleep(ESTABLISH_POLL).await;
                if let Err(error) = self.discovery.refresh().await {
                    tracing::warn!(%error, "cannot look up the kinds of the cluster");
                }
            }
        }
    }
}

/// What became of a target.
struct Written {
    message: String,
    hook_phase: HookPhase,
}

/// Refusals that deleting the object would overcome, as for `kubectl apply --force`.
const fn is_unchangeable(error: &ClusterError) -> bool {
    matches!(error, ClusterError::Refused { code: 422, .. } | ClusterError::Conflict { .. })
}

/// Deleting one of these would delete everything in it.
fn is_never_recreated(target: &Object) -> bool {
    matches!((target.group(), target.kind()), ("", "Namespace") | ("apiextensions.k8s.io", "CustomResourceDefinition"))
}

fn failed(task: &Task, error: &ClusterError) -> ResourceResult {
    let text = failure_text(&task.key, error);
    let text = match &task.action {
        Action::Apply { object, .. } => redact(&text, object),
        Action::Prune { .. } | Action::Keep { .. } => text,
    };
    result_of(task, "SyncFailed", text, HookPhase::Failed)
}

/// The API server's words name the object only for some errors; the hint says what to change.
fn failure_text(key: &ResourceKey, error: &ClusterError) -> String {
    let mut text = error.to_string();
    if !text.contains(&key.name) {
        text = format!("{}: {text}", kubectl_name(key));
    }
    if let Some(hint) = error.hint() {
        text = format!("{text} (hint: {hint})");
    }
    text
}
