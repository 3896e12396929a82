//! Processes that are recognised again: a pid together with the time its process started.
//!
//! Pids are reused. Whatever is written down now and signalled later is compared with the start time in `/proc` first, so that
//! a stranger who got the number meanwhile is left alone.

use std::fs;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

/// One process of this machine since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The number.
    pub pid: u32,
    /// Start time in clock ticks since boot.
    pub started: u64,
}

/// The signals we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// What Ctrl-C sends.
    Interrupt,
    /// Please end.
    Terminate,
    /// End at once.
    Kill,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "INT",
            Self::Terminate => "TERM",
            Self::Kill => "KILL",
        }
    }
}

impl ProcessId {
    /// Identifies a running process; `None` when there is none with this number.
    pub fn of(pid: u32) -> Option<Self> {
        let (_, started) = state_and_start(pid)?;
        Some(Self { pid, started })
    }

    /// Tells whether this very process still runs. A zombie does not run any more.
    pub fn is_alive(self) -> bool {
        state_and_start(self.pid).is_some_and(|(state, started)| started == self.started && state != "Z")
    }

    /// Signals the process, if it still runs.
    pub fn signal(self, signal: Signal) {
        if self.is_alive() {
            kill(signal, &self.pid.to_string());
        }
    }

    /// Signals every process of the group that this process leads. A leader that ended but was not waited for still counts: its
    /// number, and with it the group's, is not free yet.
    pub fn signal_group(self, signal: Signal) {
        if Self::of(self.pid) == Some(self) {
            kill(signal, &format!("-{}", self.pid));
        }
    }
}

/// Reads the state letter and the start time. The program name in field 2 may contain anything, so counting starts after it.
fn state_and_start(pid: u32) -> Option<(String, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.to_owned();
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

/// Unsafe code is forbidden in this crate, so the shell makes the system call. A process that is gone is not an error.
fn kill(signal: Signal, target: &str) {
    let _ = Command::new("sh")
        .args(["-c", "kill -s \"$1\" -- \"$2\"", "sh", signal.name(), target])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
