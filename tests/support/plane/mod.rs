//! A local control plane: real programs as plain processes on 127.0.0.1, no containers.
//!
//! ```text
//!  up / run ──spawns──> supervise ──spawns──> etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok
//!     │  <── reports ──     │                        every pid and start time in processes.json
//!     └── orders ──────>    └─ ends them all and removes the folder: on SIGTERM, when one of them dies,
//!                              or when the pipe of orders closes before `Detach` was said
//! ```
//!
//! The pipe is what makes `run` safe: whatever ends the runner, even SIGKILL, closes it.

pub mod commands;
pub mod files;
pub mod handle;
pub mod layout;
pub mod pki;
pub mod record;
pub mod runner;
pub mod start;
pub mod supervisor;

pub use handle::Plane;
pub use layout::Layout;
pub use runner::{down, run, up};
pub use supervisor::supervise;
