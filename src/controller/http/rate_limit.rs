//! How often one client may ask: the generic cell rate algorithm, as upstream uses it.
//!
//! Each client has one instant, its theoretical arrival time: when it would be back to its full allowance. A request moves it
//! ahead by one interval; a request that would move it further ahead than the allowance is refused and moves nothing.
//!
//! Source: Sealed Secrets 0.36.6 with throttled 2.2.5 (reference 4.2).

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// Clients that are remembered. Each takes 24 bytes, so nobody fills the memory with invented addresses.
const MAX_CLIENTS: usize = 65_536;

/// How often one client may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Requests per second in the long run.
    pub per_second: NonZeroU32,
    /// Requests that may come at once, besides the first.
    pub burst: u32,
}

impl Default for Limit {
    /// Upstream's: two per second, three at once.
    fn default() -> Self {
        Self { per_second: NonZeroU32::MIN.saturating_add(1), burst: 2 }
    }
}

impl Limit {
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.get()
    }

    /// Requests of a rested client that pass at once.
    pub const fn at_once(self) -> u32 {
        self.burst.saturating_add(1)
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// How long to wait before the next attempt; none when this request passes.
    pub retry_after: Option<Duration>,
    /// Requests that would pass right after this one.
    pub remaining: u32,
    /// When the client is back to its full allowance.
    pub reset_after: Duration,
}

/// Decides about one request. Instants are measured from any fixed moment.
///
/// Returns the verdict and the client's next theoretical arrival time; the latter equals `arrival` for a refused request.
pub fn rate_limit(arrival: Option<Duration>, limit: Limit, now: Duration) -> (Verdict, Duration) {
    let interval = limit.interval();
    let allowance = interval.saturating_mul(limit.at_once());
    let arrival = arrival.map_or(now, |arrival| arrival.max(now));
    let next = arrival.saturating_add(interval);
    let allowed_at = next.saturating_sub(allowance);
    let (retry_after, arrival) = if now < allowed_at { (Some(allowed_at - now), arrival) } else { (None, next) };
    let reset_after = arrival.saturating_sub(now);
    let left = allowance.saturating_sub(reset_after).as_nanos() / interval.as_nanos().max(1);
    (Verdict { retry_after, remaining: u32::try_from(left).unwrap_or(u32::MAX), reset_after }, arrival)
}

/// The clients of one route set.
#[derive(Debug, Default)]
pub struct Clients {
    /// By a digest: an address comes from a header of any length.
    arrivals: HashMap<[u8; 16], Duration>,
}

impl Clients {
    /// Decides about a request of the client `who`, and remembers it.
    pub fn admit(&mut self, who: &str, limit: Limit, now: Duration) -> Verdict {
        let key = digest(who);
        let (verdict, arrival) = rate_limit(self.arrivals.get(&key).copied(), limit, now);
        if self.arrivals.len() >= MAX_CLIENTS && !self.arrivals.contains_key(&key) {
            self.make_room(now);
        }
        self.arrivals.insert(key, arrival);
        verdict
    }

    /// Forgets the rested, who are treated as strangers anyway; if there are none, whoever would be rested first.
    fn make_room(&mut self, now: Duration) {
        self.arrivals.retain(|_, arrival| *arrival > now);
        if self.arrivals.len() >= MAX_CLIENTS
            && let Some(key) = self.arrivals.iter().min_by_key(|(_, arrival)| **arrival).map(|(key, _)| *key)
        {
            self.arrivals.remove(&key);
        }
    }
}

fn digest(who: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(who.to_lowercase()).into();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Whether each request passes, what remains, and the wait in milliseconds.
    fn story(at: &[u64]) -> Vec<(u32, Option<u64>)> {
        let mut clients = Clients::default();
        let verdicts = at.iter().map(|at| clients.admit("client", Limit::default(), ms(*at)));
        verdicts.map(|verdict| (verdict.remaining, verdict.retry_after.map(|wait| wait.as_millis() as u64))).collect()
    }

    #[test]
    fn three_at_once_then_one_each_half_second() {
        assert_eq!(story(&[0, 0, 0, 0]), [(2, None), (1, None), (0, None), (0, Some(500))]);
        assert_eq!(
            story(&[0, 0, 0, 400, 500, 500]),
            [(2, None), (1, None), (0, None), (0, Some(100)), (0, None), (0, Some(500))]
        );
        assert_eq!(story(&[0, 0, 0, 1500]), [(2, None), (1, None), (0, None), (2, None)], "rested");
    }

    #[test]
    fn the_time_to_full_allowance_is_told() {
        let (first, arrival) = rate_limit(None, Limit::default(), ms(0));
        assert_eq!((first.reset_after, arrival), (ms(500), ms(500)));
        let (refused, arrival) = rate_limit(Some(ms(1500)), Limit::default(), ms(0));
        assert_eq!((refused.reset_after, refused.retry_after, arrival), (ms(1500), Some(ms(500)), ms(1500)));
    }

    #[test]
    fn no_burst_means_one_by_one() {
        let limit = Limit { burst: 0, ..Limit::default() };
        assert_eq!(rate_limit(None, limit, ms(0)).0.retry_after, None);
        assert_eq!(rate_limit(Some(ms(500)), limit, ms(100)).0.retry_after, Some(ms(400)));
    }

    #[test]
    fn clients_do_not_share_and_case_does_not_matter() {
        let mut clients = Clients::default();
        let mut passes = |who: &str| clients.admit(who, Limit { burst: 0, ..Limit::default() }, ms(0)).retry_after.is_none();
        assert!(passes("10.0.0.1/v1/verify") && passes("10.0.0.1/v1/rotate") && passes("fd00::a"));
        assert!(!passes("FD00::A"));
    }

    #[test]
    fn invented_addresses_do_not_fill_the_memory_and_do_not_free_a_client() {
        let mut clients = Clients::default();
        for _ in 0..3 {
            clients.admit("greedy", Limit::default(), ms(0));
        }
        for number in 0..MAX_CLIENTS + 100 {
            clients.admit(&number.to_string(), Limit::default(), ms(0));
        }
        assert_eq!(clients.arrivals.len(), MAX_CLIENTS);
        assert!(clients.admit("greedy", Limit::default(), ms(0)).retry_after.is_some());
        clients.admit("later", Limit::default(), ms(10_000));
        assert_eq!(clients.arrivals.len(), 1, "the rested were forgotten");
    }
}
