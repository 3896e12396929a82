//! What one request needs to reach its remote: the URL, a login, files for ssh. Nothing of it outlives the request on disk.

use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gix::protocol::transport::client::blocking_io::http;
use zeroize::Zeroizing;

use super::SourceError;
use super::address::{Address, Scheme};
use super::classify::{self, CONNECT_TIMEOUT};
use super::client::ClientParts;
use super::credentials::{Access, GitLogin, SecretText};

/// How ssh is run unless `GIT_SSH_COMMAND` says otherwise: it fails where it would ask.
pub(super) const SSH_COMMAND: &str = "ssh -o BatchMode=yes -o ConnectTimeout=20";

/// A login that is ready to be used.
#[derive(Clone, Default)]
pub(super) enum Login {
    #[default]
    None,
    /// User name and password.
    Basic(String, SecretText),
    /// A token.
    Bearer(SecretText),
}

/// How a remote is reached.
pub(super) struct Reach {
    pub(super) address: Address,
    pub(super) access: Arc<Access>,
    /// From the Secret, from the URL, or a token that was traded for a claim.
    pub(super) login: Login,
    /// How ssh is run when the Secret says nothing about it.
    pub(super) ssh_command: String,
}

/// Files for ssh: the key and the known hosts, gone when this is dropped.
pub(super) struct SshFiles {
    _folder: Option<tempfile::TempDir>,
}

impl Reach {
    pub(super) fn new(address: Address, access: Arc<Access>) -> Self {
        let ssh_command = std::env::var("GIT_SSH_COMMAND").unwrap_or_else(|_| SSH_COMMAND.to_owned());
        let login = match access.git_login() {
            Ok(GitLogin::Basic { username, password }) => Login::Basic(username.to_owned(), password.clone()),
            Ok(GitLogin::Bearer(token)) => Login::Bearer(token.clone()),
            _ => address
                .credentials()
                .map_or(Login::None, |url| Login::Basic(url.user.clone(), SecretText::new(url.password.as_str().to_owned()))),
        };
        let mut hidden = access.secrets();
        if let Login::Bearer(secret) | Login::Basic(_, secret) = &login {
            hidden.push(secret.clone());
        }
        Self { address: address.hiding(hidden), access, login, ssh_command }
    }

    /// The URL for the transport. Over https it carries user name and password, which the transport sends at once and drops
    /// when a redirect leads to another host. Over http it would refuse to, so there they go into a header, as tokens always do.
    pub(super) fn transport_url(&self) -> Zeroizing<String> {
        let url = self.address.as_str();
        match (self.address.scheme(), &self.login, url.split_once("://")) {
            (Scheme::Https, Login::Basic(user, password), Some((scheme, rest))) => {
                let password = Zeroizing::new(percent_encode(password.reveal()));
                Zeroizing::new(format!("{scheme}://{}:{}@{rest}", percent_encode(user), password.as_str()))
            }
            _ => Zeroizing::new(url.to_owned()),
        }
    }

    fn header(&self) -> Option<String> {
        match (&self.login, self.address.scheme()) {
            (Login::Bearer(token), Scheme::Http | Scheme::Https) => Some(format!("Authorization: Bearer {}", token.reveal())),
            (Login::Basic(user, password), Scheme::Http) => Some(format!("Authorization: {}", basic(user, password).as_str())),
            _ => None,
        }
    }

    /// Options of the HTTP transport.
    ///
    /// # Errors
    /// Certificates or the proxy cannot be read.
    pub(super) fn http_options(&self, limit: Duration) -> Result<http::Options, SourceError> {
        let parts = ClientParts::new(self.address.as_str(), &self.access)?;
        // The client's own limit is 30 s for a whole response, too short for a large first fetch.
        let client = http::reqwest::Options {
            configure_client: Some(Box::new(move |builder| {
                let builder = builder.timeout(limit).connect_timeout(limit.min(CONNECT_TIMEOUT));
                Ok(parts.clone().configure_blocking(builder))
            })),
            ..Default::default()
        };
        Ok(http::Options {
            extra_headers: self.header().into_iter().collect(),
            backend: Some(Arc::new(Mutex::new(client))),
            ..Default::default()
        })
    }

    /// Writes the files that ssh needs, and says how to run it.
    ///
    /// Without known hosts of the control namespace (on a laptop) it is the user's own ssh. With them the machine's files
    /// and agent are left out, and an unknown host is refused.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn ssh(&self) -> Result<(SshFiles, String), SourceError> {
        let login = self.access.git_login();
        let key = if let Ok(GitLogin::Ssh(key)) = login { Some(key) } else { None };
        let is_own = self.access.known_hosts.is_none() && !self.access.insecure && key.is_none();
        if self.address.scheme() != Scheme::Ssh || is_own {
            return Ok((SshFiles { _folder: None }, self.ssh_command.clone()));
        }
        let failed = |error: std::io::Error| classify::cache_failed(&self.address, &error.to_string());
        let folder = private_folder().map_err(failed)?;
        let mut command = format!("{} -F /dev/null", self.ssh_command);
        command.push_str(&self.host_check(folder.path()).map_err(failed)?);
        match key {
            Some(key) => {
                let file = folder.path().join("key");
                // A key without the last line end is refused by OpenSSH, and that is what copying it often leaves.
                let text = Zeroizing::new(format!("{}\n", key.reveal().replace("\r\n", "\n").trim_end()));
                write_private(&file, &text).map_err(failed)?;
                command.push_str(&format!(" -o IdentitiesOnly=yes -o IdentityAgent=none -i {}", quoted(&file)));
            }
            None => command.push_str(" -o IdentityAgent=none -o IdentityFile=none"),
        }
        Ok((SshFiles { _folder: Some(folder) }, command))
    }

    /// How ssh checks who it talks to.
    fn host_check(&self, folder: &Path) -> std::io::Result<String> {
        if self.access.insecure {
            return Ok(" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR".into());
        }
        let Some(known) = self.access.known_hosts.as_deref() else { return Ok(" -o StrictHostKeyChecking=yes".into()) };
        let file = folder.join("known_hosts");
        write_private(&file, known)?;
        let options = " -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile=";
        Ok(format!("{options}{}", quoted(&file)))
    }
}

/// Which Secret the login came from, for messages.
pub(super) fn origin(access: &Access) -> String {
    match (&access.secret, &access.template) {
        (_, Some(template)) => format!("the login is that of Secret `{template}`"),
        (Some(secret), None) => format!("the login is that of Secret `{secret}`"),
        (None, None) => String::new(),
    }
}

impl SshFiles {
    /// True when files were written.
    #[cfg(test)]
    pub(super) fn path(&self) -> Option<&Path> {
        self._folder.as_ref().map(tempfile::TempDir::path)
    }
}

/// The value of the header for user name and password.
pub(super) fn basic(user: &str, password: &SecretText) -> Zeroizing<String> {
    let login = Zeroizing::new(format!("{user}:{}", password.reveal()));
    Zeroizing::new(format!("Basic {}", crate::resource::base64::encode(login.as_bytes())))
}

/// A temporary folder that nobody else may look into, removed when dropped.
fn private_folder() -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("gitops-ssh-").permissions(std::fs::Permissions::from_mode(0o700)).tempdir()
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// For the shell that the command goes through.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

fn percent_encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn reach(url: &str, access: Access) -> Reach {
        Reach::new(Address::parse(url).unwrap(), Arc::new(access))
    }

    fn with_key(known_hosts: Option<&str>) -> Access {
        let key = SecretText::new("-----BEGIN KEY-----\r\nmarker\r\n-----END KEY-----".into());
        Access { ssh_private_key: key, known_hosts: known_hosts.map(Into::into), ..Access::default() }
    }

    #[test]
    fn a_key_is_a_file_for_its_owner_and_gone_after_the_request() {
        let reach = reach("git@git.example:a", with_key(Some("git.example ssh-ed25519 AAAA\n")));
        let (files, command) = reach.ssh().unwrap();
        let folder = files.path().unwrap().to_owned();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("key"))), (0o700, 0o600));
        let key = std::fs::read_to_string(folder.join("key")).unwrap();
        assert_eq!(key, "-----BEGIN KEY-----\nmarker\n-----END KEY-----\n");
        assert!(command.contains("StrictHostKeyChecking=yes") && command.contains("IdentitiesOnly=yes"), "{command}");
        assert!(!command.contains("marker"), "{command}");
        drop(files);
        assert!(!folder.exists());
    }

    #[test]
    fn host_keys_are_checked_unless_the_secret_says_otherwise() {
        let command = |access: Access| reach("ssh://git@git.example/a", access).ssh().unwrap().1;
        assert!(command(with_key(Some(""))).contains("StrictHostKeyChecking=yes"));
        assert!(command(Access { insecure: true, ..with_key(Some("")) }).contains("StrictHostKeyChecking=no"));
        let anonymous = command(Access { known_hosts: Some("".into()), ..Access::default() });
        assert!(anonymous.contains("StrictHostKeyChecking=yes") && anonymous.contains("IdentityFile=none"), "{anonymous}");
        assert!(!command(Access::default()).contains("-F /dev/null"), "a laptop's own ssh");
    }

    #[test]
    fn logins_go_where_the_transport_takes_them() {
        let basic = || Access { username: "u@x".into(), password: SecretText::new("p:ss".into()), ..Access::default() };
        let over_https = reach("https://git.example/a", basic());
        assert_eq!(over_https.transport_url().as_str(), "https://u%40x:p%3Ass@git.example/a");
        assert_eq!(over_https.header(), None);
        let over_http = reach("http://git.example/a", basic());
        assert_eq!(over_http.transport_url().as_str(), "http://git.example/a");
        assert_eq!(over_http.header().unwrap(), "Authorization: Basic dUB4OnA6c3M=");
        let token = Access { bearer_token: SecretText::new("t".into()), ..Access::default() };
        assert_eq!(reach("https://git.example/a", token.clone()).header().unwrap(), "Authorization: Bearer t");
        assert_eq!(reach("git@git.example:a", token).header(), None);
        let of_url = reach("https://me:mine@git.example/a", Access::default());
        assert_eq!(of_url.transport_url().as_str(), "https://me:mine@git.example/a");
        assert_eq!(reach("https://me:mine@git.example/a", basic()).transport_url().as_str(), over_https.transport_url().as_str());
    }
}
