//! A running sync as rows, lines and a picture. Pure: from the Application to text.

use std::collections::BTreeMap;

use crate::api::Application;
use crate::api::application::{OperationState, ResourceResult, ResourceStatus};
use crate::resource::{GroupKind, ResourceKey, order};

use super::symbols::Symbols;
use super::{paint, text};

/// How far one object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Its turn has not come.
    Waiting,
    /// Applied, and not yet as it should be.
    Running,
    /// Done, or left alone on purpose.
    Done,
    /// Failed.
    Failed,
}

/// One object of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `PreSync`, `Sync`, `PostSync` or `SyncFail`.
    pub phase: String,
    /// Wave within the phase.
    pub wave: i64,
    /// The object.
    pub key: ResourceKey,
    /// Hook type, empty for ordinary objects.
    pub hook: String,
    /// How far it is.
    pub progress: Progress,
    /// What was done: `created`, `configured`, `unchanged`, `applied`, `pruned`, `skipped` or `failed`; empty before.
    pub action: &'static str,
    /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`.
    pub sync: String,
    /// Health of the object where the controller tells it.
    pub health: String,
    /// What the controller says about it.
    pub message: String,
}

/// A running or finished sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncView {
    /// Name of the Application.
    pub app: String,
    /// Where it goes: cluster and namespace.
    pub destination: String,
    /// Resolved revision, empty until it is known.
    pub revision: String,
    /// Operation phase, empty until the controller picked the operation up.
    pub phase: String,
    /// What the controller says about the operation.
    pub message: String,
    /// How many retries there were.
    pub retries: i64,
    /// True between a failed attempt and the next.
    pub waits_for_retry: bool,
    /// Sync status of the Application.
    pub sync: String,
    /// Health of the Application.
    pub health: String,
    /// The objects, in the order in which the controller works.
    pub rows: Vec<Row>,
}

impl SyncView {
    /// Reads the view from the Application.
    #[must_use]
    pub fn of(app: &Application) -> Self {
        let status = app.status.clone().unwrap_or_default();
        let mut state = status.operation_state.clone().unwrap_or_default();
        if state.phase.is_empty() {
            state.operation = app.operation.clone().unwrap_or_default();
        }
        let result = state.sync_result.clone().unwrap_or_default();
        let several = result.revisions.join(",");
        Self {
            app: app.name().to_owned(),
            destination: destination(app),
            revision: if result.revisions.is_empty() { result.revision.clone() } else { several },
            waits_for_retry: state.phase == "Running" && state.finished_at.is_some(),
            sync: status.sync.map(|sync| sync.status).unwrap_or_default(),
            health: status.health.map(|health| health.status).unwrap_or_default(),
            rows: rows(&state, &result.resources, &status.resources),
            phase: state.phase,
            message: state.message,
            retries: state.retry_count,
        }
    }

    /// How many objects are done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.rows.iter().filter(|row| row.progress == Progress::Done).count()
    }

    /// Counts of actions in the order in which they are told: the usual ones always, the others when there are any.
    #[must_use]
    pub fn counts(&self) -> String {
        let mut counts = BTreeMap::<&str, usize>::new();
        for row in &self.rows {
            *counts.entry(row.action).or_default() += 1;
        }
        let number = |action: &str| counts.get(action).copied().unwrap_or(0);
        let told = ACTIONS.iter().filter(|(action, always)| *always || number(action) > 0);
        told.map(|(action, _)| format!("{} {action}", number(action))).collect::<Vec<_>>().join(" ")
    }
}

const ACTIONS: &[(&str, bool)] = &[
    ("created", true),
    ("configured", true),
    ("unchanged", true),
    ("applied", false),
    ("pruned", true),
    ("skipped", false),
    ("failed", false),
];

fn destination(app: &Application) -> String {
    let place = &app.spec.destination;
    let cluster = if place.name.is_empty() { &place.server } else { &place.name };
    if place.namespace.is_empty() { cluster.clone() } else { format!("{cluster}/{}", place.namespace) }
}

fn rows(state: &OperationState, results: &[ResourceResult], known: &[ResourceStatus]) -> Vec<Row> {
    let by_key: BTreeMap<ResourceKey, &ResourceStatus> = known.iter().map(|one| (status_key(one), one)).collect();
    let in_progress = matches!(state.phase.as_str(), "" | "Running" | "Terminating");
    let mut rows: Vec<Row> = results.iter().map(|one| row(one, by_key.get(&result_key(one)).copied(), in_progress)).collect();
    if in_progress {
        rows.extend(waiting_rows(state, results, known));
    }
    rows.sort_by_cached_key(|row| {
        (
            phase_rank(&row.phase),
            row.wave,
            order::rank(&row.key.kind),
            row.key.kind.clone(),
            row.key.name.clone(),
            row.key.namespace.clone(),
        )
    });
    rows
}

/// Objects that have no result yet, as far as the operation is about them.
fn waiting_rows(state: &OperationState, results: &[ResourceResult], known: &[ResourceStatus]) -> Vec<Row> {
    let sync = state.operation.sync.clone().unwrap_or_default();
    let chosen = |one: &ResourceStatus| {
        sync.resources.is_empty()
            || sync.resources.iter().any(|want| {
                want.group == one.group
                    && want.kind == one.kind
                    && want.name == one.name
                    && (want.namespace.is_empty() || want.namespace == one.namespace)
            })
    };
    let only_out_of_sync = sync.sync_options.iter().any(|option| option == "ApplyOutOfSyncOnly=true");
    let expected = |one: &&ResourceStatus| {
        !one.hook
            && chosen(one)
            && (!only_out_of_sync || one.status == "OutOfSync")
            && (!one.requires_pruning || sync.prune)
            && !results.iter().any(|result| result_key(result) == status_key(one))
    };
    let waiting = known.iter().filter(expected).map(|one| Row {
        phase: "Sync".into(),
        wave: one.sync_wave,
        key: status_key(one),
        hook: String::new(),
        progress: Progress::Waiting,
        action: "",
        sync: one.status.clone(),
        health: health_of(one),
        message: String::new(),
    });
    waiting.collect()
}

fn row(result: &ResourceResult, known: Option<&ResourceStatus>, in_progress: bool) -> Row {
    Row {
        phase: result.sync_phase.clone(),
        wave: known.map_or(0, |one| one.sync_wave),
        key: result_key(result),
        hook: result.hook_type.clone(),
        progress: progress(result, in_progress),
        action: action(result),
        sync: result.status.clone(),
        health: known.map(health_of).unwrap_or_default(),
        message: result.message.clone(),
    }
}

/// Ordinary objects of a simple sync stay `Running` for ever in the result, so the end of the operation ends them.
fn progress(result: &ResourceResult, in_progress: bool) -> Progress {
    match (result.status.as_str(), result.hook_phase.as_str()) {
        ("SyncFailed", _) | (_, "Failed" | "Error") => Progress::Failed,
        ("Pruned" | "PruneSkipped", _) | (_, "Succeeded") => Progress::Done,
        ("", "") => Progress::Waiting,
        _ if in_progress => Progress::Running,
        _ => Progress::Done,
    }
}

/// What was done, from the last word of the controller's message, which is kubectl's.
fn action(result: &ResourceResult) -> &'static str {
    match result.status.as_str() {
        "SyncFailed" => "failed",
        "Pruned" => "pruned",
        "PruneSkipped" => "skipped",
        "" if result.hook_phase.is_empty() => "",
        _ => match result.message.trim_end_matches(" (dry run)").trim_end_matches(" (server dry run)").rsplit(' ').next() {
            Some("created") => "created",
            Some("configured" | "updated" | "replaced") => "configured",
            Some("unchanged") => "unchanged",
            _ if result.hook_type.is_empty() => "applied",
            _ => "",
        },
    }
}

fn result_key(result: &ResourceResult) -> ResourceKey {
    ResourceKey::new(result.group.as_str(), result.kind.as_str(), result.namespace.as_str(), result.name.as_str())
}

fn status_key(status: &ResourceStatus) -> ResourceKey {
    ResourceKey::new(status.group.as_str(), status.kind.as_str(), status.namespace.as_str(), status.name.as_str())
}

fn health_of(status: &ResourceStatus) -> String {
    status.health.as_ref().map(|health| health.status.clone()).unwrap_or_default()
}

fn phase_rank(phase: &str) -> usize {
    ["PreSync", "Sync", "PostSync", "SyncFail"].iter().position(|known| *known == phase).unwrap_or(1)
}

/// One line for each thing that changed since the view before, for logs and pipes.
#[must_use]
pub fn changes(before: Option<&SyncView>, now: &SyncView) -> Vec<String> {
    let known = |row: &Row| before.is_some_and(|view| view.rows.contains(row));
    let mut lines: Vec<String> = now
        .rows
        .iter()
        .filter(|row| row.progress != Progress::Waiting && !known(row))
        .map(|row| row_line(&now.app, row))
        .collect();
    let about = |view: &SyncView| (view.phase.clone(), view.message.clone(), view.retries, view.waits_for_retry);
    if !now.phase.is_empty() && before.map(about) != Some(about(now)) {
        let retry = if now.waits_for_retry { format!(" retry={}", now.retries + 1) } else { String::new() };
        lines.push(format!("{} operation {}{retry}{}", now.app, now.phase, quoted(&now.message)));
    }
    lines.iter().map(|line| text::clean(line)).collect()
}

fn row_line(app: &str, row: &Row) -> String {
    let kind = GroupKind::new(row.key.group.as_str(), row.key.kind.as_str());
    let hook = if row.hook.is_empty() { String::new() } else { format!(" hook={}", row.phase) };
    let words = [row.sync.as_str(), state_word(row)];
    let words = words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ");
    format!("{app}{hook} wave={} {kind} {} {words}{}", row.wave, place(&row.key), quoted(&row.message))
}

fn quoted(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" {message:?}") }
}

fn place(key: &ResourceKey) -> String {
    if key.namespace.is_empty() { key.name.clone() } else { format!("{}/{}", key.namespace, key.name) }
}

/// The word that says how far a row is: its health if known, else its progress.
fn state_word(row: &Row) -> &str {
    match row.progress {
        Progress::Failed => "Failed",
        Progress::Done if row.hook.is_empty() => row.action,
        Progress::Done => "Succeeded",
        Progress::Running if row.health.is_empty() || !row.hook.is_empty() => "Running",
        Progress::Running => &row.health,
        Progress::Waiting => "waiting",
    }
}

/// Times that a picture of a running sync shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// Seconds since the operation was requested.
    pub elapsed: u64,
    /// Seconds until the command stops waiting.
    pub left: Option<u64>,
    /// Counts up; turns the spinner.
    pub tick: usize,
}

/// The picture of a running sync: at most `height` lines of at most `width` columns.
#[must_use]
pub fn frame(view: &SyncView, clock: Clock, width: usize, height: usize) -> Vec<String> {
    let symbols = Symbols::get();
    let mut lines = vec![headline(view, clock, width, symbols)];
    let room = height.saturating_sub(4).max(1);
    let (shown, hidden) = fit(&view.rows, room);
    let names = shown.iter().map(|row| text::width(&short_name(row))).max().unwrap_or(0).min(width / 2);
    let mut lane = String::new();
    for row in shown {
        let this_lane = lane_name(row);
        let label = if this_lane == lane { "" } else { this_lane.as_str() };
        lines.push(row_frame(row, label, names, clock, width, symbols));
        lane = this_lane;
    }
    if hidden > 0 {
        lines.push(format!("          {} {hidden} more", paint::good(symbols.done)));
    }
    lines.push(progress_line(view, symbols));
    if !view.message.is_empty() {
        lines.push(paint::faint(text::cut(&text::clean(&operation_message(view)), width, symbols.ellipsis)));
    }
    lines
}

fn headline(view: &SyncView, clock: Clock, width: usize, symbols: &Symbols) -> String {
    let short = view.revision.get(..7).filter(|_| view.revision.len() == 40).unwrap_or(&view.revision);
    let at = if short.is_empty() { String::new() } else { format!("{short} ") };
    let left = clock.left.map(|left| format!(" {} timeout in {}", symbols.dot, minutes(left))).unwrap_or_default();
    let line = format!("{}  {at}{} {}   {}{left}", view.app, symbols.arrow, view.destination, minutes(clock.elapsed));
    paint::bold(text::cut(&text::clean(&line), width, symbols.ellipsis))
}

fn minutes(seconds: u64) -> String {
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// The rows that fit: done ones give way first, from the top.
fn fit(rows: &[Row], room: usize) -> (Vec<&Row>, usize) {
    let surplus = (rows.len() + 1).saturating_sub(room);
    if rows.len() <= room {
        return (rows.iter().collect(), 0);
    }
    let mut hidden = 0;
    let mut kept: Vec<&Row> = Vec::new();
    for row in rows {
        if hidden < surplus && row.progress == Progress::Done {
            hidden += 1;
        } else {
            kept.push(row);
        }
    }
    // Still too many: what waits gives way from the bottom, so that what runs or failed stays visible.
    while kept.len() + 1 > room {
        let Some(last) = kept.iter().rposition(|row| row.progress == Progress::Waiting) else { break };
        kept.remove(last);
        hidden += 1;
    }
    (kept, hidden)
}

fn lane_name(row: &Row) -> String {
    if row.hook.is_empty() && matches!(row.phase.as_str(), "Sync" | "") {
        format!("wave {}", row.wave)
    } else {
        row.phase.clone()
    }
}

fn short_name(row: &Row) -> String {
    text::clean(&format!("{}/{}", row.key.kind, row.key.name))
}

fn row_frame(row: &Row, lane: &str, names: usize, clock: Clock, width: usize, symbols: &Symbols) -> String {
    let name = text::cut(&short_name(row), names, symbols.ellipsis);
    let pad = " ".repeat(names.saturating_sub(text::width(&name)));
    let word = state_word(row);
    let message =
        if matches!(row.progress, Progress::Running | Progress::Failed) { text::clean(&row.message) } else { String::new() };
    let used = 10 + 2 + names + 3 + 13;
    let message = text::cut(&message, width.saturating_sub(used), symbols.ellipsis);
    let (symbol, word) = match row.progress {
        Progress::Done => (paint::good(symbols.done), word.to_owned()),
        Progress::Failed => (paint::bad(symbols.failed), paint::bad(word)),
        Progress::Waiting => (paint::faint(symbols.waiting), paint::faint(word)),
        Progress::Running => {
            let turn = symbols.spinner[clock.tick % symbols.spinner.len()];
            (paint::attention(turn), format!("{word:<12}"))
        }
    };
    format!("{lane:<10}{symbol} {name}{pad}   {word} {message}").trim_end().to_owned()
}

fn progress_line(view: &SyncView, symbols: &Symbols) -> String {
    const BAR: usize = 14;
    let (done, all) = (view.done(), view.rows.len());
    let full = (done * BAR).checked_div(all).unwrap_or(0);
    let bar = symbols.full.repeat(full) + &symbols.empty.repeat(BAR - full);
    let word = |word: &str| if word.is_empty() { paint::faint("Unknown") } else { paint::status(word) };
    format!("[{bar}] {done}/{all}   Sync {}   Health {}", word(&view.sync), word(&view.health))
}

fn operation_message(view: &SyncView) -> String {
    if view.waits_for_retry {
        format!("attempt {} failed, the next one follows: {}", view.retries + 1, view.message)
    } else {
        view.message.clone()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn view(phase: &str, results: &Value) -> SyncView {
        let app = json!({ "metadata": { "name": "web" }, "spec": { "destination": { "name": "prod", "namespace": "web" } },
            "status": {
                "sync": { "status": "OutOfSync", "comparedTo": { "destination": {} } },
                "health": { "status": "Progressing" },
                "resources": [
                    { "group": "apps", "kind": "Deployment", "namespace": "web", "name": "web", "status": "OutOfSync",
                      "health": { "status": "Progressing" } },
                    { "kind": "Service", "namespace": "web", "name": "web", "status": "Synced" },
                    { "group": "networking.k8s.io", "kind": "Ingress", "namespace": "web", "name": "web", "status": "OutOfSync", "syncWave": 5 },
                    { "kind": "ConfigMap", "namespace": "web", "name": "old", "status": "OutOfSync", "requiresPruning": true } ],
                "operationState": { "phase": phase, "startedAt": "2026-11-25T06:00:00Z",
                    "operation": { "sync": {} }, "message": "waiting for healthy state of apps/Deployment/web",
                    "syncResult": { "revision": "3f2c1d9e8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e", "resources": results } } } });
        SyncView::of(&serde_json::from_value(app).unwrap())
    }

    fn results() -> Value {
        json!([
            { "group": "batch", "kind": "Job", "namespace": "web", "name": "migrate", "hookType": "PreSync", "syncPhase": "PreSync",
              "hookPhase": "Succeeded", "message": "Reached expected number of succeeded pods" },
            { "kind": "Service", "namespace": "web", "name": "web", "status": "Synced", "syncPhase": "Sync", "hookPhase": "Succeeded",
              "message": "service/web unchanged" },
            { "group": "apps", "kind": "Deployment", "namespace": "web", "name": "web", "status": "Synced", "syncPhase": "Sync",
              "hookPhase": "Running", "message": "deployment.apps/web configured" } ])
    }

    #[test]
    fn a_running_sync_as_a_picture() {
        let lines = frame(&view("Running", &results()), Clock { elapsed: 14, left: Some(286), tick: 0 }, 80, 24);
        let plain = anstream::adapter::strip_str(&lines.join("\n")).to_string();
        let expected = "\
web  3f2c1d9 -> prod/web   00:14 - timeout in 04:46
PreSync   ok Job/migrate      Succeeded
wave 0    ok Service/web      unchanged
          | Deployment/web   Progressing  deployment.apps/web configured
wave 5    . Ingress/web      waiting
[#######.......] 2/4   Sync OutOfSync   Health Progressing
waiting for healthy state of apps/Deployment/web";
        assert_eq!(to_ascii(&plain), expected);
    }

    /// Tests run under any locale.
    fn to_ascii(text: &str) -> String {
        use super::super::symbols::{ASCII, UNICODE};
        [
            ("done", UNICODE.done, ASCII.done),
            ("", UNICODE.arrow, ASCII.arrow),
            ("", "⠋", "|"),
            ("", "█", "#"),
            ("", "░", "."),
            ("", "· T", ". T"),
        ]
        .iter()
        .fold(text.to_owned(), |text, (_, from, to)| text.replace(from, to))
        .replace("· timeout", "- timeout")
        .replace('·', ".")
    }

    #[test]
    fn finished_rows_give_way_when_the_screen_is_small() {
        let lines = frame(&view("Running", &results()), Clock::default(), 80, 7);
        let plain = anstream::adapter::strip_str(&lines.join("\n")).to_string();
        assert!(plain.contains("Deployment/web") && plain.contains("2 more"), "{plain}");
        assert!(lines.len() <= 7, "{plain}");
    }

    #[test]
    fn one_line_for_each_change_and_none_when_nothing_changed() {
        let before = view("Running", &json!([]));
        let now = view("Running", &results());
        assert_eq!(
            changes(Some(&before), &now),
            [
                "web hook=PreSync wave=0 batch/Job web/migrate Succeeded \"Reached expected number of succeeded pods\"",
                "web wave=0 Service web/web Synced unchanged \"service/web unchanged\"",
                "web wave=0 apps/Deployment web/web Synced Progressing \"deployment.apps/web configured\"",
            ]
        );
        assert!(changes(Some(&now), &now).is_empty());
    }

    #[test]
    fn the_end_of_the_operation_ends_what_stayed_running() {
        let done = view("Succeeded", &results());
        assert_eq!((done.done(), done.rows.len()), (3, 3));
        assert_eq!(done.counts(), "0 created 1 configured 1 unchanged 0 pruned");
    }
}
