//! One repository: its references as last listed, its mirror, its poll.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, broadcast};
use tokio::time::Instant;

use super::address::Address;
use super::mirror::Mirror;
use super::refs::{Refs, Resolution, is_abbreviated, looks_like_range};
use super::{Commit, Options, SourceError, SourceTree};

/// How fresh an answer about a revision has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As of the last poll.
    Polled,
    /// As of now: asks the remote.
    Now,
}

/// Trees kept open: an application or two at the newest commit, and those that lag behind during a rollout.
const OPEN_TREES: usize = 8;
/// Wait after the first failure; doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_secs(5);
/// Longest wait after failures, as long as the longest wait between polls by default.
const BACKOFF_MAX: Duration = Duration::from_secs(180);

/// One repository. Requests to the remote run one at a time.
pub(super) struct Repository {
    pub(super) address: Address,
    options: Options,
    mirror: Arc<std::sync::Mutex<Mirror>>,
    listing: Mutex<Listing>,
    trees: Mutex<VecDeque<SourceTree>>,
    /// How often the remote was asked for its references.
    listings: AtomicU64,
    changes: broadcast::Sender<String>,
}

#[derive(Default)]
struct Listing {
    refs: Arc<Refs>,
    /// When the last successful listing began.
    listed: Option<Instant>,
    failure: Option<Failure>,
    /// References outside branches and tags that somebody asked for.
    also: BTreeSet<String>,
}

struct Failure {
    error: SourceError,
    count: u32,
    /// No request before this.
    until: Instant,
    began: Instant,
}

impl Repository {
    pub(super) fn new(address: Address, folder: PathBuf, options: Options, changes: broadcast::Sender<String>) -> Self {
        let mirror = Arc::new(std::sync::Mutex::new(Mirror::new(address.clone(), folder)));
        Self {
            address,
            options,
            mirror,
            listing: Mutex::default(),
            trees: Mutex::default(),
            listings: AtomicU64::new(0),
            changes,
        }
    }

    pub(super) fn listings(&self) -> u64 {
        self.listings.load(Ordering::Relaxed)
    }

    pub(super) async fn resolve(&self, revision: &str, freshness: Freshness) -> Result<Commit, SourceError> {
        if let Some(commit) = Commit::parse(revision) {
            return Ok(commit);
        }
        let refs = self.refs(Some(revision), freshness).await?;
        match refs.resolve(revision) {
            Resolution::Found(commit) => Ok(commit),
            Resolution::Ambiguous => {
                Err(SourceError::AmbiguousRevision { url: self.address.to_string(), revision: revision.into() })
            }
            Resolution::Unknown => self.resolve_locally(revision).await,
        }
    }

    /// An abbreviated id may be that of a commit fetched earlier, which no reference points to any more.
    async fn resolve_locally(&self, revision: &str) -> Result<Commit, SourceError> {
        let url = self.address.to_string();
        if is_abbreviated(revision) {
            let digits = revision.to_owned();
            let found = self.with_mirror(move |mirror, _| mirror.find_abbreviated(&digits)).await?;
            match found.as_slice() {
                [] => {}
                [one] => return Ok(one.clone()),
                _ => return Err(SourceError::AmbiguousRevision { url, revision: revision.into() }),
            }
        }
        Err(if looks_like_range(revision) {
            SourceError::RangeUnsupported { url, revision: revision.into() }
        } else {
            SourceError::NoSuchRevision { url, revision: revision.into() }
        })
    }

    /// The references, listed anew when they are too old for the caller. Callers that wait for the same listing share it.
    async fn refs(&self, wanted: Option<&str>, freshness: Freshness) -> Result<Arc<Refs>, SourceError> {
        let asked = Instant::now();
        let mut listing = self.listing.lock().await;
        let unlisted = wanted.filter(|name| is_unusual(name) && !listing.also.contains(*name)).map(ToOwned::to_owned);
        if let Some(name) = &unlisted {
            listing.also.insert(name.clone());
        } else if let Some(answer) = listing.answer(asked, freshness, self.options.poll_interval + self.options.jitter) {
            return answer;
        }
        self.list(&mut listing).await
    }

    /// Asks the remote, unless somebody did meanwhile or nobody ever wanted a reference.
    pub(super) async fn poll(&self) -> Result<(), SourceError> {
        let mut listing = self.listing.lock().await;
        if listing.is_due(self.options.poll_interval) { self.list(&mut listing).await.map(drop) } else { Ok(()) }
    }

    async fn list(&self, listing: &mut Listing) -> Result<Arc<Refs>, SourceError> {
        let began = Instant::now();
        let also: Vec<String> = listing.also.iter().cloned().collect();
        let limit = self.options.timeout;
        self.listings.fetch_add(1, Ordering::Relaxed);
        match self.with_mirror(move |mirror, _| mirror.list(&also, limit)).await {
            Ok(refs) => {
                if *listing.refs != refs {
                    listing.refs = Arc::new(refs);
                    // Whoever asked, the other applications of the repository have to hear of it. No listener is no error.
                    if listing.listed.is_some() {
                        let _ = self.changes.send(self.address.normalised());
                    }
                }
                listing.listed = Some(began);
                listing.failure = None;
                Ok(listing.refs.clone())
            }
            Err(error) => {
                let count = listing.failure.as_ref().map_or(0, |failure| failure.count) + 1;
                listing.failure = Some(Failure { error: error.clone(), count, until: Instant::now() + backoff(count), began });
                Err(error)
            }
        }
    }

    /// Time until the next poll is due.
    pub(super) async fn next_poll(&self) -> Duration {
        let listing = self.listing.lock().await;
        match &listing.failure {
            Some(failure) => failure.until.saturating_duration_since(Instant::now()),
            None => {
                let wait = self.options.poll_interval + self.options.jitter.mul_f64(rand::random());
                // A listing that somebody else asked for counts as a poll.
                let since = listing.listed.map_or(Duration::ZERO, |listed| listed.elapsed());
                wait.saturating_sub(since).max(Duration::from_millis(50))
            }
        }
    }

    /// The files of a commit, fetched when they are not there.
    pub(super) async fn tree(&self, commit: &Commit) -> Result<SourceTree, SourceError> {
        let mut trees = self.trees.lock().await;
        if let Some(at) = trees.iter().position(|tree| tree.commit() == commit)
            && let Some(tree) = trees.remove(at)
            && tree.is_readable()
        {
            trees.push_back(tree.clone());
            return Ok(tree);
        }
        let wanted = commit.clone();
        let limit = self.options.timeout;
        let tree = self
            .with_mirror(move |mirror, interrupt| {
                if let Some(tree) = mirror.find(&wanted)? {
                    return Ok(tree);
                }
                mirror.fetch(&wanted, limit, interrupt)?;
                mirror.find(&wanted)?.ok_or_else(|| mirror.no_such_commit(&wanted))
            })
            .await?;
        if trees.len() >= OPEN_TREES {
            trees.pop_front();
        }
        trees.push_back(tree.clone());
        Ok(tree)
    }

    /// Runs blocking work on the mirror, for no longer than the time limit.
    ///
    /// Work that overruns is told to stop and left behind: it holds the mirror, so the next call waits for it within its
    /// own limit and no second thread piles up behind a dead connection.
    async fn with_mirror<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Mirror, &AtomicBool) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let mirror = self.mirror.clone();
        let interrupt = Arc::new(AtomicBool::new(false));
        let flag = interrupt.clone();
        let url = self.address.to_string();
        let running = tokio::task::spawn_blocking(move || {
            let busy = || SourceError::Unreachable { url: url.clone(), problem: "an earlier request is still running".into() };
            let mut mirror = match mirror.try_lock() {
                Ok(mirror) => mirror,
                Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(std::sync::TryLockError::WouldBlock) => wait_for(&mirror, &flag).ok_or_else(busy)?,
            };
            work(&mut mirror, &flag)
        });
        match tokio::time::timeout(self.options.timeout, running).await {
            Ok(Ok(result)) => result,
            Ok(Err(join)) => Err(SourceError::CacheFailed { url: self.address.to_string(), problem: join.to_string() }),
            Err(_) => {
                interrupt.store(true, Ordering::Relaxed);
                Err(SourceError::Timeout { url: self.address.to_string(), limit: self.options.timeout })
            }
        }
    }

    /// Deletes the mirror; called when nobody uses the repository any more.
    pub(super) fn forget(&self) {
        self.mirror.lock().unwrap_or_else(std::sync::PoisonError::into_inner).reset();
    }
}

/// Waits for the mirror until the caller gives up.
fn wait_for<'a>(mirror: &'a std::sync::Mutex<Mirror>, gave_up: &AtomicBool) -> Option<std::sync::MutexGuard<'a, Mirror>> {
    while !gave_up.load(Ordering::Relaxed) {
        match mirror.try_lock() {
            Ok(guard) => return Some(guard),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    None
}

impl Listing {
    fn is_due(&self, interval: Duration) -> bool {
        match (&self.failure, self.listed) {
            (Some(failure), _) => failure.until <= Instant::now(),
            (None, Some(listed)) => listed.elapsed() >= interval,
            (None, None) => false,
        }
    }

    /// What is known, if it is fresh enough; the last failure while its backoff runs.
    fn answer(&self, asked: Instant, freshness: Freshness, max_age: Duration) -> Option<Result<Arc<Refs>, SourceError>> {
        let failed_meanwhile = |failure: &&Failure| match freshness {
            Freshness::Now => failure.began >= asked,
            Freshness::Polled => failure.until > asked,
        };
        if let Some(failure) = self.failure.as_ref().filter(failed_meanwhile) {
            return Some(Err(failure.error.clone()));
        }
        let listed = self.listed?;
        let fresh = match freshness {
            Freshness::Now => listed >= asked,
            Freshness::Polled => asked.saturating_duration_since(listed) <= max_age,
        };
        (fresh && self.failure.is_none()).then(|| Ok(self.refs.clone()))
    }
}

/// True for a full reference name that the usual listing does not contain.
fn is_unusual(name: &str) -> bool {
    name.starts_with("refs/")
        && !name.starts_with("refs/heads/")
        && !name.starts_with("refs/tags/")
        && !name.contains(['*', '?', '[', ' ', ':', '^', '~'])
}

/// Doubles with every failure; up to a quarter less, so that many repositories of one dead host do not come back together.
fn backoff(count: u32) -> Duration {
    let doubled = BACKOFF_MIN.saturating_mul(1 << count.saturating_sub(1).min(10)).min(BACKOFF_MAX);
    doubled.mul_f64(1.0 - 0.25 * rand::random::<f64>())
}
