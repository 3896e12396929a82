//! What the sync windows of its project mean for an Application now.

use std::time::Duration;

use jiff::Timestamp;

use super::context::Context;
use crate::advice::one_line;
use crate::api::Application;
use crate::api::application::OperationState;
use crate::project::windows::{self, Asker, Clock, Passage};
use crate::template::World as _;
use crate::world::ThisMachine;

/// A held Application is looked at again after this time, even if its windows change later: clocks may be set.
const LONGEST: Duration = Duration::from_secs(3600);
/// Argo CD's words.
const BLOCKED: &str = "Sync operation blocked by sync window";

/// A sync that may not go on.
pub struct Held {
    /// Why, for people.
    pub message: String,
    /// True when a window cannot be read, so that time alone will not help.
    pub broken: bool,
    /// When to ask again.
    pub look_again_in: Duration,
}

/// Whether a window holds an operation that began; `None` lets it go on.
pub fn holds_operation(app: &Application, state: &OperationState, cx: &Context, now: Timestamp) -> Option<Held> {
    let automated = state.operation.initiated_by.as_ref().is_some_and(|who| who.automated);
    let asker = if automated { Asker::Automation } else { Asker::Person };
    holds(app, asker, state.started_at.parse().ok(), cx, now)
}

/// Whether a window keeps the controller from starting a sync by itself.
pub fn holds_automation(app: &Application, cx: &Context, now: Timestamp) -> Option<Held> {
    holds(app, Asker::Automation, None, cx, now)
}

fn holds(app: &Application, asker: Asker, started_at: Option<Timestamp>, cx: &Context, now: Timestamp) -> Option<Held> {
    let project = cx.project_of(app)?;
    let windows = windows::of(&project, app);
    if windows.is_empty() {
        return None;
    }
    let clock = Clock { now, zone: &|name| ThisMachine.zone(name) };
    match windows::passage(&windows, asker, started_at, &clock) {
        Ok(Passage::Open) => None,
        Ok(Passage::Held(_)) => {
            let wait = windows::next_change(&windows, &clock).unwrap_or(LONGEST).min(LONGEST);
            Some(Held { message: BLOCKED.to_owned(), broken: false, look_again_in: wait })
        }
        Err(error) => Some(Held { message: one_line(&error, &error), broken: true, look_again_in: LONGEST }),
    }
}
