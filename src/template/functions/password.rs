//! Passwords derived from a master password, by the published algorithm of Master Password (version 1).

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::{Arguments, Function, Type, fixed};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::value::Value;

use Type::{Text as Str, Uint32};

const SCOPE: &[u8] = b"com.lyndir.masterpassword";

/// Units of the budget: scrypt with these parameters takes about 200 ms and 32 MiB.
const SCRYPT_UNITS: u64 = 6 << 20;

pub(super) const FUNCTIONS: &[Function] = &[fixed("derivePassword", &[Uint32, Str, Str, Str, Str], derive).costing(SCRYPT_UNITS)];

/// The shapes of a kind of password.
fn shapes(kind: &[u8]) -> Option<&'static [&'static str]> {
    Some(match kind {
        b"maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        b"long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        b"medium" => &["CvcnoCvc", "CvcCvcno"],
        b"short" => &["Cvcn"],
        b"basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        b"pin" => &["nnnn"],
        _ => return None,
    })
}

/// The characters that a letter of a shape stands for.
const fn characters(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

fn derive(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let (password, user, site) = (arguments.bytes(2), arguments.bytes(3), arguments.bytes(4));
    let counter = u32::try_from(arguments.int(0)).unwrap_or_default();
    let Some(shapes) = shapes(arguments.bytes(1)) else {
        return Ok(Value::text(format!("cannot find password template {}", arguments.str(1))));
    };
    let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let salt = [SCOPE, &length(user), user].concat();
    let mut key = Zeroizing::new([0; 64]);
    let refused = |_| Fault::new("failed to derive password");
    let parameters = scrypt::Params::new(15, 8, 2, key.len()).map_err(refused)?;
    scrypt::scrypt(password, &salt, &parameters, key.as_mut_slice()).map_err(|_| Fault::new("failed to derive password"))?;
    let message = [SCOPE, &length(site), site, &counter.to_be_bytes()].concat();
    let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()), &message);
    let Some((first, seed)) = seed.as_ref().split_first() else { return Err(Fault::new("failed to derive password")) };
    let shape = shapes[usize::from(*first) % shapes.len()];
    let pick = |(class, byte): (u8, &u8)| {
        let characters = characters(class);
        characters[usize::from(*byte) % characters.len()]
    };
    Ok(Value::Text(crate::template::Text::new(shape.bytes().zip(seed).map(pick).collect())))
}
