//! The registry of repositories: finds or makes the one for a URL, runs its poll, drops it when nobody uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, broadcast};

use super::address::Address;
use super::credentials::{Access, Catalogue};
use super::github_app::GithubTokens;
use super::repository::{Freshness, Reached, Repository};
use super::submodules::{self, Submodule};
use super::{Charts, Commit, SourceError, SourceTree, credentials, poll};

/// Changes that a slow subscriber may lag behind before it misses some; it then has to look at every repository.
const PENDING_CHANGES: usize = 256;

/// How repositories are fetched.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for mirrors. It may be deleted at any time.
    pub cache_dir: PathBuf,
    /// Time between two polls of one repository; zero for never, and then only failures are tried again.
    pub poll_interval: Duration,
    /// Up to this much is added to every interval, at random.
    pub jitter: Duration,
    /// Limit of one request to a remote, a fetch included.
    pub timeout: Duration,
    /// Whether submodules are fetched.
    pub submodules: bool,
}

impl Options {
    /// The defaults of Argo CD: every 120 s, and up to 60 s more; 90 s for a request; with submodules.
    #[must_use]
    pub fn new(cache_dir: PathBuf) -> Self {
        let seconds = Duration::from_secs;
        Self { cache_dir, poll_interval: seconds(120), jitter: seconds(60), timeout: seconds(90), submodules: true }
    }
}

/// All repositories in use. Cheap to clone; polls stop when the last clone is dropped.
#[derive(Clone)]
pub struct Repositories {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    known: Mutex<BTreeMap<String, Known>>,
    charts: Charts,
    /// What is registered; without it repositories are reached anonymously, or with the user's own ssh.
    catalogue: RwLock<Option<Catalogue>>,
    tokens: Arc<GithubTokens>,
    changes: broadcast::Sender<String>,
}

struct Known {
    repository: Arc<Repository>,
    /// Who reached it so: spellings of the URL, and projects.
    users: BTreeSet<(String, String)>,
    poll: tokio::task::JoinHandle<()>,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

impl std::fmt::Debug for Repositories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repositories({})", self.known().len())
    }
}

impl Repositories {
    /// Makes an empty registry; nothing is fetched until somebody asks.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let (changes, _) = broadcast::channel(PENDING_CHANGES);
        let charts = Charts::new(options.clone(), changes.clone());
        let (catalogue, tokens) = (RwLock::default(), Arc::default());
        Self { shared: Arc::new(Shared { options, known: Mutex::default(), charts, catalogue, tokens, changes }) }
    }

    /// Charts and artifacts.
    #[must_use]
    pub fn charts(&self) -> &Charts {
        &self.shared.charts
    }

    /// Finds the commit that a revision means. A full commit id is its own answer, without a request.
    ///
    /// # Errors
    /// The URL is not supported, the remote is away or refuses, or the revision does not exist. While a remote is failing,
    /// [`Freshness::Polled`] repeats its last error; the poll asks again, less and less often.
    pub async fn resolve(&self, url: &str, revision: &str, freshness: Freshness) -> Result<Commit, SourceError> {
        self.of_project("").resolve(url, revision, freshness).await
    }

    /// The files of a commit. Asks the remote only when the mirror does not have them.
    ///
    /// # Errors
    /// The URL is not supported, the remote is away or refuses, or has no such commit.
    pub async fn tree(&self, url: &str, commit: &Commit) -> Result<SourceTree, SourceError> {
        self.of_project("").tree(url, commit).await
    }

    /// The repositories as an Application of a project reaches them.
    #[must_use]
    pub fn of_project<'a>(&'a self, project: &'a str) -> Scoped<'a> {
        Scoped { all: self, project, tag_prefix: "" }
    }

    /// Takes over what is registered about repositories. Those that are reached differently from now on are forgotten; whoever
    /// uses them has to look again.
    pub fn register(&self, catalogue: Catalogue) {
        let mut known = self.known();
        let stale = |known: &mut Known| {
            let identity = known.repository.access.identity();
            known.users.retain(|(url, project)| catalogue.access(url, project).is_ok_and(|access| access.identity() == identity));
            known.users.is_empty()
        };
        let gone: Vec<String> = known.iter_mut().filter_map(|(key, one)| stale(one).then(|| key.clone())).collect();
        for key in gone {
            known.remove(&key);
            delete(self.shared.options.cache_dir.join(folder_name(&key)));
        }
        self.shared.charts.register(catalogue.clone());
        *self.shared.catalogue.write().unwrap_or_else(PoisonError::into_inner) = Some(catalogue);
    }

    /// What is registered about repositories.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        self.shared.catalogue.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    /// Asks the remotes of some repositories at once whether something is new, each at most once. Those that nobody uses are
    /// left alone.
    pub async fn poll_now(&self, concerned: impl Fn(&str) -> bool) {
        let repositories: Vec<Arc<Repository>> = self
            .known()
            .values()
            .map(|known| Arc::clone(&known.repository))
            .filter(|one| concerned(one.address.as_str()))
            .collect();
        futures::future::join_all(repositories.iter().map(|one| one.list_now())).await;
    }

    /// Tells the normalised URL ([`Address::normalised`]) of every repository whose references changed, and the URL as it was
    /// written of every place with other versions of a chart.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<String> {
        self.shared.changes.subscribe()
    }

    /// Keeps only these repositories: the others are no longer polled and their mirrors are deleted.
    ///
    /// One that was used since the last call stays all the same: who lists the users may not have heard of the newest yet, and
    /// an operation may read a repository that no spec names.
    pub fn retain(&self, in_use: &BTreeSet<String>) {
        self.shared.charts.retain(in_use);
        let wanted: BTreeSet<String> =
            in_use.iter().filter_map(|url| Address::parse(url).ok()).map(|address| address.normalised()).collect();
        let mut all = self.known();
        let inner: BTreeSet<String> = all.values().flat_map(|known| known.repository.submodules()).collect();
        all.retain(|key, known| {
            let used = known.repository.was_used();
            // One reference is ours; another one is a request that runs.
            let busy = Arc::strong_count(&known.repository) > 1;
            let address = known.repository.address.normalised();
            let keep = used || busy || wanted.contains(&address) || inner.contains(&address);
            if !keep {
                delete(self.shared.options.cache_dir.join(folder_name(key)));
            }
            keep
        });
    }

    /// How often remotes were asked for their references, over all repositories in use.
    #[must_use]
    pub fn listings(&self) -> u64 {
        self.known().values().map(|known| known.repository.listings()).sum()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files of a commit with those of its submodules, as deep as they go.
    fn whole_tree<'a>(
        &'a self,
        repository: Arc<Repository>,
        project: &'a str,
        commit: &'a Commit,
        depth: usize,
    ) -> BoxFuture<'a, Result<SourceTree, SourceError>> {
        Box::pin(async move {
            let tree = repository.tree(commit).await?;
            if !self.shared.options.submodules || tree.knows_submodules() || depth == 0 {
                return Ok(tree);
            }
            let (reader, url) = (tree.clone(), repository.address.as_str().to_owned());
            let named = tokio::task::spawn_blocking(move || submodules::of(&reader, &url)).await;
            let named = named.map_err(|_| repository.broken_off())??;
            let (mut trees, mut urls) = (BTreeMap::new(), BTreeSet::new());
            for Submodule { path, url, commit } in named {
                let inner = self.submodule(&repository, project, &url, &commit, depth - 1).await;
                let inner = inner.map_err(|error| SourceError::BadSubmodule {
                    url: repository.address.to_string(),
                    problem: format!("`{path}`: {error}"),
                })?;
                urls.extend(Address::parse(&url).map(|address| address.normalised()));
                trees.insert(path, inner);
            }
            let whole = tree.with_submodules(trees);
            repository.keep_with_submodules(whole.clone(), urls);
            Ok(whole)
        })
    }

    async fn submodule(
        &self,
        outer: &Repository,
        project: &str,
        url: &str,
        commit: &Commit,
        depth: usize,
    ) -> Result<SourceTree, SourceError> {
        let repository = self.repository(url, project, Some(outer))?;
        self.whole_tree(repository, project, commit, depth).await
    }

    fn access(&self, url: &str, project: &str) -> Result<Access, SourceError> {
        let catalogue = self.shared.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        let access = catalogue.as_ref().map_or_else(|| Ok(Access::default()), |catalogue| catalogue.access(url, project))?;
        // A login that is not built is said before anything is asked for.
        access.git_login()?;
        Ok(access)
    }

    fn repository(&self, url: &str, project: &str, outer: Option<&Repository>) -> Result<Arc<Repository>, SourceError> {
        let address = Address::parse(url)?;
        let mut known = self.known();
        let access = match (self.access(url, project)?, outer) {
            // Nothing is registered for the submodule: the outer login may be shown to the host that it is for.
            (own, Some(outer)) if own.is_anonymous() && same_host(url, outer.address.as_str()) => {
                let Access { certificates, known_hosts, .. } = own;
                Arc::new(Access { certificates, known_hosts, ..outer.access.as_ref().clone() })
            }
            (own, _) => Arc::new(own),
        };
        let key = key(&address, &access);
        let folder = self.shared.options.cache_dir.join(folder_name(&key));
        let entry = known.entry(key).or_insert_with(|| {
            let reached = Reached { address, access, tokens: Arc::clone(&self.shared.tokens) };
            let repository = Arc::new(Repository::new(reached, folder, self.shared.options.clone(), self.shared.changes.clone()));
            let poll = tokio::spawn(poll_for_ever(Arc::downgrade(&repository), repository.rescheduled.clone()));
            Known { repository, users: BTreeSet::new(), poll }
        });
        entry.users.insert((url.to_owned(), project.to_owned()));
        entry.repository.mark_used();
        Ok(entry.repository.clone())
    }
}

/// Repositories as an Application of one project reaches them. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Scoped<'a> {
    all: &'a Repositories,
    project: &'a str,
    tag_prefix: &'a str,
}

impl<'a> Scoped<'a> {
    /// Looks for versions and version constraints among the tags that begin so.
    #[must_use]
    pub fn with_tag_prefix(self, tag_prefix: &'a str) -> Self {
        Self { tag_prefix, ..self }
    }

    /// Like [`Repositories::resolve`].
    ///
    /// # Errors
    /// Like there, and when what is registered about the repository cannot be used.
    pub async fn resolve(&self, url: &str, revision: &str, freshness: Freshness) -> Result<Commit, SourceError> {
        self.all.repository(url, self.project, None)?.resolve(revision, self.tag_prefix, freshness).await
    }

    /// Like [`Repositories::tree`].
    ///
    /// # Errors
    /// Like there, and when what is registered about the repository cannot be used.
    pub async fn tree(&self, url: &str, commit: &Commit) -> Result<SourceTree, SourceError> {
        self.all.whole_tree(self.all.repository(url, self.project, None)?, self.project, commit, submodules::MAX_DEPTH).await
    }
}

fn same_host(a: &str, b: &str) -> bool {
    let scheme = |url: &str| url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    credentials::host(a) == credentials::host(b) && scheme(a) == scheme(b)
}

/// Two spellings of one place share a mirror; two users of it do not, because one may see what the other may not.
fn key(address: &Address, access: &Access) -> String {
    let user = address.credentials().map_or(String::new(), |credentials| {
        let secret = Sha256::digest(format!("{}\0{}", credentials.user, credentials.password.as_str()));
        hex::encode(secret)
    });
    format!("{} {user} {}", address.normalised(), access.identity())
}

fn folder_name(key: &str) -> String {
    hex::encode(&Sha256::digest(key)[..16])
}

/// Deletes a mirror. It gets out of the way at once, because the same repository may be wanted again at any time; the rest
/// takes a while and happens on a thread of its own.
fn delete(folder: PathBuf) {
    let aside = folder.with_extension(format!("deleted-{:016x}", rand::random::<u64>()));
    // Absent already, or the disk refuses, and then the mirror serves whoever wants it again.
    if std::fs::rename(&folder, &aside).is_ok() {
        std::thread::spawn(move || std::fs::remove_dir_all(aside));
    }
}

/// Polls one repository until it is dropped. Does not begin: whoever made the repository asks at once anyway.
async fn poll_for_ever(repository: Weak<Repository>, rescheduled: Arc<Notify>) {
    loop {
        let Some(wait) = repository.upgrade().map(|repository| repository.next_poll()) else { return };
        if !poll::is_due(wait, &rescheduled).await {
            continue;
        }
        let Some(repository) = repository.upgrade() else { return };
        repository.poll().await;
    }
}
