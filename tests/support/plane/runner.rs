//! `up`, `down` and `run`: the side of the user.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kubectl_gitops::cli::{Exit, Failure};
use kubectl_gitops::ui::stream;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use super::handle::{Plane, Supervisor};
use super::layout::Layout;
use super::record::{GRACE, Record, end, sweep_abandoned};
use super::supervisor::Order;
use crate::support::process::shell_code;
use crate::support::signal::{ProcessId, Signal};

/// The variable that tells a program under [`run`] where the plane is.
pub const CLUSTER_VARIABLE: &str = "GITOPS_TEST_CLUSTER";

/// Ending all programs takes at most two times the grace of the record, and a moment.
const STOP_TIMEOUT: Duration = Duration::from_secs(4 * GRACE.as_secs());

/// Starts a plane that outlives this process; prints the path of its kubeconfig. One that already runs is left as it is.
///
/// # Errors
/// When the folder belongs to somebody else or the plane does not start.
pub fn up(dir: &Path) -> Result<Exit, Failure> {
    sweep_abandoned();
    if let Some(record) = Record::read(dir) {
        if record.is_ready() {
            stream::say("control plane: already running");
            stream::out(&format!("{}\n", record.layout.kubeconfig().display()));
            return Ok(Exit::Done);
        }
        if record.is_live() {
            return Err(Failure::new(format!("a control plane is being started in {}", dir.display()))
                .with_hint("wait for it, or run `make cluster-down`"));
        }
        record.clean_up();
    } else if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::new(format!("{} is not empty and is not a control plane's", dir.display()))
            .with_hint("choose a new folder with --dir"));
    }
    let layout = Layout::at(dir)?;
    let mut supervisor = Supervisor::start(&layout)?;
    supervisor.wait_ready()?;
    supervisor.order(&Order::Detach);
    stream::out(&format!("{}\n", layout.kubeconfig().display()));
    Ok(Exit::Done)
}

/// Ends the plane in a folder and removes the folder.
///
/// # Errors
/// When its supervisor does not end.
pub fn down(dir: &Path) -> Result<Exit, Failure> {
    let Some(record) = Record::read(dir) else {
        stream::say(&format!("control plane: none in {}", dir.display()));
        return Ok(Exit::Done);
    };
    // The supervisor needs its own grace for the programs; only then is it killed, and its programs are ended from here.
    end(&[record.supervisor], STOP_TIMEOUT);
    Record::read(dir).unwrap_or(record).clean_up();
    stream::say("control plane: stopped");
    Ok(Exit::Done)
}

/// Starts a plane, runs a command with [`CLUSTER_VARIABLE`] set, stops the plane; returns the command's exit code.
///
/// # Errors
/// When the plane or the command does not start.
pub async fn run(command: &[OsString]) -> Result<u8, Failure> {
    let mut plane = Plane::start()?;
    // From here on Ctrl-C belongs to the command. Before, it ends this process, and the supervisor notices.
    let mut interrupts = Interrupts::new();
    let code = attend(command, &mut plane, &mut interrupts).await?;
    if !plane.is_live() {
        stream::say("error: the control plane ended while the command ran");
    }
    Ok(code)
}

async fn attend(command: &[OsString], plane: &mut Plane, interrupts: &mut Interrupts) -> Result<u8, Failure> {
    let (program, args) = command.split_first().ok_or_else(|| Failure::new("no command to run"))?;
    let mut child = tokio::process::Command::new(program)
        .args(args)
        .env(CLUSTER_VARIABLE, &plane.layout().dir)
        .stdin(Stdio::null())
        // A group of its own: the supervisor can end all of it, and Ctrl-C arrives once, through us.
        .process_group(0)
        .spawn()
        .map_err(|cause| Failure::new(format!("cannot start {}", program.display())).with_cause(&cause))?;
    let group = child.id().and_then(ProcessId::of).expect("a child stays in /proc until it has been waited for");
    plane.guard(group);
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            signal = interrupts.next() => group.signal_group(signal),
        }
    };
    plane.release(group);
    status.map(shell_code).map_err(|cause| Failure::new("cannot wait for the command").with_cause(&cause))
}

/// Signals to pass on: the first Ctrl-C as it is, from the second on a kill.
struct Interrupts {
    interrupt: SignalStream,
    terminate: SignalStream,
    hangup: SignalStream,
    interrupted: bool,
}

impl Interrupts {
    fn new() -> Self {
        let listen = |kind| signal(kind).expect("signal handlers can be installed");
        Self {
            interrupt: listen(SignalKind::interrupt()),
            terminate: listen(SignalKind::terminate()),
            hangup: listen(SignalKind::hangup()),
            interrupted: false,
        }
    }

    async fn next(&mut self) -> Signal {
        let signal = tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hangup.recv() => Signal::Terminate,
        };
        if std::mem::replace(&mut self.interrupted, true) { Signal::Kill } else { signal }
    }
}
