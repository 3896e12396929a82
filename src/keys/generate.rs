//! Makes a key pair and its certificate, as Sealed Secrets does: RSA, self-signed, by default of 4096 bits and for ten years.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::PrivateDecryptingKey;
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256};
use zeroize::{Zeroize as _, Zeroizing};

use super::KeyPolicy;
use crate::advice::{Advice, Remedy};
use crate::sealing::{Certificate, CertificateError, KeyError, pem, pkcs1_from_pkcs8};

/// The cryptographic library refused.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// No key came out.
    #[error("cannot generate an RSA key")]
    Rsa,
    /// The new key cannot be written.
    #[error("cannot write the new key")]
    Encoding(#[from] KeyError),
    /// No certificate came out.
    #[error("cannot make a certificate")]
    Signing(#[from] rcgen::Error),
    /// The new certificate cannot be read.
    #[error("cannot read the new certificate")]
    Certificate(#[from] CertificateError),
}

impl Advice for GenerateError {
    fn remedy(&self) -> Remedy {
        Remedy::WaitAndRetry { after: Duration::from_secs(10) }
    }
}

/// A new key pair.
pub struct GeneratedKey {
    pub(super) private_pem: Zeroizing<String>,
    /// Its certificate, which begins now.
    pub certificate: Certificate,
}

/// Makes a key pair. Blocks for about a second, at times for several: not for an async thread.
///
/// # Errors
/// When the cryptographic library refuses; trying again may help.
pub fn generate(policy: &KeyPolicy, now: Timestamp) -> Result<GeneratedKey, GenerateError> {
    let size = KeyPolicy::size(policy.bits).ok_or(GenerateError::Rsa)?;
    let key = PrivateDecryptingKey::generate(size).map_err(|_| GenerateError::Rsa)?;
    let pkcs8: Pkcs8V1Der<'_> = key.as_der().map_err(|_| GenerateError::Rsa)?;
    let mut pair = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.as_ref().to_vec().into(), &PKCS_RSA_SHA256)?;
    let certificate = parameters(policy, now).self_signed(&pair);
    pair.zeroize();
    Ok(GeneratedKey {
        private_pem: pem::encode("RSA PRIVATE KEY", &pkcs1_from_pkcs8(pkcs8.as_ref())?),
        certificate: Certificate::from_der(certificate?.der())?,
    })
}

fn parameters(policy: &KeyPolicy, now: Timestamp) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    let not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default());
    parameters.not_before = not_before;
    parameters.not_after = not_before + policy.lifetime;
    parameters.distinguished_name = DistinguishedName::new();
    if !policy.common_name.is_empty() {
        parameters.distinguished_name.push(DnType::CommonName, policy.common_name.as_str());
    }
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::EncipherOnly];
    parameters
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::keys::KeySecret;

    #[test]
    fn a_new_key_is_stored_and_read_again() {
        let now: Timestamp = "2026-11-25T08:00:00Z".parse().unwrap();
        let policy = KeyPolicy {
            bits: 2048,
            common_name: "team".into(),
            annotations: [("a".to_owned(), "b".to_owned())].into(),
            labels: [("c".to_owned(), "d".to_owned())].into(),
            ..KeyPolicy::default()
        };
        let key = generate(&policy, now).unwrap();
        assert_eq!(key.certificate.not_before, now);
        assert_eq!(key.certificate.not_after, "2036-11-22T08:00:00Z".parse().unwrap());
        assert!(key.private_pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        let mut secret = KeySecret::for_new_key(&key, &policy);
        assert!(secret.counts());
        assert_eq!(secret.metadata.annotations.as_ref().unwrap()["a"], "b");
        assert_eq!(secret.metadata.labels.as_ref().unwrap()["c"], "d");
        secret.metadata.name = Some("sealed-secrets-keyabcde".into());
        let read = secret.read();
        assert_eq!(read.key.unwrap().id(), key.certificate.key_id());
        assert!(!format!("{secret:?}").contains("BEGIN"));
    }
}
