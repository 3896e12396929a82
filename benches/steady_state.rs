//! What the controller costs when nothing happens, and what getting there costs.
//!
//! A real control plane, the release build under its shipped ServiceAccount and with default settings, and twenty Applications from
//! one repository. Counts are exact and the same on every machine: a request beside open watches, or a write, while nothing changes
//! is a failure. Times and memory are figures to compare with others of the same machine.
//!
//! The table goes to stderr, one JSON object per figure to stdout. `GITOPS_BENCH_SECONDS` is the length of the quiet window.
#![expect(clippy::panic, reason = "a benchmark that cannot go on ends with a panic that says why")]

mod figures;
#[path = "steady_state/fleet.rs"]
mod fleet;
#[path = "steady_state/meter.rs"]
mod meter;
#[path = "steady_state/report.rs"]
mod report;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "steady_state/world.rs"]
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use kubectl_gitops::ui::stream;

use report::Report;
use support::controller::release_program;
use world::World;

/// How long the controller may take over the last things it has to do.
const QUIET_AFTER: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let window = match window() {
        Ok(window) => window,
        Err(text) => {
            stream::say(&format!("error: GITOPS_BENCH_SECONDS is {text:?}\nhint:  set it to a number of seconds above zero"));
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(async {
        tokio::select! {
            report = measure(window) => conclude(&report),
            _ = tokio::signal::ctrl_c() => ExitCode::from(130),
        }
    })
}

fn window() -> Result<Duration, String> {
    let text = std::env::var("GITOPS_BENCH_SECONDS").unwrap_or_else(|_| "180".to_owned());
    text.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or(text)
}

fn conclude(report: &Report) -> ExitCode {
    stream::say(&report.table());
    stream::out(&report.lines());
    let failures = report.failures();
    failures.iter().for_each(|failure| stream::say(&format!("error: {failure}")));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

async fn measure(window: Duration) -> Report {
    let mut report = Report::default();
    for program in ["gitops-controller", "kubectl-gitops"] {
        let bytes = std::fs::metadata(release_program(program)).expect("the program was found").len();
        report.add(&format!("binary_size.{program}"), mebibytes(bytes), "MiB");
    }
    let mut world = World::start().await;
    let ready = meter::quiet(&world, QUIET_AFTER).await;
    report.memory("idle", meter::memory(&mut world));
    stream::say(&format!(
        "bench: ready and quiet after {:.1} s; applying {} Applications",
        ready.as_secs_f32(),
        fleet::APPLICATIONS
    ));

    let cold = meter::Meter::start(&mut world).await;
    let begun = Instant::now();
    fleet::apply(&world).await;
    fleet::settled(&world).await;
    report.add("cold.time_to_synced", begun.elapsed().as_secs_f64(), "s");
    meter::quiet(&world, QUIET_AFTER).await;
    report.cold(&cold.stop(&mut world).await);
    report.memory("synced", meter::memory(&mut world));

    stream::say(&format!("bench: all Synced and Healthy; nothing changes for {} s", window.as_secs()));
    let steady = meter::Meter::start(&mut world).await;
    tokio::time::sleep(window).await;
    report.steady(&steady.stop(&mut world).await, window);
    report.memory("steady", meter::memory(&mut world));
    report
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
