//! Durations as kubectl writes them: `5` (seconds), `5s`, `2m`, `1h30m`, `300ms`.

use std::time::Duration;

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Parses a duration; a bare number means seconds.
///
/// # Errors
/// Says what was expected, for anything else.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration; write it like 30s, 5m or 1h30m");
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let seconds = number.parse::<f64>().map_err(|_| wrong())? * seconds_per(unit).ok_or_else(wrong)?;
        total += Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
        rest = tail;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

/// Parses a time limit as `kubectl wait` does: a negative one means a week.
///
/// # Errors
/// As [`parse`].
pub fn parse_limit(text: &str) -> Result<Duration, String> {
    match text.strip_prefix('-') {
        Some(positive) => parse(positive).map(|_| WEEK),
        None => parse(text),
    }
}

fn seconds_per(unit: &str) -> Option<f64> {
    match unit {
        "ms" => Some(0.001),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kubectl_reads() {
        for (text, millis) in [("5", 5_000), ("5s", 5_000), ("2m", 120_000), ("1h30m", 5_400_000), ("300ms", 300), ("0", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_and_says_how_to_write_it() {
        for text in ["", "soon", "5 s", "5d", "s", "-5s", "1e400"] {
            assert!(parse(text).is_err_and(|error| error.contains("30s")), "{text}");
        }
    }

    #[test]
    fn a_negative_limit_is_a_week() {
        assert_eq!(parse_limit("-1s"), Ok(WEEK));
        assert_eq!(parse_limit("1m"), Ok(Duration::from_mins(1)));
    }
}
