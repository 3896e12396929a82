//! Waiting for a condition instead of sleeping.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

const POLL_EVERY: Duration = Duration::from_millis(50);

/// Waits until `check` answers `Ok` and returns what it found.
///
/// # Panics
/// After `timeout`, with `what` was awaited and the last thing `check` said instead.
#[track_caller]
pub fn eventually<T, E, F, C>(what: &str, timeout: Duration, check: C) -> impl Future<Output = T>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
    C: FnMut() -> F,
{
    // Captured here because `#[track_caller]` does not reach into the future.
    let caller = std::panic::Location::caller();
    async move {
        match poll(timeout, check).await {
            Ok(found) => found,
            Err(last) => panic!("{caller}: waited {} s for {what}; last seen: {last}", timeout.as_secs_f32()),
        }
    }
}

/// As [`eventually`], for callers that handle the failure: gives back the last thing `check` said.
pub async fn poll<T, E, F, C>(timeout: Duration, mut check: C) -> Result<T, String>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
    C: FnMut() -> F,
{
    let deadline = Instant::now() + timeout;
    let mut last = "nothing yet".to_owned();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, check()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(state)) => last = state.to_string(),
            Err(_) => return Err(format!("{last} (the check itself did not return in time)")),
        }
        if Instant::now() + POLL_EVERY >= deadline {
            return Err(last);
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}
