//! What a template can ask beyond its data: the time, random bytes, time zones.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Everything that is not in the data of a template. Whoever renders gives it, so that a rendering can be repeated in a test.
///
/// (Key pairs are made inside the cryptographic library with its own randomness, as in `sealing`.)
pub trait World {
    /// The current time.
    fn now(&mut self) -> Timestamp;

    /// Fills the bytes with random ones that are fit for passwords.
    fn fill(&mut self, bytes: &mut [u8]);

    /// The time zone that templates call `Local`.
    fn local(&self) -> TimeZone;

    /// A time zone by its name in the IANA database; none when there is no such zone or no database.
    fn zone(&self, name: &str) -> Option<TimeZone>;
}

/// A world that stands still: always the same time, counting bytes for random ones, UTC as local zone.
#[cfg(test)]
pub(crate) struct StillWorld {
    pub now: Timestamp,
    pub next: u8,
}

#[cfg(test)]
impl StillWorld {
    pub(crate) fn new() -> Self {
        Self { now: Timestamp::constant(1_700_000_000, 0), next: 0 }
    }
}

#[cfg(test)]
impl World for StillWorld {
    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.next;
            self.next = self.next.wrapping_mul(5).wrapping_add(37);
        }
    }

    fn local(&self) -> TimeZone {
        TimeZone::UTC
    }

    fn zone(&self, name: &str) -> Option<TimeZone> {
        TimeZone::get(name).ok()
    }
}
