//! SealedSecrets that may wait: those that a list or a changed set of keys names.
//!
//! They enter the work queue a few at a time, each when one before it is done. So what is created or edited while thousands are
//! looked at does not stand behind them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Notify, watch};

use super::secrets::Place;

/// Objects of the backlog in the work queue at a time; the other workers are left for what is new.
const WIDTH: usize = super::CONCURRENCY as usize - 2;

/// The waiting and the admitted objects.
pub(super) struct Backlog {
    state: Mutex<State>,
    changed: Notify,
    busy: watch::Sender<bool>,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), busy: watch::Sender::new(false) }
    }
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Place>,
    known: BTreeSet<Place>,
    admitted: BTreeSet<Place>,
}

impl State {
    fn add(&mut self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            if self.known.insert(place.clone()) {
                self.waiting.push_back(place);
            }
        }
    }

    fn admit(&mut self) -> Option<Place> {
        if self.admitted.len() >= WIDTH {
            return None;
        }
        let place = self.waiting.pop_front()?;
        self.known.remove(&place);
        self.admitted.insert(place.clone());
        Some(place)
    }
}

impl Backlog {
    /// Puts objects behind those that wait already; each waits once.
    pub fn add(&self, places: impl IntoIterator<Item = Place>) {
        self.with(|state| state.add(places));
        self.changed.notify_one();
    }

    /// Waits for the next object's turn.
    pub async fn next(&self) -> Place {
        loop {
            if let Some(place) = self.with(State::admit) {
                return place;
            }
            self.changed.notified().await;
        }
    }

    /// Says that an object has been looked at, or that it is gone; it need not be one of the backlog.
    pub fn finished(&self, place: &Place) {
        if self.with(|state| state.admitted.remove(place)) {
            self.changed.notify_one();
        }
    }

    /// Waits until nothing waits and nothing admitted is being looked at.
    pub async fn idle(&self) {
        // Cannot fail: the sender lives as long as this backlog.
        let _ = self.busy.subscribe().wait_for(|busy| !busy).await;
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state);
        let busy = !state.waiting.is_empty() || !state.admitted.is_empty();
        self.busy.send_if_modified(|before| std::mem::replace(before, busy) != busy);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: usize) -> Place {
        ("web".into(), number.to_string())
    }

    #[test]
    fn a_few_are_admitted_and_each_that_ends_lets_one_in() {
        let mut state = State::default();
        state.add((0..WIDTH + 2).map(place));
        state.add((0..WIDTH + 2).map(place));
        let admitted: Vec<_> = std::iter::from_fn(|| state.admit()).collect();
        assert_eq!(admitted, (0..WIDTH).map(place).collect::<Vec<_>>());
        assert!(state.admitted.remove(&place(1)));
        assert_eq!((state.admit(), state.admit()), (Some(place(WIDTH)), None));
        state.admitted.clear();
        assert_eq!((state.admit(), state.admit()), (Some(place(WIDTH + 1)), None), "nobody waits twice");
    }

    #[test]
    fn who_is_admitted_may_wait_again() {
        let mut state = State::default();
        state.add([place(1)]);
        assert_eq!(state.admit(), Some(place(1)));
        state.add([place(1)]);
        assert_eq!(state.admit(), Some(place(1)));
    }
}
