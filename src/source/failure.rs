//! A request that failed: the error to repeat meanwhile, and when to ask again.

use std::time::Duration;

use tokio::time::Instant;

use super::SourceError;

/// Wait after the first failure; doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_secs(5);
/// Longest wait after failures, as long as the longest wait between polls by default.
const BACKOFF_MAX: Duration = Duration::from_secs(180);
/// Failures in a row after which everybody is told. One alone is a hiccup, and the second try comes within seconds.
const TELL_AFTER: u32 = 2;
/// Digits in a row that may be a byte count, a time or a process, and not a status code or an address.
const COUNTER_DIGITS: usize = 4;

/// The last of a row of failures.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) error: SourceError,
    /// How many failed in a row.
    pub(super) count: u32,
    /// No request before this.
    pub(super) until: Instant,
    /// When the request began.
    pub(super) began: Instant,
}

impl Failure {
    /// Adds a failure to the row.
    ///
    /// What says the same again keeps its first text: an error ends up in the status of every application of the repository,
    /// and a byte count that differs in every try would be a write in every try.
    pub(super) fn after(previous: Option<Self>, error: SourceError, began: Instant) -> Self {
        let count = previous.as_ref().map_or(0, |failure| failure.count) + 1;
        let error = match previous {
            Some(previous) if shape(&previous.error.to_string()) == shape(&error.to_string()) => previous.error,
            _ => error,
        };
        Self { error, count, until: Instant::now() + backoff(count), began }
    }

    /// Adds a failure to the row in its place. True when those who use the remote have to be told.
    pub(super) fn record(row: &mut Option<Self>, error: SourceError, began: Instant) -> bool {
        let failure = Self::after(row.take(), error, began);
        row.insert(failure).count == TELL_AFTER
    }

    /// True while the remote must be left alone.
    pub(super) fn holds(&self) -> bool {
        self.until > Instant::now()
    }
}

/// A text with its counters taken out.
fn shape(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = piece.trim_end_matches(|c: char| !c.is_ascii_digit());
        shape.push_str(if digits.len() < COUNTER_DIGITS { digits } else { "#" });
        shape.push_str(&piece[digits.len()..]);
    }
    shape
}

/// Doubles with every failure; up to a quarter less, so that many repositories of one dead host do not come back together.
fn backoff(count: u32) -> Duration {
    let doubled = BACKOFF_MIN.saturating_mul(1 << count.saturating_sub(1).min(10)).min(BACKOFF_MAX);
    doubled.mul_f64(1.0 - 0.25 * rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable(problem: &str) -> SourceError {
        SourceError::Unreachable { url: "https://git.example/a.git".into(), problem: problem.into() }
    }

    #[test]
    fn the_same_failure_keeps_its_text_and_another_one_does_not() {
        let began = Instant::now();
        let first = Failure::after(None, unreachable("the pack ended after 123456 bytes"), began);
        let second = Failure::after(Some(first), unreachable("the pack ended after 9876543 bytes"), began);
        assert_eq!(second.error, unreachable("the pack ended after 123456 bytes"));
        assert_eq!(second.count, 2);
        let third = Failure::after(Some(second), unreachable("status 503"), began);
        assert_eq!(third.error, unreachable("status 503"));
        let fourth = Failure::after(Some(third), unreachable("status 502"), began);
        assert_eq!(fourth.error, unreachable("status 502"), "a status code is no counter");
    }

    #[test]
    fn waits_grow_to_a_limit() {
        let within = |count, low: u64, high: u64| {
            let wait = backoff(count);
            assert!(wait >= Duration::from_secs(low) && wait <= Duration::from_secs(high), "{count}: {wait:?}");
        };
        within(1, 3, 5);
        within(2, 7, 10);
        within(6, 120, 160);
        within(7, 135, 180);
        within(u32::MAX, 135, 180);
    }
}
