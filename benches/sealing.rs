//! What sealing and opening cost, beside the original client and beside what the work itself must cost.
//!
//! Opening: 2,000 SealedSecrets of two items each, with one key and with twelve, by the release build under its shipped ServiceAccount on
//! a real control plane. The floor is taken in the same run: the same items decrypted offline by the same build, and as many
//! writes by a bare client. Counts are exact: more than 1.05 private-key operations per item, or any after a restart, is a failure.
//!
//! Sealing: processor time of `kubectl gitops seal` and of kubeseal, in turns.
//!
//! The table goes to stderr, one JSON object per figure to stdout. `GITOPS_BENCH_SEALED` is the number of SealedSecrets.
#![expect(clippy::panic, reason = "a benchmark that cannot go on ends with a panic that says why")]

#[path = "sealing/clients.rs"]
mod clients;
mod figures;
#[path = "sealing/opening.rs"]
mod opening;
#[path = "../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;

use kubectl_gitops::ui::stream;

use figures::Figures;

fn main() -> ExitCode {
    let text = std::env::var("GITOPS_BENCH_SEALED").unwrap_or_else(|_| "2000".to_owned());
    let Some(count) = text.parse().ok().filter(|count: &usize| *count > 0) else {
        stream::say(&format!("error: GITOPS_BENCH_SEALED is {text:?}\nhint:  set it to a number above zero"));
        return ExitCode::from(2);
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime can be built");
    let mut figures = Figures::default();
    let mut failures = Vec::new();
    clients::measure(&mut figures);
    for keys in [1, 12] {
        runtime.block_on(opening::measure(&mut figures, &mut failures, keys, count));
    }
    stream::say(&figures.table(&format!("sealing: {count} SealedSecrets with 2 items each")));
    stream::out(&figures.lines("sealing"));
    failures.iter().for_each(|failure: &String| stream::say(&format!("error: {failure}")));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
