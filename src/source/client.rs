//! HTTP clients as a repository's Secret wants them: whom they trust, how they prove who they are, and by which proxy they go.

use super::SourceError;
use super::credentials::Access;

/// What is set on a client before its first request.
#[derive(Clone, Default)]
pub(crate) struct ClientParts {
    /// In place of the authorities of the machine.
    authorities: Option<Vec<reqwest::Certificate>>,
    identity: Option<reqwest::Identity>,
    proxy: Option<reqwest::Proxy>,
    insecure: bool,
}

impl ClientParts {
    /// Reads certificates, key and proxy of an access.
    ///
    /// # Errors
    /// [`SourceError::BadAccess`] naming what cannot be read; nothing of it is shown.
    pub(crate) fn new(url: &str, access: &Access) -> Result<Self, SourceError> {
        let bad =
            |what: &str, hint: &str| SourceError::BadAccess { url: url.to_owned(), problem: what.into(), hint: hint.into() };
        let authorities = match &access.certificates {
            None => None,
            Some(pem) => {
                Some(reqwest::Certificate::from_pem_bundle(pem.as_bytes()).ok().filter(|found| !found.is_empty()).ok_or_else(
                    || bad("its certificates in ConfigMap argocd-tls-certs-cm are no PEM", "put PEM certificates there"),
                )?)
            }
        };
        let identity = match &access.client_certificate {
            None => None,
            Some(certificate) => {
                let both = zeroize::Zeroizing::new(format!("{}\n{}", certificate.certificate.reveal(), certificate.key.reveal()));
                let read = reqwest::Identity::from_pem(both.as_bytes());
                let hint = "set tlsClientCertData and tlsClientCertKey to a PEM certificate and its unencrypted PEM key";
                Some(read.map_err(|_| bad("its client certificate or key cannot be read", hint))?)
            }
        };
        let proxy = match access.proxy.reveal() {
            "" => None,
            proxy => {
                let read =
                    reqwest::Proxy::all(proxy).map_err(|_| bad("its proxy is no URL", "set `proxy` to http://HOST:PORT"))?;
                Some(read.no_proxy(reqwest::NoProxy::from_string(&access.no_proxy)))
            }
        };
        Ok(Self { authorities, identity, proxy, insecure: access.insecure })
    }

    /// Sets the parts on a client that waits asynchronously.
    pub(crate) fn configure(self, mut builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        if let Some(authorities) = self.authorities {
            builder = builder.tls_certs_only(authorities);
        }
        if let Some(identity) = self.identity {
            builder = builder.identity(identity);
        }
        if let Some(proxy) = self.proxy {
            builder = builder.proxy(proxy);
        }
        builder.danger_accept_invalid_certs(self.insecure)
    }

    /// Sets the parts on a client that blocks.
    pub(crate) fn configure_blocking(self, mut builder: reqwest::blocking::ClientBuilder) -> reqwest::blocking::ClientBuilder {
        if let Some(authorities) = self.authorities {
            builder = builder.tls_certs_only(authorities);
        }
        if let Some(identity) = self.identity {
            builder = builder.identity(identity);
        }
        if let Some(proxy) = self.proxy {
            builder = builder.proxy(proxy);
        }
        builder.danger_accept_invalid_certs(self.insecure)
    }
}
