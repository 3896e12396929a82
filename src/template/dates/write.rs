//! Writing a time by a layout.

use std::fmt::Write as _;

use jiff::Zoned;

use super::layout::{Offset, Pad, Part, parts};

pub(in crate::template) const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
pub(in crate::template) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Writes a time as Go's `Format` does.
#[must_use]
pub fn format(layout: &str, time: &Zoned) -> String {
    let mut out = String::with_capacity(layout.len() + 8);
    for (part, _) in parts(layout) {
        write_part(&mut out, part, time);
    }
    out
}

fn write_part(out: &mut String, part: Part<'_>, time: &Zoned) {
    let month = MONTHS[usize::from(time.month().unsigned_abs() - 1) % 12];
    let weekday = WEEKDAYS[usize::try_from(time.weekday().to_sunday_zero_offset()).unwrap_or_default() % 7];
    let hour12 = match time.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    match part {
        Part::Literal(text) => out.push_str(text),
        Part::LongMonth => out.push_str(month),
        Part::ShortMonth => out.push_str(&month[..3]),
        Part::LongWeekday => out.push_str(weekday),
        Part::ShortWeekday => out.push_str(&weekday[..3]),
        Part::Month(pad) => number(out, i32::from(time.month()), 2, pad),
        Part::Day(pad) => number(out, i32::from(time.day()), 2, pad),
        Part::YearDay(pad) => number(out, i32::from(time.day_of_year()), 3, pad),
        Part::Hour => number(out, i32::from(time.hour()), 2, Pad::Zero),
        Part::Hour12(pad) => number(out, i32::from(hour12), 2, pad),
        Part::Minute(pad) => number(out, i32::from(time.minute()), 2, pad),
        Part::Second(pad) => number(out, i32::from(time.second()), 2, pad),
        Part::LongYear if time.year() < 0 => {
            let _ = write!(out, "-{:04}", time.year().unsigned_abs());
        }
        Part::LongYear => number(out, i32::from(time.year()), 4, Pad::Zero),
        Part::ShortYear => number(out, i32::from(time.year()).rem_euclid(100), 2, Pad::Zero),
        Part::UpperNoon => out.push_str(if time.hour() < 12 { "AM" } else { "PM" }),
        Part::LowerNoon => out.push_str(if time.hour() < 12 { "am" } else { "pm" }),
        Part::ZoneName => zone_name(out, time),
        Part::Offset(form) => offset(out, time.offset().seconds(), form),
        Part::Fraction { separator, digits, trims } => fraction(out, time.subsec_nanosecond(), separator, digits, trims),
    }
}

fn number(out: &mut String, number: i32, width: usize, pad: Pad) {
    let _ = match pad {
        Pad::None => write!(out, "{number}"),
        Pad::Zero => write!(out, "{number:0width$}"),
        Pad::Space => write!(out, "{number:width$}"),
    };
}

/// The zone's abbreviation; the offset where a zone has no name of its own.
fn zone_name(out: &mut String, time: &Zoned) {
    let info = time.time_zone().to_offset_info(time.timestamp());
    let name = info.abbreviation();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return out.push_str(name);
    }
    // Zones without letters are called by their offset in the database too, but a fixed offset has no name in Go.
    let named = time.time_zone().iana_name().is_some() && name.starts_with(['+', '-']);
    if named {
        out.push_str(name);
    } else {
        offset(out, time.offset().seconds(), Offset { utc: false, colon: false, minutes: true, seconds: false });
    }
}

fn offset(out: &mut String, seconds: i32, form: Offset) {
    if form.utc && seconds == 0 {
        return out.push('Z');
    }
    let magnitude = seconds.unsigned_abs();
    let (hours, minutes, rest) = (magnitude / 3600, magnitude / 60 % 60, magnitude % 60);
    let colon = if form.colon { ":" } else { "" };
    let _ = write!(out, "{}{hours:02}", if seconds < 0 { '-' } else { '+' });
    if form.minutes {
        let _ = write!(out, "{colon}{minutes:02}");
    }
    if form.seconds {
        let _ = write!(out, "{colon}{rest:02}");
    }
}

fn fraction(out: &mut String, nanoseconds: i32, separator: char, digits: usize, trims: bool) {
    let written = format!("{nanoseconds:09}");
    let mut written = format!("{:0<digits$}", &written[..digits.min(9)]);
    if trims {
        written.truncate(written.trim_end_matches('0').len());
        if written.is_empty() {
            return;
        }
    }
    out.push(separator);
    out.push_str(&written);
}
