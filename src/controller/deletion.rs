//! Deletes what belongs to an Application with it, when its finalizers ask for that: one stage after the other, each written down
//! by the finalizer that goes with it.

mod hooks;
mod resources;

use std::time::Duration;

use self::resources::Next;
use super::context::Context;
use super::identity;
use crate::advice::one_line;
use crate::api::Application;
use crate::project;
use crate::sync::deletion::{Stage, next_stage, without_ours};

/// A wave whose objects linger is looked at again after this time; their deletion events wake us earlier.
const LINGER: Duration = Duration::from_secs(10);
/// A hook that runs is looked at again after this time.
pub const HOOK_POLL: Duration = Duration::from_secs(2);

/// How far the deletion of an Application is.
pub enum Progress {
    /// No finalizer of ours holds it.
    NotOurs,
    /// Objects are still there.
    Waiting(Duration),
    /// A hook runs. Why it failed before, if it did, still counts: it is over when the hook succeeds.
    HookRuns,
    /// A stage is over: these finalizers remain.
    Done(Vec<String>),
    /// A person has to approve it first; the text says how.
    Held(String),
    /// It cannot go on.
    Failed(String),
}

/// Does the next step of the deletion of an Application.
pub async fn step(app: &Application, cx: &Context) -> Progress {
    let finalizers = app.metadata.finalizers.clone().unwrap_or_default();
    let Some(stage) = next_stage(&finalizers) else { return Progress::NotOurs };
    if cx.project_of(app).is_none() {
        return failed(&format!("project {} does not exist", app.project()));
    }
    // Nobody can delete anything in a cluster that is not known.
    if project::resolve_destination(&app.spec.destination).is_err() {
        return Progress::Done(without_ours(&finalizers));
    }
    let writer = match identity::writer(app, cx) {
        Ok(writer) => writer,
        Err(message) => return failed(&message),
    };
    let done = || Progress::Done(stage.without(&finalizers));
    match stage {
        Stage::Resources => match resources::delete_next_wave(app, &finalizers, &writer, cx).await {
            Ok(Next::Wait) => Progress::Waiting(LINGER),
            Ok(Next::Hold(message)) => Progress::Held(message),
            Ok(Next::Nothing) => done(),
            Err(error) => failed(&one_line(&error, &error)),
        },
        Stage::Hooks(moment) => match hooks::run(app, moment, &writer, cx).await {
            Ok(true) => done(),
            Ok(false) => Progress::HookRuns,
            Err(message) => failed(&message),
        },
        Stage::Cleanup(moment) => match hooks::clean_up(app, moment, &writer, cx).await {
            Ok(()) => done(),
            Err(message) => failed(&message),
        },
    }
}

fn failed(message: &str) -> Progress {
    Progress::Failed(format!("Unable to delete application resources: {message}"))
}
