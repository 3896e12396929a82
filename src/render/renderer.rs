//! The renderer: looks at a source, asks its memory, renders what it does not remember.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::application::{ApplicationSource, Directory};
use crate::source::{Charts, SourceTree, clean_path};

use super::cache::{Cache, RenderKey};
use super::environment::Environment;
use super::failures::Failures;
use super::{
    Counters, Input, Options, RenderError, Rendered, Request, SourceType, blocking, detect, directory, helm, kustomize,
    manifests, program, unknown_fields,
};

/// Changes whenever the same inputs give another answer, so that nothing old is taken for it.
const RENDERER_VERSION: &str = "1";

/// Renders sources. Cheap to clone; clones share memory.
#[derive(Clone)]
pub struct Renderer {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) options: Options,
    cache: Mutex<Cache>,
    failures: Mutex<Failures>,
    renders: AtomicU64,
    hits: AtomicU64,
    kustomize: tokio::sync::OnceCell<program::Kustomize>,
    helm: tokio::sync::OnceCell<program::Helm>,
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
    Directory { tree: SourceTree, path: String, options: Directory },
    Kustomize(kustomize::Job),
    Helm(helm::Job),
}

impl Renderer {
    /// Makes a renderer that remembers nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let cache = Mutex::new(Cache::new(options.cache_bytes));
        let processes = tokio::sync::Semaphore::new(options.parallelism.max(1));
        Self {
            shared: Arc::new(Shared {
                options,
                cache,
                failures: Mutex::default(),
                renders: AtomicU64::new(0),
                hits: AtomicU64::new(0),
                kustomize: tokio::sync::OnceCell::new(),
                helm: tokio::sync::OnceCell::new(),
                processes,
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
        let Request { source, tree, app, references, charts } = request;
        let (source, tree, app, references) = (source.clone(), tree.clone(), app.clone(), references.clone());
        let prepared =
            move || prepare(&Request { source: &source, tree: &tree, app: &app, references: &references, charts: None });
        let Prepared { mut job, inputs, warnings } = blocking(prepared).await?;
        if let Job::Helm(job) = &mut job {
            job.complete(charts).await?;
        }
        let key = self.key(&job, &inputs, &warnings).await?;
        if let Some(rendered) = self.cache().get(&key) {
            self.shared.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(rendered);
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
        self.cache().put(key, rendered.clone(), bytes);
        Ok(rendered)
    }

    async fn run(&self, job: Job, charts: Option<&Charts>) -> Result<(Rendered, usize), RenderError> {
        match job {
            Job::Directory { tree, path, options } => {
                let measured = move || {
                    let found = directory::render(&tree, &path, &options)?;
                    let bytes = found.objects.iter().map(|object| object.to_value().to_string().len()).sum();
                    Ok((found, bytes))
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
                let kustomize = self.kustomize().await?.clone();
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

    /// Warnings are part of the answer, so they are part of the key: two applications may share the rest.
    async fn key(&self, job: &Job, inputs: &[Input], warnings: &[String]) -> Result<RenderKey, RenderError> {
        let warnings = warnings.join("\n");
        Ok(match job {
            Job::Directory { options, .. } => {
                let options = serde_json::to_string(options).map_err(RenderError::machine)?;
                key(["directory", "", &options, &warnings], inputs)
            }
            Job::Helm(job) => key(["helm", self.helm().await?.version(), &job.fingerprint(), &warnings], inputs),
            Job::Kustomize(job) => key(["kustomize", self.kustomize().await?.version(), &job.fingerprint(), &warnings], inputs),
        })
    }

    async fn kustomize(&self) -> Result<&program::Kustomize, RenderError> {
        self.shared.kustomize.get_or_try_init(|| program::Kustomize::find(&self.shared.options)).await
    }

    async fn helm(&self) -> Result<&program::Helm, RenderError> {
        self.shared.helm.get_or_try_init(|| program::Helm::find(&self.shared.options)).await
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.shared.cache.lock().unwrap_or_else(PoisonError::into_inner)
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
fn prepare(request: &Request<'_>) -> Result<Prepared, RenderError> {
    let Request { source, tree, app, .. } = *request;
    tree.check_links()?;
    let path = clean_path(&source.path)?;
    let files = tree.list(&path, false)?;
    let source = detect::with_overrides(source, tree, &files, app)?;
    let environment = Environment::new(app, &source, tree.revision());
    match detect::source_type(&source, &files)? {
        SourceType::Directory => prepare_directory(&source, tree, path),
        SourceType::Kustomize => {
            let (job, inputs) = kustomize::prepare(&source, tree, &path, &environment)?;
            Ok(Prepared { warnings: kustomize::warnings(&source), job: Job::Kustomize(job), inputs })
        }
        SourceType::Helm => {
            let request = Request { source: &source, ..*request };
            let (job, inputs, warnings) = helm::prepare(&request, &path, &environment)?;
            Ok(Prepared { warnings, job: Job::Helm(job), inputs })
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

/// Renderer, version of its program, options, warnings; then what it reads.
fn key(what: [&str; 4], inputs: &[Input]) -> RenderKey {
    let inputs = inputs.iter().flat_map(|input| [input.path.as_str(), input.id.as_deref().unwrap_or("absent")]);
    RenderKey::of([RENDERER_VERSION].into_iter().chain(what).chain(inputs))
}
