//! One repository: who may ask the remote when, and what the others get meanwhile.
//!
//! Requests run one at a time. Whoever can be answered from what is known never waits for one, so that a remote that hangs
//! holds up only those that see it for the first time.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::address::Address;
use super::credentials::{Access, GitLogin};
use super::github_app::GithubTokens;
use super::mirror::{Mirror, is_listable};
use super::reach::{Login, Reach};
use super::refs::{Refs, Resolution, is_abbreviated};
use super::state::State;
use super::{Commit, Options, SourceError, SourceTree};

/// How fresh an answer about a revision has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As of the last poll, even if that failed.
    Polled,
    /// As of now: asks the remote.
    Now,
}

/// One repository.
pub(super) struct Repository {
    pub(super) address: Address,
    pub(super) access: Arc<Access>,
    tokens: Arc<GithubTokens>,
    options: Options,
    mirror: Arc<Mutex<Mirror>>,
    state: Mutex<State>,
    /// Held while the remote is asked for its references.
    listing: tokio::sync::Mutex<()>,
    /// Held while files are looked for and fetched.
    fetching: tokio::sync::Mutex<()>,
    /// How often the remote was asked for its references.
    listings: AtomicU64,
    /// Normalised URLs of submodules, whose mirrors have to stay as long as this one.
    submodules: Mutex<BTreeSet<String>>,
    /// Set by every use, cleared by [`Self::was_used`].
    used: AtomicBool,
    changes: broadcast::Sender<String>,
    /// Woken when the time of the next poll has changed.
    pub(super) rescheduled: Arc<Notify>,
}

/// How a repository is reached.
pub(super) struct Reached {
    pub(super) address: Address,
    pub(super) access: Arc<Access>,
    /// Tokens that several repositories share.
    pub(super) tokens: Arc<GithubTokens>,
}

impl Repository {
    pub(super) fn new(reached: Reached, folder: PathBuf, options: Options, changes: broadcast::Sender<String>) -> Self {
        let Reached { address, access, tokens } = reached;
        let reach = Reach::new(address.clone(), Arc::clone(&access));
        let mirror = Arc::new(Mutex::new(Mirror::new(reach, folder, options.timeout)));
        Self {
            address,
            access,
            tokens,
            options,
            mirror,
            state: Mutex::default(),
            listing: tokio::sync::Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            listings: AtomicU64::new(0),
            submodules: Mutex::default(),
            used: AtomicBool::new(false),
            changes,
            rescheduled: Arc::default(),
        }
    }

    pub(super) fn listings(&self) -> u64 {
        self.listings.load(Ordering::Relaxed)
    }

    pub(super) fn mark_used(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// True when somebody used it since the last call.
    pub(super) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn resolve(&self, revision: &str, tag_prefix: &str, freshness: Freshness) -> Result<Commit, SourceError> {
        if let Some(commit) = Commit::parse(revision) {
            if freshness == Freshness::Now {
                self.state().forgive();
            }
            return Ok(commit);
        }
        let refs = self.refs(revision, freshness).await?;
        let url = || self.address.to_string();
        match refs.resolve(revision, tag_prefix) {
            Resolution::Found(commit) => Ok(commit),
            _ if refs.is_empty() => Err(SourceError::NoCommits { url: url() }),
            Resolution::NoMatchingTag => Err(SourceError::NoMatchingTag { url: url(), revision: revision.into() }),
            Resolution::Ambiguous => Err(SourceError::AmbiguousRevision { url: url(), revision: revision.into() }),
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
        Err(SourceError::NoSuchRevision { url, revision: revision.into() })
    }

    /// The references, listed anew when they are too old for the caller. Callers that wait for the same listing share it.
    async fn refs(&self, revision: &str, freshness: Freshness) -> Result<Arc<Refs>, SourceError> {
        let asked = Instant::now();
        let unusual = is_unusual(revision).then_some(revision);
        let known = || {
            let mut state = self.state();
            if unusual.is_some_and(|name| state.is_unasked(name)) { None } else { state.answer(asked, freshness) }
        };
        if let Some(answer) = known() {
            return answer;
        }
        let turn = self.listing.lock().await;
        // Whoever had the turn before may have asked for this one as well.
        if let Some(answer) = known() {
            return answer;
        }
        self.list(unusual).await;
        drop(turn);
        self.state().answer(asked, freshness).expect("a listing that began after the question answers it")
    }

    /// Asks the remote, unless somebody did meanwhile or nobody ever wanted a reference.
    pub(super) async fn poll(&self) {
        let _turn = self.listing.lock().await;
        if self.state().is_due(self.options.poll_interval) {
            self.list(None).await;
        }
    }

    /// Asks the remote because something is said to be new, unless nobody ever wanted a reference. Calls that come while one
    /// waits for its turn are answered by that one.
    pub(super) async fn list_now(&self) {
        let asked = Instant::now();
        let _turn = self.listing.lock().await;
        let answered = self.state().has_asked_since(asked);
        if !answered {
            self.list(None).await;
        }
    }

    /// Asks the remote and remembers the answer; the caller has the turn.
    async fn list(&self, wanted: Option<&str>) {
        let began = Instant::now();
        let also = self.state().also(wanted);
        self.listings.fetch_add(1, Ordering::Relaxed);
        let result = async {
            let login = self.login().await?;
            self.with_mirror(move |mirror, _| {
                login.into_iter().for_each(|login| mirror.log_in(login));
                mirror.list(&also)
            })
            .await
        };
        let result = result.await;
        if let Err(error) = &result {
            tracing::warn!(repository = %self.address, %error, "listing the references failed");
        }
        if self.state().remember(result, began) {
            // Whoever asked, the other applications of the repository have to hear of it. No listener is no error.
            let _ = self.changes.send(self.address.normalised());
        }
        self.rescheduled.notify_one();
    }

    /// Time until the next poll is due; `None` when there is nothing to poll for.
    pub(super) fn next_poll(&self) -> Option<Duration> {
        self.state().next_poll(self.options.poll_interval, self.options.jitter.mul_f64(rand::random()))
    }

    /// The files of a commit, fetched when they are not there.
    pub(super) async fn tree(&self, commit: &Commit) -> Result<SourceTree, SourceError> {
        if let Some(tree) = self.state().open_tree(commit) {
            return Ok(tree);
        }
        let _turn = self.fetching.lock().await;
        if let Some(tree) = self.state().open_tree(commit) {
            return Ok(tree);
        }
        let wanted = commit.clone();
        let tree = match self.with_mirror(move |mirror, _| mirror.find(&wanted)).await? {
            Some(tree) => tree,
            None => self.fetch(commit).await?,
        };
        self.state().keep_tree(tree.clone());
        Ok(tree)
    }

    /// Keeps the tree with its submodules in place of the one without, and remembers whose mirrors it reads.
    pub(super) fn keep_with_submodules(&self, tree: SourceTree, urls: impl IntoIterator<Item = String>) {
        self.submodules.lock().unwrap_or_else(PoisonError::into_inner).extend(urls);
        self.state().replace_tree(tree);
    }

    /// Normalised URLs of submodules that were read.
    pub(super) fn submodules(&self) -> BTreeSet<String> {
        self.submodules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn fetch(&self, commit: &Commit) -> Result<SourceTree, SourceError> {
        if let Some(error) = self.state().refuses_fetch(commit) {
            return Err(error);
        }
        let (began, wanted) = (Instant::now(), commit.clone());
        let fetched = async {
            let login = self.login().await?;
            self.with_mirror(move |mirror, interrupt| {
                login.into_iter().for_each(|login| mirror.log_in(login));
                mirror.fetch(&wanted, interrupt)?;
                mirror.find(&wanted)?.ok_or_else(|| mirror.no_such_commit(&wanted))
            })
            .await
        };
        fetched.await.map_err(|error| {
            tracing::warn!(repository = %self.address, %commit, %error, "fetching failed");
            self.state().remember_fetch_failure(commit, error, began)
        })
    }

    /// A login that has to be asked for anew from time to time; `None` where the one of the Secret does.
    async fn login(&self) -> Result<Option<Login>, SourceError> {
        let GitLogin::GithubApp(app) = self.access.git_login()? else { return Ok(None) };
        let token = self.tokens.token(self.address.as_str(), app, &self.access).await.map_err(|error| self.explained(error))?;
        Ok(Some(Login::Basic("x-access-token".into(), token)))
    }

    /// The error for work on the disk that ended without an answer.
    pub(super) fn broken_off(&self) -> SourceError {
        SourceError::CacheFailed { url: self.address.to_string(), problem: "reading or writing it was broken off".into() }
    }

    fn explained(&self, error: SourceError) -> SourceError {
        error.with_origin(&super::reach::origin(&self.access))
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
            // The library's text has a number in it that is another one in every try.
            Ok(Err(_)) => Err(self.broken_off()),
            Err(_) => {
                interrupt.store(true, Ordering::Relaxed);
                Err(SourceError::Timeout { url: self.address.to_string(), limit: self.options.timeout })
            }
        }
    }
}

/// Waits for the mirror until the caller gives up.
fn wait_for<'a>(mirror: &'a Mutex<Mirror>, gave_up: &AtomicBool) -> Option<MutexGuard<'a, Mirror>> {
    while !gave_up.load(Ordering::Relaxed) {
        match mirror.try_lock() {
            Ok(guard) => return Some(guard),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    None
}

/// True for a full reference name that the usual listing does not contain.
fn is_unusual(name: &str) -> bool {
    name.starts_with("refs/")
        && !name.starts_with("refs/heads/")
        && !name.starts_with("refs/tags/")
        // A name that Git forbids would make every listing of this repository fail.
        && is_listable(name)
}
