//! RSA keys for sealing: reading them as upstream does, and naming them.
//!
//! Private operations go through aws-lc-rs only: whether a ciphertext opens can be observed remotely, so they must take the same
//! time whatever the key, which those of the `rsa` crate do not (RUSTSEC-2023-0071).

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use super::{base64, pem};
use crate::advice::{Advice, Remedy};
use crate::resource::pkcs8::{self, Pkcs8Error};

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no private key in the text.
    #[error("there is no PEM block with a private key")]
    NoPrivateKey,
    /// The private key needs a passphrase.
    #[error("the private key is protected by a passphrase")]
    Encrypted,
    /// The key is of another kind.
    #[error("private key is not an RSA key")]
    NotRsa,
    /// The public key is of another kind.
    #[error("the public key is not an RSA key")]
    PublicNotRsa,
    /// The key is damaged, or too small for safe use.
    #[error("the RSA key is damaged or has fewer than 2048 bits")]
    Unusable,
}

impl From<Pkcs8Error> for KeyError {
    fn from(error: Pkcs8Error) -> Self {
        match error {
            Pkcs8Error::Damaged => Self::Unusable,
            Pkcs8Error::NotRsa => Self::NotRsa,
        }
    }
}

impl Advice for KeyError {
    fn remedy(&self) -> Remedy {
        Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        Some("a sealing key is an unencrypted RSA key of 2048 bits or more, as PKCS#1 or PKCS#8 in PEM".to_owned())
    }
}

/// Names a key pair by its public half, as `ssh-keygen -l` would: `SHA256:` and the digest in unpadded base64.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyId(String);

impl KeyId {
    /// Takes an id that was written down earlier; a wrong one merely matches no key.
    #[must_use]
    pub fn remembered(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(key_info: &SubjectPublicKeyInfo<'_>) -> Result<Self, KeyError> {
        let Ok(x509_parser::public_key::PublicKey::RSA(rsa)) = key_info.parsed() else { return Err(KeyError::PublicNotRsa) };
        let mut hash = Sha256::new();
        ssh_string(&mut hash, b"ssh-rsa");
        ssh_integer(&mut hash, rsa.exponent);
        ssh_integer(&mut hash, rsa.modulus);
        Ok(Self(format!("SHA256:{}", base64::encode(&hash.finalize()).trim_end_matches('='))))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn ssh_string(hash: &mut Sha256, bytes: &[u8]) {
    hash.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    hash.update(bytes);
}

fn ssh_integer(hash: &mut Sha256, bytes: &[u8]) {
    let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    let mut signed = Vec::with_capacity(significant.len() + 1);
    if significant.first().is_some_and(|byte| byte & 0x80 != 0) {
        signed.push(0);
    }
    signed.extend_from_slice(significant);
    ssh_string(hash, &signed);
}

/// The public half of a sealing key.
#[derive(Debug)]
pub struct PublicKey {
    id: KeyId,
    oaep: OaepPublicEncryptingKey,
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// When the key is not RSA, is damaged or is too small.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| KeyError::Unusable)?;
        let id = KeyId::of(&info)?;
        let key = PublicEncryptingKey::from_der(der).map_err(|_| KeyError::Unusable)?;
        Ok(Self { id, oaep: OaepPublicEncryptingKey::new(key).map_err(|_| KeyError::Unusable)? })
    }

    /// The key pair's id.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// Length of the modulus, and so of what is encrypted with it.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.oaep.key_size_bytes()
    }

    pub(super) const fn oaep(&self) -> &OaepPublicEncryptingKey {
        &self.oaep
    }
}

/// The private half of a sealing key. It cannot be printed.
pub struct PrivateKey {
    id: KeyId,
    public_der: Vec<u8>,
    oaep: OaepPrivateDecryptingKey,
}

impl PrivateKey {
    /// Reads the first usable RSA key of a PEM text; other blocks are skipped.
    ///
    /// # Errors
    /// When there is none, with the reason that the last candidate gave.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let mut reason = KeyError::NoPrivateKey;
        for block in pem::blocks(text) {
            match Self::from_block(&block) {
                Some(Ok(key)) => return Ok(key),
                Some(Err(error)) => reason = error,
                None => {}
            }
        }
        Err(reason)
    }

    fn from_block(block: &pem::Block) -> Option<Result<Self, KeyError>> {
        match block.label.as_str() {
            "RSA PRIVATE KEY" | "PRIVATE KEY" if block.has_headers => Some(Err(KeyError::Encrypted)),
            "RSA PRIVATE KEY" => {
                Some(pkcs8::from_pkcs1(&block.content).map_err(KeyError::from).and_then(|der| Self::from_pkcs8(&der)))
            }
            "PRIVATE KEY" => Some(Self::from_pkcs8(&block.content)),
            "ENCRYPTED PRIVATE KEY" => Some(Err(KeyError::Encrypted)),
            "EC PRIVATE KEY" => Some(Err(KeyError::NotRsa)),
            _ => None,
        }
    }

    /// Reads a DER PKCS#8 key.
    ///
    /// # Errors
    /// When the key is not RSA, is damaged or is too small.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        pkcs1_from_pkcs8(der)?;
        let key = PrivateDecryptingKey::from_pkcs8(der).map_err(|_| KeyError::Unusable)?;
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| KeyError::Unusable)?;
        let public_der = public.as_ref().to_vec();
        let id = PublicKey::from_der(&public_der)?.id;
        Ok(Self { id, public_der, oaep: OaepPrivateDecryptingKey::new(key).map_err(|_| KeyError::Unusable)? })
    }

    /// The key pair's id.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// The public half.
    pub(super) fn public(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_der(&self.public_der)
    }

    pub(super) const fn oaep(&self) -> &OaepPrivateDecryptingKey {
        &self.oaep
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.id)
    }
}

/// Takes the PKCS#1 key out of a PKCS#8 one: the form in which Sealed Secrets stores keys.
///
/// # Errors
/// When the input is not an RSA key in PKCS#8.
pub fn pkcs1_from_pkcs8(der: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    Ok(pkcs8::to_pkcs1(der)?)
}
