//! The six health codes and a verdict.

use std::fmt;
use std::str::FromStr;

/// How an object or an Application is. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HealthCode {
    /// Works.
    Healthy,
    /// Paused by somebody.
    Suspended,
    /// Not healthy yet, and may become so by itself.
    Progressing,
    /// Not in the cluster.
    Missing,
    /// Failed, or will not become healthy by itself.
    Degraded,
    /// Could not be assessed.
    Unknown,
}

impl HealthCode {
    /// All codes, best first.
    pub const ALL: [Self; 6] = [Self::Healthy, Self::Suspended, Self::Progressing, Self::Missing, Self::Degraded, Self::Unknown];

    /// The code as it is written in a status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for HealthCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is none of the six codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a health status; expected one of Healthy, Suspended, Progressing, Missing, Degraded, Unknown")]
pub struct UnknownCode(pub String);

impl FromStr for HealthCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|code| code.as_str() == text).ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The code.
    pub status: HealthCode,
    /// Why, for people; may be empty.
    pub message: String,
}

impl Health {
    /// Makes a verdict.
    pub fn new(status: HealthCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// A healthy verdict.
    pub fn healthy(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Healthy, message)
    }

    /// A progressing verdict.
    pub fn progressing(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Progressing, message)
    }

    /// A degraded verdict.
    pub fn degraded(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Degraded, message)
    }

    /// A suspended verdict.
    pub fn suspended(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Suspended, message)
    }
}

#[cfg(test)]
mod tests {
    use super::HealthCode;

    #[test]
    fn codes_are_ordered_from_best_to_worst_and_survive_a_round_trip() {
        assert!(HealthCode::ALL.is_sorted());
        for code in HealthCode::ALL {
            assert_eq!(code.to_string().parse(), Ok(code));
        }
        assert!("healthy".parse::<HealthCode>().is_err(), "codes are case-sensitive");
    }
}
