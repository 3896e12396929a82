//! Where a plane keeps what.

use std::path::{Path, PathBuf};

use kubectl_gitops::cli::Failure;
use serde::{Deserialize, Serialize};

/// First part of the names of throw-away folders.
pub const PREFIX: &str = "kubectl-gitops-plane-";

/// The folders of one plane: a main folder, and one for etcd's data that is on tmpfs where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The main folder. It holds credentials, so only its owner may enter.
    pub dir: PathBuf,
    /// The folder of etcd's data. It may lie inside the main one.
    pub data: PathBuf,
}

impl Layout {
    /// The layout of a plane that lives in a folder of its own below [`scratch`].
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn temporary() -> Result<Self, Failure> {
        let dir = make_scratch_dir()?;
        let data = dir.join("etcd");
        Ok(Self { dir, data })
    }

    /// The layout of a plane in a folder that the user chose; the data goes to tmpfs all the same.
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub fn at(dir: &Path) -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt;
        let cannot = |cause| Failure::new(format!("cannot make the folder {}", dir.display())).with_cause(&cause);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(cannot)?;
        Ok(Self { dir: dir.canonicalize().map_err(cannot)?, data: make_scratch_dir()? })
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// The audit log, one JSON object per line.
    pub fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    /// What a program printed.
    pub fn log(&self, program: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{program}.log"))
    }

    /// Certificates and keys.
    pub fn pki(&self, file: &str) -> PathBuf {
        self.dir.join("pki").join(file)
    }

    /// Any other file.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The folder for throw-away data: memory where Linux offers it, because etcd waits for the disk on every write.
pub fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

fn make_scratch_dir() -> Result<PathBuf, Failure> {
    let root = scratch();
    let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&root);
    made.map(tempfile::TempDir::keep)
        .map_err(|cause| Failure::new(format!("cannot make a folder in {}", root.display())).with_cause(&cause))
}
