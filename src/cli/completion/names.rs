//! Names that only the cluster or the kubeconfig knows: Applications, namespaces, projects, contexts.
//!
//! Nobody waits for them: what has not come within a second is left out, and what came is remembered for half a minute. Credential
//! programs are not allowed to ask questions.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Arg, Command, FromArgMatches as _};
use clap_complete::{ArgValueCompleter, CompletionCandidate};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use sha2::{Digest as _, Sha256};

use crate::api::AppProject;
use crate::cli::app::{api, api_all};
use crate::cli::{Context, GlobalFlags, kubeconfig, root};

/// How long the Tab key may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an answer of the cluster is good enough.
const FRESH: Duration = Duration::from_secs(30);
/// More names than anybody reads.
const MOST: u32 = 500;

/// Whose names are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Applications,
    Namespaces,
    Projects,
    Contexts,
    Clusters,
    Users,
}

/// What has been typed so far, and whether somebody was asked about it.
#[derive(Clone, Default)]
pub struct World {
    flags: GlobalFlags,
    typed: Vec<String>,
    asked: Arc<AtomicBool>,
}

impl World {
    /// Reads the flags that choose a cluster from a command line that is not complete.
    #[must_use]
    pub fn of(typed: &[OsString]) -> Self {
        let finished = typed.split_last().map(|(_, before)| before).unwrap_or_default();
        let words = std::iter::once(OsString::from("gitops")).chain(finished.iter().cloned());
        let matches = root::command().ignore_errors(true).try_get_matches_from(words).ok();
        let mut flags = matches.and_then(|matches| GlobalFlags::from_arg_matches(&matches).ok()).unwrap_or_default();
        if flags.controller_namespace.is_empty() {
            flags.controller_namespace = "argocd".to_owned();
        }
        let typed = finished.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        Self { flags, typed, asked: Arc::default() }
    }

    /// True when names were looked for, so that an empty answer means that there are none.
    #[must_use]
    pub fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    fn candidates(&self, source: Source, current: &OsStr) -> Vec<CompletionCandidate> {
        self.asked.store(true, Ordering::Relaxed);
        let current = current.to_string_lossy();
        let names = match source {
            Source::Contexts | Source::Clusters | Source::Users => self.in_kubeconfig(source),
            Source::Applications if current.contains('/') => self.in_cluster(source, true),
            source => self.in_cluster(source, false),
        };
        let begins = |name: &String| name.starts_with(&*current) && !self.typed.contains(name);
        names.into_iter().filter(begins).map(CompletionCandidate::new).collect()
    }

    fn in_kubeconfig(&self, source: Source) -> BTreeSet<String> {
        let Ok(loaded) = kubeconfig::load(&self.flags) else { return BTreeSet::new() };
        match source {
            Source::Contexts => loaded.content.contexts.into_iter().map(|one| one.name).collect(),
            Source::Clusters => loaded.content.clusters.into_iter().map(|one| one.name).collect(),
            _ => loaded.content.auth_infos.into_iter().map(|one| one.name).collect(),
        }
    }

    /// Names from the cluster; with their namespaces when `everywhere`.
    fn in_cluster(&self, source: Source, everywhere: bool) -> BTreeSet<String> {
        let cx = Context::new(self.flags.clone()).without_questions();
        let key = format!("{source:?} {everywhere} {} {} {}", cx.describe_server(), cx.user_name(), cx.application_namespace());
        let remembered = memory(&key);
        if let Some(names) = remembered.as_ref().and_then(recall) {
            return names;
        }
        let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() else {
            return BTreeSet::new();
        };
        let asked = runtime.block_on(async { tokio::time::timeout(PATIENCE, fetch(&cx, source, everywhere)).await });
        runtime.shutdown_background();
        let Ok(Some(names)) = asked else { return BTreeSet::new() };
        if let Some(path) = remembered {
            remember(&path, &names);
        }
        names
    }
}

async fn fetch(cx: &Context, source: Source, everywhere: bool) -> Option<BTreeSet<String>> {
    let client = cx.client().await.ok()?;
    let page = ListParams::default().limit(MOST);
    let names = match source {
        Source::Namespaces => names_of(Api::<Namespace>::all(client).list_metadata(&page).await.ok()?.items, false),
        Source::Projects => {
            let namespace = &cx.flags.controller_namespace;
            names_of(Api::<AppProject>::namespaced(client, namespace).list_metadata(&page).await.ok()?.items, false)
        }
        _ if everywhere => names_of(api_all(client).list_metadata(&page).await.ok()?.items, true),
        _ => names_of(api(client, &cx.application_namespace()).list_metadata(&page).await.ok()?.items, false),
    };
    Some(names)
}

fn names_of<K>(items: Vec<kube::core::PartialObjectMeta<K>>, with_namespace: bool) -> BTreeSet<String> {
    let name = |item: kube::core::PartialObjectMeta<K>| {
        let name = item.metadata.name?;
        Some(if with_namespace { format!("{}/{name}", item.metadata.namespace?) } else { name })
    };
    items.into_iter().filter_map(name).collect()
}

/// Where names are kept for a moment; the file's name says nothing about the cluster.
fn memory(key: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
    Some(cache.join("kubectl-gitops/completion").join(hex::encode(&Sha256::digest(key)[..12])))
}

fn recall(path: &PathBuf) -> Option<BTreeSet<String>> {
    let age = fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()?;
    let text = if age < FRESH { fs::read_to_string(path).ok() } else { None }?;
    Some(text.lines().map(str::to_owned).collect())
}

fn remember(path: &PathBuf, names: &BTreeSet<String>) {
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    // A memory that cannot be written only costs time.
    let _ = path.parent().map(fs::create_dir_all);
    let _ = fs::write(path, text);
}

/// Adds the completers to the arguments that take such names, wherever they are in the command line.
pub fn attach(command: Command, world: &World) -> Command {
    let is_app_command = |name: &str| !matches!(name, "keys" | "check" | "completion");
    let command = command.mut_args(|arg| with_source(arg, world));
    command.mut_subcommands(|sub| if is_app_command(sub.get_name()) { attach(sub, world) } else { sub })
}

fn with_source(arg: Arg, world: &World) -> Arg {
    let Some(source) = source_of(&arg) else { return arg };
    let world = world.clone();
    arg.add(ArgValueCompleter::new(move |current: &OsStr| world.candidates(source, current)))
}

fn source_of(arg: &Arg) -> Option<Source> {
    let value = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str().to_owned());
    match (arg.get_id().as_str(), value.as_deref()) {
        ("context", _) => Some(Source::Contexts),
        ("cluster", Some("NAME")) => Some(Source::Clusters),
        ("user", Some("NAME")) => Some(Source::Users),
        (_, Some("NAMESPACE")) => Some(Source::Namespaces),
        (_, Some("PROJECT")) => Some(Source::Projects),
        (_, Some("NAME")) if arg.is_positional() => Some(Source::Applications),
        _ => None,
    }
}
