//! Kubernetes Events on their way out: told after the work, not in its way.
//!
//! An Event is best effort everywhere in Kubernetes, and one for each opened object would cost as much as the Secret itself. So they
//! wait in a short queue, from which one at a time is sent: warnings first, good news when the backlog of SealedSecrets is done, or a
//! few each second until then. A repeated Event raises the count of the first (the recorder of kube does that, as client-go).
//!
//! Source: client-go's broadcaster, which queues 1,000 Events and drops what does not fit.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use tokio::sync::Notify;

use super::backlog::Backlog;

/// Events that wait at most, about 2 MB; of more than these the oldest good news is dropped.
const LIMIT: usize = 4096;
/// Wait before good news while the backlog is worked on: ten Events a second are no load.
const PACE: Duration = Duration::from_millis(100);

/// Something to say about an object.
pub(super) struct News {
    /// What.
    pub event: Event,
    /// About which object.
    pub regarding: ObjectReference,
}

/// The Events that wait.
#[derive(Default)]
pub(super) struct EventQueue {
    waiting: Mutex<Waiting>,
    changed: Notify,
    warned: Notify,
}

#[derive(Default)]
struct Waiting {
    warnings: VecDeque<News>,
    good: VecDeque<News>,
    dropped: u64,
}

impl Waiting {
    fn add(&mut self, news: News) {
        if self.warnings.len() + self.good.len() >= LIMIT {
            self.dropped += 1;
            if self.good.pop_front().is_none() {
                return;
            }
        }
        match news.event.type_ {
            EventType::Warning => self.warnings.push_back(news),
            EventType::Normal => self.good.push_back(news),
        }
    }

    fn next(&mut self) -> Option<News> {
        self.warnings.pop_front().or_else(|| self.good.pop_front())
    }
}

impl EventQueue {
    /// Queues an Event; never waits.
    pub fn add(&self, event: Event, regarding: ObjectReference) {
        let is_warning = matches!(event.type_, EventType::Warning);
        self.with(|waiting| waiting.add(News { event, regarding }));
        if is_warning {
            self.warned.notify_one();
        }
        self.changed.notify_one();
    }

    /// Sends Events for ever. One that the API server does not take is logged and gone.
    pub async fn run(&self, recorder: &Recorder, backlog: &Backlog) {
        loop {
            let news = self.next(backlog).await;
            if let Err(error) = recorder.publish(&news.event, &news.regarding).await {
                tracing::warn!(%error, reason = news.event.reason, "cannot write an event");
            }
            let dropped = self.with(|waiting| std::mem::take(&mut waiting.dropped));
            if dropped > 0 {
                tracing::warn!(dropped, "events were dropped: more came than the API server took");
            }
        }
    }

    /// Waits for the next Event, and for its time.
    async fn next(&self, backlog: &Backlog) -> News {
        loop {
            let (warned, any) = self.with(|waiting| (!waiting.warnings.is_empty(), !waiting.good.is_empty()));
            if !warned && !any {
                self.changed.notified().await;
                continue;
            }
            if !warned {
                tokio::select! {
                    () = backlog.idle() => {}
                    () = tokio::time::sleep(PACE) => {}
                    () = self.warned.notified() => continue,
                }
            }
            if let Some(news) = self.with(Waiting::next) {
                return news;
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Waiting) -> T) -> T {
        act(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use futures::FutureExt as _;

    use super::*;

    fn news(type_: EventType, reason: &str) -> (Event, ObjectReference) {
        let event = Event { type_, reason: reason.into(), note: None, action: reason.into(), secondary: None };
        (event, ObjectReference::default())
    }

    #[test]
    fn of_too_many_the_oldest_good_news_goes_and_never_a_warning() {
        let mut waiting = Waiting::default();
        let mut add = |type_, reason: &str| {
            let (event, regarding) = news(type_, reason);
            waiting.add(News { event, regarding });
        };
        add(EventType::Normal, "oldest");
        (0..LIMIT - 1).for_each(|number| add(EventType::Warning, &format!("warning {number}")));
        add(EventType::Warning, "last");
        add(EventType::Warning, "too many");
        assert_eq!((waiting.dropped, waiting.good.len(), waiting.warnings.len()), (2, 0, LIMIT));
        assert_eq!(waiting.warnings.back().unwrap().event.reason, "last");
    }

    #[tokio::test]
    async fn good_news_waits_for_the_backlog_but_not_for_ever_and_warnings_do_not() {
        let (queue, backlog) = (EventQueue::default(), Backlog::default());
        backlog.add([("web".to_owned(), "db".to_owned())]);
        let add = |type_, reason| {
            let (event, regarding) = news(type_, reason);
            queue.add(event, regarding);
        };
        add(EventType::Normal, "slow");
        add(EventType::Warning, "quick");
        assert_eq!(queue.next(&backlog).now_or_never().map(|news| news.event.reason).as_deref(), Some("quick"));
        assert!(queue.next(&backlog).now_or_never().is_none(), "the backlog is worked on");
        assert_eq!(queue.next(&backlog).await.event.reason, "slow");
        add(EventType::Normal, "later");
        let place = backlog.next().await;
        backlog.finished(&place);
        assert_eq!(queue.next(&backlog).now_or_never().map(|news| news.event.reason).as_deref(), Some("later"));
    }
}
