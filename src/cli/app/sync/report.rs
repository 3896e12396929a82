//! How a sync ended: the last lines for people, the report for programs, the exit code.

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::Exit;
use crate::cli::app::App;
use crate::cli::app::model::short;
use crate::cli::output::{Problem, Report};
use crate::resource::GroupKind;
use crate::ui::symbols::Symbols;
use crate::ui::sync_view::{Progress, Row, SyncView};
use crate::ui::{age, paint, problem, stream, text};

/// How one sync ended.
pub struct Outcome {
    app: App,
    view: SyncView,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Succeeded,
    Failed,
    Deleted,
    TimedOut,
}

#[derive(Debug, Serialize)]
struct SyncBody {
    app: String,
    revision: String,
    phase: String,
    message: String,
    sync: String,
    health: String,
    resources: Vec<Resource>,
}

#[derive(Debug, Serialize)]
struct Resource {
    group: String,
    kind: String,
    namespace: String,
    name: String,
    wave: i64,
    hook: String,
    action: &'static str,
    sync: String,
    health: String,
    message: String,
}

impl Outcome {
    /// The operation came to its end.
    pub fn of_finished(app: App) -> Self {
        let succeeded = app.operation_state().is_some_and(|state| state.phase == "Succeeded");
        Self::new(app, if succeeded { End::Succeeded } else { End::Failed })
    }

    /// The Application was deleted while it was synced.
    pub fn of_deleted(app: App) -> Self {
        Self::new(app, End::Deleted)
    }

    /// The time was over before the operation.
    pub fn of_unfinished(app: App) -> Self {
        Self::new(app, End::TimedOut)
    }

    fn new(app: App, end: End) -> Self {
        Self { view: SyncView::of(&app.app), app, end }
    }

    /// Exit code: 0 synced, 1 failed or ended Degraded, 3 timed out.
    pub fn exit(&self) -> Exit {
        match self.end {
            End::Succeeded if self.view.health == "Degraded" => Exit::No,
            End::Succeeded => Exit::Done,
            End::Failed | End::Deleted => Exit::No,
            End::TimedOut => Exit::TimedOut,
        }
    }

    /// Tells people: the answer on stdout, what to do on stderr.
    pub fn tell(&self, now: Timestamp) {
        let (symbols, name) = (Symbols::get(), self.app.name());
        match self.end {
            End::Succeeded => self.tell_success(symbols, name),
            End::Failed => self.tell_failure(symbols, name),
            End::Deleted => stream::out(&format!("{} {name} was deleted\n", paint::bad(symbols.failed))),
            End::TimedOut => {
                stream::out(&format!("{} {name} {}\n", paint::attention(symbols.attention), self.unfinished(now)));
                stream::say(&format!("the operation goes on: kubectl gitops wait {name} --for operation"));
            }
        }
    }

    fn unfinished(&self, now: Timestamp) -> String {
        let view = &self.view;
        if view.phase.is_empty() {
            return "has not been picked up by the controller yet".into();
        }
        let since = age::since(self.started(), now);
        let message = if view.message.is_empty() { String::new() } else { format!(": {}", text::clean(&view.message)) };
        format!("is still {} after {since}{message}", view.phase.to_lowercase())
    }

    fn tell_success(&self, symbols: &Symbols, name: &str) {
        let view = &self.view;
        let dry_run = self.app.operation_state().and_then(|state| state.operation.sync.as_ref()).is_some_and(|sync| sync.dry_run);
        let to = short(&view.revision);
        let to = if to.is_empty() { String::new() } else { format!(" to {to}") };
        let duration = self.duration().map(|seconds| format!(" in {}", age::human(seconds))).unwrap_or_default();
        let verb = if dry_run { "would be synced" } else { "synced" };
        let health = if dry_run || view.health.is_empty() { String::new() } else { format!("; {}", paint::status(&view.health)) };
        stream::out(&format!("{} {name} {verb}{to}{duration}: {}{health}\n", paint::good(symbols.done), view.counts()));
        self.problems().iter().for_each(tell_problem);
        if view.health == "Progressing" && !dry_run {
            stream::say(&format!("next: kubectl gitops wait {name} --for healthy"));
        }
    }

    fn tell_failure(&self, symbols: &Symbols, name: &str) {
        let message = text::clean(&self.view.message);
        stream::out(&format!("{} {name} {}: {message}\n", paint::bad(symbols.failed), self.view.phase.to_lowercase()));
        for row in self.failed() {
            stream::out(&format!("  {} {}\n", object(row), text::clean(&row.message)));
        }
        self.problems().iter().for_each(tell_problem);
    }

    /// The report for programs.
    pub fn report(&self) -> impl Serialize + use<> {
        let view = &self.view;
        let body = SyncBody {
            app: self.app.full_name(),
            revision: view.revision.clone(),
            phase: view.phase.clone(),
            message: view.message.clone(),
            sync: view.sync.clone(),
            health: view.health.clone(),
            resources: view.rows.iter().map(Resource::from).collect(),
        };
        Report::new("SyncReport", self.exit() == Exit::Done, body, self.problems())
    }

    fn problems(&self) -> Vec<Problem> {
        let name = self.app.name();
        let mut problems: Vec<Problem> = self
            .failed()
            .map(|row| Problem { code: "object-failed", message: row.message.clone(), hint: None, object: Some(object(row)) })
            .collect();
        let kept: Vec<String> = self.view.rows.iter().filter(|row| row.sync == "PruneSkipped").map(object).collect();
        if !kept.is_empty() {
            let are = if kept.len() == 1 { "1 object is" } else { &format!("{} objects are", kept.len()) };
            problems.push(Problem {
                code: "prune-skipped",
                message: format!("{name}: {are} no longer in the source and pruning is off: {}", kept.join(", ")),
                hint: Some(format!("kubectl gitops sync {name} --prune")),
                object: None,
            });
        }
        if self.end == End::Succeeded && self.view.health == "Degraded" {
            let reason = self.app.status().and_then(|status| status.health.as_ref()).map(|health| health.message.as_str());
            problems.push(Problem {
                code: "degraded",
                message: format!("{name} is Degraded: {}", reason.unwrap_or_default()).trim_end_matches(": ").to_owned(),
                hint: Some(format!("kubectl gitops app get {name}")),
                object: None,
            });
        }
        problems
    }

    fn failed(&self) -> impl Iterator<Item = &Row> {
        self.view.rows.iter().filter(|row| row.progress == Progress::Failed)
    }

    fn started(&self) -> Option<&str> {
        self.app.operation_state().map(|state| state.started_at.as_str())
    }

    fn duration(&self) -> Option<i64> {
        age::seconds_between(self.started()?, self.app.operation_state()?.finished_at.as_deref()?)
    }
}

/// Failed objects stand on stdout already; here is what else to know, and what to do.
fn tell_problem(problem: &Problem) {
    if problem.object.is_none() {
        stream::say(&problem::note(&problem.message, problem.hint.as_deref()));
    }
}

fn object(row: &Row) -> String {
    let place =
        if row.key.namespace.is_empty() { row.key.name.clone() } else { format!("{}/{}", row.key.namespace, row.key.name) };
    format!("{} {place}", GroupKind::new(row.key.group.as_str(), row.key.kind.as_str()))
}

impl From<&Row> for Resource {
    fn from(row: &Row) -> Self {
        Self {
            group: row.key.group.clone(),
            kind: row.key.kind.clone(),
            namespace: row.key.namespace.clone(),
            name: row.key.name.clone(),
            wave: row.wave,
            hook: if row.hook.is_empty() { String::new() } else { row.phase.clone() },
            action: row.action,
            sync: row.sync.clone(),
            health: row.health.clone(),
            message: row.message.clone(),
        }
    }
}
