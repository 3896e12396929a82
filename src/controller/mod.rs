//! The loops of `gitops-controller`.
//!
//! ```text
//!  Applications ──watch──┐
//!  projects ─────watch───┤                        ┌─ operation::step ─┐
//!  repositories ──poll───┼─> reconcile one app ───┤                   ├──> one status patch, only on a change
//!  live objects ─watch───┘                        └─ look (compare) ──┘
//!  ApplicationSets, owned Applications, clusters, repositories ──> applicationset::run
//!  SealedSecrets, sealing keys ──watch──> sealedsecret::run
//! ```

mod application_loop;
mod applications;
pub mod applicationset;
mod assessment;
mod compare;
mod context;
mod deletion;
mod events;
mod housekeeping;
mod http;
mod identity;
mod inputs;
mod metrics;
mod operation;
mod registered;
pub mod sealedsecret;
mod settings;
mod settings_watch;
mod status;
mod webhook;
mod windows;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DynamicObject, PostParams};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::context::Context;
pub use self::http::Limit;
use self::settings::Settings;
use crate::advice::{Advice, Remedy};
use crate::api::AppProject;
use crate::cluster::{Discovery, Lens, LiveCache, Writer};
use crate::project::default_project;
use crate::render::{self, Renderer};
use crate::source::{self, Repositories};

/// Name of the settings ConfigMap.
const SETTINGS: &str = "argocd-cm";
/// Name of the ConfigMap of process parameters.
const PARAMETERS: &str = "argocd-cmd-params-cm";

/// What the controller is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Namespace that Applications, projects, settings and sealing keys live in.
    pub control_namespace: String,
    /// What the installation chose about sealing.
    pub sealing: sealedsecret::SealingOptions,
    /// What the installation chose about ApplicationSets.
    pub appsets: applicationset::AppsetOptions,
    /// Where `/healthz`, `/readyz`, `/metrics` and the API for kubeseal are served.
    pub listen_address: SocketAddr,
    /// How often one client may ask to verify or rotate.
    pub rate_limit: Limit,
    /// Folder for mirrors and render results; may be lost at any time.
    pub cache_dir: PathBuf,
}

/// Why the controller could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server said no or did not answer at start.
    #[error("cannot {what}")]
    Start {
        /// What was tried.
        what: &'static str,
        /// What the API server said.
        #[source]
        cause: kube::Error,
    },
    /// The port is taken or not allowed.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// Requests to services outside the cluster cannot be made.
    #[error("cannot make an HTTP client")]
    HttpClient {
        /// What the library said.
        #[source]
        cause: reqwest::Error,
    },
    /// A loop ended that runs for ever.
    #[error("the {name} loop ended: {message}")]
    LoopEnded {
        /// The loop.
        name: &'static str,
        /// Why, as far as it is known.
        message: String,
    },
}

impl Advice for Error {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Start { .. } => Remedy::GrantAccess,
            Self::Listen { .. } => Remedy::FixInput,
            Self::HttpClient { .. } | Self::LoopEnded { .. } => Remedy::ReportBug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Start { .. } => {
                Some("apply the shipped manifests (kubectl apply -k deploy) and check the ServiceAccount".into())
            }
            Self::Listen { .. } => Some("choose another --listen-address".into()),
            Self::HttpClient { .. } | Self::LoopEnded { .. } => None,
        }
    }
}

/// Runs all loops until one of them ends, which is an error: Kubernetes then restarts the process.
///
/// # Errors
/// When the start fails or a loop ends.
pub async fn run(client: Client, options: Options) -> Result<(), Error> {
    let listener = TcpListener::bind(options.listen_address)
        .await
        .map_err(|cause| Error::Listen { address: options.listen_address, cause })?;
    let settings = load_settings(&client, &options.control_namespace).await?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(gap) = render::confinement().gap() {
        tracing::warn!("{gap}");
    }
    ensure_default_project(&client, &options.control_namespace).await?;

    let mut loops: JoinSet<(&'static str, String)> = JoinSet::new();
    let listed = Listed::default();
    let (projects, project_changes) = watch_projects(&client, &options.control_namespace, &listed, &mut loops);
    let lens = Lens::new(settings.resources.clone());
    let (cache, live_changes) = LiveCache::new(client.clone(), lens.clone());
    let repositories = Repositories::new(source::Options {
        poll_interval: settings.poll_interval,
        jitter: settings.jitter,
        submodules: settings.submodules,
        ..source::Options::new(options.cache_dir.join("git"))
    });
    let sealing = sealedsecret::SealingContext::new(client.clone(), options.control_namespace.clone());
    let sealing = Arc::new(sealing.with_options(options.sealing));
    loops.spawn(new_key_on_signal(Arc::clone(&sealing)));
    let cx = Arc::new(Context {
        repositories: repositories.clone(),
        renderer: Renderer::new(render::Options {
            temp_dir: Some(options.cache_dir.join("render")),
            disk_cache: Some(options.cache_dir.join("manifests")),
            tools: settings.tools.clone(),
            ..render::Options::default()
        }),
        discovery: Discovery::new(client.clone()),
        cache,
        writer: Writer::new(client.clone()),
        lens,
        projects,
        events: events::Events::new(client.clone(), "argocd-application-controller"),
        metrics: metrics::Metrics::new(),
        verdicts: std::sync::Mutex::default(),
        control_namespace: options.control_namespace.clone(),
        client,
    });
    cx.metrics.include(sealing.metrics());
    cx.metrics.show_confinement(render::confinement());
    let (pages, keys) = (pages(&cx, &sealing, &listed), Arc::clone(&sealing));
    let (deliveries, events) = webhook::Deliveries::new(settings.max_webhook_bytes);
    let (secrets, routes) = (deliveries.secrets(), webhook::routes(deliveries));
    loops.spawn(async move { ("http", text(http::serve(listener, pages, keys, options.rate_limit, routes).await)) });
    loops.spawn(async move { ("sealing", text(sealedsecret::run(sealing).await)) });
    let poll_interval = settings.poll_interval;
    let settings_changes = settings_watch::follow(&cx, settings, &mut loops);
    let registered_changes = keep_registered(&cx, secrets, &listed, &mut loops);
    let changes = futures::stream::select_all([project_changes, settings_changes, registered_changes]).boxed();
    let (owned, owned_changes) = futures::channel::mpsc::unbounded();
    let owned = applicationset::OwnedApplications::new(owned, options.appsets.progressive_syncs);
    let (apps, applications) = application_loop::start(&cx, &listed, live_changes, changes, owned);
    let (webhooks, known) = (Arc::clone(&cx), apps.clone());
    loops.spawn(async move {
        webhook::run(events, webhooks, known).await;
        ("webhooks", "the queue of deliveries ended".to_owned())
    });
    let used = Arc::default();
    loops.spawn(housekeeping::run(Arc::clone(&cx), listed.clone(), apps.clone(), Arc::clone(&used)));
    let sets = applicationset_context(&cx, apps, used, poll_interval, options.appsets)?;
    let clusters = sets.clusters.clone().watch(cx.client.clone(), cx.control_namespace.clone());
    loops.spawn(async move {
        clusters.await;
        ("clusters", "the stream of cluster Secrets ended".to_owned())
    });
    let lists = listed.clone();
    loops.spawn(async move {
        // Without them every Application would seem to be missing, and every project.
        lists.wait_for_projects().await;
        lists.wait_for_applications().await;
        lists.wait_for_registered().await;
        applicationset::run(sets, owned_changes).await;
        ("applicationsets", "the stream of ApplicationSets ended".to_owned())
    });
    loops.spawn(async move {
        // Without the projects every Application would seem to refer to one that does not exist.
        listed.wait_for_projects().await;
        // And without the credentials every private repository would seem to be closed.
        listed.wait_for_registered().await;
        applications.await;
        ("applications", "the stream of Applications ended".to_owned())
    });
    match loops.join_next().await {
        Some(Ok((name, message))) => Err(Error::LoopEnded { name, message }),
        Some(Err(error)) => Err(Error::LoopEnded { name: "controller", message: error.to_string() }),
        None => Ok(()),
    }
}

/// What the ApplicationSet loop works with.
fn applicationset_context(
    cx: &Context,
    apps: Store<DynamicObject>,
    used: Arc<applicationset::UsedRepositories>,
    poll_interval: Duration,
    options: applicationset::AppsetOptions,
) -> Result<Arc<applicationset::Context>, Error> {
    Ok(Arc::new(applicationset::Context {
        client: cx.client.clone(),
        control_namespace: cx.control_namespace.clone(),
        repositories: cx.repositories.clone(),
        poll_interval,
        projects: cx.projects.clone(),
        apps,
        clusters: applicationset::Clusters::default(),
        events: events::Events::new(cx.client.clone(), "applicationset-controller"),
        metrics: cx.metrics.sets.clone(),
        http: applicationset::http_client().map_err(|cause| Error::HttpClient { cause })?,
        options,
        used,
    }))
}

/// Makes a new sealing key whenever the process gets SIGUSR1, as Sealed Secrets does.
async fn new_key_on_signal(sealing: Arc<sealedsecret::SealingContext>) -> (&'static str, String) {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::user_defined1()) {
        Ok(mut asked) => {
            while asked.recv().await.is_some() {
                sealing.ask_for_key();
            }
        }
        Err(error) => tracing::warn!(%error, "SIGUSR1 will not make a new sealing key"),
    }
    std::future::pending().await
}

/// Which first lists are loaded. The stores' own `wait_until_ready` wakes only one of several waiters.
#[derive(Clone)]
struct Listed {
    projects: watch::Sender<bool>,
    applications: watch::Sender<bool>,
    /// What is registered about repositories.
    registered: watch::Sender<bool>,
}

impl Default for Listed {
    fn default() -> Self {
        let [projects, applications, registered] = std::array::from_fn(|_| watch::Sender::new(false));
        Self { projects, applications, registered }
    }
}

impl Listed {
    fn all(&self) -> bool {
        *self.projects.borrow() && *self.applications.borrow() && *self.registered.borrow()
    }

    async fn wait_for_projects(&self) {
        // Cannot fail: the sender lives as long as this value.
        let _ = self.projects.subscribe().wait_for(|listed| *listed).await;
    }

    async fn wait_for_registered(&self) {
        let _ = self.registered.subscribe().wait_for(|listed| *listed).await;
    }

    async fn wait_for_applications(&self) {
        let _ = self.applications.subscribe().wait_for(|listed| *listed).await;
    }
}

fn text<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.err().map_or_else(|| "without an error".to_owned(), |error| error.to_string())
}

fn pages(cx: &Arc<Context>, sealing: &Arc<sealedsecret::SealingContext>, listed: &Listed) -> http::Pages {
    let (metrics, listed) = (Arc::clone(cx), listed.clone());
    let [keys, opened] = [sealing, sealing].map(Arc::clone);
    http::Pages {
        ready: Arc::new(move || listed.all() && keys.is_ready()),
        metrics: Arc::new(move || {
            opened.show_conditions();
            let renders = metrics.renderer.counters().renders;
            let counters = opened.counters();
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let (unseals, decryptions) = (read(&counters.unseals), read(&counters.private_key_operations));
            metrics.metrics.show_totals(metrics.cache.size(), renders, unseals, decryptions);
            Some(metrics.metrics.text())
        }),
    }
}

async fn load_settings(client: &Client, namespace: &str) -> Result<Settings, Error> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let read = async |name: &str, what: &'static str| {
        let found = api.get_opt(name).await.map_err(|cause| Error::Start { what, cause })?;
        Ok::<_, Error>(found.and_then(|map| map.data).unwrap_or_default())
    };
    let settings = Settings::from_config_map(&read(SETTINGS, "read ConfigMap argocd-cm").await?);
    let parameters = read(PARAMETERS, "read ConfigMap argocd-cmd-params-cm").await?;
    let environment = std::env::var("ARGOCD_GIT_MODULES_ENABLED").ok();
    Ok(Settings { submodules: settings::wants_submodules(environment.as_deref(), &parameters), ..settings })
}

/// Source: Argo CD's API server creates the `default` project when it is missing.
async fn ensure_default_project(client: &Client, namespace: &str) -> Result<(), Error> {
    let api: Api<AppProject> = Api::namespaced(client.clone(), namespace);
    let failed = |cause| Error::Start { what: "read or create AppProject default", cause };
    if api.get_opt("default").await.map_err(failed)?.is_some() {
        return Ok(());
    }
    let mut project = AppProject { spec: default_project(), ..AppProject::default() };
    project.types = Some(kube::core::TypeMeta::resource::<AppProject>());
    project.metadata.name = Some("default".into());
    match api.create(&PostParams::default(), &project).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(cause) => Err(failed(cause)),
    }
}

/// Keeps what is registered about repositories, and the secrets of webhooks; tells when repositories may be reached differently.
fn keep_registered(
    cx: &Context,
    secrets: Arc<std::sync::RwLock<webhook::Secrets>>,
    listed: &Listed,
    loops: &mut JoinSet<(&'static str, String)>,
) -> BoxStream<'static, ()> {
    let (changes, receiver) = futures::channel::mpsc::unbounded();
    let (client, namespace) = (cx.client.clone(), cx.control_namespace.clone());
    let (repositories, listed) = (cx.repositories.clone(), listed.registered.clone());
    loops.spawn(async move {
        registered::keep(client, namespace, repositories, listed, changes).await;
        ("repositories", "the streams of what is registered ended".to_owned())
    });
    let (client, namespace) = (cx.client.clone(), cx.control_namespace.clone());
    loops.spawn(async move {
        webhook::keep(client, namespace, secrets).await;
        ("webhook secrets", "the stream of Secret argocd-secret ended".to_owned())
    });
    receiver.boxed()
}

/// Keeps the projects at hand, and tells when one changes.
fn watch_projects(
    client: &Client,
    namespace: &str,
    listed: &Listed,
    loops: &mut JoinSet<(&'static str, String)>,
) -> (Store<AppProject>, BoxStream<'static, ()>) {
    let api: Api<AppProject> = Api::namespaced(client.clone(), namespace);
    let (store, writer) = reflector::store();
    let (changes, receiver) = futures::channel::mpsc::unbounded();
    let listed = listed.projects.clone();
    loops.spawn(async move {
        let stream = watcher(api, watcher::Config::default()).default_backoff().reflect(writer);
        stream
            .for_each(|event| {
                match event {
                    Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)) => {
                        let _ = changes.unbounded_send(());
                    }
                    Ok(watcher::Event::InitDone) => {
                        listed.send_replace(true);
                        let _ = changes.unbounded_send(());
                    }
                    Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
                    Err(error) => tracing::warn!(%error, "watching AppProjects failed, trying again"),
                }
                std::future::ready(())
            })
            .await;
        ("projects", "the stream of AppProjects ended".to_owned())
    });
    (store, receiver.boxed())
}
