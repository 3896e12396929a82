//! A control plane never outlives the program it was started for.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::controller::program;
use crate::support::plane::record::{Record, sweep_abandoned};
use crate::support::signal::{ProcessId, Signal};
use crate::support::{Process, eventually};

/// Starting takes a few seconds on an idle machine; other tests run beside this one.
const START: Duration = Duration::from_secs(120);
/// The plane's own grace for its programs, twice, and a margin.
const STOP: Duration = Duration::from_secs(30);

#[tokio::test]
async fn killed_runner_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("dir");
    let mut runner = run(&folder, "echo \"$GITOPS_TEST_CLUSTER $$\" > \"$0.part\" && mv \"$0.part\" \"$0\" && sleep 1000");
    let (record, command) = started(&note).await;
    assert_eq!(names(&record), ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"]);
    let mut processes: Vec<ProcessId> = record.processes.iter().map(|entry| entry.id).collect();
    processes.extend([record.supervisor, command]);
    assert!(processes.iter().all(|id| id.is_alive()), "{record:?}");

    // Only the runner: its group is its own, and neither the supervisor nor the command belongs to it.
    runner.kill_9();

    eventually("every process of the plane to end", STOP, || async {
        let left: Vec<_> = processes.iter().filter(|id| id.is_alive()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("still running: {left:?} of {record:?}")) }
    })
    .await;
    assert!(!record.layout.dir.exists() && !record.layout.data.exists(), "{:?}", record.layout);
}

#[tokio::test]
async fn killed_supervisor_is_cleaned_up_after() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("dir");
    let mut runner = run(&folder, "echo \"$GITOPS_TEST_CLUSTER $$\" > \"$0.part\" && mv \"$0.part\" \"$0\" && sleep 1000");
    let (record, command) = started(&note).await;
    record.supervisor.signal(Signal::Kill);
    runner.kill_9();
    command.signal_group(Signal::Kill);
    eventually("the supervisor to be gone", STOP, || async {
        if record.supervisor.is_alive() { Err("it runs") } else { Ok(()) }
    })
    .await;

    // What the next `up` or `run` does first; that of another test may already be at it.
    sweep_abandoned();

    eventually("every process of the plane to end", STOP, || async {
        let left: Vec<_> = record.processes.iter().filter(|entry| entry.id.is_alive()).collect();
        if left.is_empty() && !record.layout.dir.exists() { Ok(()) } else { Err(format!("left: {left:?}")) }
    })
    .await;
}

#[tokio::test]
async fn run_passes_on_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let mut runner = run(&folder, "exit 7");
    assert_eq!(runner.wait(START).await.code(), Some(7), "{}", runner.log());
}

fn run(folder: &tempfile::TempDir, script: &str) -> Process {
    let mut command = Command::new(program("examples/control-plane"));
    command.args(["run", "--", "sh", "-c", script]).arg(folder.path().join("dir"));
    Process::spawn(command, &folder.path().join("log"))
}

/// Waits for the command to say where the plane is; returns the plane's record and the command's process.
async fn started(note: &PathBuf) -> (Record, ProcessId) {
    eventually("a second control plane", START, || async {
        let text = std::fs::read_to_string(note).map_err(|cause| cause.to_string())?;
        let (dir, pid) = text.trim().split_once(' ').ok_or("half a line")?;
        let record = Record::read(dir.as_ref()).ok_or("no record")?;
        let command = ProcessId::of(pid.parse().map_err(|_| "no pid")?).ok_or("the command ended")?;
        Ok::<_, String>((record, command))
    })
    .await
}

fn names(record: &Record) -> Vec<&str> {
    record.processes.iter().map(|entry| entry.name.as_str()).collect()
}
