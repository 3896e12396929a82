//! The plane's certificates and keys.

use std::fs;

use kubectl_gitops::cli::Failure;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

use super::Layout;

/// Names under which clients reach the API server.
const SERVER_NAMES: [&str; 5] =
    ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];

/// Writes an authority, the API server's certificate and the key that signs ServiceAccount tokens; returns the authority's PEM.
///
/// # Errors
/// When a file cannot be written.
pub fn write(layout: &Layout) -> Result<String, Failure> {
    let failed = |cause: rcgen::Error| Failure::new("cannot make the control plane's certificates").with_cause(&cause);
    let authority = CertifiedIssuer::self_signed(authority(), KeyPair::generate().map_err(failed)?).map_err(failed)?;
    let server_key = KeyPair::generate().map_err(failed)?;
    let server = server().and_then(|params| params.signed_by(&server_key, &authority)).map_err(failed)?;
    let accounts = KeyPair::generate().map_err(failed)?;
    let files = [
        ("ca.crt", authority.pem()),
        ("apiserver.crt", server.pem()),
        ("apiserver.key", server_key.serialize_pem()),
        ("sa.key", accounts.serialize_pem()),
        ("sa.pub", accounts.public_key_pem()),
    ];
    for (name, pem) in files {
        let path = layout.pki(name);
        fs::write(&path, pem).map_err(|cause| Failure::new(format!("cannot write {}", path.display())).with_cause(&cause))?;
    }
    Ok(authority.pem())
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "kubectl-gitops local control plane");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params
}

/// An end-entity certificate: rustls refuses an authority's certificate that a server presents as its own.
fn server() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(SERVER_NAMES.map(str::to_owned))?;
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}
