//! What one place has: asked for once, however many applications use it, and again at every poll.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::super::credentials::Access;
use super::super::failure::Failure;
use super::super::{Freshness, Options, SourceError, poll};
use super::http::{self, Got};
use super::index::{Index, Release};
use super::oci::Registry;
use super::place::{Origin, Place};

/// Longest index that is read; the largest public ones have a third of it.
const MAX_INDEX_BYTES: usize = 64 << 20;

/// What somebody wants to know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// All versions.
    Versions,
    /// The digest of a tag.
    Digest(String),
}

/// What a place said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) index: Arc<Index>,
    pub(super) tags: Arc<Vec<String>>,
    /// `None` for a tag that is not there.
    pub(super) digests: BTreeMap<String, Option<String>>,
    etag: Option<String>,
}

#[derive(Default)]
struct State {
    known: Known,
    listed: Option<Instant>,
    failure: Option<Failure>,
    failure_shown: bool,
    needs: BTreeSet<Need>,
    /// Downloads that failed, by key.
    downloads: BTreeMap<String, Failure>,
    /// URLs of Applications that use the place.
    users: BTreeSet<String>,
}

/// One place with one way to enter it.
pub(super) struct Catalogue {
    place: Place,
    access: Access,
    options: Options,
    state: Mutex<State>,
    /// Held while the place is asked.
    asking: tokio::sync::Mutex<()>,
    /// Held while an archive is looked for and downloaded.
    pub(super) fetching: tokio::sync::Mutex<()>,
    used: AtomicBool,
    changes: broadcast::Sender<String>,
    rescheduled: Notify,
}

impl Catalogue {
    pub(super) fn new(origin: &Origin, options: Options, changes: broadcast::Sender<String>) -> Self {
        Self {
            place: origin.place.clone(),
            access: origin.access.clone(),
            options,
            state: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            used: AtomicBool::new(false),
            changes,
            rescheduled: Notify::new(),
        }
    }

    /// Remembers who uses it.
    pub(super) fn mark_used(&self, written: &str) {
        self.used.store(true, Ordering::Relaxed);
        let mut state = self.state();
        if !state.users.contains(written) {
            state.users.insert(written.to_owned());
        }
    }

    /// URLs of the Applications that use it.
    pub(super) fn users(&self) -> BTreeSet<String> {
        self.state().users.clone()
    }

    /// True when somebody used it since the last call, or one of these URLs may.
    pub(super) fn is_wanted(&self, in_use: &BTreeSet<String>) -> bool {
        self.used.swap(false, Ordering::Relaxed) || self.state().users.iter().any(|user| in_use.contains(user))
    }

    /// What the place has, asked anew when the answer is too old for the caller.
    pub(super) async fn look(&self, need: &Need, freshness: Freshness) -> Result<Known, SourceError> {
        let asked = Instant::now();
        if let Some(answer) = self.answer(need, asked, freshness) {
            return answer;
        }
        let turn = self.asking.lock().await;
        if let Some(answer) = self.answer(need, asked, freshness) {
            return answer;
        }
        self.state().needs.insert(need.clone());
        self.ask().await;
        drop(turn);
        self.answer(need, asked, freshness).expect("an answer that began after the question serves")
    }

    fn answer(&self, need: &Need, asked: Instant, freshness: Freshness) -> Option<Result<Known, SourceError>> {
        let mut state = self.state();
        let counts = |began: Instant| freshness == Freshness::Polled || began >= asked;
        if let Some(failure) = state.failure.clone() {
            // After its time the failure stands only until somebody asks again.
            state.failure_shown |= counts(failure.began);
            return counts(failure.began).then_some(Err(failure.error));
        }
        if !state.needs.contains(need) {
            return None;
        }
        state.listed.filter(|listed| counts(*listed)).map(|_| Ok(state.known.clone()))
    }

    /// Asks the place for everything that somebody ever wanted; the caller has the turn.
    async fn ask(&self) {
        let began = Instant::now();
        let (before, needs) = {
            let state = self.state();
            (state.known.clone(), state.needs.clone())
        };
        let result = self.request(&before, &needs).await;
        if let Err(error) = &result {
            tracing::warn!(repository = %self.place, %error, "asking for versions failed");
        }
        let (tell, users) = {
            let mut state = self.state();
            (state.remember(result, began), state.users.clone())
        };
        if tell {
            for user in users {
                // Nobody listening is no error.
                let _ = self.changes.send(user);
            }
        }
        self.rescheduled.notify_one();
    }

    async fn request(&self, before: &Known, needs: &BTreeSet<Need>) -> Result<Known, SourceError> {
        match &self.place {
            Place::Index(url) => self.request_index(url, before).await,
            Place::Registry { host, repository } => {
                let registry = Registry { host, repository, access: &self.access, limit: self.options.timeout };
                let mut known = Known::default();
                for need in needs {
                    match need {
                        Need::Versions => known.tags = Arc::new(registry.tags().await?),
                        Need::Digest(tag) => {
                            known.digests.insert(tag.clone(), registry.digest(tag).await?);
                        }
                    }
                }
                Ok(known)
            }
        }
    }

    async fn request_index(&self, url: &str, before: &Known) -> Result<Known, SourceError> {
        let bad = |problem: String| SourceError::NotAChartRepository { url: url.to_owned(), problem };
        let index = reqwest::Url::parse(&format!("{url}/index.yaml")).map_err(|error| bad(error.to_string()))?;
        let got = http::get(&index, &self.access, before.etag.as_deref(), MAX_INDEX_BYTES, self.options.timeout).await;
        match got {
            Ok(Got::Unchanged) => Ok(before.clone()),
            Ok(Got::New { content, etag }) => {
                let parsed = tokio::task::spawn_blocking(move || {
                    let text = String::from_utf8(content).map_err(|_| "it is no UTF-8".to_owned())?;
                    Index::parse(&text)
                });
                let parsed = parsed.await.map_err(|_| bad("reading it was broken off".into()))?;
                let index = parsed.map_err(|problem| bad(format!("index.yaml cannot be read: {problem}")))?;
                Ok(Known { index: Arc::new(index), etag, ..Known::default() })
            }
            Err(SourceError::NotFound { .. }) => Err(bad("it has no index.yaml".into())),
            Err(SourceError::BadArchive { problem, .. }) => Err(bad(format!("index.yaml cannot be read: {problem}"))),
            Err(other) => Err(other),
        }
    }

    /// The failure of a download that must not be repeated now.
    pub(super) fn refuses_download(&self, key: &str) -> Option<SourceError> {
        self.state().downloads.get(key).filter(|failure| failure.holds()).map(|failure| failure.error.clone())
    }

    /// Remembers a download. Gives the error to show.
    pub(super) fn remember_download<T>(
        &self,
        key: &str,
        began: Instant,
        result: Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let mut state = self.state();
        let previous = state.downloads.remove(key);
        result.map_err(|error| {
            let failure = Failure::after(previous, error, began);
            state.downloads.entry(key.to_owned()).or_insert(failure).error.clone()
        })
    }

    /// Lets downloads be tried again: somebody asks for an answer as of now.
    pub(super) fn forgive(&self) {
        self.state().downloads.clear();
    }

    fn next_poll(&self) -> Option<Duration> {
        let (interval, jitter) = (self.options.poll_interval, self.options.jitter.mul_f64(rand::random()));
        let state = self.state();
        match (&state.failure, state.listed) {
            (Some(failure), _) => Some(failure.until.saturating_duration_since(Instant::now())),
            (None, Some(listed)) if !interval.is_zero() => Some((interval + jitter).saturating_sub(listed.elapsed())),
            (None, _) => None,
        }
    }

    async fn poll(&self) {
        let _turn = self.asking.lock().await;
        let due = {
            let state = self.state();
            match (&state.failure, state.listed) {
                (Some(failure), _) => !failure.holds(),
                (None, Some(listed)) => listed.elapsed() >= self.options.poll_interval,
                (None, None) => false,
            }
        };
        if due {
            self.ask().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Remembers an answer. True when those who use the place have to look again.
    fn remember(&mut self, result: Result<Known, SourceError>, began: Instant) -> bool {
        match result {
            Ok(known) => {
                let changed = self.known != known;
                let tell = self.failure_shown || (changed && self.listed.is_some());
                (self.known, self.listed, self.failure, self.failure_shown) = (known, Some(began), None, false);
                self.downloads.clear();
                tell
            }
            Err(error) => Failure::record(&mut self.failure, error, began),
        }
    }
}

impl Known {
    /// The releases of a chart: from the index, or the tags of a registry.
    pub(super) fn releases(&self, origin: &Origin) -> Option<Vec<Release>> {
        match &origin.place {
            Place::Index(_) => self.index.releases(&origin.chart).map(<[Release]>::to_vec),
            // A plus sign is no character of a tag; Helm writes an underscore.
            Place::Registry { .. } => {
                let release = |tag: &String| Release { version: tag.replace('_', "+"), ..Release::default() };
                Some(self.tags.iter().map(release).collect())
            }
        }
    }
}

/// Polls a place for ever. Does not begin: whoever made it asks at once anyway.
pub(super) async fn poll(catalogue: Arc<Catalogue>) {
    loop {
        if poll::is_due(catalogue.next_poll(), &catalogue.rescheduled).await {
            catalogue.poll().await;
        }
    }
}
