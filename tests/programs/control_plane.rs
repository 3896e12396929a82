//! A local Kubernetes control plane for development and tests: real programs, no containers.

#[path = "../support/mod.rs"]
mod support;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kubectl_gitops::cli::Failure;
use kubectl_gitops::ui::stream;
use support::plane::{self, Layout};

/// Starts and stops a local Kubernetes control plane.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Starts a control plane and leaves it running; prints the path of its kubeconfig.
    Up {
        /// Folder for kubeconfig, logs and keys; must be new or empty.
        #[arg(long, default_value = ".cluster")]
        dir: PathBuf,
    },
    /// Stops the control plane that `up` started and removes its folder.
    Down {
        /// Folder that was given to `up`.
        #[arg(long, default_value = ".cluster")]
        dir: PathBuf,
    },
    /// Starts a control plane, runs a command with GITOPS_TEST_CLUSTER set to its folder, and stops it, whatever happens.
    Run {
        /// The command and its arguments.
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
    /// What `up` and `run` start in the background.
    #[command(hide = true)]
    Supervise {
        /// Main folder.
        dir: PathBuf,
        /// Folder of etcd's data.
        data: PathBuf,
    },
}

fn main() -> ExitCode {
    let code = match Args::parse().command {
        Task::Up { dir } => plane::up(&dir).map(|exit| exit as u8),
        Task::Down { dir } => plane::down(&dir).map(|exit| exit as u8),
        Task::Run { command } => runtime().block_on(plane::run(&command)),
        Task::Supervise { dir, data } => Ok(runtime().block_on(plane::supervise(Layout { dir, data })) as u8),
    };
    ExitCode::from(code.unwrap_or_else(|failure| report(&failure)))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime of one thread needs no resource")
}

fn report(failure: &Failure) -> u8 {
    stream::say(&format!("error: {}", failure.what));
    for cause in &failure.causes {
        stream::say(&format!("cause: {cause}"));
    }
    if let Some(hint) = &failure.hint {
        stream::say(&format!("hint:  {hint}"));
    }
    failure.exit as u8
}
