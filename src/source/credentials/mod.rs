//! How repositories are reached: what `repository` and `repo-creds` Secrets, known hosts and certificates of the control
//! namespace say about a URL.
//!
//! ```text
//!  Secrets (label argocd.argoproj.io/secret-type) ──┐
//!  argocd-tls-certs-cm, argocd-ssh-known-hosts-cm ──┴─> Catalogue ──access(url, project)──> Access
//! ```
//!
//! Everything here is values to data. A Secret that cannot be read harms only the repositories that it is for.
//!
//! Source: Argo CD 3.5, repository and credential template Secrets (reference sections 8.3, 8.4 and 8.6).

mod access;
mod catalogue;
mod error;
mod fields;
mod secret_text;
mod trust;
mod url;

#[cfg(test)]
mod tests;

pub use access::{Access, ClientCertificate, GitLogin, GithubApp, Kind};
pub use catalogue::{Catalogue, Listed};
pub use error::CredentialError;
pub use fields::{REPOSITORY, SECRET_TYPE, TEMPLATE};
pub use secret_text::SecretText;
pub use trust::{KNOWN_HOSTS_CONFIG_MAP, KNOWN_HOSTS_KEY, TLS_CONFIG_MAP, Trust};
pub(in crate::source) use url::host;
pub use url::{normalise, same};
