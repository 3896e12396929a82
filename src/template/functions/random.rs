//! Random strings and numbers, all from the world's source that is fit for passwords.

use super::{Function, Type, fixed};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::text::check_length;
use crate::template::value::Value;

use Type::Int;

const DIGITS: &str = "0123456789";
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("randAlphaNum", &[Int], |context, a| text(context, a.int(0), |c| c.is_ascii_alphanumeric())),
    fixed("randAlpha", &[Int], |context, a| text(context, a.int(0), |c| LETTERS.contains(c))),
    fixed("randNumeric", &[Int], |context, a| text(context, a.int(0), |c| DIGITS.contains(c))),
    fixed("randAscii", &[Int], |context, a| text(context, a.int(0), |c| (' '..='~').contains(&c))),
    fixed("randBytes", &[Int], |context, a| {
        let count = length(a.int(0))?;
        let mut bytes = zeroize::Zeroizing::new(vec![0; count]);
        context.world.fill(&mut bytes);
        Ok(Value::text(crate::resource::base64::encode(&bytes)))
    }),
    fixed("randInt", &[Int, Int], |context, a| {
        let (low, high) = (a.int(0), a.int(1));
        let Some(span) = high.checked_sub(low).filter(|span| *span > 0) else {
            return Err(Fault::new("invalid argument to Intn"));
        };
        let drawn = below(context, span.unsigned_abs());
        Ok(Value::Int(low + i64::try_from(drawn).unwrap_or_default()))
    }),
    fixed("uuidv4", &[], |context, _| {
        let mut bytes = [0; 16];
        context.world.fill(&mut bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = hex::encode(bytes);
        Ok(Value::text([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")))
    }),
];

/// A number below the bound, each equally likely.
pub(super) fn below(context: &mut Context<'_>, bound: u64) -> u64 {
    let bound = bound.max(1);
    // Numbers from the last incomplete run of the bound would make low results more likely.
    let fair = u64::MAX - (u64::MAX % bound + 1) % bound;
    loop {
        let mut bytes = [0; 8];
        context.world.fill(&mut bytes);
        let drawn = u64::from_be_bytes(bytes);
        if drawn <= fair {
            return drawn % bound;
        }
    }
}

fn length(count: i64) -> Result<usize, Fault> {
    let Ok(count) = usize::try_from(count) else { return Err(Fault::new("runtime error: makeslice: len out of range")) };
    check_length(count)?;
    Ok(count)
}

/// A negative length gives nothing, as `goutils` does.
fn text(context: &mut Context<'_>, count: i64, accepts: fn(char) -> bool) -> Result<Value, Fault> {
    let count = length(count.max(0))?;
    context.spend(count as u64 * 8)?;
    let alphabet: Vec<char> = (' '..='~').filter(|c| accepts(*c)).collect();
    let mut drawn = zeroize::Zeroizing::new(String::with_capacity(count));
    for _ in 0..count {
        let at = usize::try_from(below(context, alphabet.len() as u64)).unwrap_or_default();
        drawn.extend(alphabet.get(at));
    }
    Ok(Value::text(drawn.as_str()))
}
