//! The process that owns a plane: starts the programs, watches them, ends them.

use std::io::{BufRead, Write};
use std::time::Instant;

use kubectl_gitops::cli::{Exit, Failure};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Layout;
use super::record::{GRACE, Record};
use super::start::{Running, explain, first_to_end, start};
use crate::support::signal::{ProcessId, Signal};

/// What the supervisor tells the runner, one JSON object per line on stdout.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Report {
    /// Something to show.
    Progress(String),
    /// The plane serves.
    Ready(String),
    /// It does not and will not.
    #[serde(rename_all = "camelCase")]
    Failed {
        /// What failed.
        what: String,
        /// Why.
        causes: Vec<String>,
        /// What to do.
        hint: Option<String>,
    },
}

/// What the runner tells the supervisor, one JSON object per line on stdin. The end of stdin means: stop.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// The runner is about to leave on purpose; keep running.
    Detach,
    /// This process group works on the plane: end it if the runner vanishes.
    Guard(ProcessId),
    /// The guarded process has ended by itself.
    Release(ProcessId),
}

/// Runs a plane until it is told to stop, its runner vanishes, or one of its programs ends.
pub async fn supervise(layout: Layout) -> Exit {
    let supervisor = ProcessId::of(std::process::id()).expect("this process is in /proc");
    let mut record = Record { layout, supervisor, processes: Vec::new() };
    let mut running = Vec::new();
    let mut orders = Orders::listen();
    let exit = tokio::select! {
        ended = live(&mut record, &mut running) => {
            let failure = ended;
            tell(&Report::Failed { what: failure.what, causes: failure.causes, hint: failure.hint });
            Exit::CouldNotRun
        }
        () = orders.until_stop() => Exit::Done,
    };
    for guarded in orders.guarded {
        guarded.signal_group(Signal::Kill);
    }
    stop(running).await;
    record.processes.clear();
    record.clean_up();
    exit
}

/// Starts the plane and stays until something goes wrong.
async fn live(record: &mut Record, running: &mut Vec<Running>) -> Failure {
    let begun = Instant::now();
    if let Err(failure) = record.write() {
        return failure;
    }
    let versions = match start(record, running, &|text| tell(&Report::Progress(text))).await {
        Ok(versions) => versions,
        Err(failure) => return failure,
    };
    let ready = format!("{versions}, ready after {:.1} s", begun.elapsed().as_secs_f32());
    if let Err(failure) = super::files::save(&record.layout.file("ready"), &ready) {
        return failure;
    }
    tell(&Report::Ready(ready));
    let name = first_to_end(running).await;
    explain(&record.layout, name, format!("{name} ended while the control plane was in use"))
}

/// Ends all programs, etcd last so that the others need not complain about it.
async fn stop(running: Vec<Running>) {
    let (etcd, others): (Vec<_>, Vec<_>) = running.into_iter().partition(|program| program.name == "etcd");
    for group in [others, etcd] {
        for program in &group {
            if let Some(id) = program.child.id().and_then(ProcessId::of) {
                id.signal(Signal::Terminate);
            }
        }
        futures::future::join_all(group.into_iter().map(|mut program| async move {
            if tokio::time::timeout(GRACE, program.child.wait()).await.is_err() {
                let _ = program.child.kill().await;
            }
        }))
        .await;
    }
}

/// Nobody may be listening any more; that is no reason to stop.
fn tell(report: &Report) {
    let mut line = serde_json::to_string(report).expect("a report has only strings");
    line.push('\n');
    let _ = std::io::stdout().write_all(line.as_bytes());
}

struct Orders {
    lines: mpsc::UnboundedReceiver<Order>,
    detached: bool,
    guarded: Vec<ProcessId>,
}

impl Orders {
    /// Reads stdin on a thread of its own: a blocking read of the runtime's would keep the process from ending.
    fn listen() -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if let Ok(order) = serde_json::from_str(&line) {
                    let _ = sender.send(order);
                }
            }
        });
        Self { lines, detached: false, guarded: Vec::new() }
    }

    /// Waits for a reason to stop: a signal, or the end of orders from a runner that did not detach.
    async fn until_stop(&mut self) {
        let mut terminate = signal(SignalKind::terminate()).expect("signal handlers can be installed");
        let mut interrupt = signal(SignalKind::interrupt()).expect("signal handlers can be installed");
        let mut hangup = signal(SignalKind::hangup()).expect("signal handlers can be installed");
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                // The terminal that `up` was typed in may close; the plane stays. The end of `run` shows in its pipe.
                _ = hangup.recv() => {}
                order = self.lines.recv(), if !self.detached => match order {
                    Some(Order::Detach) => self.detached = true,
                    Some(Order::Guard(id)) => self.guarded.push(id),
                    Some(Order::Release(id)) => self.guarded.retain(|guarded| *guarded != id),
                    None => return,
                },
            }
        }
    }
}
