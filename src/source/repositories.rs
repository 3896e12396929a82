//! The registry of repositories: finds or makes the one for a URL, runs its poll, drops it when nobody uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::broadcast;

use super::address::Address;
use super::repository::{Freshness, Repository};
use super::{Commit, SourceError, SourceTree};

/// Changes that a slow subscriber may lag behind before it misses some; it then has to look at every repository.
const PENDING_CHANGES: usize = 256;

/// How repositories are fetched.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for mirrors. It may be deleted at any time.
    pub cache_dir: PathBuf,
    /// Time between two polls of one repository.
    pub poll_interval: Duration,
    /// Up to this much is added to every interval, at random.
    pub jitter: Duration,
    /// Limit of one request to a remote, a fetch included.
    pub timeout: Duration,
}

impl Options {
    /// The defaults of Argo CD: every 120 s, and up to 60 s more; 90 s for a request.
    #[must_use]
    pub fn new(cache_dir: PathBuf) -> Self {
        let seconds = Duration::from_secs;
        Self { cache_dir, poll_interval: seconds(120), jitter: seconds(60), timeout: seconds(90) }
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
    changes: broadcast::Sender<String>,
}

struct Known {
    repository: Arc<Repository>,
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
        Self { shared: Arc::new(Shared { options, known: Mutex::default(), changes }) }
    }

    /// Finds the commit that a revision means. A full commit id is its own answer, without a request.
    ///
    /// # Errors
    /// The URL is not supported, the remote is away or refuses, or the revision does not exist. While a remote is failing,
    /// [`Freshness::Polled`] repeats its last error and does not ask again before the backoff has passed.
    pub async fn resolve(&self, url: &str, revision: &str, freshness: Freshness) -> Result<Commit, SourceError> {
        self.repository(url)?.resolve(revision, freshness).await
    }

    /// The files of a commit. Asks the remote only when the mirror does not have them.
    ///
    /// # Errors
    /// The URL is not supported, the remote is away or refuses, or has no such commit.
    pub async fn tree(&self, url: &str, commit: &Commit) -> Result<SourceTree, SourceError> {
        self.repository(url)?.tree(commit).await
    }

    /// Tells the normalised URL ([`Address::normalised`]) of every repository whose references changed.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<String> {
        self.shared.changes.subscribe()
    }

    /// Keeps only these repositories: the others are no longer polled and their mirrors are deleted.
    pub fn retain(&self, in_use: &BTreeSet<String>) {
        let wanted: BTreeSet<String> =
            in_use.iter().filter_map(|url| Address::parse(url).ok()).map(|address| address.normalised()).collect();
        let mut dropped = Vec::new();
        self.known().retain(|_, known| {
            let keep = wanted.contains(&known.repository.address.normalised());
            if !keep {
                dropped.push(known.repository.clone());
            }
            keep
        });
        for repository in dropped {
            // On a thread of its own: it waits for a request that may be running.
            std::thread::spawn(move || repository.forget());
        }
    }

    /// How often remotes were asked for their references, over all repositories in use.
    #[must_use]
    pub fn listings(&self) -> u64 {
        self.known().values().map(|known| known.repository.listings()).sum()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repository(&self, url: &str) -> Result<Arc<Repository>, SourceError> {
        let address = Address::parse(url)?;
        let mut known = self.known();
        let entry = known.entry(key(&address)).or_insert_with(|| {
            let folder = self.shared.options.cache_dir.join(folder_name(&address));
            let repository = Arc::new(Repository::new(address, folder, self.shared.options.clone(), self.shared.changes.clone()));
            let poll = tokio::spawn(poll(Arc::downgrade(&repository)));
            Known { repository, poll }
        });
        Ok(entry.repository.clone())
    }
}

/// Two spellings of one place share a mirror; two users of it do not, because one may see what the other may not.
fn key(address: &Address) -> String {
    let user = address.credentials().map_or(String::new(), |credentials| {
        let secret = Sha256::digest(format!("{}\0{}", credentials.user, credentials.password.as_str()));
        hex::encode(secret)
    });
    format!("{} {user}", address.normalised())
}

fn folder_name(address: &Address) -> String {
    hex::encode(&Sha256::digest(key(address))[..16])
}

/// Polls one repository until it is dropped. Waits first: whoever made the repository asks at once anyway.
async fn poll(repository: Weak<Repository>) {
    loop {
        let Some(strong) = repository.upgrade() else { return };
        let wait = strong.next_poll().await;
        drop(strong);
        tokio::time::sleep(wait).await;
        let Some(repository) = repository.upgrade() else { return };
        if let Err(error) = repository.poll().await {
            tracing::warn!(repository = %repository.address, %error, "poll failed");
        }
    }
}
