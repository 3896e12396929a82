//! What goes wrong while rendering, named for what happened to the user.

use std::time::Duration;

use crate::advice::{Advice, Remedy};
use crate::source::SourceError;

/// Why a source has no manifests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The files could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file or a program's output is no Kubernetes manifest.
    #[error("{origin}:{line}: {problem}")]
    InvalidManifest {
        /// The file, or the program whose output it is.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A field of the source holds something that cannot be used.
    #[error("spec.source.{field}: {problem}")]
    InvalidOption {
        /// Field below the source.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// More than one tool is configured.
    #[error("spec.source configures more than one tool: {}", tools.join(", "))]
    SeveralTools {
        /// The tool blocks that are present.
        tools: Vec<&'static str>,
    },
    /// Upstream does this, we do not yet.
    #[error("{what} is not supported yet")]
    NotSupportedYet {
        /// The feature, with the field or file that asks for it.
        what: String,
        /// What works instead.
        instead: String,
    },
    /// The files of a directory source are too big together.
    #[error("the manifests in `{path}` are larger than {limit_bytes} bytes together")]
    TooLarge {
        /// The directory.
        path: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// The program that renders is not installed.
    #[error("neither `kustomize` nor `kubectl` was found, one of which renders kustomizations")]
    ProgramMissing,
    /// Helm is not installed.
    #[error("`helm` was not found, which renders charts")]
    HelmMissing,
    /// A chart that the chart depends on could not be fetched.
    #[error("the dependency `{name}` of the chart cannot be fetched: {error}")]
    Dependency {
        /// Name of the dependency.
        name: String,
        /// What went wrong.
        error: SourceError,
    },
    /// The program that renders failed.
    #[error("{program} failed: {problem}")]
    ProgramFailed {
        /// The program.
        program: String,
        /// What it said.
        problem: String,
    },
    /// The program that renders took too long and was killed.
    #[error("{program} took longer than {} s and was stopped", limit.as_secs())]
    ProgramTimeout {
        /// The program.
        program: String,
        /// The limit.
        limit: Duration,
    },
    /// The program that renders wrote too much and was killed.
    #[error("{program} wrote more than {limit_bytes} bytes and was stopped")]
    OutputTooLarge {
        /// The program.
        program: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// The program that renders wanted too much memory and was stopped.
    #[error("{program} wanted more than {} MiB of memory and was stopped", limit_bytes >> 20)]
    OutOfMemory {
        /// The program.
        program: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// The machine we run on refused something.
    #[error("rendering needs a temporary folder and child processes: {problem}")]
    Machine {
        /// What failed.
        problem: String,
    },
}

impl RenderError {
    pub(super) fn machine(error: impl std::fmt::Display) -> Self {
        Self::Machine { problem: error.to_string() }
    }

    pub(super) fn option(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::InvalidOption { field: field.into(), problem: problem.into() }
    }
}

impl Advice for RenderError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Source(error) | Self::Dependency { error, .. } => error.remedy(),
            Self::Machine { .. } | Self::ProgramTimeout { .. } => Remedy::WaitAndRetry { after: Duration::from_secs(30) },
            _ => Remedy::FixInput,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Source(error) => return error.hint(),
            Self::Dependency { .. } => {
                "check `dependencies` in Chart.yaml; `helm dependency build` with the folder charts/ committed needs no network"
                    .into()
            }
            Self::InvalidManifest { .. } => {
                "correct the file; spec.source.directory.exclude leaves out a file of a plain directory".into()
            }
            Self::SeveralTools { .. } => "keep one of the blocks".into(),
            Self::NotSupportedYet { instead, .. } => instead.clone(),
            Self::TooLarge { .. } => "leave files out with spec.source.directory.exclude, or split the application".into(),
            Self::ProgramMissing => "install kustomize, or set GITOPS_KUSTOMIZE to its path".into(),
            Self::HelmMissing => "install Helm, or set GITOPS_HELM to its path".into(),
            Self::ProgramFailed { .. } => "run the same program on a checkout of this commit to see the error on its own".into(),
            Self::ProgramTimeout { .. } | Self::OutputTooLarge { .. } | Self::OutOfMemory { .. } => {
                "split the application, or make the kustomization or chart smaller".into()
            }
            Self::InvalidOption { .. } | Self::Machine { .. } => return None,
        })
    }
}
