//! The parts of a layout.

/// One part of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Stands for itself.
    Literal(&'a str),
    LongMonth,
    ShortMonth,
    /// Number of the month, with a leading zero or without.
    Month(Pad),
    LongWeekday,
    ShortWeekday,
    Day(Pad),
    YearDay(Pad),
    Hour,
    Hour12(Pad),
    Minute(Pad),
    Second(Pad),
    LongYear,
    ShortYear,
    UpperNoon,
    LowerNoon,
    ZoneName,
    /// `-0700`: `utc` writes `Z` for no offset; with a colon, with seconds, only hours.
    Offset(Offset),
    /// `.000` or `,999`: separator, digits, whether trailing zeros are left out.
    Fraction {
        separator: char,
        digits: usize,
        trims: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pad {
    None,
    Zero,
    Space,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset {
    pub utc: bool,
    pub colon: bool,
    pub minutes: bool,
    pub seconds: bool,
}

const OFFSETS: &[(&str, Offset)] = &[
    ("070000", Offset { utc: false, colon: false, minutes: true, seconds: true }),
    ("07:00:00", Offset { utc: false, colon: true, minutes: true, seconds: true }),
    ("0700", Offset { utc: false, colon: false, minutes: true, seconds: false }),
    ("07:00", Offset { utc: false, colon: true, minutes: true, seconds: false }),
    ("07", Offset { utc: false, colon: false, minutes: false, seconds: false }),
];

/// The parts of a layout with the text that each has in it.
pub(super) fn parts(layout: &str) -> Vec<(Part<'_>, &str)> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < layout.len() {
        let rest = &layout[at..];
        if !layout.is_char_boundary(at) {
            at += 1;
            continue;
        }
        match part_here(rest) {
            Some((part, length)) => {
                if start < at {
                    found.push((Part::Literal(&layout[start..at]), &layout[start..at]));
                }
                found.push((part, &rest[..length]));
                at += length;
                start = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    if start < layout.len() {
        found.push((Part::Literal(&layout[start..]), &layout[start..]));
    }
    found
}

fn part_here(rest: &str) -> Option<(Part<'static>, usize)> {
    let lower_follows = |at: usize| rest.as_bytes().get(at).is_some_and(u8::is_ascii_lowercase);
    let fixed: &[(&str, Part<'static>)] = &[
        ("January", Part::LongMonth),
        ("Monday", Part::LongWeekday),
        ("MST", Part::ZoneName),
        ("01", Part::Month(Pad::Zero)),
        ("002", Part::YearDay(Pad::Zero)),
        ("02", Part::Day(Pad::Zero)),
        ("03", Part::Hour12(Pad::Zero)),
        ("04", Part::Minute(Pad::Zero)),
        ("05", Part::Second(Pad::Zero)),
        ("06", Part::ShortYear),
        ("15", Part::Hour),
        ("1", Part::Month(Pad::None)),
        ("2006", Part::LongYear),
        ("2", Part::Day(Pad::None)),
        ("__2", Part::YearDay(Pad::Space)),
        ("3", Part::Hour12(Pad::None)),
        ("4", Part::Minute(Pad::None)),
        ("5", Part::Second(Pad::None)),
        ("PM", Part::UpperNoon),
        ("pm", Part::LowerNoon),
    ];
    if let Some((text, part)) = fixed.iter().find(|(text, _)| rest.starts_with(text)) {
        return Some((*part, text.len()));
    }
    if rest.starts_with("Jan") && !lower_follows(3) {
        return Some((Part::ShortMonth, 3));
    }
    if rest.starts_with("Mon") && !lower_follows(3) {
        return Some((Part::ShortWeekday, 3));
    }
    // In `_2006` the underscore stands for itself.
    if rest.starts_with("_2") && !rest.starts_with("_2006") {
        return Some((Part::Day(Pad::Space), 2));
    }
    if let Some(after) = rest.strip_prefix(['-', 'Z'])
        && let Some((text, offset)) = OFFSETS.iter().find(|(text, _)| after.starts_with(text))
    {
        return Some((Part::Offset(Offset { utc: rest.starts_with('Z'), ..*offset }), text.len() + 1));
    }
    fraction_here(rest)
}

fn fraction_here(rest: &str) -> Option<(Part<'static>, usize)> {
    let separator = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digit = rest[1..].bytes().next().filter(|byte| matches!(byte, b'0' | b'9'))?;
    let digits = rest[1..].bytes().take_while(|byte| *byte == digit).count();
    if rest.as_bytes().get(1 + digits).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some((Part::Fraction { separator, digits, trims: digit == b'9' }, 1 + digits))
}
