//! How one repository is reached.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{CredentialError, SecretText};

/// User name that hosts accept beside a token, for Secrets that have only a password.
const TOKEN_USER: &str = "x-access-token";

/// What a repository holds, as far as its Secret says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Git repository; what a Secret without `type` is about.
    Git,
    /// Helm charts.
    Helm,
    /// OCI artifacts.
    Oci,
}

/// How one repository is reached. `Debug` names the Secrets and shows nothing of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Name of the `repository` Secret, if there is one for the URL.
    pub secret: Option<String>,
    /// Name of the `repo-creds` Secret that the login came from.
    pub template: Option<String>,
    /// What it says about the kind of repository.
    pub kind: Option<Kind>,
    /// User name; empty when there is none.
    pub username: String,
    /// Password or token.
    pub password: SecretText,
    /// Token that is sent as `Authorization: Bearer`.
    pub bearer_token: SecretText,
    /// Private key for SSH, as OpenSSH reads it.
    pub ssh_private_key: SecretText,
    /// A GitHub App.
    pub github_app: Option<GithubApp>,
    /// Certificate that we show to the server.
    pub client_certificate: Option<ClientCertificate>,
    /// A field about a login that is not built.
    pub unsupported: Option<&'static str>,
    /// Neither the TLS certificate nor the SSH host key of the server is checked.
    pub insecure: bool,
    /// Files that LFS keeps elsewhere are fetched.
    pub enable_lfs: bool,
    /// The Helm repository is an OCI registry.
    pub enable_oci: bool,
    /// The OCI registry is spoken to over plain http.
    pub insecure_oci_force_http: bool,
    /// The password is sent without being asked for; we always do so.
    pub force_http_basic_auth: bool,
    /// How many commits of history are fetched; we never need more than one.
    pub depth: Option<u32>,
    /// URL of a proxy, which may hold a password; empty for none.
    pub proxy: SecretText,
    /// Hosts that are reached without it, separated by commas.
    pub no_proxy: String,
    /// Certificate authorities of the host as PEM, in place of those of the machine.
    pub certificates: Option<String>,
    /// Lines of a `known_hosts` file that hold in place of the machine's; only for SSH.
    pub known_hosts: Option<Arc<str>>,
}

/// A certificate and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Certificate, with its chain.
    pub certificate: SecretText,
    /// Private key.
    pub key: SecretText,
}

/// A GitHub App, which trades a signed claim for tokens that are good for an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubApp {
    /// Number of the app.
    pub id: i64,
    /// Number of its installation; looked up by the owner of the repository when it is missing.
    pub installation_id: Option<i64>,
    /// RSA key as PEM.
    pub private_key: SecretText,
    /// URL of the API, for GitHub Enterprise.
    pub base_url: Option<String>,
}

/// How a Git repository is logged in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitLogin<'a> {
    /// Not at all.
    Anonymous,
    /// User name and password.
    Basic {
        /// User name.
        username: &'a str,
        /// Password or token.
        password: &'a SecretText,
    },
    /// A token in a header of its own.
    Bearer(&'a SecretText),
    /// A key.
    Ssh(&'a SecretText),
    /// A GitHub App.
    GithubApp(&'a GithubApp),
}

impl Access {
    /// How to log in to a Git repository.
    ///
    /// # Errors
    /// [`CredentialError::NotSupported`] when the Secret only has a login that is not built.
    ///
    /// **Source**: Argo CD 3.5: a bearer token or password comes before a key, a key before a GitHub App; a user name alone is
    /// no login. `forceHttpBasicAuth` prefers the password to the token.
    pub fn git_login(&self) -> Result<GitLogin<'_>, CredentialError> {
        let prefers_password = self.force_http_basic_auth && !self.password.is_empty();
        if !self.bearer_token.is_empty() && !prefers_password {
            return Ok(GitLogin::Bearer(&self.bearer_token));
        }
        if !self.password.is_empty() {
            let username = if self.username.is_empty() { TOKEN_USER } else { &self.username };
            return Ok(GitLogin::Basic { username, password: &self.password });
        }
        if !self.ssh_private_key.is_empty() {
            return Ok(GitLogin::Ssh(&self.ssh_private_key));
        }
        if let Some(app) = &self.github_app {
            return Ok(GitLogin::GithubApp(app));
        }
        self.check_supported()?;
        Ok(GitLogin::Anonymous)
    }

    /// User name and password for charts and registries; `None` for anonymous access.
    ///
    /// # Errors
    /// [`CredentialError::NotSupported`] when the Secret only has a login that is not built.
    pub fn registry_login(&self) -> Result<Option<(&str, &SecretText)>, CredentialError> {
        if self.username.is_empty() && self.password.is_empty() {
            self.check_supported()?;
            return Ok(None);
        }
        Ok(Some((&self.username, &self.password)))
    }

    /// How it logs in, in a word or two, for lists.
    pub(super) fn describe_login(&self) -> String {
        match self.git_login() {
            Ok(GitLogin::Anonymous) if !self.username.is_empty() => "user".into(),
            Ok(GitLogin::Anonymous) if self.client_certificate.is_some() => "client certificate".into(),
            Ok(GitLogin::Anonymous) => "<none>".into(),
            Ok(GitLogin::Basic { .. }) => "password".into(),
            Ok(GitLogin::Bearer(_)) => "bearer token".into(),
            Ok(GitLogin::Ssh(_)) => "ssh key".into(),
            Ok(GitLogin::GithubApp(app)) => format!("github app {}", app.id),
            Err(_) => "<not supported>".into(),
        }
    }

    fn check_supported(&self) -> Result<(), CredentialError> {
        let secret = self.template.as_ref().or(self.secret.as_ref()).cloned().unwrap_or_default();
        self.unsupported.map_or(Ok(()), |field| Err(CredentialError::NotSupported { secret, field }))
    }

    /// True when a login is named, whether it is built or not.
    pub(super) fn has_login(&self) -> bool {
        let texts = [&self.password, &self.bearer_token, &self.ssh_private_key];
        !self.username.is_empty()
            || texts.iter().any(|text| !text.is_empty())
            || self.github_app.is_some()
            || self.client_certificate.is_some()
            || self.unsupported.is_some()
    }

    /// True when nothing is registered for the URL.
    pub(in crate::source) fn is_anonymous(&self) -> bool {
        self.secret.is_none() && self.template.is_none()
    }

    /// Takes over what a template says. The login is taken only where there is none.
    pub(super) fn fill_from(&mut self, template: &Self) {
        if self.has_login() {
            return;
        }
        self.template.clone_from(&template.secret);
        self.username.clone_from(&template.username);
        self.password = template.password.clone();
        self.bearer_token = template.bearer_token.clone();
        self.ssh_private_key = template.ssh_private_key.clone();
        self.github_app.clone_from(&template.github_app);
        self.client_certificate.clone_from(&template.client_certificate);
        self.unsupported = template.unsupported;
        self.enable_oci = template.enable_oci;
        self.insecure_oci_force_http = template.insecure_oci_force_http;
        self.force_http_basic_auth = template.force_http_basic_auth;
        self.kind = self.kind.or(template.kind);
        if self.proxy.is_empty() {
            self.proxy = template.proxy.clone();
        }
        if self.no_proxy.is_empty() {
            self.no_proxy.clone_from(&template.no_proxy);
        }
    }

    /// What must not be shown of texts that come from elsewhere.
    pub(in crate::source) fn secrets(&self) -> Vec<SecretText> {
        [&self.password, &self.bearer_token, &self.proxy].map(Clone::clone).into()
    }

    /// A hash of all of it: two accesses that differ in anything that a request would use have different ones. Who may see a
    /// mirror is decided by it, so it is 256 bits of SHA-256, in hexadecimal.
    #[must_use]
    pub fn identity(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |field: &str| {
            hash.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(field);
        };
        for text in [&self.password, &self.bearer_token, &self.ssh_private_key, &self.proxy] {
            add(text.reveal());
        }
        let public = [self.certificates.as_deref().unwrap_or_default(), self.known_hosts.as_deref().unwrap_or_default()];
        for text in [self.username.as_str(), self.no_proxy.as_str()].into_iter().chain(public) {
            add(text);
        }
        if let Some(ClientCertificate { certificate, key }) = &self.client_certificate {
            add("client certificate");
            add(certificate.reveal());
            add(key.reveal());
        }
        if let Some(app) = &self.github_app {
            add("github app");
            add(&format!("{} {:?}", app.id, app.installation_id));
            add(app.private_key.reveal());
            add(app.base_url.as_deref().unwrap_or_default());
        }
        let switches =
            [self.insecure, self.enable_lfs, self.enable_oci, self.insecure_oci_force_http, self.force_http_basic_auth];
        add(&format!("{switches:?} {:?}", self.unsupported));
        hex::encode(hash.finalize())
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("secret", &self.secret).field("template", &self.template).finish_non_exhaustive()
    }
}
