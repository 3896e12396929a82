//! Does the tasks of one step. Never fails as a whole: what went wrong is in the results.

use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;

use crate::advice::Advice;
use crate::api::application::ResourceResult;
use crate::cluster::{ClusterError, Discovery, LiveCache, Propagation, Writer};
use crate::resource::{Object, ResourceKey};
use crate::sync::plan::{Action, Task, result_of};

/// Requests in flight at once within a group of objects of one kind.
const PARALLEL: usize = 8;
/// How long a new CRD may take until its kind is served.
const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(3);
/// How often that is looked at.
const ESTABLISH_POLL: Duration = Duration::from_millis(100);

/// What a sync needs to act.
#[derive(Clone)]
pub struct Executor {
    /// Writes to the destination.
    pub writer: Writer,
    /// Kinds of the destination.
    pub discovery: Discovery,
    /// Live state of the destination; told of every answer.
    pub cache: LiveCache,
    /// What happens to dependents of pruned objects.
    pub propagation: Propagation,
    /// Ask only, change nothing.
    pub dry_run: bool,
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
            Action::Keep { message } => result_of(task, "PruneSkipped", (*message).to_owned(), "Succeeded"),
            Action::Prune { uid } => match self.prune(&task.key, uid).await {
                Ok(message) => result_of(task, "Pruned", message, "Succeeded"),
                Err(error) => result_of(task, "SyncFailed", failure_text(&task.key, &error), "Failed"),
            },
            Action::Apply { unchanged: true, .. } => {
                result_of(task, "Synced", format!("{} unchanged", kubectl_name(&task.key)), "Running")
            }
            Action::Apply { object, .. } => match self.apply(object).await {
                Ok(verb) => {
                    let dry = if self.dry_run { " (dry run)" } else { "" };
                    result_of(task, "Synced", format!("{} {verb}{dry}", kubectl_name(&task.key)), "Running")
                }
                Err(error) => result_of(task, "SyncFailed", failure_text(&task.key, &error), "Failed"),
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

    async fn apply(&self, target: &Object) -> Result<&'static str, ClusterError> {
        let key = target.key();
        let kind = self.kind(&key).await?;
        let before = self.cache.get(&key).map(|live| live.resource_version.clone());
        let target = crate::diff::normalise_target(target);
        if self.dry_run {
            self.writer.dry_run(&kind, &target).await?;
            return Ok(if before.is_some() { "configured" } else { "created" });
        }
        let stored = self.writer.apply(&kind, &target).await?;
        let verb = match before {
            None if stored.generation() <= 1 => "created",
            Some(version) if version == stored.resource_version() => "unchanged",
            None | Some(_) => "configured",
        };
        self.cache.observe(stored);
        Ok(verb)
    }

    async fn kind(&self, key: &ResourceKey) -> Result<crate::cluster::KindInfo, ClusterError> {
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

/// `deployment.apps/web`, as kubectl names an object in its messages.
fn kubectl_name(key: &ResourceKey) -> String {
    let kind = key.kind.to_lowercase();
    if key.group.is_empty() { format!("{kind}/{}", key.name) } else { format!("{kind}.{}/{}", key.group, key.name) }
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
