//! `kubectl gitops seal` beside kubeseal, offline.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::figures::Figures;
use crate::support::controller::release_program;
use crate::support::tools::tools;

/// Runs per client; in turns, so that both see the same machine.
const RUNS: u32 = 60;
/// Secrets in the large file.
const SECRETS: usize = 1000;
/// Runs with the large file.
const LARGE_RUNS: u32 = 3;
/// `sysconf(_SC_CLK_TCK)`, which the kernel's interface fixes for all architectures that we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Measures both clients with one Secret and with a thousand.
pub fn measure(figures: &mut Figures) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let certificate = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sealing/keys/test-only-new.crt");
    let (one, many) = (folder.path().join("one.yaml"), folder.path().join("many.yaml"));
    std::fs::write(&one, secrets(1)).expect("the folder is writable");
    std::fs::write(&many, secrets(SECRETS)).expect("the folder is writable");
    for (name, input, runs) in [("one", &one, RUNS), ("thousand", &many, LARGE_RUNS)] {
        let (mut ours, mut theirs) = (0.0, 0.0);
        for _ in 0..runs {
            ours += cpu_of(
                Command::new(release_program("kubectl-gitops")).args(["seal", "--cert"]).arg(&certificate).arg("-f"),
                input,
            );
            theirs += cpu_of(Command::new(tools().kubeseal()).args(["-o", "yaml", "--cert"]).arg(&certificate).arg("-f"), input);
        }
        let mean = |total: f64| total / f64::from(runs) * 1000.0;
        figures.add(&format!("seal.{name}.ours"), mean(ours), "ms CPU");
        figures.add(&format!("seal.{name}.kubeseal"), mean(theirs), "ms CPU");
        figures.add(&format!("seal.{name}.ratio"), ours / theirs, "of kubeseal");
    }
}

fn secrets(count: usize) -> String {
    let one = |number: usize| {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: s{number}\n  namespace: web\nstringData:\n  user: app\n  password: hunter2\n"
        )
    };
    (0..count).map(one).collect()
}

/// Seconds of processor time that a program takes, as the kernel adds them up for children that have ended.
pub fn cpu_of(command: &mut Command, input: &Path) -> f64 {
    let before = children_cpu();
    let errors = tempfile::tempfile().expect("a temporary file can be made");
    let run = command.arg(input).env_clear().stdin(Stdio::null());
    let status = run.stdout(File::create("/dev/null").expect("it is always there")).stderr(errors).status();
    assert!(status.expect("the program starts").success(), "{command:?} failed");
    children_cpu() - before
}

fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("the kernel shows it");
    let (_, rest) = stat.rsplit_once(") ").expect("the kernel writes the name in parentheses");
    let ticks = rest.split(' ').skip(16 - 3).take(2).map(|field| field.parse::<f64>().expect("times are numbers"));
    ticks.sum::<f64>() / TICKS_PER_SECOND
}
