//! The renderer: looks at a source, asks its memory, renders what it does not remember.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use crate::api::application::{ApplicationSource, Directory};
use crate::source::{Charts, SourceTree, clean_path};

use super::cache::{DiskCache, Lru, RenderKey};
use super::environment::Environment;
use super::failures::Failures;
use super::{
    Confinement, Counters, Input, Options, RenderError, Rendered, Request, SourceType, Tools, blocking, confinement, detect,
    directory, helm, kustomize, manifests, program, unknown_fields,
};

/// Changes whenever the same inputs give another answer, so that nothing old is taken for it.
const RENDERER_VERSION: &str = "2";
/// How long an answer counts that depends on another machine: nothing in the commit tells when that changes.
const REMOTE_KEPT: Duration = Duration::from_secs(60 * 60);

/// Renders sources. Cheap to clone; clones share memory.
#[derive(Clone)]
pub struct Renderer {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) options: Options,
    tools: RwLock<Arc<Tools>>,
    memory: Mutex<Lru<Arc<Rendered>>>,
    disk: Option<DiskCache>,
    failures: Mutex<Failures>,
    renders: AtomicU64,
    hits: AtomicU64,
    /// By the path that the installation names; `None` is the usual one.
    kustomize: tokio::sync::Mutex<BTreeMap<Option<PathBuf>, program::Kustomize>>,
    helm: tokio::sync::OnceCell<program::Helm>,
    processes: tokio::sync::Semaphore,
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Renderer({:?})", self.counters())
    }
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was rendered.
    Rendered,
    /// It was in memory.
    Memory,
    /// It was on disk.
    Disk,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rendered => "rendered",
            Self::Memory => "remembered in memory",
            Self::Disk => "remembered on disk",
        })
    }
}

/// An answer and how it came about.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The answer.
    pub rendered: Arc<Rendered>,
    /// What it is remembered under.
    pub key: RenderKey,
    /// What renders it, with the version of its program.
    pub renderer: String,
    /// Where it came from this time.
    pub origin: Origin,
}

/// A render that was looked at but not done yet.
struct Prepared {
    job: Job,
    inputs: Vec<Input>,
    warnings: Vec<String>,
}

enum Job {
    Directory { tree: SourceTree, path: String, options: Directory },
    Kustomize(kustomize::Job),
    Helm(Box<helm::Job>),
}

impl Renderer {
    /// Makes a renderer that remembers nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            shared: Arc::new(Shared {
                tools: RwLock::new(Arc::new(options.tools.clone())),
                memory: Mutex::new(Lru::new(options.cache_bytes)),
                disk: options.disk_cache.clone().map(|folder| DiskCache::new(folder, options.disk_cache_bytes)),
                failures: Mutex::default(),
                renders: AtomicU64::new(0),
                hits: AtomicU64::new(0),
                kustomize: tokio::sync::Mutex::default(),
                helm: tokio::sync::OnceCell::new(),
                processes: tokio::sync::Semaphore::new(options.parallelism.max(1)),
                options,
            }),
        }
    }

    /// How often something was rendered or remembered since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { renders: self.shared.renders.load(Ordering::Relaxed), cache_hits: self.shared.hits.load(Ordering::Relaxed) }
    }

    /// Renders a source, or answers from memory when nothing it reads has changed. A failure is repeated for a while as well.
    ///
    /// # Errors
    /// The source is wrong, asks for something that is not supported, or the program that renders it fails.
    pub async fn render(&self, request: Request<'_>) -> Result<Arc<Rendered>, RenderError> {
        Ok(self.explain(request).await?.rendered)
    }

    /// Renders a source as [`Self::render`] does, and says how the answer came about.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub async fn explain(&self, request: Request<'_>) -> Result<Explained, RenderError> {
        let Request { source, tree, app, references, charts } = request;
        let (source, tree, app, references) = (source.clone(), tree.clone(), app.clone(), references.clone());
        let tools = self.tools();
        let prepared =
            move || prepare(&Request { source: &source, tree: &tree, app: &app, references: &references, charts: None }, &tools);
        let Prepared { mut job, inputs, warnings } = blocking(prepared).await?;
        if let Job::Helm(job) = &mut job {
            job.complete(charts).await?;
        }
        let renderer = self.renderer(&job).await?;
        let key = key(&renderer, &job, &inputs, &warnings, SystemTime::now())?;
        let explained = |rendered, origin| Explained { rendered, key: key.clone(), renderer: renderer.clone(), origin };
        let remote = job.remote();
        if let Some((rendered, origin)) = self.remembered(&key, remote).await? {
            self.shared.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(explained(rendered, origin));
        }
        if let Some(error) = self.failures().get(&key) {
            return Err(error);
        }
        self.shared.renders.fetch_add(1, Ordering::Relaxed);
        let (mut rendered, bytes) = match self.run(job, charts).await {
            Ok(done) => done,
            Err(error) => {
                self.failures().put(key, &error);
                return Err(error);
            }
        };
        rendered.inputs = inputs;
        rendered.warnings.splice(0..0, warnings);
        let rendered = Arc::new(rendered);
        self.memory().put(key.clone(), rendered.clone(), bytes as u64);
        if !remote {
            self.keep_on_disk(&key, &rendered).await?;
        }
        Ok(explained(rendered, Origin::Rendered))
    }

    async fn remembered(&self, key: &RenderKey, remote: bool) -> Result<Option<(Arc<Rendered>, Origin)>, RenderError> {
        if let Some(rendered) = self.memory().get(key) {
            return Ok(Some((rendered.clone(), Origin::Memory)));
        }
        if self.shared.disk.is_none() || remote {
            return Ok(None);
        }
        let (shared, on_disk) = (self.shared.clone(), key.clone());
        let found = blocking(move || {
            let rendered = shared.disk.as_ref().and_then(|disk| disk.get(&on_disk));
            Ok(rendered.map(|rendered| (manifests::text_bytes(&rendered.objects), Arc::new(rendered))))
        });
        let Some((bytes, rendered)) = found.await? else { return Ok(None) };
        self.memory().put(key.clone(), rendered.clone(), bytes);
        Ok(Some((rendered, Origin::Disk)))
    }

    async fn keep_on_disk(&self, key: &RenderKey, rendered: &Arc<Rendered>) -> Result<(), RenderError> {
        if self.shared.disk.is_none() {
            return Ok(());
        }
        let (shared, key, rendered) = (self.shared.clone(), key.clone(), rendered.clone());
        blocking(move || {
            if let Some(disk) = &shared.disk {
                disk.put(&key, &rendered);
            }
            Ok(())
        })
        .await
    }

    async fn run(&self, job: Job, charts: Option<&Charts>) -> Result<(Rendered, usize), RenderError> {
        match job {
            Job::Directory { tree, path, options } => {
                let measured = move || {
                    let found = directory::render(&tree, &path, &options)?;
                    let bytes = manifests::text_bytes(&found.objects);
                    Ok((found, usize::try_from(bytes).unwrap_or(usize::MAX)))
                };
                let (found, bytes) = blocking(measured).await?;
                let rendered = Rendered {
                    objects: found.objects,
                    source_type: SourceType::Directory,
                    warnings: found.warnings,
                    inputs: Vec::new(),
                };
                Ok((rendered, bytes))
            }
            Job::Kustomize(job) => {
                let kustomize = self.kustomize(job.command().program.clone()).await?;
                let _permit = self.shared.processes.acquire().await.map_err(RenderError::machine)?;
                let output = job.run(&kustomize, &self.shared.options).await?;
                from_program(output, kustomize.name(), SourceType::Kustomize, Vec::new()).await
            }
            Job::Helm(job) => {
                let helm = self.helm().await?.clone();
                let _permit = self.shared.processes.acquire().await.map_err(RenderError::machine)?;
                let output = job.run(&helm, &self.shared.options, charts).await?;
                from_program(output, program::HELM_TEMPLATE, SourceType::Helm, job.warnings(charts).await?).await
            }
        }
    }

    /// What renders the job, with the version of its program.
    async fn renderer(&self, job: &Job) -> Result<String, RenderError> {
        Ok(match job {
            Job::Directory { .. } => "directory".to_owned(),
            Job::Kustomize(job) => self.kustomize(job.command().program.clone()).await?.version().to_owned(),
            Job::Helm(_) => format!("helm {}", self.helm().await?.version()),
        })
    }

    /// The program in this place, or the usual one. Its version is asked for once.
    async fn kustomize(&self, named: Option<PathBuf>) -> Result<program::Kustomize, RenderError> {
        let mut known = self.shared.kustomize.lock().await;
        if let Some(found) = known.get(&named) {
            return Ok(found.clone());
        }
        let found = program::Kustomize::find(named.clone(), &self.shared.options).await?;
        known.insert(named, found.clone());
        Ok(found)
    }

    async fn helm(&self) -> Result<&program::Helm, RenderError> {
        self.shared.helm.get_or_try_init(|| program::Helm::find(&self.shared.options)).await
    }

    /// Takes over what the installation chose about tools; true when that is something else than before.
    #[must_use]
    pub fn replace_tools(&self, tools: Tools) -> bool {
        let mut current = self.shared.tools.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **current != tools;
        *current = Arc::new(tools);
        changed
    }

    fn tools(&self) -> Arc<Tools> {
        self.shared.tools.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Lru<Arc<Rendered>>> {
        self.shared.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    /// What the answer depends on besides renderer and inputs.
    fn fingerprint(&self) -> Result<String, RenderError> {
        match self {
            Self::Directory { options, .. } => serde_json::to_string(options).map_err(RenderError::machine),
            Self::Kustomize(job) => Ok(job.fingerprint()),
            Self::Helm(job) => Ok(job.fingerprint()),
        }
    }

    /// True when it depends on another machine.
    const fn remote(&self) -> bool {
        match self {
            Self::Directory { .. } | Self::Helm(_) => false,
            Self::Kustomize(job) => job.remote(),
        }
    }
}

/// The answer that a program wrote, and its size.
async fn from_program(
    output: String,
    program: &str,
    source_type: SourceType,
    warnings: Vec<String>,
) -> Result<(Rendered, usize), RenderError> {
    let (bytes, origin) = (output.len(), format!("output of {program}"));
    let objects = blocking(move || manifests::finish(manifests::from_output(&origin, &output)?, &origin)).await?;
    Ok((Rendered { objects, source_type, warnings, inputs: Vec::new() }, bytes))
}

/// Reads what tells whether the answer is known: the tool, its options, its inputs.
fn prepare(request: &Request<'_>, tools: &Tools) -> Result<Prepared, RenderError> {
    let Request { source, tree, app, .. } = *request;
    tree.check_links()?;
    let path = clean_path(&source.path)?;
    let files = tree.list(&path, false)?;
    let source = detect::with_overrides(source, tree, &files, app)?;
    let environment = Environment::new(app, &source, tree.revision());
    match detect::source_type(&source, &files, tools)? {
        SourceType::Directory => prepare_directory(&source, tree, path),
        SourceType::Kustomize => {
            let (job, inputs) = kustomize::prepare(&source, tree, &path, app, &environment, tools)?;
            let warnings = kustomize::warnings(&source).into_iter().chain(gap_of(confinement())).collect();
            Ok(Prepared { warnings, job: Job::Kustomize(job), inputs })
        }
        SourceType::Helm => {
            let request = Request { source: &source, ..*request };
            let (job, inputs, warnings) = helm::prepare(&request, &path, &environment)?;
            let warnings = warnings.into_iter().chain(gap_of(confinement())).collect();
            Ok(Prepared { warnings, job: Job::Helm(Box::new(job)), inputs })
        }
        SourceType::Plugin => Err(RenderError::NotSupportedYet {
            what: "spec.source.plugin".into(),
            instead: "commit the rendered manifests, or use kustomize or a plain directory".into(),
        }),
    }
}

fn prepare_directory(source: &ApplicationSource, tree: &SourceTree, path: String) -> Result<Prepared, RenderError> {
    let options = source.directory.clone().unwrap_or_default();
    let inputs = directory::inputs(tree, &path, &options)?;
    let warnings = unknown_fields("directory", &options.extra);
    Ok(Prepared { inputs, warnings, job: Job::Directory { tree: tree.clone(), path, options } })
}

/// Renderer, options, warnings; then what it reads. Warnings are part of the answer, so they are part of the key: two applications
/// may share the rest.
fn key(renderer: &str, job: &Job, inputs: &[Input], warnings: &[String], now: SystemTime) -> Result<RenderKey, RenderError> {
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let period = if job.remote() { (since_1970.as_secs() / REMOTE_KEPT.as_secs()).to_string() } else { String::new() };
    let (fingerprint, warnings) = (job.fingerprint()?, warnings.join("\n"));
    let what = [RENDERER_VERSION, renderer, &fingerprint, &warnings, &period];
    let inputs = inputs.iter().flat_map(|input| [input.path.as_str(), input.id.as_deref().unwrap_or("absent")]);
    Ok(RenderKey::of(what.into_iter().chain(inputs)))
}

/// What the user should know of a program that is not confined as it should be.
fn gap_of(confinement: Confinement) -> Option<String> {
    confinement.gap().map(ToOwned::to_owned)
}
