//! Reading a time by a layout.

use jiff::Zoned;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset as ZoneOffset, TimeZone};

use super::layout::{Offset, Pad, Part, parts};
use super::write::{MONTHS, WEEKDAYS};

/// Where reading ended: what is left of the text, and the part of the layout that does not fit. Go's message is made of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unparsed {
    /// The rest of the text does not fit the part of the layout.
    Part(String, String),
    /// A number is too large or too small: the name of the field.
    Range(&'static str),
    /// Two parts say different days.
    Conflict(&'static str),
    /// Text is left over.
    Extra(String),
}

#[derive(Default)]
struct Fields {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    afternoon: Option<bool>,
    offset: Option<i32>,
}

/// Reads a time as Go's `ParseInLocation` does. What the layout does not name is the first of January of the year 0, midnight.
///
/// # Errors
/// The text does not fit the layout.
pub fn parse(layout: &str, text: &str, local: &TimeZone) -> Result<Zoned, Unparsed> {
    let mut fields = Fields::default();
    let mut rest = text;
    let all = parts(layout);
    for (index, (part, written)) in all.iter().enumerate() {
        let before = rest;
        let next_is_fraction = matches!(all.get(index + 1), Some((Part::Fraction { .. }, _)));
        match fields.read(*part, &mut rest, next_is_fraction) {
            Ok(()) => {}
            Err(Reading::Mismatch) => return Err(Unparsed::Part(before.to_owned(), (*written).to_owned())),
            Err(Reading::Range(name)) => return Err(Unparsed::Range(name)),
        }
    }
    if !rest.is_empty() {
        return Err(Unparsed::Extra(rest.to_owned()));
    }
    fields.finish(local)
}

enum Reading {
    Mismatch,
    Range(&'static str),
}

impl Fields {
    fn read(&mut self, part: Part<'_>, rest: &mut &str, next_is_fraction: bool) -> Result<(), Reading> {
        match part {
            Part::Literal(text) => literal(text, rest)?,
            Part::LongYear => self.year = digits(rest, 4, 4)? as i16,
            Part::ShortYear => {
                let year = digits(rest, 2, 2)? as i16;
                self.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Part::LongMonth => self.month = Some(name(rest, &MONTHS, usize::MAX)? as i8 + 1),
            Part::ShortMonth => self.month = Some(name(rest, &MONTHS, 3)? as i8 + 1),
            Part::LongWeekday => drop(name(rest, &WEEKDAYS, usize::MAX)?),
            Part::ShortWeekday => drop(name(rest, &WEEKDAYS, 3)?),
            Part::Month(pad) => self.month = Some(within(padded(rest, pad)?, 1, 12, "month")? as i8),
            Part::Day(pad) => self.day = Some(i8::try_from(padded(rest, pad)?).unwrap_or(i8::MAX)),
            Part::YearDay(pad) => {
                if pad == Pad::Space {
                    *rest = rest.trim_start_matches(' ');
                }
                self.year_day = Some(digits(rest, if pad == Pad::Zero { 3 } else { 1 }, 3)? as i16);
            }
            Part::Hour => self.hour = within(digits(rest, 1, 2)?, 0, 23, "hour")? as i8,
            Part::Hour12(pad) => self.hour = within(padded(rest, pad)?, 0, 12, "hour")? as i8,
            Part::Minute(pad) => self.minute = within(padded(rest, pad)?, 0, 59, "minute")? as i8,
            Part::Second(pad) => {
                self.second = within(padded(rest, pad)?, 0, 59, "second")? as i8;
                if !next_is_fraction {
                    self.unannounced_fraction(rest);
                }
            }
            Part::UpperNoon => self.afternoon = Some(noon(rest, "AM", "PM")?),
            Part::LowerNoon => self.afternoon = Some(noon(rest, "am", "pm")?),
            Part::Fraction { digits, trims, .. } => self.fraction(rest, digits, trims)?,
            Part::ZoneName => self.zone_name(rest)?,
            Part::Offset(form) => self.offset(rest, form)?,
        }
        Ok(())
    }

    /// Go accepts a fraction behind the seconds that the layout does not ask for.
    fn unannounced_fraction(&mut self, rest: &mut &str) {
        let count = rest.strip_prefix(['.', ',']).map_or(0, |after| after.bytes().take_while(u8::is_ascii_digit).count());
        if count > 0 {
            self.nanosecond = nanoseconds(&rest[1..=count]);
            *rest = &rest[1 + count..];
        }
    }

    fn fraction(&mut self, rest: &mut &str, wanted: usize, trims: bool) -> Result<(), Reading> {
        let count = rest.strip_prefix(['.', ',']).map_or(0, |after| after.bytes().take_while(u8::is_ascii_digit).count());
        if trims && count == 0 {
            return Ok(());
        }
        let count = if trims { count } else { wanted };
        if !rest.starts_with(['.', ',']) || rest.len() < 1 + count || !rest[1..=count].bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Reading::Mismatch);
        }
        self.nanosecond = nanoseconds(&rest[1..=count]);
        *rest = &rest[1 + count..];
        Ok(())
    }

    /// An abbreviation does not say an offset; Go takes such a time for UTC under that name. `GMT+3` does.
    fn zone_name(&mut self, rest: &mut &str) -> Result<(), Reading> {
        let run = rest.bytes().take_while(u8::is_ascii_uppercase).count();
        let length = match &rest[..run] {
            name if name.starts_with("UTC") || name.starts_with("GMT") => 3,
            name if name.len() == 3 || name == "WITA" => name.len(),
            name if matches!(name.len(), 4 | 5) && name.ends_with('T') => name.len(),
            _ => return Err(Reading::Mismatch),
        };
        let zone = &rest[..length];
        *rest = &rest[length..];
        self.offset.get_or_insert(0);
        if zone == "GMT"
            && let Some(sign) = rest.chars().next().filter(|c| matches!(c, '+' | '-'))
        {
            let count = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
            let hours: i32 = rest[1..=count].parse().map_err(|_| Reading::Mismatch)?;
            self.offset = Some(hours * if sign == '-' { -3600 } else { 3600 });
            *rest = &rest[1 + count..];
        }
        Ok(())
    }

    fn offset(&mut self, rest: &mut &str, form: Offset) -> Result<(), Reading> {
        if form.utc && rest.starts_with('Z') {
            *rest = &rest[1..];
            self.offset = Some(0);
            return Ok(());
        }
        let sign = match rest.chars().next() {
            Some('+') => 1,
            Some('-') => -1,
            _ => return Err(Reading::Mismatch),
        };
        *rest = &rest[1..];
        let mut seconds = digits(rest, 2, 2)? * 3600;
        for (wanted, unit) in [(form.minutes, 60), (form.seconds, 1)] {
            if wanted {
                if form.colon {
                    *rest = rest.strip_prefix(':').ok_or(Reading::Mismatch)?;
                }
                seconds += digits(rest, 2, 2)? * unit;
            }
        }
        self.offset = Some(sign * seconds);
        Ok(())
    }

    fn finish(self, local: &TimeZone) -> Result<Zoned, Unparsed> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let date = self.date()?;
        let time = DateTime::from_parts(date, jiff::civil::time(hour, self.minute, self.second, self.nanosecond));
        let zone = match self.offset {
            None => local.clone(),
            Some(0) => TimeZone::UTC,
            Some(seconds) => TimeZone::fixed(ZoneOffset::from_seconds(seconds).map_err(|_| Unparsed::Range("time zone offset"))?),
        };
        zone.to_ambiguous_zoned(time).compatible().map_err(|_| Unparsed::Range("year"))
    }

    fn date(&self) -> Result<Date, Unparsed> {
        if let Some(year_day) = self.year_day {
            let first = Date::new(self.year, 1, 1).map_err(|_| Unparsed::Range("year"))?;
            let days = i64::from(year_day) - 1;
            if days < 0 || days >= i64::from(first.days_in_year()) {
                return Err(Unparsed::Range("day-of-year"));
            }
            let date = first.checked_add(jiff::Span::new().days(days)).map_err(|_| Unparsed::Range("year"))?;
            if self.month.is_some_and(|month| month != date.month()) {
                return Err(Unparsed::Conflict("day-of-year does not match month"));
            }
            if self.day.is_some_and(|day| day != date.day()) {
                return Err(Unparsed::Conflict("day-of-year does not match day"));
            }
            return Ok(date);
        }
        Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).map_err(|_| Unparsed::Range("day"))
    }
}

fn nanoseconds(digits: &str) -> i32 {
    format!("{:0<9}", &digits[..digits.len().min(9)]).parse().unwrap_or_default()
}

/// A run of spaces in the layout fits any number of spaces.
fn literal(mut text: &str, rest: &mut &str) -> Result<(), Reading> {
    while let Some(c) = text.chars().next() {
        if c == ' ' {
            if rest.chars().next().is_some_and(|c| c != ' ') {
                return Err(Reading::Mismatch);
            }
            text = text.trim_start_matches(' ');
            *rest = rest.trim_start_matches(' ');
        } else {
            *rest = rest.strip_prefix(c).ok_or(Reading::Mismatch)?;
            text = &text[c.len_utf8()..];
        }
    }
    Ok(())
}

fn digits(rest: &mut &str, least: usize, most: usize) -> Result<i32, Reading> {
    let count = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if count < least {
        return Err(Reading::Mismatch);
    }
    let number = rest[..count].parse().map_err(|_| Reading::Mismatch)?;
    *rest = &rest[count..];
    Ok(number)
}

fn padded(rest: &mut &str, pad: Pad) -> Result<i32, Reading> {
    if pad == Pad::Space && rest.starts_with(' ') {
        *rest = &rest[1..];
    }
    digits(rest, if pad == Pad::Zero { 2 } else { 1 }, 2)
}

fn within(number: i32, least: i32, most: i32, name: &'static str) -> Result<i32, Reading> {
    if (least..=most).contains(&number) { Ok(number) } else { Err(Reading::Range(name)) }
}

fn name(rest: &mut &str, names: &[&str], length: usize) -> Result<usize, Reading> {
    for (index, name) in names.iter().enumerate() {
        let name = &name[..name.len().min(length)];
        if rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
            *rest = &rest[name.len()..];
            return Ok(index);
        }
    }
    Err(Reading::Mismatch)
}

fn noon(rest: &mut &str, morning: &str, afternoon: &str) -> Result<bool, Reading> {
    let found = match () {
        () if rest.starts_with(morning) => false,
        () if rest.starts_with(afternoon) => true,
        () => return Err(Reading::Mismatch),
    };
    *rest = &rest[2..];
    Ok(found)
}
