//! When the next sealing key is made. Nothing is sealed again by it, and no old key goes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::KeyPolicy;

/// Why a key is made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is none.
    NoKey,
    /// The active one is from before the cut-off time.
    CutOff,
    /// The active one is as old as the renewal period.
    Age,
    /// Somebody asked for it.
    Asked,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoKey => "there is no sealing key yet",
            Self::CutOff => "the active sealing key is from before the cut-off time",
            Self::Age => "the active sealing key has reached the renewal period",
            Self::Asked => "a new sealing key was asked for",
        })
    }
}

/// When the next key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// At once.
    Now(Reason),
    /// After a wait.
    In(Duration),
    /// Not by itself.
    Never,
}

/// Decides from the instant that orders the active key among the keys.
///
/// A cut-off that lies in the future takes effect when it comes; upstream makes one key per restart until then.
#[must_use]
pub fn next(active_since: Option<Timestamp>, policy: &KeyPolicy, now: Timestamp) -> Renewal {
    let Some(since) = active_since else { return Renewal::Now(Reason::NoKey) };
    let cutoff = policy.cutoff.filter(|cutoff| since < *cutoff).map(|cutoff| (cutoff, Reason::CutOff));
    let period = policy.renew_after.and_then(|period| SignedDuration::try_from(period).ok());
    let aged = period.and_then(|period| since.checked_add(period).ok()).map(|due| (due, Reason::Age));
    let Some((due, reason)) = cutoff.into_iter().chain(aged).min_by_key(|(due, _)| *due) else { return Renewal::Never };
    match Duration::try_from(due.duration_since(now)) {
        Ok(wait) if !wait.is_zero() => Renewal::In(wait),
        _ => Renewal::Now(reason),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn decide(since: Option<&str>, cutoff: Option<&str>, period_hours: u64, now: &str) -> Renewal {
        let renew_after = (period_hours > 0).then(|| Duration::from_secs(period_hours * 3600));
        let policy = KeyPolicy { cutoff: cutoff.map(at), renew_after, ..KeyPolicy::default() };
        next(since.map(at), &policy, at(now))
    }

    #[test]
    fn a_key_is_made_when_there_is_none_or_the_active_one_is_old() {
        let now = "2026-01-02T00:00:00Z";
        assert_eq!(decide(None, None, 0, now), Renewal::Now(Reason::NoKey));
        assert_eq!(decide(Some("2025-12-31T23:00:00Z"), None, 24, now), Renewal::Now(Reason::Age));
        assert_eq!(decide(Some("2026-01-01T01:00:00Z"), None, 24, now), Renewal::In(Duration::from_secs(3600)));
        assert_eq!(decide(Some("2000-01-01T00:00:00Z"), None, 0, now), Renewal::Never);
    }

    #[test]
    fn a_cut_off_counts_once_and_only_when_it_has_come() {
        let cutoff = Some("2026-01-02T00:00:00Z");
        assert_eq!(decide(Some("2026-01-01T00:00:00Z"), cutoff, 0, "2026-01-02T00:00:00Z"), Renewal::Now(Reason::CutOff));
        assert_eq!(
            decide(Some("2026-01-01T00:00:00Z"), cutoff, 0, "2026-01-01T23:00:00Z"),
            Renewal::In(Duration::from_secs(3600)),
            "a restart before it makes no key"
        );
        assert_eq!(decide(Some("2026-01-02T00:00:00Z"), cutoff, 0, "2026-01-03T00:00:00Z"), Renewal::Never);
    }

    #[test]
    fn a_clock_that_went_back_makes_no_key() {
        assert!(matches!(decide(Some("2027-01-01T00:00:00Z"), None, 24, "2026-01-01T00:00:00Z"), Renewal::In(_)));
    }
}
