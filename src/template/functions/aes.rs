//! AES-256-CBC with a password as key, padded with zeros or cut to 32 bytes. Upstream's format, not a recommendation.

use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Arguments, Function, Type, fixed};
use crate::resource::base64;
use crate::template::Text;
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::value::Value;

use Type::Text as Str;

const BLOCK: usize = 16;

pub(super) const FUNCTIONS: &[Function] = &[fixed("encryptAES", &[Str, Str], encrypt), fixed("decryptAES", &[Str, Str], decrypt)];

fn key(password: &[u8]) -> Result<UnboundCipherKey, Fault> {
    let mut key = Zeroizing::new([0; 32]);
    let length = password.len().min(key.len());
    key[..length].copy_from_slice(&password[..length]);
    UnboundCipherKey::new(&AES_256, key.as_slice()).map_err(|_| Fault::new("the cipher refuses the key"))
}

fn encrypt(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let refused = |_| Fault::new("cannot encrypt");
    if arguments.bytes(1).is_empty() {
        return Ok(Value::text(""));
    }
    let mut iv = [0; BLOCK];
    context.world.fill(&mut iv);
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key(arguments.bytes(0))?).map_err(refused)?;
    let mut content = arguments.bytes(1).to_vec();
    // The padding may move the bytes to a larger place; this is it.
    content.reserve_exact(BLOCK);
    let encrypted = key.less_safe_encrypt(&mut content, EncryptionContext::Iv128(FixedLength::from(iv))).map_err(refused);
    if let Err(fault) = encrypted {
        content.zeroize();
        return Err(fault);
    }
    Ok(Value::text(base64::encode(&[iv.as_slice(), &content].concat())))
}

/// Upstream looks at the last byte of the padding only, and so does this. What is no whole number of blocks is an error here.
fn decrypt(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Result<Value, Fault> {
    if arguments.bytes(1).is_empty() {
        return Ok(Value::text(""));
    }
    let sealed =
        base64::decode_bytes(arguments.bytes(1)).map_err(|error| Fault::with_value(error.to_string(), "illegal base64 data"))?;
    let refused = || Fault::new("cannot decrypt: wrong password or damaged text");
    let (iv, content) = sealed.split_first_chunk::<BLOCK>().ok_or_else(refused)?;
    let mut content = Zeroizing::new(content.to_vec());
    let key = PaddedBlockDecryptingKey::cbc_iso10126(key(arguments.bytes(0))?).map_err(|_| refused())?;
    let opened = key.decrypt(&mut content, DecryptionContext::Iv128(FixedLength::from(*iv))).map_err(|_| refused())?;
    Ok(Value::Text(Text::from(&*opened)))
}
