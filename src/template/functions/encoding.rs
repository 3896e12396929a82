//! Base64 and base32. What cannot be decoded becomes the text of the error, as upstream.

use super::{Function, Type, fixed};
use crate::resource::base64;
use crate::template::value::Value;

use Type::Text as Str;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("b64enc", &[Str], |_, a| Ok(Value::text(base64::encode(a.bytes(0))))),
    fixed("b64dec", &[Str], |_, a| {
        Ok(match base64::decode_bytes(a.bytes(0)) {
            Ok(bytes) => Value::Text(crate::template::Text::new(bytes)),
            Err(error) => Value::text(error.to_string()),
        })
    }),
    fixed("b32enc", &[Str], |_, a| Ok(Value::text(encode_base32(a.bytes(0))))),
    fixed("b32dec", &[Str], |_, a| {
        Ok(match decode_base32(a.bytes(0)) {
            Ok(bytes) => Value::Text(crate::template::Text::new(bytes)),
            Err(at) => Value::text(format!("illegal base32 data at input byte {at}")),
        })
    }),
];

fn encode_base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut padded = [0; 8];
        padded[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(padded);
        let symbols = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            let symbol = usize::try_from(bits >> (35 - 5 * index) & 31).unwrap_or_default();
            out.push(if index < symbols { char::from(BASE32[symbol]) } else { '=' });
        }
    }
    out
}

/// Line breaks are skipped, padding is required; an error is the position at which Go stops.
fn decode_base32(text: &[u8]) -> Result<Vec<u8>, usize> {
    let input: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let mut bytes = Vec::with_capacity(input.len() / 8 * 5);
    let mut at = 0;
    while at < input.len() {
        let mut symbols = [0_u8; 8];
        let mut filled = 0;
        let mut ended = false;
        while filled < 8 {
            let Some(byte) = input.get(at).copied() else { return Err(at - filled) };
            at += 1;
            if byte == b'=' && filled >= 2 {
                let needed = 8 - filled - 1;
                let rest = &input[at..];
                if rest.len() < needed {
                    return Err(input.len());
                }
                if let Some(wrong) = rest[..needed].iter().position(|byte| *byte != b'=') {
                    return Err(at + wrong - 1);
                }
                if matches!(filled, 1 | 3 | 6) {
                    return Err(at - 1);
                }
                // What follows the padding is ignored, as in Go.
                ended = true;
                break;
            }
            symbols[filled] = match BASE32.iter().position(|symbol| *symbol == byte) {
                Some(value) => u8::try_from(value).unwrap_or_default(),
                None => return Err(at - 1),
            };
            filled += 1;
        }
        let bits = symbols.iter().fold(0_u64, |bits, symbol| bits << 5 | u64::from(*symbol));
        bytes.extend_from_slice(&bits.to_be_bytes()[3..3 + filled * 5 / 8]);
        if ended {
            break;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_gives_back_what_it_was_given() {
        for length in 0..12 {
            let bytes: Vec<u8> = (0..length).map(|byte: u8| byte.wrapping_mul(37)).collect();
            assert_eq!(decode_base32(encode_base32(&bytes).as_bytes()), Ok(bytes));
        }
    }
}
