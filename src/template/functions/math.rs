//! Arithmetic. Integers are `int64` and wrap, as in Go; the `f` functions add, subtract and multiply in decimal.

use super::numeric::{to_float, to_int};
use super::{Arguments, Function, Type, fixed, variadic};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::value::{Element, List, Value};

use Type::{Any, Float, Int};

type Answer = Result<Value, Fault>;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("add1", &[Any], |_, a| Ok(Value::Int64(to_int(a.any(0)).wrapping_add(1)))),
    variadic("add", &[], Any, |_, a| Ok(Value::Int64(a.from(0).iter().map(to_int).fold(0, i64::wrapping_add)))),
    fixed("sub", &[Any, Any], |_, a| Ok(Value::Int64(to_int(a.any(0)).wrapping_sub(to_int(a.any(1)))))),
    fixed("div", &[Any, Any], |_, a| divide(a, i64::wrapping_div)),
    fixed("mod", &[Any, Any], |_, a| divide(a, i64::wrapping_rem)),
    variadic("mul", &[Any], Any, |_, a| Ok(Value::Int64(a.from(0).iter().map(to_int).fold(1, i64::wrapping_mul)))),
    fixed("add1f", &[Any], |_, a| decimals(a.any(0), &[Value::Int(1)], Operation::Add)),
    variadic("addf", &[], Any, |_, a| decimals(&Value::Float(0.0), a.from(0), Operation::Add)),
    variadic("subf", &[Any], Any, |_, a| decimals(a.any(0), a.from(1), Operation::Subtract)),
    variadic("divf", &[Any], Any, |_, a| decimals(a.any(0), a.from(1), Operation::Divide)),
    variadic("mulf", &[Any], Any, |_, a| decimals(a.any(0), a.from(1), Operation::Multiply)),
    variadic("biggest", &[Any], Any, |_, a| Ok(integers(a, i64::max))),
    variadic("max", &[Any], Any, |_, a| Ok(integers(a, i64::max))),
    variadic("min", &[Any], Any, |_, a| Ok(integers(a, i64::min))),
    variadic("maxf", &[Any], Any, |_, a| Ok(floats(a, |x, y| x > y))),
    variadic("minf", &[Any], Any, |_, a| Ok(floats(a, |x, y| x < y))),
    fixed("ceil", &[Any], |_, a| Ok(Value::Float(to_float(a.any(0)).ceil()))),
    fixed("floor", &[Any], |_, a| Ok(Value::Float(to_float(a.any(0)).floor()))),
    variadic("round", &[Any, Int], Float, |_, a| Ok(Value::Float(round(a)))),
    fixed("until", &[Int], |context, a| {
        let count = a.int(0);
        numbers(context, 0, count, if count < 0 { -1 } else { 1 }).map(list)
    }),
    fixed("untilStep", &[Int, Int, Int], |context, a| numbers(context, a.int(0), a.int(1), a.int(2)).map(list)),
    variadic("seq", &[], Int, sequence),
];

fn divide(arguments: &Arguments<'_>, operation: fn(i64, i64) -> i64) -> Answer {
    match to_int(arguments.any(1)) {
        0 => Err(Fault::new("runtime error: integer divide by zero")),
        divisor => Ok(Value::Int64(operation(to_int(arguments.any(0)), divisor))),
    }
}

fn integers(arguments: &Arguments<'_>, choose: fn(i64, i64) -> i64) -> Value {
    Value::Int64(arguments.from(0).iter().map(to_int).reduce(choose).unwrap_or_default())
}

/// Go's `math.Max` and `math.Min`: NaN wins over everything.
fn floats(arguments: &Arguments<'_>, better: fn(f64, f64) -> bool) -> Value {
    let choose = |chosen: f64, other: f64| {
        if chosen.is_nan() || other.is_nan() {
            return f64::NAN;
        }
        if better(other, chosen) { other } else { chosen }
    };
    Value::Float(arguments.from(0).iter().map(to_float).reduce(choose).unwrap_or_default())
}

/// Sprig rounds half up towards positive infinity by the fraction, so that -1.5 becomes -2 and -1.4 too.
fn round(arguments: &Arguments<'_>) -> f64 {
    let on = if arguments.len() > 2 { arguments.float(2) } else { 0.5 };
    let power = 10_f64.powf(arguments.int(1) as f64);
    let scaled = power * to_float(arguments.any(0));
    let rounded = if scaled.fract() >= on { scaled.ceil() } else { scaled.floor() };
    rounded / power
}

fn list(numbers: Vec<i64>) -> Value {
    Value::List(List::of(Element::Int, numbers.into_iter().map(Value::Int).collect()))
}

/// The numbers from `start` up or down to `stop`, without it.
fn numbers(context: &mut Context<'_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Fault> {
    let forward = stop >= start;
    if (forward && step <= 0) || (!forward && step >= 0) {
        return Ok(Vec::new());
    }
    let count = stop.abs_diff(start).div_ceil(step.unsigned_abs());
    context.spend_items(count)?;
    Ok((0..count).map(|index| start.wrapping_add(step.wrapping_mul(index as i64))).collect())
}

fn sequence(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let parameters: Vec<i64> = (0..arguments.len()).map(|at| arguments.int(at)).collect();
    let (start, step, end) = match parameters.as_slice() {
        [end] => (1, None, *end),
        [start, end] => (*start, None, *end),
        [start, step, end] => (*start, Some(*step), *end),
        _ => return Ok(Value::text("")),
    };
    let direction = if end < start { -1 } else { 1 };
    if direction < 0 && step.is_some_and(|step| step > 0) {
        return Ok(Value::text(""));
    }
    let found = numbers(context, start, end.saturating_add(direction), step.unwrap_or(direction))?;
    Ok(Value::text(found.iter().map(i64::to_string).collect::<Vec<_>>().join(" ")))
}

#[derive(Clone, Copy)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// A decimal number: `digits * 10^exponent`.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    /// The shortest decimal that reads back as the float.
    fn of(value: f64) -> Option<Self> {
        let written = format!("{value:e}");
        let (mantissa, exponent) = written.split_once('e')?;
        let decimals = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let digits = mantissa.replace('.', "").parse().ok()?;
        Some(Self { digits, exponent: exponent.parse::<i32>().ok()? - i32::try_from(decimals).ok()? })
    }

    fn scaled(self, exponent: i32) -> Option<i128> {
        let shift = u32::try_from(self.exponent - exponent).ok()?;
        self.digits.checked_mul(10_i128.checked_pow(shift)?)
    }

    fn combine(self, other: Self, operation: Operation) -> Option<Self> {
        let common = self.exponent.min(other.exponent);
        Some(match operation {
            Operation::Add => Self { digits: self.scaled(common)?.checked_add(other.scaled(common)?)?, exponent: common },
            Operation::Subtract => Self { digits: self.scaled(common)?.checked_sub(other.scaled(common)?)?, exponent: common },
            Operation::Multiply => {
                Self { digits: self.digits.checked_mul(other.digits)?, exponent: self.exponent + other.exponent }
            }
            Operation::Divide => self.divided(other)?,
        })
    }

    /// Sixteen decimals, rounded half away from zero.
    fn divided(self, other: Self) -> Option<Self> {
        const DECIMALS: i32 = 16;
        let shift = self.exponent - other.exponent + DECIMALS;
        let (mut dividend, mut divisor) = (self.digits, other.digits);
        if shift >= 0 {
            dividend = dividend.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?)?;
        } else {
            divisor = divisor.checked_mul(10_i128.checked_pow(u32::try_from(-shift).ok()?)?)?;
        }
        let quotient = dividend.checked_div(divisor)?;
        let remainder = (dividend % divisor).checked_mul(2)?;
        let away = if remainder.unsigned_abs() >= divisor.unsigned_abs() { (dividend ^ divisor).signum() | 1 } else { 0 };
        Some(Self { digits: quotient + away, exponent: -DECIMALS })
    }

    fn to_float(self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or_default()
    }
}

/// Sprig computes in decimal so that 0.1 + 0.2 is 0.3. Where a number has too many digits for that here, in binary.
fn decimals(first: &Value, rest: &[Value], operation: Operation) -> Answer {
    let numbers: Vec<f64> = std::iter::once(first).chain(rest).map(to_float).collect();
    if matches!(operation, Operation::Divide) && numbers[1..].contains(&0.0) {
        return Err(Fault::new("decimal division by 0"));
    }
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(Fault::new("Cannot create a Decimal from NaN or Inf"));
    }
    let exact = || {
        let mut decimals = numbers.iter().map(|number| Decimal::of(*number));
        let first = decimals.next()??;
        decimals.try_fold(first, |sum, other| sum.combine(other?, operation))
    };
    let binary = || {
        numbers.iter().copied().reduce(|a, b| match operation {
            Operation::Add => a + b,
            Operation::Subtract => a - b,
            Operation::Multiply => a * b,
            Operation::Divide => a / b,
        })
    };
    Ok(Value::Float(exact().map(Decimal::to_float).or_else(binary).unwrap_or_default()))
}
