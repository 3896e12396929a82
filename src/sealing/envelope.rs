//! One sealed item, byte by byte.
//!
//! | offset | length    | content                                          |
//! |--------|-----------|--------------------------------------------------|
//! | 0      | 2         | big-endian length R of the RSA ciphertext        |
//! | 2      | R         | RSA-OAEP (SHA-256 twice, label) of the session key |
//! | 2 + R  | plaintext | AES-GCM ciphertext                               |
//! | end-16 | 16        | GCM tag                                          |
//!
//! The nonce is twelve zero bytes and is not stored: every item has a session key of its own. There is no additional data, so
//! the name of an item may change freely; only the label binds it to a place.

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, Buffer, KeyInit, Nonce};
use aes_gcm::aes::Aes192;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};
use aws_lc_rs::rsa::OAEP_SHA256_MGF1SHA256;
use zeroize::{Zeroize, Zeroizing};

use super::{Label, Plaintext, PrivateKey, PublicKey};
use crate::advice::{Advice, Remedy};

const LENGTH_BYTES: usize = 2;
const TAG_BYTES: usize = 16;

/// The cryptographic library refused to seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the certificate's key cannot encrypt a session key")]
pub struct SealError;

impl Advice for SealError {
    fn remedy(&self) -> Remedy {
        Remedy::ReportBug
    }
}

/// 32 random bytes that seal one item and are then forgotten.
pub struct SessionKey(Zeroizing<[u8; 32]>);

impl SessionKey {
    /// Takes random bytes; they must never be used twice.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }
}

/// Seals one item for a place.
///
/// # Errors
/// Only when the cryptographic library refuses the key.
pub fn seal(key: &PublicKey, label: &Label, session_key: &SessionKey, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    let rsa_bytes = key.oaep().key_size_bytes();
    let mut sealed = Vec::with_capacity(LENGTH_BYTES + rsa_bytes + plaintext.len() + TAG_BYTES);
    sealed.extend_from_slice(&u16::try_from(rsa_bytes).map_err(|_| SealError)?.to_be_bytes());
    sealed.resize(LENGTH_BYTES + rsa_bytes, 0);
    let written = key
        .oaep()
        .encrypt(&OAEP_SHA256_MGF1SHA256, &*session_key.0, &mut sealed[LENGTH_BYTES..], Some(label.as_bytes()))
        .map_err(|_| SealError)?
        .len();
    debug_assert_eq!(written, rsa_bytes);

    let mut body = Wiped(Vec::with_capacity(plaintext.len() + TAG_BYTES));
    body.0.extend_from_slice(plaintext);
    let cipher = Aes256Gcm::new_from_slice(&*session_key.0).map_err(|_| SealError)?;
    cipher.encrypt_in_place(&Nonce::<Aes256Gcm>::default(), b"", &mut body).map_err(|_| SealError)?;
    sealed.extend_from_slice(&body.0);
    Ok(sealed)
}

/// Opens one item. `None` says nothing about the reason on purpose: wrong key, wrong label, damaged and too short look alike.
///
/// Costs one private RSA operation, except when the sealed bytes cannot belong to this key.
#[must_use]
pub fn open(key: &PrivateKey, label: &Label, sealed: &[u8]) -> Option<Plaintext> {
    let (wrapped, body) = split(sealed)?;
    if wrapped.len() != key.oaep().key_size_bytes() {
        return None;
    }
    let mut buffer = Zeroizing::new(vec![0; key.oaep().min_output_size()]);
    let session_key = key.oaep().decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut buffer, Some(label.as_bytes())).ok()?;
    let mut content = Wiped(body.to_vec());
    // Sealing always writes 32 bytes; the format also opens with the shorter AES keys.
    match session_key.len() {
        16 => decrypt::<Aes128Gcm>(session_key, &mut content),
        24 => decrypt::<AesGcm<Aes192, U12>>(session_key, &mut content),
        32 => decrypt::<Aes256Gcm>(session_key, &mut content),
        _ => None,
    }?;
    Some(Plaintext::new(std::mem::take(&mut content.0)))
}

/// Whether a key of this size can have sealed the item; when not, trying it is pointless and free.
#[must_use]
pub fn may_open(key: &PrivateKey, sealed: &[u8]) -> bool {
    split(sealed).is_some_and(|(wrapped, _)| wrapped.len() == key.oaep().key_size_bytes())
}

fn split(sealed: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = sealed.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn decrypt<C: KeyInit + AeadInOut>(session_key: &[u8], content: &mut Wiped) -> Option<()> {
    C::new_from_slice(session_key).ok()?.decrypt_in_place(&Nonce::<C>::default(), b"", content).ok()
}

/// A buffer that is wiped when dropped, whatever happens in between.
struct Wiped(Vec<u8>);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl AsMut<[u8]> for Wiped {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Buffer for Wiped {
    fn extend_from_slice(&mut self, other: &[u8]) -> aes_gcm::aead::Result<()> {
        self.0.extend_from_slice(other);
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}
