//! Methods of times, versions and named numbers.

use std::cmp::Ordering;
use std::rc::Rc;

use jiff::tz::TimeZone;
use jiff::{Span, Zoned};

use super::{Arguments, Function, Type, fixed};
use crate::template::dates::{MONTHS, WEEKDAYS, format};
use crate::template::error::Fault;
use crate::template::format::printed;
use crate::template::value::{Named, Value};

use Type::{Int, Text as Str, Time, Version};

/// A method of a value. Its run gets the value before the arguments.
pub fn method(receiver: &Value, name: &str) -> Option<&'static Function> {
    let methods = match receiver {
        Value::Time(_) => TIME,
        Value::Version(_) => VERSION,
        Value::Named(_) => NAMED,
        _ => return None,
    };
    methods.iter().find(|function| function.name == name)
}

const NAMED: &[Function] = &[fixed("String", &[], |_, a| Ok(Value::Text(printed(a.any(0))?)))];

const TIME: &[Function] = &[
    fixed("String", &[], |_, a| Ok(Value::Text(printed(a.any(0))?))),
    fixed("Format", &[Str], |_, a| Ok(Value::text(format(&a.str(1), &a.time(0))))),
    fixed("Unix", &[], |_, a| Ok(Value::Int64(a.time(0).timestamp().as_second()))),
    fixed("UnixMilli", &[], |_, a| Ok(Value::Int64(a.time(0).timestamp().as_millisecond()))),
    fixed("UnixNano", &[], |_, a| Ok(Value::Int64(i64::try_from(a.time(0).timestamp().as_nanosecond()).unwrap_or_default()))),
    fixed("Year", &[], |_, a| Ok(Value::Int(a.time(0).year().into()))),
    fixed("Month", &[], |_, a| Ok(named(&MONTHS, a.time(0).month().into(), 1, "time.Month"))),
    fixed("Weekday", &[], |_, a| Ok(named(&WEEKDAYS, a.time(0).weekday().to_sunday_zero_offset().into(), 0, "time.Weekday"))),
    fixed("Day", &[], |_, a| Ok(Value::Int(a.time(0).day().into()))),
    fixed("YearDay", &[], |_, a| Ok(Value::Int(a.time(0).day_of_year().into()))),
    fixed("Hour", &[], |_, a| Ok(Value::Int(a.time(0).hour().into()))),
    fixed("Minute", &[], |_, a| Ok(Value::Int(a.time(0).minute().into()))),
    fixed("Second", &[], |_, a| Ok(Value::Int(a.time(0).second().into()))),
    fixed("Nanosecond", &[], |_, a| Ok(Value::Int(a.time(0).subsec_nanosecond().into()))),
    fixed("UTC", &[], |_, a| Ok(time(a.time(0).with_time_zone(TimeZone::UTC)))),
    fixed("Local", &[], |context, a| Ok(time(a.time(0).with_time_zone(context.world.local())))),
    fixed("AddDate", &[Int, Int, Int], add_date),
    fixed("IsZero", &[], |_, a| Ok(Value::Bool(a.time(0).timestamp().as_second() == ZERO_SECONDS))),
    fixed("Before", &[Time], |_, a| Ok(Value::Bool(a.time(0) < a.time(1)))),
    fixed("After", &[Time], |_, a| Ok(Value::Bool(a.time(0) > a.time(1)))),
    fixed("Equal", &[Time], |_, a| Ok(Value::Bool(a.time(0).timestamp() == a.time(1).timestamp()))),
];

/// The first of January of the year 1.
const ZERO_SECONDS: i64 = -62_135_596_800;

const VERSION: &[Function] = &[
    fixed("String", &[], |_, a| Ok(Value::Text(printed(a.any(0))?))),
    fixed("Original", &[], |_, a| Ok(Value::text(a.version(0).original.as_str()))),
    fixed("Major", &[], |_, a| Ok(Value::Uint64(a.version(0).major))),
    fixed("Minor", &[], |_, a| Ok(Value::Uint64(a.version(0).minor))),
    fixed("Patch", &[], |_, a| Ok(Value::Uint64(a.version(0).patch))),
    fixed("Prerelease", &[], |_, a| Ok(Value::text(a.version(0).prerelease.as_str()))),
    fixed("Metadata", &[], |_, a| Ok(Value::text(a.version(0).metadata.as_str()))),
    fixed("Compare", &[Version], |_, a| {
        Ok(Value::Int(match a.version(0).compare(&a.version(1)) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }))
    }),
    fixed("LessThan", &[Version], |_, a| Ok(Value::Bool(a.version(0).compare(&a.version(1)).is_lt()))),
    fixed("LessThanEqual", &[Version], |_, a| Ok(Value::Bool(a.version(0).compare(&a.version(1)).is_le()))),
    fixed("GreaterThan", &[Version], |_, a| Ok(Value::Bool(a.version(0).compare(&a.version(1)).is_gt()))),
    fixed("GreaterThanEqual", &[Version], |_, a| Ok(Value::Bool(a.version(0).compare(&a.version(1)).is_ge()))),
    fixed("Equal", &[Version], |_, a| Ok(Value::Bool(a.version(0).compare(&a.version(1)).is_eq()))),
    fixed("IncMajor", &[], |_, a| Ok(Value::Version(Rc::new(a.version(0).raised(0))))),
    fixed("IncMinor", &[], |_, a| Ok(Value::Version(Rc::new(a.version(0).raised(1))))),
    fixed("IncPatch", &[], |_, a| Ok(Value::Version(Rc::new(a.version(0).raised(2))))),
];

fn time(time: Zoned) -> Value {
    Value::Time(Rc::new(time))
}

fn named(names: &[&'static str], number: i64, first: i64, type_name: &'static str) -> Value {
    let name = usize::try_from(number - first).ok().and_then(|at| names.get(at)).copied().unwrap_or_default();
    Value::Named(Named { number, name, type_name })
}

/// Days that a month does not have run on into the next, as in Go.
fn add_date(_: &mut crate::template::budget::Context<'_>, arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let given = arguments.time(0);
    let too_far = |_| Fault::new("the time is out of range");
    let months = arguments.int(1).saturating_mul(12).saturating_add(arguments.int(2));
    let first = given.date().first_of_month();
    let month = first.checked_add(Span::new().try_months(months).map_err(too_far)?).map_err(too_far)?;
    let days = arguments.int(3).saturating_add(i64::from(given.day()) - 1);
    let date = month.checked_add(Span::new().try_days(days).map_err(too_far)?).map_err(too_far)?;
    let moved = date.to_datetime(given.time());
    given.time_zone().to_ambiguous_zoned(moved).compatible().map(time).map_err(too_far)
}
