//! What tests, demo and benchmarks stand on: a local control plane of real programs, a Git server, the programs under test.
//!
//! ```text
//! plane/       etcd, kube-apiserver, controllers, scheduler and kwok as local processes, one supervisor per plane
//! cluster      a running plane as tests see it: clients, namespaces, kubeconfigs, the audit log
//! git/         bare repositories over loopback HTTP, every request counted
//! install      the shipped CRDs and rights, for a control namespace of the test's choice
//! controller   our controller as a process under its own ServiceAccount
//! packages/    charts and artifacts: archives, a Helm repository over HTTP, an OCI registry
//! original     the Sealed Secrets controller as a process, in what it takes for a pod
//! service      a Service that leads the API server's proxy to one of these processes
//! process      any child process that may not outlive its test
//! ```
//!
//! The functions that tests call panic with the whole story, because a test has nobody to hand an error to. The functions
//! under `plane` return a [`Failure`](kubectl_gitops::cli::Failure), because the programs print it.
#![allow(dead_code, unused_imports, reason = "compiled into several programs, each of which uses a part")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on ends with a panic that says why")]

pub mod audit;
pub mod cluster;
pub mod controller;
pub mod eventually;
pub mod git;
pub mod http;
pub mod install;
pub mod namespace;
pub mod original;
pub mod packages;
pub mod plane;
pub mod ports;
pub mod process;
pub mod service;
pub mod signal;
pub mod tools;

pub use audit::{Audit, AuditEntry};
pub use cluster::Cluster;
pub use controller::ControllerProcess;
pub use eventually::eventually;
pub use git::{GitRepo, GitServer};
pub use namespace::TestNamespace;
pub use process::Process;
pub use tools::tools;
