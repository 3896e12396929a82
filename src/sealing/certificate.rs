//! The certificate that carries a sealing key's public half.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::key::{KeyError, KeyId, PublicKey};
use super::pem;
use crate::advice::{Advice, Remedy};

/// Why a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// There is no certificate in the text.
    #[error("data does not contain any valid RSA or ECDSA certificates")]
    NoCertificate,
    /// The first certificate is damaged.
    #[error("the certificate is damaged")]
    Damaged,
    /// The certificate holds another kind of key, or an unsafe one.
    #[error("expected an RSA public key of 2048 bits or more in the certificate")]
    UnusableKey(#[source] KeyError),
}

impl Advice for CertificateError {
    fn remedy(&self) -> Remedy {
        Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        Some("get the cluster's certificate with `kubectl gitops keys cert > cert.pem`".to_owned())
    }
}

/// The certificate that carries a sealing key's public half.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate alone, as PEM.
    pub pem: String,
    /// `sha256:` and the digest of the DER form in hex.
    pub fingerprint: String,
    /// Start of its validity; the active key is the one with the latest.
    pub not_before: Timestamp,
    /// End of its validity; nothing may be sealed with it afterwards.
    pub not_after: Timestamp,
    public: PublicKey,
}

impl Certificate {
    /// Reads the first certificate of a PEM text; what follows is ignored. Chain, names and validity are not checked.
    ///
    /// # Errors
    /// When there is no certificate, or it is damaged, or its key cannot be used.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let block = pem::blocks(text).into_iter().find(|block| block.label == "CERTIFICATE" && !block.has_headers);
        Self::from_der(&block.ok_or(CertificateError::NoCertificate)?.content)
    }

    /// Reads a DER certificate.
    ///
    /// # Errors
    /// When it is damaged, or its key cannot be used.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (_, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::Damaged)?;
        let instant = |seconds| Timestamp::from_second(seconds).map_err(|_| CertificateError::Damaged);
        Ok(Self {
            pem: pem::encode("CERTIFICATE", der).to_string(),
            fingerprint: format!("sha256:{}", hex::encode(Sha256::digest(der))),
            not_before: instant(parsed.validity().not_before.timestamp())?,
            not_after: instant(parsed.validity().not_after.timestamp())?,
            public: PublicKey::from_der(parsed.public_key().raw).map_err(CertificateError::UnusableKey)?,
        })
    }

    /// Stands for the certificate of a key that came without one: always valid, older than any other, named by the key's id.
    pub(super) fn absent(public: PublicKey) -> Self {
        let fingerprint = public.id().to_string();
        Self { pem: String::new(), fingerprint, not_before: Timestamp::MIN, not_after: Timestamp::MAX, public }
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The id of the key pair.
    #[must_use]
    pub const fn key_id(&self) -> &KeyId {
        self.public.id()
    }

    /// True once nothing may be sealed with it any more.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.not_after < now
    }
}
