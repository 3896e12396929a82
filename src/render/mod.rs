//! Turns the files of a commit into manifests. The answer is remembered by content: a commit that changes nothing an
//! application reads renders nothing.
//!
//! ```text
//!  source + overrides ──> which tool ──> inputs (path, git id) ──> RenderKey ──> memory, disk ──hit──> Rendered
//!                                                                                  └─miss─> directory: in this process
//!                                                                                           kustomize, helm: child processes
//! ```

mod cache;
mod detect;
mod directory;
mod environment;
mod error;
mod failures;
mod glob;
mod helm;
mod kustomize;
mod manifests;
mod place;
mod program;
mod renderer;
mod sandbox;
mod tools;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::application::ApplicationSource;
use crate::cluster::Capabilities;
use crate::resource::Object;
use crate::source::{Charts, SourceTree};

pub use cache::RenderKey;
pub use directory::MAX_COMBINED_BYTES;
pub use error::RenderError;
pub use helm::{Reference, References};
pub use renderer::{Explained, Origin, Renderer};
pub use sandbox::{Confinement, confinement};
pub use tools::{KustomizeVersion, Tools};

/// How to render.
#[derive(Debug, Clone)]
pub struct Options {
    /// Most bytes of manifests that are remembered in memory.
    pub cache_bytes: u64,
    /// Folder in which they are remembered as well; nowhere when absent. It may be deleted at any time.
    pub disk_cache: Option<PathBuf>,
    /// Most bytes of that folder.
    pub disk_cache_bytes: u64,
    /// What the installation chose about the tools.
    pub tools: Tools,
    /// The kustomize program; found through `GITOPS_KUSTOMIZE` and `PATH` when absent.
    pub kustomize: Option<PathBuf>,
    /// The helm program; found through `GITOPS_HELM` and `PATH` when absent.
    pub helm: Option<PathBuf>,
    /// Folder for checkouts of child processes; the system's when absent.
    pub temp_dir: Option<PathBuf>,
    /// Limit of one child process.
    pub timeout: Duration,
    /// Most bytes that a child process may write.
    pub max_output_bytes: usize,
    /// Child processes at a time.
    pub parallelism: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            // About a thousand applications of 64 KiB each.
            cache_bytes: 64 << 20,
            disk_cache: None,
            disk_cache_bytes: 512 << 20,
            tools: Tools::default(),
            kustomize: None,
            helm: None,
            temp_dir: None,
            // Argo CD's limit for programs.
            timeout: Duration::from_secs(90),
            // Half of what the reader takes; etcd would hold no application of this size.
            max_output_bytes: crate::resource::yaml::MAX_INPUT_BYTES / 2,
            parallelism: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
        }
    }
}

/// The application for which a source is rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppIdentity {
    /// Name of the Application.
    pub app_name: String,
    /// Instance name: the name, with `namespace_` in front outside the control namespace.
    pub instance_name: String,
    /// Project, `default` when the Application names none.
    pub project: String,
    /// Namespace of the destination.
    pub destination_namespace: String,
    /// What the destination serves.
    pub cluster: Arc<Capabilities>,
}

/// What to render.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Where the manifests come from.
    pub source: &'a ApplicationSource,
    /// The files of the resolved commit.
    pub tree: &'a SourceTree,
    /// For whom.
    pub app: &'a AppIdentity,
    /// Sources that this one may refer to.
    pub references: &'a References,
    /// Where charts that a chart depends on come from; without it, whatever is not there already is an error.
    pub charts: Option<&'a Charts>,
}

impl<'a> Request<'a> {
    /// A request that refers to nothing else.
    #[must_use]
    pub fn new(source: &'a ApplicationSource, tree: &'a SourceTree, app: &'a AppIdentity) -> Self {
        static NONE: References = References::new();
        Self { source, tree, app, references: &NONE, charts: None }
    }
}

/// The tool that rendered; the values of `status.sourceType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceType {
    /// Plain files.
    #[default]
    Directory,
    /// Kustomize.
    Kustomize,
    /// Helm.
    Helm,
    /// A config management plugin.
    Plugin,
}

impl std::fmt::Display for SourceType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Directory => "Directory",
            Self::Kustomize => "Kustomize",
            Self::Helm => "Helm",
            Self::Plugin => "Plugin",
        })
    }
}

/// The answer. Lists are taken apart; duplicates are left to the caller.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rendered {
    /// The objects, in the order of the source.
    pub objects: Vec<Object>,
    /// The tool that rendered.
    pub source_type: SourceType,
    /// What the user should know, such as fields that have no effect.
    pub warnings: Vec<String>,
    /// What the answer depends on; the whole commit when that could not be told more exactly.
    pub inputs: Vec<Input>,
}

/// One file or folder that a render depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Input {
    /// Path from the root of the repository; empty for the whole commit.
    pub path: String,
    /// Git object id; `None` when the answer depends on nothing being there.
    pub id: Option<String>,
}

/// How often something was rendered or remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Renders that were done.
    pub renders: u64,
    /// Answers that were remembered, in memory or on disk.
    pub cache_hits: u64,
}

fn unknown_fields(block: &str, extra: &crate::api::Extra) -> Vec<String> {
    extra.keys().map(|field| format!("spec.source.{block}.{field} is not known and has no effect")).collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, RenderError> + Send + 'static) -> Result<T, RenderError> {
    // The library's text has a number in it that is another one in every try.
    tokio::task::spawn_blocking(work).await.map_err(|_| RenderError::machine("rendering was broken off"))?
}
