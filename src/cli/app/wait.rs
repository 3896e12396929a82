//! `wait`: until Applications are as asked for. Looks first, then watches.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio::time::Instant;

use crate::cli::output::{Output, Report, print_document};
use crate::cli::{CommandResult, Context, Exit, Failure, duration};
use crate::ui::symbols::Symbols;
use crate::ui::{paint, stream, text};

use super::follow::{Change, Follower, next_before};
use super::{App, AppRef, Selection};

/// Wait until Applications are synced, healthy and idle, or whatever --for says.
///
/// Reads only. Looks first, so it ends at once when everything is as asked for. An Application that turns Degraded on the
/// way does not end the waiting unless --fail-on degraded is given.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops wait web --for healthy --timeout 5m")]
pub struct WaitArgs {
    #[command(flatten)]
    selection: Selection,
    /// What to wait for; may be given several times. Without it: synced, healthy and operation
    #[arg(long = "for", value_name = "STATE", value_delimiter = ',')]
    states: Vec<State>,
    #[command(flatten)]
    habits: Habits,
    /// Give up as soon as an Application is in this state
    #[arg(long, value_name = "STATE", hide_possible_values = true)]
    fail_on: Option<FailOn>,
    /// How long the state must last
    #[arg(long, value_name = "DURATION", default_value = "0", hide_default_value = true, value_parser = duration::parse)]
    stable: Duration,
    /// How long to wait; 0 looks once, a negative one means a week
    #[arg(long, value_name = "DURATION", default_value = "5m", allow_negative_numbers = true, value_parser = duration::parse_limit)]
    timeout: Duration,
    /// Output format: json or yaml
    #[arg(short, long, value_name = "FORMAT", value_parser = Output::parse_report)]
    output: Option<Output>,
}

/// argocd's flags for [`State`], for whom the fingers know.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the original")]
struct Habits {
    #[arg(long, hide = true)]
    sync: bool,
    #[arg(long, hide = true)]
    health: bool,
    #[arg(long, hide = true)]
    operation: bool,
    #[arg(long, hide = true)]
    suspended: bool,
    #[arg(long, hide = true)]
    degraded: bool,
    #[arg(long, hide = true)]
    delete: bool,
}

impl Habits {
    fn states(&self) -> impl Iterator<Item = State> {
        let flags = [
            (self.sync, State::Synced),
            (self.health, State::Healthy),
            (self.operation, State::Operation),
            (self.suspended, State::Suspended),
            (self.degraded, State::Degraded),
            (self.delete, State::Deleted),
        ];
        flags.into_iter().filter_map(|(given, state)| given.then_some(state))
    }
}

/// A state to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// The cluster is as the source says
    Synced,
    /// All objects work
    Healthy,
    /// No operation is running
    Operation,
    /// Paused on purpose
    Suspended,
    /// Something is broken
    Degraded,
    /// The Application is gone
    Deleted,
}

/// A state that ends the waiting without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Something is broken
    Degraded,
}

impl State {
    fn holds(self, app: &App) -> bool {
        match self {
            Self::Synced => app.sync() == "Synced",
            Self::Healthy => app.health() == "Healthy",
            Self::Operation => !app.is_operating(),
            Self::Suspended => app.health() == "Suspended",
            Self::Degraded => app.health() == "Degraded",
            Self::Deleted => false,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Healthy => "healthy",
            Self::Operation => "idle",
            Self::Suspended => "suspended",
            Self::Degraded => "degraded",
            Self::Deleted => "deleted",
        }
    }
}

/// States that exclude each other are alternatives, the others must hold together.
fn all_hold(states: &[State], app: &App) -> bool {
    let is_health = |state: &State| matches!(state, State::Healthy | State::Suspended | State::Degraded);
    let health: Vec<State> = states.iter().copied().filter(is_health).collect();
    let others = states.iter().copied().filter(|state| !is_health(state));
    (health.is_empty() || health.iter().any(|state| state.holds(app))) && others.into_iter().all(|state| state.holds(app))
}

/// Waits for the chosen Applications.
///
/// # Errors
/// When nothing matches or the API server refuses.
pub async fn run(args: WaitArgs, cx: &Context) -> CommandResult {
    let states = args.states.iter().copied().chain(args.habits.states()).collect();
    let mut waiting = Waiting::new(states, args.fail_on, args.stable);
    let names = if args.selection.names.is_empty() {
        args.selection.read_some(cx).await?.iter().map(App::reference).collect()
    } else {
        args.selection.names.iter().map(|name| AppRef::parse(name, cx)).collect::<Result<Vec<_>, _>>()?
    };
    waiting.open = names.iter().cloned().map(|name| (name, Seen::default())).collect();
    if args.timeout.is_zero() {
        look_once(&mut waiting, &names, cx).await?;
    } else {
        watch(&mut waiting, names, Instant::now() + args.timeout, cx).await?;
    }
    waiting.finish(&args)
}

/// Waits until no operation of an Application runs, and gives it back as it is then.
///
/// # Errors
/// When one still runs at the end of the time, the Application is gone, or the API server refuses.
pub(super) async fn until_idle(cx: &Context, name: &AppRef, patience: Duration) -> Result<App, Failure> {
    let deadline = Instant::now() + patience;
    let mut follower = Follower::these(cx, [name.clone()]).await?;
    while let Some(change) = next_before(&mut follower, cx, Some(deadline)).await? {
        match change {
            Change::Now(app) if app.app.operation.is_none() => return Ok(*app),
            Change::Now(_) => {}
            Change::Gone(_) => return Err(Failure::new(format!("{name} is gone"))),
        }
    }
    Err(Failure::new(format!("{name}: the running operation did not end")).with_hint("kubectl gitops doctor"))
}

async fn look_once(waiting: &mut Waiting, names: &[AppRef], cx: &Context) -> Result<(), Failure> {
    for name in names {
        match super::api(cx.client().await?, &name.namespace).get_opt(&name.name).await {
            Ok(Some(object)) => drop(waiting.saw(App::from(object), Instant::now())),
            Ok(None) => waiting.gone(name, cx).await?,
            Err(error) => return Err(cx.explain(&error, &format!("read application {name}"))),
        }
    }
    Ok(())
}

async fn watch(waiting: &mut Waiting, names: Vec<AppRef>, deadline: Instant, cx: &Context) -> Result<(), Failure> {
    let mut follower = Follower::these(cx, names).await?;
    while !waiting.open.is_empty() {
        let wake = waiting.next_stable().map_or(deadline, |stable| stable.min(deadline));
        match next_before(&mut follower, cx, Some(wake)).await? {
            Some(Change::Now(app)) => waiting.saw(*app, Instant::now()).iter().for_each(|line| stream::say(line)),
            Some(Change::Gone(app)) => waiting.gone(&app, cx).await?,
            None if wake == deadline => break,
            None => waiting.settle(Instant::now()),
        }
    }
    Ok(())
}

/// What is being waited for, and what has been seen.
struct Waiting {
    states: Vec<State>,
    fail_on: Option<FailOn>,
    stable: Duration,
    open: BTreeMap<AppRef, Seen>,
    ended: Vec<Ended>,
}

/// What has been seen of one Application.
#[derive(Default)]
struct Seen {
    last: Option<App>,
    held_since: Option<Instant>,
}

/// How the waiting for one Application ended.
#[derive(Serialize)]
struct Ended {
    app: String,
    met: bool,
    sync: String,
    health: String,
    message: String,
}

impl Waiting {
    fn new(states: Vec<State>, fail_on: Option<FailOn>, stable: Duration) -> Self {
        let states = if states.is_empty() { vec![State::Synced, State::Healthy, State::Operation] } else { states };
        Self { states, fail_on, stable, open: BTreeMap::new(), ended: Vec::new() }
    }

    /// Takes note of a state; gives back a line for people when it is news.
    fn saw(&mut self, app: App, now: Instant) -> Option<String> {
        let reference = app.reference();
        let seen = self.open.get_mut(&reference)?;
        let is_news = seen.last.as_ref().is_none_or(|last| facts(last) != facts(&app));
        let line = is_news.then(|| text::clean(&format!("{reference} {}", facts(&app))));
        let holds = all_hold(&self.states, &app);
        seen.held_since = holds.then(|| seen.held_since.unwrap_or(now));
        let failed = self.fail_on == Some(FailOn::Degraded) && app.health() == "Degraded";
        seen.last = Some(app);
        if failed {
            self.end(&reference, false);
        } else {
            self.settle(now);
        }
        line
    }

    /// Ends the waiting for everything whose state has lasted long enough.
    fn settle(&mut self, now: Instant) {
        let lasted = |seen: &Seen| seen.held_since.is_some_and(|since| now >= since + self.stable);
        let done: Vec<AppRef> = self.open.iter().filter(|(_, seen)| lasted(seen)).map(|(app, _)| app.clone()).collect();
        done.iter().for_each(|app| self.end(app, true));
    }

    fn next_stable(&self) -> Option<Instant> {
        self.open.values().filter_map(|seen| seen.held_since).map(|since| since + self.stable).min()
    }

    async fn gone(&mut self, app: &AppRef, cx: &Context) -> Result<(), Failure> {
        let Some(seen) = self.open.get(app) else { return Ok(()) };
        let was_there = seen.last.is_some();
        if self.states.contains(&State::Deleted) {
            self.end(app, true);
            return Ok(());
        }
        if was_there {
            return Err(Failure::new(format!("application {app} was deleted while waiting")).with_exit(Exit::No));
        }
        // Never seen: says which name may have been meant.
        super::get(cx, app).await.map(|_| ())
    }

    fn end(&mut self, reference: &AppRef, met: bool) {
        let Some(seen) = self.open.remove(reference) else { return };
        self.ended.push(Ended::new(reference, seen.last.as_ref(), met));
    }

    fn finish(mut self, args: &WaitArgs) -> CommandResult {
        let timed_out: Vec<AppRef> = self.open.keys().cloned().collect();
        timed_out.iter().for_each(|app| self.end(app, false));
        let exit = match (timed_out.is_empty(), self.ended.iter().all(|ended| ended.met)) {
            (true, true) => Exit::Done,
            (true, false) => Exit::No,
            (false, _) => Exit::TimedOut,
        };
        if let Some(output) = args.output {
            let body = BTreeMap::from([("items", &self.ended)]);
            print_document(output, &Report::new("WaitReport", exit == Exit::Done, body, Vec::new()))?;
            return Ok(exit);
        }
        let wanted = self.states.iter().map(|state| state.word()).collect::<Vec<_>>().join(", ");
        self.ended.iter().for_each(|ended| ended.tell(&wanted));
        Ok(exit)
    }
}

/// What a line about an Application says; a new line comes when this changes.
fn facts(app: &App) -> String {
    let message = app.message();
    let message = if message.is_empty() { String::new() } else { format!(" {message:?}") };
    format!("{} {}{message}", app.sync(), app.health())
}

impl Ended {
    fn new(reference: &AppRef, app: Option<&App>, met: bool) -> Self {
        Self {
            app: reference.to_string(),
            met,
            sync: app.map(|app| app.sync().to_owned()).unwrap_or_default(),
            health: app.map(|app| app.health().to_owned()).unwrap_or_default(),
            message: app.map(App::message).unwrap_or_default(),
        }
    }

    fn tell(&self, wanted: &str) {
        let symbols = Symbols::get();
        if self.met {
            stream::out(&format!("{} {} is {wanted}\n", paint::good(symbols.done), self.app));
            return;
        }
        let state = if self.sync.is_empty() { "not seen".to_owned() } else { format!("{} {}", self.sync, self.health) };
        let line = format!("{} is not {wanted}: {state} {}", self.app, text::clean(&self.message));
        stream::out(&format!("{} {}\n", paint::bad(symbols.failed), line.trim_end()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::app;
    use super::*;
    use serde_json::json;

    fn with(sync: &str, health: &str) -> App {
        app(
            json!({ "status": { "health": { "status": health }, "sync": { "status": sync, "comparedTo": { "destination": {} } } } }),
        )
    }

    #[test]
    fn health_states_are_alternatives_and_the_others_hold_together() {
        let all = [State::Synced, State::Healthy, State::Suspended];
        assert!(all_hold(&all, &with("Synced", "Suspended")));
        assert!(!all_hold(&all, &with("OutOfSync", "Healthy")));
        assert!(!all_hold(&all, &with("Synced", "Degraded")));
    }

    #[test]
    fn a_state_must_last_when_stability_is_asked_for() {
        let start = Instant::now();
        let mut waiting = Waiting::new(vec![State::Healthy], None, Duration::from_secs(10));
        waiting.open.insert(with("", "").reference(), Seen::default());
        let _ = waiting.saw(with("Synced", "Healthy"), start);
        let _ = waiting.saw(with("Synced", "Progressing"), start + Duration::from_secs(5));
        let _ = waiting.saw(with("Synced", "Healthy"), start + Duration::from_secs(6));
        assert_eq!(waiting.next_stable(), Some(start + Duration::from_secs(16)));
        waiting.settle(start + Duration::from_secs(15));
        assert_eq!(waiting.open.len(), 1);
        waiting.settle(start + Duration::from_secs(16));
        assert!(waiting.open.is_empty() && waiting.ended.iter().all(|ended| ended.met));
    }

    #[test]
    fn degraded_ends_the_waiting_only_when_asked_to() {
        for (fail_on, open) in [(None, 1), (Some(FailOn::Degraded), 0)] {
            let mut waiting = Waiting::new(vec![State::Healthy], fail_on, Duration::ZERO);
            waiting.open.insert(with("", "").reference(), Seen::default());
            let _ = waiting.saw(with("Synced", "Degraded"), Instant::now());
            assert_eq!(waiting.open.len(), open);
        }
    }
}
