//! The record of a plane's processes: what `down` ends, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use kubectl_gitops::cli::Failure;
use serde::{Deserialize, Serialize};

use super::Layout;
use super::layout::{PREFIX, scratch};
use crate::support::signal::{ProcessId, Signal};

/// How long programs get to end in order before they are killed. The data is thrown away, so there is little to finish.
pub const GRACE: Duration = Duration::from_secs(5);

/// One recorded process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The program's name.
    pub name: String,
    /// The process.
    #[serde(flatten)]
    pub id: ProcessId,
}

/// What `processes.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The folders to remove.
    pub layout: Layout,
    /// The process that looks after the others.
    pub supervisor: ProcessId,
    /// The others, in the order they were started.
    pub processes: Vec<Entry>,
}

impl Record {
    /// Reads the record of the plane in a folder; `None` when there is none.
    pub fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path(dir)).ok()?).ok()
    }

    /// Writes the record so that a reader never sees half of it.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self) -> Result<(), Failure> {
        let path = path(&self.layout.dir);
        let part = path.with_extension("part");
        let text = serde_json::to_vec_pretty(self).expect("the record has only strings and numbers");
        fs::write(&part, text)
            .and_then(|()| fs::rename(&part, &path))
            .map_err(|cause| Failure::new(format!("cannot write {}", path.display())).with_cause(&cause))
    }

    /// Tells whether somebody looks after this plane.
    pub fn is_live(&self) -> bool {
        self.supervisor.is_alive()
    }

    /// Tells whether the plane has become ready and is looked after.
    pub fn is_ready(&self) -> bool {
        self.is_live() && self.layout.file("ready").is_file()
    }

    /// Ends what a supervisor that was killed left behind, and removes the folders.
    pub fn clean_up(&self) {
        let (etcd, others): (Vec<_>, Vec<_>) = self.processes.iter().partition(|entry| entry.name == "etcd");
        for group in [others, etcd] {
            let ids: Vec<ProcessId> = group.iter().map(|entry| entry.id).collect();
            end(&ids, GRACE);
        }
        let _ = fs::remove_dir_all(&self.layout.data);
        let _ = fs::remove_dir_all(&self.layout.dir);
    }
}

/// Asks processes to end and kills those that do not within `grace`.
pub fn end(ids: &[ProcessId], grace: Duration) {
    for id in ids {
        id.signal(Signal::Terminate);
    }
    if !wait_gone(ids, grace) {
        for id in ids {
            id.signal(Signal::Kill);
        }
        wait_gone(ids, grace);
    }
}

/// Waits until none of these processes runs any more.
pub fn wait_gone(ids: &[ProcessId], timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    while ids.iter().any(|id| id.is_alive()) {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Cleans up after throw-away planes whose supervisor was killed.
pub fn sweep_abandoned() {
    let Ok(entries) = fs::read_dir(scratch()) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        if let Some(record) = Record::read(&entry.path()).filter(|record| !record.is_live()) {
            record.clean_up();
        }
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("processes.json")
}
