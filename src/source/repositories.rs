//! The registry of repositories: finds or makes the one for a URL, runs its poll, drops it when nobody uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{Notify, broadcast};

use super::address::Address;
use super::repository::{Freshness, Repository};
use super::{Charts, Commit, SourceError, SourceTree};

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
    charts: Charts,
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
        let charts = Charts::new(options.clone(), changes.clone());
        Self { shared: Arc::new(Shared { options, known: Mutex::default(), charts, changes }) }
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
        self.repository(url)?.resolve(revision, freshness).await
    }

    /// The files of a commit. Asks the remote only when the mirror does not have them.
    ///
    /// # Errors
    /// The URL is not supported, the remote is away or refuses, or has no such commit.
    pub async fn tree(&self, url: &str, commit: &Commit) -> Result<SourceTree, SourceError> {
        self.repository(url)?.tree(commit).await
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
        self.known().retain(|key, known| {
            let used = known.repository.was_used();
            // One reference is ours; another one is a request that runs.
            let busy = Arc::strong_count(&known.repository) > 1;
            let keep = used || busy || wanted.contains(&known.repository.address.normalised());
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

    fn repository(&self, url: &str) -> Result<Arc<Repository>, SourceError> {
        let address = Address::parse(url)?;
        let mut known = self.known();
        let key = key(&address);
        let folder = self.shared.options.cache_dir.join(folder_name(&key));
        let entry = known.entry(key).or_insert_with(|| {
            let repository = Arc::new(Repository::new(address, folder, self.shared.options.clone(), self.shared.changes.clone()));
            let poll = tokio::spawn(poll(Arc::downgrade(&repository), repository.rescheduled.clone()));
            Known { repository, poll }
        });
        entry.repository.mark_used();
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
async fn poll(repository: Weak<Repository>, rescheduled: Arc<Notify>) {
    loop {
        let Some(wait) = repository.upgrade().map(|repository| repository.next_poll()) else { return };
        let elapsed = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = elapsed => {}
            () = rescheduled.notified() => continue,
        }
        let Some(repository) = repository.upgrade() else { return };
        repository.poll().await;
    }
}
