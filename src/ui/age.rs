//! Ages and durations as kubectl writes them: `45s`, `3h12m`, `5d`.

use jiff::Timestamp;

/// The present moment; `GITOPS_NOW` (RFC 3339) replaces it, so that transcripts can be compared.
#[must_use]
pub fn now() -> Timestamp {
    let fixed = std::env::var("GITOPS_NOW").ok().and_then(|text| text.parse().ok());
    fixed.unwrap_or_else(Timestamp::now)
}

/// Age of something that began at an RFC 3339 time; `<unknown>` when that cannot be told.
#[must_use]
pub fn since(began: Option<&str>, now: Timestamp) -> String {
    match began.and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(began) => human(now.as_second() - began.as_second()),
        None => "<unknown>".into(),
    }
}

/// Seconds between two RFC 3339 times, never negative.
#[must_use]
pub fn seconds_between(from: &str, to: &str) -> Option<i64> {
    let (from, to): (Timestamp, Timestamp) = (from.parse().ok()?, to.parse().ok()?);
    Some((to.as_second() - from.as_second()).max(0))
}

/// A number of seconds as kubectl shows it: two units while they are small, then one.
#[must_use]
pub fn human(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

fn two(big: i64, big_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 { format!("{big}{big_unit}") } else { format!("{big}{big_unit}{small}{small_unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_look_as_in_kubectl() {
        for (seconds, text) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (185, "3m5s"),
            (3_600, "60m"),
            (11_520, "3h12m"),
            (28_800, "8h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (864_000, "10d"),
            (63_158_400, "2y1d"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }

    #[test]
    fn an_unreadable_time_is_unknown() {
        assert_eq!(since(Some("yesterday"), Timestamp::UNIX_EPOCH), "<unknown>");
        assert_eq!(since(None, Timestamp::UNIX_EPOCH), "<unknown>");
    }
}
