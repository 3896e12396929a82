//! How long a failed operation waits before its next attempt. Pure.
//!
//! Source: Argo CD 3.5 (reference sections 1.12 and 6.12): the first real wait is `duration * factor`.

use std::time::Duration;

use crate::api::application::{Backoff, RetryStrategy};

/// An unusable duration in a retry strategy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a duration (a number of seconds, or a Go duration such as 5s or 3m)")]
pub struct InvalidDuration {
    /// What was written.
    pub value: String,
}

/// The strategy of an automated sync that names none.
#[must_use]
pub fn automated_default() -> RetryStrategy {
    RetryStrategy { limit: 5, ..RetryStrategy::default() }
}

/// True when another attempt is allowed after `retry_count` retries. A negative limit means without end.
#[must_use]
pub const fn allows_retry(strategy: Option<&RetryStrategy>, retry_count: i64) -> bool {
    match strategy {
        Some(strategy) => strategy.limit < 0 || retry_count < strategy.limit,
        None => false,
    }
}

/// Wait before attempt number `retry_count` (1 for the first retry).
///
/// # Errors
/// When the strategy holds something that is not a duration.
pub fn wait(strategy: Option<&RetryStrategy>, retry_count: i64) -> Result<Duration, InvalidDuration> {
    let none = Backoff::default();
    let backoff = strategy.and_then(|strategy| strategy.backoff.as_ref()).unwrap_or(&none);
    let first = backoff.duration.as_deref().filter(|text| !text.is_empty()).map_or(Ok(Duration::from_secs(5)), parse)?;
    let longest = backoff.max_duration.as_deref().filter(|text| !text.is_empty()).map_or(Ok(Duration::from_secs(180)), parse)?;
    let factor = backoff.factor.filter(|factor| *factor > 0).unwrap_or(2);
    let exponent = i32::try_from(retry_count.clamp(0, 64)).unwrap_or(64);
    #[expect(clippy::cast_precision_loss, reason = "factors are small")]
    let seconds = first.as_secs_f64() * (factor as f64).powi(exponent);
    // A wait of more than a year is as good as none and would overflow.
    let wanted = Duration::from_secs_f64(seconds.min(31_536_000.0));
    Ok(if longest.is_zero() { wanted } else { wanted.min(longest) })
}

/// Reads a bare number of seconds or a Go duration (`1h2m3.5s`, units ns us ms s m h).
///
/// # Errors
/// When the text is neither.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration { value: text.to_owned() };
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut total = 0.0;
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |end| digits + end);
        let seconds = match &rest[digits..unit_end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(invalid()),
        };
        total += number * seconds;
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(total).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_duration_times_factor_to_the_cap() {
        let waits: Vec<u64> = (1..=6).map(|n| wait(None, n).map_or(0, |wait| wait.as_secs())).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 180]);
    }

    #[test]
    fn durations_are_seconds_or_go_durations() {
        assert_eq!(parse("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("1.5h"), Ok(Duration::from_secs(5400)));
        for text in ["", "soon", "5x", "s", "-5s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits() {
        let strategy = |limit| RetryStrategy { limit, ..RetryStrategy::default() };
        assert!(!allows_retry(None, 0));
        assert!(!allows_retry(Some(&strategy(0)), 0));
        assert!(allows_retry(Some(&strategy(5)), 4));
        assert!(!allows_retry(Some(&strategy(5)), 5));
        assert!(allows_retry(Some(&strategy(-1)), 1_000_000));
    }
}
