//! Digests and password hashes.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};

use super::{Arguments, Function, Type, fixed};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::value::Value;

use Type::Text as Str;

/// Go's default cost of bcrypt.
const BCRYPT_COST: u32 = 10;

/// Units of the budget for one bcrypt hash, which takes about 50 ms.
const BCRYPT_UNITS: u64 = 2 << 20;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("sha1sum", &[Str], |_, a| Ok(sum(&SHA1_FOR_LEGACY_USE_ONLY, a))),
    fixed("sha256sum", &[Str], |_, a| Ok(sum(&SHA256, a))),
    fixed("sha512sum", &[Str], |_, a| Ok(sum(&SHA512, a))),
    fixed("adler32sum", &[Str], |_, a| Ok(Value::text(adler32(a.bytes(0)).to_string()))),
    fixed("bcrypt", &[Str], |context, a| Ok(Value::text(bcrypt(context, a.bytes(0))))).costing(BCRYPT_UNITS),
    fixed("htpasswd", &[Str, Str], htpasswd).costing(BCRYPT_UNITS),
];

fn sum(algorithm: &'static Algorithm, arguments: &Arguments<'_>) -> Value {
    Value::text(hex::encode(digest(algorithm, arguments.bytes(0))))
}

fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

/// A failure is the result, as upstream.
fn bcrypt(context: &mut Context<'_>, password: &[u8]) -> String {
    if password.len() > 72 {
        return "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes".to_owned();
    }
    let mut salt = [0; 16];
    context.world.fill(&mut salt);
    match bcrypt::hash_with_salt(password, BCRYPT_COST, salt) {
        Ok(parts) => parts.format_for_version(bcrypt::Version::TwoA),
        Err(_) => "failed to encrypt string with bcrypt".to_owned(),
    }
}

fn htpasswd(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let user = arguments.str(0);
    if user.contains(':') {
        return Ok(Value::text(format!("invalid username: {user}")));
    }
    Ok(Value::text(format!("{user}:{}", bcrypt(context, arguments.bytes(1)))))
}
