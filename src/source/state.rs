//! What is known of one repository, held only for a moment at a time: nobody who can be answered waits for a request.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;
use super::refs::Refs;
use super::repository::Freshness;
use super::{Commit, SourceError, SourceTree};

/// Trees kept open: an application or two at the newest commit, and those that lag behind during a rollout.
const OPEN_TREES: usize = 8;

#[derive(Default)]
pub(super) struct State {
    refs: Arc<Refs>,
    /// When the last successful listing began.
    listed: Option<Instant>,
    /// Of the last listing; the poll asks again.
    failure: Option<Failure>,
    /// True once somebody was answered with the failure.
    failure_shown: bool,
    /// References outside branches and tags that somebody asked for.
    also: BTreeSet<String>,
    trees: VecDeque<SourceTree>,
    /// Of the last fetch; whoever needs the files asks again.
    fetch_failure: Option<Failure>,
    /// Commits that the remote said it does not have.
    missing: BTreeMap<Commit, Failure>,
}

impl State {
    /// The references if they are fresh enough, or the failure that stands for them.
    pub(super) fn answer(&mut self, asked: Instant, freshness: Freshness) -> Option<Result<Arc<Refs>, SourceError>> {
        let counts = |began: Instant| freshness == Freshness::Polled || began >= asked;
        if let Some(failure) = &self.failure {
            self.failure_shown |= counts(failure.began);
            return counts(failure.began).then(|| Err(failure.error.clone()));
        }
        self.listed.filter(|listed| counts(*listed)).map(|_| Ok(self.refs.clone()))
    }

    /// True when a listing began since then, or when nobody ever wanted one.
    pub(super) fn has_asked_since(&self, asked: Instant) -> bool {
        let last = self.listed.max(self.failure.as_ref().map(|failure| failure.began));
        last.is_none_or(|began| began >= asked)
    }

    /// True for a reference outside branches and tags that no listing has asked for yet.
    pub(super) fn is_unasked(&self, name: &str) -> bool {
        self.failure.is_none() && !self.also.contains(name)
    }

    /// What the next listing asks for besides branches and tags.
    pub(super) fn also(&mut self, wanted: Option<&str>) -> Vec<String> {
        self.also.extend(wanted.map(ToOwned::to_owned));
        self.also.iter().cloned().collect()
    }

    /// Remembers a listing. True when those who use the repository have to look again.
    pub(super) fn remember(&mut self, result: Result<Refs, SourceError>, began: Instant) -> bool {
        match result {
            Ok(refs) => {
                let changed = *self.refs != refs;
                let tell = self.failure_shown || (changed && self.listed.is_some());
                if changed {
                    self.refs = Arc::new(refs);
                }
                self.listed = Some(began);
                self.failure = None;
                self.failure_shown = false;
                self.forgive();
                tell
            }
            Err(error) => Failure::record(&mut self.failure, error, began),
        }
    }

    /// Time until the next poll is due; `None` when there is nothing to poll for.
    pub(super) fn next_poll(&self, interval: Duration, jitter: Duration) -> Option<Duration> {
        match &self.failure {
            Some(failure) => Some(failure.until.saturating_duration_since(Instant::now())),
            // Zero means never, as in Argo CD.
            None if interval.is_zero() => None,
            // A listing that somebody else asked for counts as a poll.
            None => Some((interval + jitter).saturating_sub(self.listed?.elapsed())),
        }
    }

    /// True when a poll would not come too early; somebody may have asked while it waited.
    pub(super) fn is_due(&self, interval: Duration) -> bool {
        match (&self.failure, self.listed) {
            (Some(failure), _) => !failure.holds(),
            (None, Some(listed)) => !interval.is_zero() && listed.elapsed() >= interval,
            (None, None) => false,
        }
    }

    /// The open tree of a commit, unless its mirror is gone.
    pub(super) fn open_tree(&mut self, commit: &Commit) -> Option<SourceTree> {
        self.trees.retain(SourceTree::is_readable);
        let at = self.trees.iter().position(|tree| tree.commit() == commit)?;
        let tree = self.trees.remove(at)?;
        self.trees.push_back(tree.clone());
        Some(tree)
    }

    /// Like [`Self::keep_tree`], in place of an open tree of the same commit.
    pub(super) fn replace_tree(&mut self, tree: SourceTree) {
        self.trees.retain(|open| open.commit() != tree.commit());
        self.keep_tree(tree);
    }

    pub(super) fn keep_tree(&mut self, tree: SourceTree) {
        if self.trees.len() >= OPEN_TREES {
            self.trees.pop_front();
        }
        self.trees.push_back(tree);
    }

    /// Why a commit must not be fetched now: the remote failed a moment ago, or said that it has no such commit.
    pub(super) fn refuses_fetch(&self, commit: &Commit) -> Option<SourceError> {
        let failures = [self.missing.get(commit), self.fetch_failure.as_ref(), self.failure.as_ref()];
        failures.into_iter().flatten().find(|failure| failure.holds()).map(|failure| failure.error.clone())
    }

    /// Remembers a fetch that failed. Gives the error to show.
    pub(super) fn remember_fetch_failure(&mut self, commit: &Commit, error: SourceError, began: Instant) -> SourceError {
        let failure = if matches!(error, SourceError::NoSuchRevision { .. }) {
            let failure = Failure::after(self.missing.remove(commit), error, began);
            self.missing.entry(commit.clone()).or_insert(failure)
        } else {
            let previous = self.fetch_failure.take();
            self.fetch_failure.insert(Failure::after(previous, error, began))
        };
        failure.error.clone()
    }

    /// Lets fetches be tried again: the remote has answered, or somebody asks for an answer as of now.
    pub(super) fn forgive(&mut self) {
        self.fetch_failure = None;
        self.missing.clear();
    }
}
