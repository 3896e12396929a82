//! Dates.

use std::rc::Rc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::{Arguments, Function, Type, fixed};
use crate::template::budget::Context;
use crate::template::dates::{Unparsed, duration_text, format, parse, parse_duration};
use crate::template::error::Fault;
use crate::template::format::quoted;
use crate::template::value::Value;

use Type::{Any, Text as Str, Time};

type Answer = Result<Value, Fault>;

const HTML: &str = "2006-01-02";

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("now", &[], |context, _| {
        let (now, zone) = (context.world.now(), context.world.local());
        Ok(time(now.to_zoned(zone)))
    }),
    fixed("ago", &[Any], ago),
    fixed("date", &[Str, Any], |context, a| in_zone(context, &a.str(0), a.any(1), "Local")),
    fixed("dateInZone", &[Str, Any, Str], |context, a| in_zone(context, &a.str(0), a.any(1), &a.str(2))),
    fixed("date_in_zone", &[Str, Any, Str], |context, a| in_zone(context, &a.str(0), a.any(1), &a.str(2))),
    fixed("htmlDate", &[Any], |context, a| in_zone(context, HTML, a.any(0), "Local")),
    fixed("htmlDateInZone", &[Any, Str], |context, a| in_zone(context, HTML, a.any(0), &a.str(1))),
    fixed("dateModify", &[Str, Time], |_, a| Ok(modify(a).unwrap_or_else(|_| a.any(1).clone()))),
    fixed("date_modify", &[Str, Time], |_, a| Ok(modify(a).unwrap_or_else(|_| a.any(1).clone()))),
    fixed("mustDateModify", &[Str, Time], |_, a| modify(a)),
    fixed("must_date_modify", &[Str, Time], |_, a| modify(a)),
    fixed("duration", &[Any], |_, a| {
        Ok(Value::text(duration_text(match a.any(0) {
            Value::Text(text) => text.to_str().parse().unwrap_or_default(),
            Value::Int64(seconds) => *seconds,
            _ => 0,
        })))
    }),
    fixed("durationRound", &[Any], duration_round),
    fixed("toDate", &[Str, Str], |context, a| Ok(to_date(context, a).unwrap_or_else(|_| time(zero())))),
    fixed("mustToDate", &[Str, Str], to_date),
    fixed("unixEpoch", &[Time], |_, a| Ok(Value::text(a.time(0).timestamp().as_second().to_string()))),
];

fn time(time: Zoned) -> Value {
    Value::Time(Rc::new(time))
}

/// Go's zero time.
fn zero() -> Zoned {
    jiff::civil::date(1, 1, 1).to_zoned(TimeZone::UTC).unwrap_or_default()
}

/// A time, or seconds since 1970; anything else is now.
fn instant(context: &mut Context<'_>, value: &Value) -> Timestamp {
    match value {
        Value::Time(time) => time.timestamp(),
        Value::Int(seconds) | Value::Int64(seconds) => Timestamp::from_second(*seconds).unwrap_or_default(),
        _ => context.world.now(),
    }
}

fn in_zone(context: &mut Context<'_>, layout: &str, value: &Value, zone: &str) -> Answer {
    let instant = instant(context, value);
    let zone = match zone {
        "Local" => context.world.local(),
        "" | "UTC" => TimeZone::UTC,
        name => context.world.zone(name).unwrap_or(TimeZone::UTC),
    };
    Ok(Value::text(format(layout, &instant.to_zoned(zone))))
}

fn modify(arguments: &Arguments<'_>) -> Answer {
    let written = arguments.str(0);
    let refused = || {
        let full = format!("time: invalid duration {}", quoted(written.as_bytes()));
        Fault::with_value(full, "time: invalid duration")
    };
    let nanoseconds = parse_duration(&written).ok_or_else(refused)?;
    arguments.time(1).checked_add(SignedDuration::from_nanos(nanoseconds)).map(time).map_err(|_| refused())
}

fn to_date(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let (layout, text) = (arguments.str(0), arguments.str(1));
    parse(&layout, &text, &context.world.local()).map(time).map_err(|unparsed| {
        let parsing = format!("parsing time {}", quoted_bytes(&text));
        let full = match unparsed {
            Unparsed::Range(field) => format!("{parsing}: {field} out of range"),
            Unparsed::Conflict(problem) => format!("{parsing}: {problem}"),
            Unparsed::Extra(rest) => format!("{parsing}: extra text: {}", quoted_bytes(&rest)),
            Unparsed::Part(rest, part) => {
                format!("{parsing} as {}: cannot parse {} as {}", quoted_bytes(&layout), quoted_bytes(&rest), quoted_bytes(&part))
            }
        };
        Fault::with_value(full, "the text does not fit the layout of the time")
    })
}

/// Go's package of times quotes in its own way: every byte that is no printable ASCII is a number.
fn quoted_bytes(text: &str) -> String {
    let escaped: String = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => format!("\\{}", char::from(byte)),
            b' '..=b'~' => char::from(byte).to_string(),
            byte => format!("\\x{byte:02x}"),
        })
        .collect();
    format!("\"{escaped}\"")
}

fn ago(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let then = instant(context, arguments.any(0));
    let passed = context.world.now().duration_since(then);
    let up = i64::from(passed.subsec_nanos().abs() >= 500_000_000) * i64::from(passed.subsec_nanos().signum());
    Ok(Value::text(duration_text(passed.as_secs() + up)))
}

/// The largest unit that fits, cut and not rounded.
fn duration_round(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let nanoseconds = match arguments.any(0) {
        Value::Text(text) => parse_duration(&text.to_str()).unwrap_or_default(),
        Value::Int64(nanoseconds) => *nanoseconds,
        Value::Time(then) => {
            let passed = context.world.now().duration_since(then.timestamp()).as_nanos();
            i64::try_from(passed).unwrap_or(i64::MAX)
        }
        _ => 0,
    };
    const SECOND: u64 = 1_000_000_000;
    const DAY: u64 = 24 * 3600 * SECOND;
    let units = [("y", 365 * DAY), ("mo", 30 * DAY), ("d", DAY), ("h", 3600 * SECOND), ("m", 60 * SECOND), ("s", SECOND)];
    let magnitude = nanoseconds.unsigned_abs();
    let fitting = units.iter().find(|(_, unit)| magnitude > *unit);
    Ok(Value::text(fitting.map_or_else(|| "0s".to_owned(), |(name, unit)| format!("{}{name}", magnitude / unit))))
}
