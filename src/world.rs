//! This machine as the world of templates: its clock, its randomness, its time zones.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rand::Rng as _;

use crate::template::World;

/// The machine that the process runs on.
pub struct ThisMachine;

impl World for ThisMachine {
    fn now(&mut self) -> Timestamp {
        Timestamp::now()
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }

    fn local(&self) -> TimeZone {
        TimeZone::system()
    }

    /// Names that could lead out of the database are none, as in Go.
    fn zone(&self, name: &str) -> Option<TimeZone> {
        let leads_out = name.contains("..") || name.starts_with(['/', '\\']) || name.contains('\\');
        if leads_out { None } else { TimeZone::get(name).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_zones_stay_inside_the_database() {
        for name in ["../../etc/passwd", "/etc/localtime", "a/../b", "\\\\host"] {
            assert!(ThisMachine.zone(name).is_none(), "{name}");
        }
        assert!(ThisMachine.zone("UTC").is_some());
    }

    #[test]
    fn random_bytes_differ() {
        let (mut first, mut second) = ([0; 32], [0; 32]);
        ThisMachine.fill(&mut first);
        ThisMachine.fill(&mut second);
        assert_ne!(first, second);
    }
}
