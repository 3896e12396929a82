//! A child process that does not outlive its test.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::eventually::poll;
use super::signal::{ProcessId, Signal};

/// A running child with its output in a file. It leads its own process group, and all of that is killed on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    id: ProcessId,
    log: PathBuf,
}

impl Process {
    /// Starts a program with stdout and stderr appended to `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(mut command: Command, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).expect("the log file can be opened");
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file can be duplicated"))
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|cause| panic!("cannot start {command:?}: {cause}"));
        let id = ProcessId::of(child.id()).expect("a child stays in /proc until it has been waited for");
        Self { child, id, log: log.to_owned() }
    }

    /// The process.
    pub const fn id(&self) -> ProcessId {
        self.id
    }

    /// Everything it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Tells whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the process as a power cut would and waits until it is gone.
    pub fn kill_9(&mut self) {
        self.id.signal_group(Signal::Kill);
        let _ = self.child.wait();
    }

    /// Asks the process to end (SIGTERM) without waiting for it.
    pub fn terminate(&self) {
        self.id.signal(Signal::Terminate);
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    /// After `timeout`, with the end of its output.
    pub async fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let child = std::cell::RefCell::new(&mut self.child);
        let ended = poll(timeout, || async {
            match child.borrow_mut().try_wait() {
                Ok(Some(status)) => Ok(status),
                Ok(None) => Err("still running".to_owned()),
                Err(cause) => Err(cause.to_string()),
            }
        });
        ended.await.unwrap_or_else(|last| panic!("process {} did not end: {last}\n{}", self.id.pid, tail(&self.log, 20)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_9();
    }
}

/// What a shell would report for this status: the code, or 128 plus the signal.
pub fn shell_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The last lines of a file.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
