//! What a child process may touch: its private folder, its own program and nothing else of this machine.
//!
//! ```text
//!  a thread of its own ──gives up its rights (Landlock)──> starts the child, which inherits what is left ──> ends
//!                                                            └─ limits on memory, processor time and files
//! ```
//!
//! Rights that a thread gives up cannot be got back, neither by it nor by what it starts, and no privilege is needed for it.
//! Where a kernel lacks a part (files since Linux 5.13, TCP since 6.7, UDP since 7.2), the rest still holds;
//! [`confinement`] tells which.

#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod program;

use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::process::{Child, Command};

/// What a child needs besides its own program.
#[derive(Debug, Clone, Copy)]
pub(in crate::render) struct Rights<'a> {
    /// Its private folder: readable and writable, but nothing in it can be executed.
    pub place: &'a Path,
    /// Other programs that it starts.
    pub programs: &'a [&'a Path],
    /// Whether it may reach other machines, and start the programs of the system that do so (`git`, `ssh`).
    pub network: bool,
}

/// What the kernel keeps from child processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confinement {
    /// Nothing: a renderer could read what this process can read.
    Nothing,
    /// Files outside their private folder.
    Files,
    /// Files, and TCP connections.
    FilesAndNetwork,
}

impl Confinement {
    /// What is missing, for conditions and logs.
    #[must_use]
    pub const fn gap(self) -> Option<&'static str> {
        match self {
            Self::Nothing => Some(
                "the kernel of this node has no Landlock (Linux 5.13): programs that render run without confinement to their files",
            ),
            Self::Files => Some(
                "the kernel of this node cannot keep programs from the network (Landlock ABI 4, Linux 6.7): those that render could \
                 make connections",
            ),
            Self::FilesAndNetwork => None,
        }
    }
}

/// What this kernel can do; found out once, by trying.
#[must_use]
pub fn confinement() -> Confinement {
    static FOUND: OnceLock<Confinement> = OnceLock::new();
    *FOUND.get_or_init(|| {
        #[cfg(target_os = "linux")]
        return std::thread::spawn(landlock::probe).join().unwrap_or(Confinement::Nothing);
        #[cfg(not(target_os = "linux"))]
        return Confinement::Nothing;
    })
}

/// Limits of one process; the children of the child have them as well.
#[derive(Debug, Clone, Copy)]
pub(in crate::render) struct Bounds {
    /// Memory that it may write to.
    pub memory_bytes: u64,
    /// Processor time. A backstop for a child that outlives this process; the limit of wall time is the caller's.
    pub processor_time: Duration,
    /// Size of one file that it writes.
    pub file_bytes: u64,
}

/// Starts a child with these rights only. The command names its program by an absolute path.
///
/// # Errors
/// The program cannot be started, or the kernel refuses to confine it although it can.
pub(in crate::render) async fn spawn(command: Command, rights: &Rights<'_>, bounds: Bounds) -> io::Result<Child> {
    #[cfg(target_os = "linux")]
    return linux::spawn(command, rights, bounds).await;
    #[cfg(not(target_os = "linux"))]
    {
        let (mut command, _) = (command, (rights.place, rights.programs, rights.network));
        let _ = (bounds.memory_bytes, bounds.processor_time, bounds.file_bytes);
        command.spawn()
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{Bounds, Child, Command, Rights, io, landlock};

    /// Open files that a child may have; far more than any renderer needs.
    const MAX_OPEN_FILES: u64 = 1024;
    /// The kernel ends such a process first when memory runs out, and not the controller.
    const FIRST_TO_GO: &str = "1000";

    pub(super) async fn spawn(mut command: Command, rights: &Rights<'_>, bounds: Bounds) -> io::Result<Child> {
        let rules = landlock::rules(command.as_std().get_program().as_ref(), rights)?;
        let runtime = tokio::runtime::Handle::current();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // A child that nobody waits for any more is killed when it is dropped.
        std::thread::Builder::new().name("sandbox".into()).spawn(move || {
            let _entered = runtime.enter();
            let started = rules.restrict_this_thread().and_then(|()| {
                let child = command.spawn()?;
                limit(&child, bounds)?;
                Ok(child)
            });
            let _ = sender.send(started);
        })?;
        let child = receiver.await.map_err(|_| io::Error::other("the thread that starts programs was broken off"))??;
        if let Some(pid) = child.id() {
            // Only a preference, and not every container has the file.
            let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), FIRST_TO_GO);
        }
        Ok(child)
    }

    /// Sets the limits from outside, for a thread has none of its own: they hold about when the first instruction runs, long before
    /// a renderer has found its input.
    fn limit(child: &Child, bounds: Bounds) -> io::Result<()> {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else { return Ok(()) };
        for (resource, limit) in [
            (Resource::Data, bounds.memory_bytes),
            (Resource::Cpu, bounds.processor_time.as_secs().max(1)),
            (Resource::Fsize, bounds.file_bytes),
            (Resource::Nofile, MAX_OPEN_FILES),
            (Resource::Core, 0),
        ] {
            match prlimit(Some(pid), resource, Rlimit { current: Some(limit), maximum: Some(limit) }) {
                // It has ended already.
                Ok(_) | Err(rustix::io::Errno::SRCH) => {}
                // The limit of this process is lower already.
                Err(rustix::io::Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
