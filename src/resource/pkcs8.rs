//! RSA private keys between PKCS#1, which Sealed Secrets stores, and PKCS#8, which the cryptographic library reads.
//!
//! Only the wrapping changes: no number of a key is looked at. The private operations of the `rsa` crate can be timed
//! (RUSTSEC-2023-0071), so this file is the only one that uses it, and of it only the wrapping; `tests/layering.rs` sees to that.

use rsa::pkcs1::ALGORITHM_ID;
use rsa::pkcs8::PrivateKeyInfoRef;
use rsa::pkcs8::der::asn1::OctetStringRef;
use rsa::pkcs8::der::{Decode as _, Encode as _};
use zeroize::Zeroizing;

/// Why a key cannot be taken out of, or put into, PKCS#8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Pkcs8Error {
    /// The DER is damaged.
    #[error("the private key is damaged")]
    Damaged,
    /// It is a key of another algorithm.
    #[error("private key is not an RSA key")]
    NotRsa,
}

/// Wraps a DER PKCS#1 key into PKCS#8. What is inside is not looked at.
///
/// # Errors
/// When it is too long for DER.
pub fn from_pkcs1(der: &[u8]) -> Result<Zeroizing<Vec<u8>>, Pkcs8Error> {
    let key = OctetStringRef::new(der).map_err(|_| Pkcs8Error::Damaged)?;
    PrivateKeyInfoRef::new(ALGORITHM_ID, key).to_der().map(Zeroizing::new).map_err(|_| Pkcs8Error::Damaged)
}

/// Takes the DER PKCS#1 key out of a PKCS#8 one.
///
/// # Errors
/// When the input is damaged or holds no RSA key.
pub fn to_pkcs1(der: &[u8]) -> Result<Zeroizing<Vec<u8>>, Pkcs8Error> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| Pkcs8Error::Damaged)?;
    if info.algorithm.oid == ALGORITHM_ID.oid {
        Ok(Zeroizing::new(info.private_key.as_bytes().to_vec()))
    } else {
        Err(Pkcs8Error::NotRsa)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_wrapped_key_comes_out_as_it_was() {
        let wrapped = from_pkcs1(b"key").unwrap();
        assert_eq!(**to_pkcs1(&wrapped).unwrap(), *b"key");
        assert_eq!(to_pkcs1(&wrapped[..wrapped.len() - 1]), Err(Pkcs8Error::Damaged));
        let other = wrapped.iter().map(|byte| if *byte == 0x86 { 0x87 } else { *byte }).collect::<Vec<_>>();
        assert_eq!(to_pkcs1(&other), Err(Pkcs8Error::NotRsa));
    }
}
