//! What the sync windows of its project say about an Application now.

use jiff::Timestamp;
use kube::Api;

use crate::api::{AppProject, Application};
use crate::cli::{Context, Failure};
use crate::project::windows::{self, Asker, Clock, Passage};
use crate::template::World as _;
use crate::world::ThisMachine;

/// The project of an Application; `None` when it does not exist or may not be read.
pub(super) async fn project_of(cx: &Context, app: &Application) -> Option<AppProject> {
    let client = cx.client().await.ok()?;
    Api::<AppProject>::namespaced(client, &cx.flags.controller_namespace).get_opt(app.project()).await.ok()?
}

fn at(now: Timestamp) -> Clock<'static> {
    Clock { now, zone: &|name| ThisMachine.zone(name) }
}

/// Two lines for people, in Argo CD's words: what may be done, and by which windows. `None` when no window is about it.
pub(super) fn describe(project: &AppProject, app: &Application, now: Timestamp) -> Option<(String, String)> {
    let (windows, clock) = (windows::of(project, app), at(now));
    if windows.is_empty() {
        return None;
    }
    let passage = |asker| windows::passage(&windows, asker, None, &clock);
    let verdict = match (passage(Asker::Automation), passage(Asker::Person)) {
        (Err(error), _) | (_, Err(error)) => format!("Sync Denied: {error}"),
        (Ok(Passage::Open), _) => "Sync Allowed".to_owned(),
        (Ok(Passage::Held(by)), Ok(Passage::Open)) => format!("Manual Allowed, auto-sync held by {}", windows::shown(by)),
        (Ok(_), Ok(Passage::Held(by))) => format!("Sync Denied by {}", windows::shown(by)),
    };
    let active = |window: &_| if windows::is_active(window, &clock) { " (active)" } else { "" };
    let assigned: Vec<String> = windows.iter().map(|window| format!("{}{}", windows::shown(window), active(window))).collect();
    Some((verdict, assigned.join(", ")))
}

/// Refuses a sync that the controller would not let pass.
///
/// # Errors
/// When a window holds it, or cannot be read.
pub(super) fn check(project: &AppProject, app: &Application, now: Timestamp) -> Result<(), Failure> {
    let (windows, clock) = (windows::of(project, app), at(now));
    match windows::passage(&windows, Asker::Person, None, &clock)? {
        Passage::Open => Ok(()),
        Passage::Held(by) => {
            let what = format!("cannot sync {}: blocked by sync window {}", app.name(), windows::shown(by));
            let opens = windows::next_change(&windows, &clock).and_then(|wait| now.checked_add(wait).ok());
            let when = opens.map(|time| format!(" after {}", time.strftime("%Y-%m-%dT%H:%M:%SZ"))).unwrap_or_default();
            Err(Failure::new(what).with_hint(format!(
                "try again{when}, or set manualSync on every window of AppProject {} that holds it",
                app.project()
            )))
        }
    }
}
