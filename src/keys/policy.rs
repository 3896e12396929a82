//! How new sealing keys are made, and when: Sealed Secrets' controller flags as values.
//!
//! Source: Sealed Secrets 0.36.6 (reference 3 and 5.1). Where its flags turn a typing error into zero, these refuse it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::rsa::KeySize;
use jiff::Timestamp;

use super::secret::{ACTIVE_LABEL, LEGACY_NAME};
use crate::template;

/// Longest prefix of a key Secret's name: the API server adds five characters.
const LONGEST_PREFIX: usize = 245;
/// Life of a certificate: 3650 days. Only sealing ends then; opening never does.
const TEN_YEARS: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
/// A new key every 30 days.
const THIRTY_DAYS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What makes one key newer than another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyOrder {
    /// The start of its certificate's validity.
    #[default]
    CertNotBefore,
    /// The creation of its Secret.
    SecretCreationTimestamp,
}

/// How new keys are made, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPolicy {
    /// Beginning of the name of a new key's Secret.
    pub prefix: String,
    /// Bits of a new key: 2048, 3072, 4096 or 8192.
    pub bits: u16,
    /// Validity of a new certificate.
    pub lifetime: Duration,
    /// Common name in a new certificate; empty for none.
    pub common_name: String,
    /// Age of the active key at which a new one is made; none for never.
    pub renew_after: Option<Duration>,
    /// What makes a key newer.
    pub order: KeyOrder,
    /// Keys from before this instant do not stay active.
    pub cutoff: Option<Timestamp>,
    /// Annotations of a new key's Secret.
    pub annotations: BTreeMap<String, String>,
    /// Labels of a new key's Secret, beside the one that makes it a key.
    pub labels: BTreeMap<String, String>,
}

/// Sealed Secrets' defaults.
impl Default for KeyPolicy {
    fn default() -> Self {
        Self {
            prefix: LEGACY_NAME.to_owned(),
            bits: 4096,
            lifetime: TEN_YEARS,
            common_name: String::new(),
            renew_after: Some(THIRTY_DAYS),
            order: KeyOrder::default(),
            cutoff: None,
            annotations: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }
}

impl KeyPolicy {
    /// The size of a new key for the cryptographic library; none for a size that it does not make.
    #[must_use]
    pub const fn size(bits: u16) -> Option<KeySize> {
        match bits {
            2048 => Some(KeySize::Rsa2048),
            3072 => Some(KeySize::Rsa3072),
            4096 => Some(KeySize::Rsa4096),
            8192 => Some(KeySize::Rsa8192),
            _ => None,
        }
    }
}

/// Reads a size in bits.
///
/// # Errors
/// Names the sizes there are.
pub fn parse_bits(text: &str) -> Result<u16, String> {
    let bits = text.parse().ok().filter(|bits| KeyPolicy::size(*bits).is_some());
    bits.ok_or_else(|| "the sizes are 2048, 3072, 4096 and 8192 bits".to_owned())
}

/// Reads the beginning of a Secret's name.
///
/// # Errors
/// When a Secret cannot be named so.
pub fn parse_prefix(text: &str) -> Result<String, String> {
    if let Some(illegal) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return Err(format!("name contains illegal character {illegal}"));
    }
    match text.len() {
        0 => Err("name is empty".to_owned()),
        length if length >= LONGEST_PREFIX => {
            Err(format!("name is too long, must be shorter than {LONGEST_PREFIX}, got {length}"))
        }
        _ => Ok(text.to_owned()),
    }
}

/// Reads a duration as Go writes it, such as `720h`; `0` is one.
///
/// # Errors
/// When it is none, or negative: upstream would then make one key after the other.
pub fn parse_period(text: &str) -> Result<Duration, String> {
    let nanoseconds =
        template::parse_duration(text).ok_or_else(|| "write it like 720h or 30m; there is no unit for days".to_owned())?;
    u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| "it must not be negative".to_owned())
}

/// Reads an instant as `date -R` prints it: RFC 1123 with a numeric zone.
///
/// # Errors
/// When it is none.
pub fn parse_cutoff(text: &str) -> Result<Timestamp, String> {
    let parsed = jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S %z", text).and_then(|time| time.to_timestamp());
    parsed.map_err(|_| "write it as `date -R` does, like Mon, 02 Jan 2006 15:04:05 -0700".to_owned())
}

/// Reads `name=value,name=value`.
///
/// # Errors
/// When a part has no `=` or no name, or would replace the label that makes a Secret a key.
pub fn parse_pairs(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pair = |part: &str| match part.split_once('=') {
        Some((name, value)) if name == ACTIVE_LABEL => Err(format!("{ACTIVE_LABEL} is set by the controller, not to {value:?}")),
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{part:?} is not name=value")),
    };
    if text.is_empty() { Ok(BTreeMap::new()) } else { text.split(',').map(pair).collect() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn values_are_upstreams() {
        assert_eq!(parse_period("720h"), Ok(THIRTY_DAYS));
        assert_eq!(parse_period("0"), Ok(Duration::ZERO));
        assert_eq!(parse_cutoff("Mon, 02 Jan 2006 15:04:05 -0700").unwrap().to_string(), "2006-01-02T22:04:05Z");
        assert_eq!(parse_pairs("a=b,c=d=e").unwrap()["c"], "d=e");
        assert_eq!(parse_prefix("sealed-secrets-key"), Ok(LEGACY_NAME.to_owned()));
        assert_eq!(parse_bits("2048"), Ok(2048));
    }

    #[test]
    fn what_upstream_takes_for_zero_or_crashes_on_is_refused() {
        for period in ["30d", "-1h", "720", ""] {
            assert!(parse_period(period).is_err(), "{period}");
        }
        assert!(parse_cutoff("2006-01-02T15:04:05Z").is_err());
        assert_eq!(parse_pairs("a=b,"), Err("\"\" is not name=value".to_owned()));
        assert!(parse_pairs(&format!("{ACTIVE_LABEL}=off")).is_err());
        assert_eq!(parse_prefix("Key"), Err("name contains illegal character K".to_owned()));
        assert_eq!(parse_prefix(&"a".repeat(245)), Err("name is too long, must be shorter than 245, got 245".to_owned()));
        assert!(parse_bits("1024").is_err());
    }
}
