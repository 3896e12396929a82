//! Turns the files of a commit into manifests. The answer is remembered by content: a commit that changes nothing an
//! application reads renders nothing.
//!
//! ```text
//!  source + overrides ──> which tool ──> inputs (path, git id) ──> RenderKey ──> cache ──hit──> Rendered
//!                                                                                  └─miss─> directory: in this process
//!                                                                                           kustomize: a child process
//! ```

mod cache;
mod detect;
mod directory;
mod environment;
mod error;
mod glob;
mod kustomize;
mod manifests;
mod program;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::api::application::ApplicationSource;
use crate::resource::Object;
use crate::source::{SourceTree, clean_path};

use cache::Cache;
use environment::Environment;

pub use cache::RenderKey;
pub use directory::MAX_COMBINED_BYTES;
pub use error::RenderError;

/// Changes whenever the same inputs give another answer, so that nothing old is taken for it.
const RENDERER_VERSION: &str = "1";

/// How to render.
#[derive(Debug, Clone)]
pub struct Options {
    /// Most bytes of manifests that are remembered.
    pub cache_bytes: usize,
    /// The kustomize program; found through `GITOPS_KUSTOMIZE` and `PATH` when absent.
    pub kustomize: Option<PathBuf>,
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
            kustomize: None,
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
}

/// The tool that rendered; the values of `status.sourceType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
#[derive(Debug, Clone, Default, PartialEq)]
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Answers from memory.
    pub cache_hits: u64,
}

/// Renders sources. Cheap to clone; clones share memory.
#[derive(Clone)]
pub struct Renderer {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    cache: Mutex<Cache>,
    renders: AtomicU64,
    hits: AtomicU64,
    kustomize: tokio::sync::OnceCell<program::Kustomize>,
    processes: tokio::sync::Semaphore,
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Renderer({:?})", self.counters())
    }
}

/// A render that was looked at but not done yet.
struct Prepared {
    job: Job,
    inputs: Vec<Input>,
    warnings: Vec<String>,
}

enum Job {
    Directory { tree: SourceTree, path: String, options: crate::api::application::Directory },
    Kustomize(kustomize::Job),
}

impl Renderer {
    /// Makes a renderer that remembers nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let cache = Mutex::new(Cache::new(options.cache_bytes));
        let processes = tokio::sync::Semaphore::new(options.parallelism.max(1));
        let kustomize = tokio::sync::OnceCell::new();
        Self {
            shared: Arc::new(Shared {
                options,
                cache,
                renders: AtomicU64::new(0),
                hits: AtomicU64::new(0),
                kustomize,
                processes,
            }),
        }
    }

    /// How often something was rendered or remembered since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { renders: self.shared.renders.load(Ordering::Relaxed), cache_hits: self.shared.hits.load(Ordering::Relaxed) }
    }

    /// Renders a source, or answers from memory when nothing it reads has changed.
    ///
    /// # Errors
    /// The source is wrong, asks for something that is not supported, or the program that renders it fails.
    pub async fn render(&self, request: Request<'_>) -> Result<Arc<Rendered>, RenderError> {
        let Request { source, tree, app } = request;
        let (source, tree, app) = (source.clone(), tree.clone(), app.clone());
        let Prepared { job, inputs, warnings } = blocking(move || prepare(&source, &tree, &app)).await?;
        let key = self.key(&job, &inputs).await?;
        if let Some(rendered) = self.cache().get(&key) {
            self.shared.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(rendered);
        }
        self.shared.renders.fetch_add(1, Ordering::Relaxed);
        let (mut rendered, bytes) = self.run(job).await?;
        rendered.inputs = inputs;
        rendered.warnings.splice(0..0, warnings);
        let rendered = Arc::new(rendered);
        self.cache().put(key, rendered.clone(), bytes);
        Ok(rendered)
    }

    async fn run(&self, job: Job) -> Result<(Rendered, usize), RenderError> {
        match job {
            Job::Directory { tree, path, options } => {
                let found = blocking(move || directory::render(&tree, &path, &options)).await?;
                let bytes = found.objects.iter().map(|object| object.to_value().to_string().len()).sum();
                let rendered = Rendered {
                    objects: found.objects,
                    source_type: SourceType::Directory,
                    warnings: found.warnings,
                    inputs: Vec::new(),
                };
                Ok((rendered, bytes))
            }
            Job::Kustomize(job) => {
                let kustomize = self.kustomize().await?.clone();
                let _permit = self.shared.processes.acquire().await.map_err(RenderError::machine)?;
                let output = job.run(&kustomize, &self.shared.options).await?;
                let bytes = output.len();
                let origin = format!("output of {}", kustomize.name());
                let objects = blocking(move || manifests::finish(manifests::from_output(&origin, &output)?, &origin)).await?;
                Ok((Rendered { objects, source_type: SourceType::Kustomize, warnings: Vec::new(), inputs: Vec::new() }, bytes))
            }
        }
    }

    async fn key(&self, job: &Job, inputs: &[Input]) -> Result<RenderKey, RenderError> {
        Ok(match job {
            Job::Directory { options, .. } => {
                let options = serde_json::to_string(options).map_err(RenderError::machine)?;
                key("directory", "", &options, inputs)
            }
            Job::Kustomize(job) => key("kustomize", self.kustomize().await?.version(), &job.fingerprint(), inputs),
        })
    }

    async fn kustomize(&self) -> Result<&program::Kustomize, RenderError> {
        self.shared.kustomize.get_or_try_init(|| program::Kustomize::find(&self.shared.options)).await
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.shared.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what tells whether the answer is known: the tool, its options, its inputs.
fn prepare(source: &ApplicationSource, tree: &SourceTree, app: &AppIdentity) -> Result<Prepared, RenderError> {
    refuse_unsupported(source)?;
    tree.check_links()?;
    let path = clean_path(&source.path)?;
    let files = tree.list(&path, false)?;
    let source = detect::with_overrides(source, tree, &files, app)?;
    let environment = Environment::new(app, &source, tree.commit().as_str());
    match detect::source_type(&source, &files)? {
        SourceType::Directory => prepare_directory(&source, tree, path),
        SourceType::Kustomize => {
            let (job, inputs) = kustomize::prepare(&source, tree, &path, &environment)?;
            Ok(Prepared { warnings: kustomize::warnings(&source), job: Job::Kustomize(job), inputs })
        }
        SourceType::Helm => Err(RenderError::NotSupportedYet {
            what: format!("Helm (the chart in `{}`)", source.path),
            instead: "commit the output of `helm template`, or set spec.source.directory.recurse for a folder of plain manifests"
                .into(),
        }),
        SourceType::Plugin => Err(RenderError::NotSupportedYet {
            what: "spec.source.plugin".into(),
            instead: "commit the rendered manifests, or use kustomize or a plain directory".into(),
        }),
    }
}

fn refuse_unsupported(source: &ApplicationSource) -> Result<(), RenderError> {
    if source.chart.is_empty() {
        return Ok(());
    }
    Err(RenderError::NotSupportedYet {
        what: format!("a chart from a Helm repository (spec.source.chart `{}`)", source.chart),
        instead: "commit the output of `helm template` to a Git repository".into(),
    })
}

fn prepare_directory(source: &ApplicationSource, tree: &SourceTree, path: String) -> Result<Prepared, RenderError> {
    let options = source.directory.clone().unwrap_or_default();
    let mut inputs = vec![Input { path: path.clone(), id: tree.id_of(&path)? }];
    let linked = directory::linked_files(tree, &path, &options)?;
    inputs.extend(linked.into_iter().map(|entry| Input { path: entry.path, id: Some(entry.id) }));
    let warnings = unknown_fields("directory", &options.extra);
    Ok(Prepared { inputs, warnings, job: Job::Directory { tree: tree.clone(), path, options } })
}

fn unknown_fields(block: &str, extra: &crate::api::Extra) -> Vec<String> {
    extra.keys().map(|field| format!("spec.source.{block}.{field} is not known and has no effect")).collect()
}

fn key(renderer: &str, version: &str, options: &str, inputs: &[Input]) -> RenderKey {
    let inputs = inputs.iter().flat_map(|input| [input.path.as_str(), input.id.as_deref().unwrap_or("absent")]);
    RenderKey::of([RENDERER_VERSION, renderer, version, options].into_iter().chain(inputs))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, RenderError> + Send + 'static) -> Result<T, RenderError> {
    tokio::task::spawn_blocking(work).await.map_err(RenderError::machine)?
}
