//! Sync windows: when Applications of a project may be synced. Pure.
//!
//! ```text
//!  windows that match the Application ──┬─ none ──────────────────────────────> allowed
//!                                       ├─ an active deny ────────────────────> held
//!                                       ├─ an active allow ───────────────────> allowed
//!                                       ├─ allows, none of them active ───────> held
//!                                       └─ denies, none of them active ───────> allowed
//! ```
//!
//! What is held may still be synced by hand if every window that holds it has `manualSync`, and may go on if every one has
//! `syncOverrun` and it was allowed when it began.
//!
//! Source: Argo CD 3.5 (references argocd-application 6.14 and argocd-fleet 2.10).

use std::str::FromStr as _;
use std::time::Duration;

use croner::Cron;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::matching::glob;
use crate::api::Application;
use crate::api::appproject::{AppProject, SyncWindow, WindowKind};
use crate::template::parse_duration;

/// A window that cannot be read. Nothing that it matches may be synced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sync window `{window}` cannot be read: {cause}")]
pub struct InvalidWindow {
    /// Kind, schedule and duration as written.
    pub window: String,
    /// What is wrong.
    pub cause: String,
}

impl crate::advice::Advice for InvalidWindow {
    fn remedy(&self) -> crate::advice::Remedy {
        crate::advice::Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        Some("write spec.syncWindows[] of the AppProject as `schedule: \"0 22 * * *\"` (five fields) and `duration: 2h`".into())
    }
}

/// Who wants to sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A person or a program, not the controller.
    Person,
    /// The controller itself.
    Automation,
}

/// Whether a sync may go on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage<'a> {
    /// It may.
    Open,
    /// This window holds it.
    Held(&'a SyncWindow),
}

/// The windows of a project that are about one Application.
///
/// Clusters match name or server as the Application spells its destination. A window without any list is about nothing.
#[must_use]
pub fn of<'a>(project: &'a AppProject, app: &Application) -> Vec<&'a SyncWindow> {
    project.spec.sync_windows.iter().filter(|window| matches(window, app)).collect()
}

fn matches(window: &SyncWindow, app: &Application) -> bool {
    let destination = &app.spec.destination;
    let any =
        |patterns: &[String], texts: &[&str]| patterns.iter().any(|pattern| texts.iter().any(|text| glob(pattern, text, false)));
    let lists = [
        (&window.applications, any(&window.applications, &[app.name()])),
        (&window.namespaces, any(&window.namespaces, &[&destination.namespace])),
        (&window.clusters, any(&window.clusters, &[&destination.name, &destination.server])),
    ];
    let mut named = lists.iter().filter(|(list, _)| !list.is_empty()).map(|(_, hit)| *hit).peekable();
    named.peek().is_some() && if window.and_operator { named.all(|hit| hit) } else { named.any(|hit| hit) }
}

/// A look at the clock, with the zones of the IANA database.
pub struct Clock<'a> {
    /// The time.
    pub now: Timestamp,
    /// Finds a zone by its name.
    pub zone: &'a dyn Fn(&str) -> Option<TimeZone>,
}

/// Says whether a sync may go on; `started_at` is when it began, if it did.
///
/// # Errors
/// When one of the windows cannot be read.
pub fn passage<'a>(
    windows: &[&'a SyncWindow],
    asker: Asker,
    started_at: Option<Timestamp>,
    clock: &Clock<'_>,
) -> Result<Passage<'a>, InvalidWindow> {
    let holding = holding(windows, clock.now, clock)?;
    let Some(first) = holding.first() else { return Ok(Passage::Open) };
    if asker == Asker::Person && holding.iter().all(|window| window.manual_sync) {
        return Ok(Passage::Open);
    }
    if let Some(started_at) = started_at.filter(|_| holding.iter().all(|window| window.sync_overrun)) {
        let then = self::holding(windows, started_at, clock)?;
        if then.is_empty() || (asker == Asker::Person && then.iter().all(|window| window.manual_sync)) {
            return Ok(Passage::Open);
        }
    }
    Ok(Passage::Held(first))
}

/// The windows that stand in the way at one time.
fn holding<'a>(windows: &[&'a SyncWindow], at: Timestamp, clock: &Clock<'_>) -> Result<Vec<&'a SyncWindow>, InvalidWindow> {
    let (mut active, mut inactive) = (Vec::new(), Vec::new());
    for window in windows {
        if Schedule::read(window, clock)?.is_active(at) { active.push(*window) } else { inactive.push(*window) }
    }
    let of_kind = |list: &[&'a SyncWindow], kind: WindowKind| -> Vec<&'a SyncWindow> {
        list.iter().copied().filter(|window| window.kind == kind).collect()
    };
    let denies = of_kind(&active, WindowKind::Deny);
    if !denies.is_empty() {
        return Ok(denies);
    }
    if active.iter().any(|window| window.kind == WindowKind::Allow) {
        return Ok(Vec::new());
    }
    Ok(of_kind(&inactive, WindowKind::Allow))
}

/// How long until one of the windows begins or ends; `None` when none of them ever does.
#[must_use]
pub fn next_change(windows: &[&SyncWindow], clock: &Clock<'_>) -> Option<Duration> {
    windows
        .iter()
        .filter_map(|window| Schedule::read(window, clock).ok()?.next_change(clock.now))
        .min()
        // The bounds themselves are outside of a window.
        .map(|wait| wait + Duration::from_secs(1))
}

/// True while the window lasts; false also when it cannot be read.
#[must_use]
pub fn is_active(window: &SyncWindow, clock: &Clock<'_>) -> bool {
    Schedule::read(window, clock).is_ok_and(|schedule| schedule.is_active(clock.now))
}

/// `deny:0 22 * * *:2h`, as Argo CD shows a window.
#[must_use]
pub fn shown(window: &SyncWindow) -> String {
    format!("{}:{}:{}", window.kind.as_str(), window.schedule, window.duration)
}

/// When a window begins, and how long it lasts.
struct Schedule {
    cron: Cron,
    duration: SignedDuration,
    zone: TimeZone,
}

impl Schedule {
    fn read(window: &SyncWindow, clock: &Clock<'_>) -> Result<Self, InvalidWindow> {
        let invalid = |cause: String| InvalidWindow { window: shown(window), cause };
        let (prefix, fields) = split_zone(&window.schedule);
        check_fields(fields).map_err(invalid)?;
        let cron = Cron::from_str(&in_croners_words(fields)).map_err(|error| invalid(error.to_string()))?;
        let nanoseconds = parse_duration(window.duration.trim())
            .filter(|nanoseconds| *nanoseconds > 0)
            .ok_or_else(|| invalid(format!("`{}` is no duration", window.duration)))?;
        let name = if window.time_zone.is_empty() { prefix.unwrap_or("UTC") } else { &window.time_zone };
        // A zone that nobody knows is UTC, as in Argo CD.
        Ok(Self { cron, duration: SignedDuration::from_nanos(nanoseconds), zone: (clock.zone)(name).unwrap_or(TimeZone::UTC) })
    }

    /// The wall clock at the offset that the zone has at that very time: around a change of the clock windows move by an hour.
    fn local(&self, at: Timestamp) -> DateTime {
        self.zone.to_offset(at).to_datetime(at)
    }

    fn is_active(&self, at: Timestamp) -> bool {
        let now = self.local(at);
        let begin = now.checked_sub(self.duration).ok().and_then(|from| self.cron.find_next_occurrence(&from, false).ok());
        begin.is_some_and(|begin| begin < now)
    }

    fn next_change(&self, at: Timestamp) -> Option<Duration> {
        let now = self.local(at);
        let start = self.cron.find_next_occurrence(&now, true).ok();
        let end = self.cron.find_previous_occurrence(&now, false).ok();
        let end = end.and_then(|begin| begin.checked_add(self.duration).ok()).filter(|end| *end > now);
        let next = [start, end].into_iter().flatten().min()?;
        Duration::try_from(next.duration_since(now)).ok()
    }
}

/// `CRON_TZ=Europe/Berlin 0 22 * * *` in two parts.
fn split_zone(schedule: &str) -> (Option<&str>, &str) {
    let schedule = schedule.trim();
    let rest = schedule.strip_prefix("CRON_TZ=").or_else(|| schedule.strip_prefix("TZ="));
    match rest.and_then(|rest| rest.split_once(' ')) {
        Some((zone, fields)) => (Some(zone), fields.trim()),
        None => (None, schedule),
    }
}

/// Exactly five fields of numbers, names and `* , - / ?`: croner reads more than Argo CD does.
fn check_fields(fields: &str) -> Result<(), String> {
    const NAMES: &[&str] = &[
        "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT",
        "NOV", "DEC",
    ];
    let count = fields.split_whitespace().count();
    if count != 5 {
        return Err(format!("expected exactly 5 fields, found {count}"));
    }
    for part in fields.split(|c: char| c.is_whitespace() || matches!(c, '*' | ',' | '-' | '/' | '?')) {
        let number = part.chars().all(|c| c.is_ascii_digit());
        if !number && !NAMES.contains(&part.to_uppercase().as_str()) {
            return Err(format!("`{part}` is neither a number nor the name of a day or month"));
        }
    }
    Ok(())
}

/// `?` is `*`, and `5/10` begins at 5 and goes on to the end of the range.
fn in_croners_words(fields: &str) -> String {
    const LAST: [u8; 5] = [59, 23, 31, 12, 6];
    let field = |(text, last): (&str, u8)| {
        let part = |part: &str| match part.split_once('/') {
            Some((from, step)) if !from.is_empty() && from.chars().all(|c| c.is_ascii_digit()) => format!("{from}-{last}/{step}"),
            _ => part.to_owned(),
        };
        text.replace('?', "*").split(',').map(part).collect::<Vec<_>>().join(",")
    };
    fields.split_whitespace().zip(LAST).map(field).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
