//! Decides the next step of a sync from its tasks and the results so far. Pure.
//!
//! ```text
//!  hook came to an end? ──> Record ──> Clean (its finalizer) ──> something failed? ── no ──> next wave: Run | Wait
//!                                                                      │ yes                     │ none left
//!                                                                      v                         v
//!                                                        SyncFail hooks: Run | Wait ──> Clean ──> Finish
//! ```
//!
//! Source: Argo CD 3.5 sync engine (reference sections 6.3 to 6.7).

use std::collections::BTreeSet;

use crate::api::application::ResourceResult;
use crate::health::HealthCode;
use crate::resource::ResourceKey;
use crate::sync::hooks::{HookPhase, LiveHook, Phase};
use crate::sync::results::{is_failure, is_result_of, is_running_hook, key_of, kubectl_name, result_of, shown};
use crate::sync::tasks::{Action, Task};

/// The next step.
#[derive(Debug, Clone)]
pub enum Plan {
    /// Do these tasks of one phase and wave.
    Run {
        /// The tasks, in order.
        tasks: Vec<Task>,
    },
    /// Nothing is to be done, but these results are news. One that says that an object is missing is to be checked first.
    Record {
        /// The results.
        results: Vec<ResourceResult>,
    },
    /// Tidy up after hooks, or before they are created again.
    Clean {
        /// What to do to which object.
        cleanups: Vec<Cleanup>,
    },
    /// Nothing can be done until live state changes.
    Wait {
        /// What is waited for, for people.
        message: String,
    },
    /// The operation is over.
    Finish {
        /// True when it succeeded.
        succeeded: bool,
        /// How it ended, for people.
        message: String,
        /// Results that explain a failure before anything was done.
        results: Vec<ResourceResult>,
    },
}

/// Takes the hook finalizer off an object, and maybe deletes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleanup {
    /// The object.
    pub key: ResourceKey,
    /// Its uid; without one, only an object that carries the hook finalizer is touched.
    pub uid: Option<String>,
    /// Delete it as well.
    pub delete: bool,
}

/// How an applied or pruned object stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there, or its kind is not looked at.
    Present {
        /// Health, if the kind has one.
        health: Option<HealthCode>,
        /// True while it is being deleted.
        being_deleted: bool,
    },
    /// It is not there.
    Gone,
}

/// Checks all tasks before anything is applied. `why_invalid` says why a task can never work.
///
/// Returns a failed [`Plan::Finish`], or `None` when all are fine.
pub fn validate(tasks: &[Task], why_invalid: impl Fn(&Task) -> Option<String>) -> Option<Plan> {
    let mut results = Vec::new();
    let mut messages = BTreeSet::new();
    for task in tasks {
        if let Some(message) = why_invalid(task) {
            messages.insert(message.clone());
            results.push(result_of(task, "SyncFailed", message, HookPhase::Failed));
        }
    }
    if messages.is_empty() {
        return None;
    }
    let joined: Vec<String> = messages.into_iter().collect();
    let message = format!("one or more synchronization tasks are not valid: {}", joined.join("; "));
    Some(Plan::Finish { succeeded: false, message, results })
}

/// Decides the next step.
///
/// Same inputs, same plan. A step starts only when everything applied in earlier steps is healthy, its hooks are over and
/// everything pruned is gone; a last step without hooks ends the operation right after it.
pub fn plan(tasks: &[Task], results: &[ResourceResult], standing: impl Fn(&Task) -> Standing) -> Plan {
    Board { tasks, results, standing }.plan()
}

/// What is left to delete when the operation is terminated: its hooks that are not over.
#[must_use]
pub fn unfinished_hooks(tasks: &[Task], results: &[ResourceResult]) -> Vec<Cleanup> {
    let over = |task: &Task| results.iter().any(|result| is_result_of(result, task) && !is_running_hook(result));
    let live = tasks.iter().filter(|task| !over(task)).filter_map(|task| own_live(task).map(|live| cleanup(task, live, true)));
    let mut cleanups: Vec<Cleanup> = live.collect();
    for result in results.iter().filter(|result| is_running_hook(result)) {
        let key = key_of(result);
        if !cleanups.iter().any(|cleanup| cleanup.key == key) {
            cleanups.push(Cleanup { key, uid: None, delete: true });
        }
    }
    cleanups
}

/// The live object of a hook, if it was created for this run of it.
fn own_live(task: &Task) -> Option<&LiveHook> {
    task.hook.as_ref()?.live.as_ref().filter(|live| live.of_this_run)
}

fn cleanup(task: &Task, live: &LiveHook, delete: bool) -> Cleanup {
    Cleanup { key: task.key.clone(), uid: Some(live.uid.clone()), delete }
}

struct Board<'a, S> {
    tasks: &'a [Task],
    results: &'a [ResourceResult],
    standing: S,
}

/// What keeps the next step from starting.
enum Open {
    Nothing,
    Waiting(String),
    Failed(Vec<ResourceResult>),
}

impl<S: Fn(&Task) -> Standing> Board<'_, S> {
    fn plan(&self) -> Plan {
        let news: Vec<ResourceResult> = self.tasks.iter().filter_map(|task| self.news(task)).collect();
        if !news.is_empty() {
            return Plan::Record { results: news };
        }
        let cleanups: Vec<Cleanup> = self.tasks.iter().filter_map(|task| self.release(task)).collect();
        if !cleanups.is_empty() {
            return Plan::Clean { cleanups };
        }
        match failure(self.results) {
            Some(message) => self.after_failure(message),
            None => self.next_step(),
        }
    }

    fn result(&self, task: &Task) -> Option<&ResourceResult> {
        self.results.iter().find(|result| is_result_of(result, task))
    }

    fn is_running(&self, task: &Task) -> bool {
        self.result(task).is_some_and(is_running_hook)
    }

    /// The result of a hook that has come to an end, or that was created by a step that could not record it.
    fn news(&self, task: &Task) -> Option<ResourceResult> {
        let live = task.hook.as_ref()?.live.as_ref();
        let Some(result) = self.result(task) else {
            let message = format!("{} created", kubectl_name(&task.key));
            return own_live(task).map(|live| result_of(task, "Synced", message, HookPhase::from_health(live.health)));
        };
        if !is_running_hook(result) {
            return None;
        }
        let (phase, message) = match live {
            None => (HookPhase::Error, missing(task)),
            Some(live) if !live.of_this_run => (HookPhase::Failed, "another object has taken its place".to_owned()),
            Some(live) => match (HookPhase::from_health(live.health), live.message.as_str()) {
                (HookPhase::Running, _) => return None,
                (HookPhase::Failed, "") => (HookPhase::Failed, "the hook failed".to_owned()),
                (phase, "") => (phase, result.message.clone()),
                (phase, message) => (phase, message.to_owned()),
            },
        };
        Some(result_of(task, &result.status, message, phase))
    }

    /// The result is recorded: nothing holds the object any more.
    fn release(&self, task: &Task) -> Option<Cleanup> {
        let live = own_live(task).filter(|live| live.held)?;
        let over = self.result(task).is_some() && !self.is_running(task);
        over.then(|| cleanup(task, live, false))
    }

    fn next_step(&self) -> Plan {
        let mut steps = self.tasks.iter().filter(|task| task.phase != Phase::SyncFail);
        match steps.find(|task| self.result(task).is_none()) {
            Some(next) => {
                let at = next.step();
                let earlier = self.tasks.iter().filter(|task| task.step() < at && task.phase != Phase::SyncFail).collect();
                self.when_done(earlier, || self.run(at))
            }
            None => self.last_step(),
        }
    }

    /// With hooks in it, the last step is waited for: all of it if there were several steps, else only its hooks.
    fn last_step(&self) -> Plan {
        let normal = || self.tasks.iter().filter(|task| task.phase != Phase::SyncFail);
        let last = normal().map(Task::step).max();
        let has_hooks = normal().any(|task| Some(task.step()) == last && task.hook.is_some());
        if !has_hooks {
            return self.finish(true, "successfully synced (all tasks run)".into());
        }
        let several = self.tasks.iter().any(|task| Some(task.step()) != last);
        let waited_for = normal().filter(|task| several || task.hook.is_some()).collect();
        self.when_done(waited_for, || self.finish(true, "successfully synced (no more tasks)".into()))
    }

    fn when_done(&self, earlier: Vec<&Task>, then: impl FnOnce() -> Plan) -> Plan {
        match self.still_open(earlier) {
            Open::Nothing => then(),
            Open::Failed(results) => Plan::Record { results },
            Open::Waiting(message) => Plan::Wait { message },
        }
    }

    fn still_open(&self, earlier: Vec<&Task>) -> Open {
        let (hooks, ordinary): (Vec<&Task>, Vec<&Task>) = earlier.into_iter().partition(|task| task.hook.is_some());
        let hooks: Vec<&Task> = hooks.into_iter().filter(|task| self.is_running(task)).collect();
        let (mut unhealthy, mut deleting, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for task in ordinary {
            match (&task.action, (self.standing)(task)) {
                (Action::Keep { .. }, _) | (Action::Prune { .. }, Standing::Gone) => {}
                (Action::Prune { .. }, Standing::Present { being_deleted, .. }) => {
                    if being_deleted {
                        deleting.push(task);
                    }
                }
                (Action::Apply { .. }, Standing::Gone) => {
                    failed.push(result_of(task, "Synced", missing(task), HookPhase::Error));
                }
                (Action::Apply { .. }, Standing::Present { health, .. }) => match health {
                    None | Some(HealthCode::Healthy) => {}
                    Some(HealthCode::Degraded) => {
                        let message = format!("{} is Degraded", shown(&task.key));
                        failed.push(result_of(task, "Synced", message, HookPhase::Failed));
                    }
                    Some(_) => unhealthy.push(task),
                },
            }
        }
        if !failed.is_empty() {
            return Open::Failed(failed);
        }
        let waiting = waiting_for("completion of hook", "hooks", &hooks)
            .or_else(|| waiting_for("healthy state of", "resources", &unhealthy))
            .or_else(|| waiting_for("deletion of", "resources", &deleting));
        waiting.map_or(Open::Nothing, Open::Waiting)
    }

    /// What is left of one step: prunes first, then room for hooks that are in their own way, then everything else.
    fn run(&self, at: (Phase, i64)) -> Plan {
        let step: Vec<&Task> = self.tasks.iter().filter(|task| task.step() == at && self.result(task).is_none()).collect();
        // One unapproved deletion holds everything of its step, creations included, as in Argo CD.
        let held: Vec<&Task> = step.iter().copied().filter(|task| task.held).collect();
        if let Some(message) = waiting_for("pruning confirmation of", "resources", &held) {
            return Plan::Wait { message };
        }
        let stale: Vec<(&Task, &LiveHook)> = step.iter().filter_map(|task| Some((*task, in_the_way(task)?))).collect();
        let prunes: Vec<Task> = step.iter().filter(|task| task.is_prune()).copied().cloned().collect();
        if stale.is_empty() {
            return Plan::Run { tasks: step.into_iter().cloned().collect() };
        }
        if !prunes.is_empty() {
            return Plan::Run { tasks: prunes };
        }
        let doomed = stale.iter().filter(|(_, live)| live.held || !live.being_deleted);
        let cleanups: Vec<Cleanup> = doomed.map(|(task, live)| cleanup(task, live, !live.being_deleted)).collect();
        if !cleanups.is_empty() {
            return Plan::Clean { cleanups };
        }
        let stale: Vec<&Task> = stale.into_iter().map(|(task, _)| task).collect();
        Plan::Wait { message: waiting_for("deletion of", "hooks", &stale).unwrap_or_default() }
    }

    /// Hooks that run are waited for, then the failure hooks have their turn, wave by wave.
    fn after_failure(&self, message: String) -> Plan {
        let running: Vec<&Task> = self.tasks.iter().filter(|task| self.is_running(task)).collect();
        if let Some(message) = waiting_for("completion of hook", "hooks", &running) {
            return Plan::Wait { message };
        }
        let (rescue, failed): (Vec<&Task>, Vec<&Task>) =
            self.tasks.iter().filter(|task| task.phase == Phase::SyncFail).partition(|task| self.result(task).is_none());
        if let Some(next) = rescue.first() {
            return self.run(next.step());
        }
        if failed.iter().any(|task| self.result(task).is_some_and(is_failure)) {
            return self.finish(false, format!("{message}; one or more SyncFail hooks failed"));
        }
        self.finish(false, message)
    }

    /// The objects of hooks go before the end is recorded, so that a crash in between repeats the deletion.
    fn finish(&self, succeeded: bool, message: String) -> Plan {
        let doomed = self.tasks.iter().filter_map(|task| {
            let goes = task.hook.as_ref()?.policies.deletes_at_end(succeeded);
            let live = own_live(task).filter(|live| goes && !live.being_deleted)?;
            self.result(task).map(|_| cleanup(task, live, true))
        });
        let cleanups: Vec<Cleanup> = doomed.collect();
        if cleanups.is_empty() { Plan::Finish { succeeded, message, results: Vec::new() } } else { Plan::Clean { cleanups } }
    }
}

/// An object of an earlier run that has to go before the hook can be created.
fn in_the_way(task: &Task) -> Option<&LiveHook> {
    let hook = task.hook.as_ref()?;
    let live = hook.live.as_ref().filter(|live| !live.of_this_run)?;
    (hook.policies.before_creation || live.being_deleted).then_some(live)
}

/// Why the operation has failed, if it has; results of failure hooks are no reason.
fn failure(results: &[ResourceResult]) -> Option<String> {
    let failed = || results.iter().filter(|result| is_failure(result) && result.sync_phase != Phase::SyncFail.as_str());
    let reasons = |refused: bool| -> Vec<String> {
        let chosen = failed().filter(|result| (result.status == "SyncFailed") == refused);
        let reasons: BTreeSet<String> = chosen.map(reason).collect();
        reasons.into_iter().collect()
    };
    let (refused, unsuccessful) = (reasons(true), reasons(false));
    if !refused.is_empty() {
        return Some(format!("one or more objects failed to apply, reason: {}", refused.join("; ")));
    }
    if !unsuccessful.is_empty() {
        let joined = unsuccessful.join("; ");
        return Some(format!("one or more synchronization tasks completed unsuccessfully, reason: {joined}"));
    }
    None
}

fn reason(result: &ResourceResult) -> String {
    if result.status == "SyncFailed" || result.hook_type.is_empty() || result.hook_phase == HookPhase::Error.as_str() {
        return result.message.clone();
    }
    format!("{}: {}", shown(&key_of(result)), result.message)
}

fn missing(task: &Task) -> String {
    format!("Resource {} is missing, it might have been deleted", shown(&task.key))
}

fn waiting_for(what: &str, plural: &str, tasks: &[&Task]) -> Option<String> {
    let (first, rest) = tasks.split_first()?;
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more {plural}", rest.len()) };
    Some(format!("waiting for {what} {}{more}", shown(&first.key)))
}

#[cfg(test)]
mod tests;
