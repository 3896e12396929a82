//! What one commit costs in a repository of many Applications: e1, e3 and the requests of (e), and the latency of (b).
//!
//! A real control plane, the release build under its shipped ServiceAccount, and hundreds of Applications with one ConfigMap each
//! from one repository. Each round is one commit that touches one file of one Application, told to the controller by a refresh of
//! that Application, as a webhook would. Counts are exact: more than one render, more than two requests for refs or objects, or a
//! render after a commit that touches no Application is a failure. The floor is what a commit cannot do without: one fetch by the
//! `git` program and one PATCH, measured in the same run.
//!
//! `GITOPS_BENCH_APPS` is the number of Applications, `GITOPS_BENCH_ROUNDS` that of commits.
#![expect(clippy::panic, reason = "a benchmark that cannot go on ends with a panic that says why")]

mod figures;
#[path = "commit/fleet.rs"]
mod fleet;
#[path = "steady_state/meter.rs"]
#[allow(dead_code, reason = "shared with another benchmark, which reads more of it")]
mod meter;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "steady_state/world.rs"]
#[allow(dead_code, reason = "shared with another benchmark, which reads more of it")]
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use figures::Figures;
use kubectl_gitops::ui::stream;
use meter::Meter;
use world::World;

/// How long the controller may take over the last things it has to do.
const QUIET_AFTER: Duration = Duration::from_secs(300);
/// Requests to the Git server that one commit may cost.
const GIT_REQUESTS: usize = 2;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(async {
        tokio::select! {
            code = measure() => code,
            _ = tokio::signal::ctrl_c() => ExitCode::from(130),
        }
    })
}

async fn measure() -> ExitCode {
    let mut figures = Figures::default();
    let mut failures = Vec::new();
    let (apps, rounds) = (fleet::applications(), fleet::number("GITOPS_BENCH_ROUNDS", 20));
    let mut world = World::start().await;
    stream::say(&format!("bench: applying {apps} Applications"));
    fleet::apply(&world).await;
    fleet::settled(&world).await;
    meter::quiet(&world, QUIET_AFTER).await;

    let mut times = Vec::new();
    let before = renders(&world).await;
    let meter = Meter::start(&mut world).await;
    for round in 0..rounds {
        times.push(fleet::commit(&world, round).await);
    }
    meter::quiet(&world, QUIET_AFTER).await;
    let usage = meter.stop(&mut world).await;
    let rendered = renders(&world).await - before;
    figures.add("commit.renders", rendered / rounds as f64, "renders");
    figures.add("commit.git.ls_refs", usage.ls_refs as f64 / rounds as f64, "requests");
    figures.add("commit.git.fetches", usage.fetches as f64 / rounds as f64, "requests");
    figures.add("commit.writes", usage.requests.writes() as f64 / rounds as f64, "requests");
    figures.add("commit.cpu", usage.cpu_seconds * 1000.0 / rounds as f64, "ms");
    if rendered > rounds as f64 {
        failures.push(format!("{rounds} commits that touch one Application each cost {rendered} renders"));
    }
    // Polls go on meanwhile, so only what commits fetch is exact.
    if usage.fetches > rounds * (GIT_REQUESTS - 1) {
        failures.push(format!("{rounds} commits cost {} fetches", usage.fetches));
    }
    let floor = fleet::floor(&world, rounds).await;
    latencies(&mut figures, "commit.latency", &mut times);
    latencies(&mut figures, "floor.latency", &mut floor.clone());
    figures.add("commit.latency.times_the_floor", median(&mut times) / median(&mut floor.clone()), "");

    let before = renders(&world).await;
    fleet::commit_beside(&world).await;
    meter::quiet(&world, QUIET_AFTER).await;
    let rendered = renders(&world).await - before;
    figures.add("unrelated_commit.renders", rendered, "renders");
    if rendered > 0.0 {
        failures.push(format!("a commit that touches no Application cost {rendered} renders"));
    }
    stream::say(&figures.table(&format!("commit: {apps} Applications in one repository, {rounds} commits")));
    stream::out(&figures.lines("commit"));
    failures.iter().for_each(|failure| stream::say(&format!("error: {failure}")));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn latencies(figures: &mut Figures, name: &str, times: &mut [f64]) {
    figures.add(&format!("{name}.p50"), median(times), "ms");
    figures.add(&format!("{name}.max"), times.last().copied().unwrap_or_default(), "ms");
}

/// Sorts, too.
fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Renders so far, as the controller tells them.
async fn renders(world: &World) -> f64 {
    let (_, text) = world.controller.get("/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix("gitops_renders_total "));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no gitops_renders_total in {text}"))
}

/// Milliseconds since a moment.
fn elapsed(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}
