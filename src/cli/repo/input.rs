//! Passwords, tokens and keys: from standard input, a file, or typed. Never from an argument, which others of the machine can read.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Failure;
use crate::cli::secrets::files;
use crate::source::credentials::SecretText;

/// How the login is given.
#[derive(Debug, Default, Args)]
pub struct LoginArgs {
    /// User name; the password is asked for when neither --password-stdin nor --password-file is given
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// Read the password or token from standard input
    #[arg(long, conflicts_with_all = ["password_file", "bearer_token_file"])]
    pub password_stdin: bool,
    /// File with the password or token, without its last line end
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// File with a token that is sent as `Authorization: Bearer`; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub bearer_token_file: Option<PathBuf>,
    /// File with the private key for SSH
    #[arg(long, alias = "ssh-private-key-path", value_name = "FILE")]
    pub ssh_key: Option<PathBuf>,
    /// Number of a GitHub App
    #[arg(long, value_name = "NUMBER", requires = "github_app_key")]
    pub github_app_id: Option<u64>,
    /// Number of its installation; looked up by the owner of the repository when it is missing
    #[arg(long, value_name = "NUMBER", requires = "github_app_id")]
    pub github_app_installation_id: Option<u64>,
    /// File with its private key
    #[arg(long, alias = "github-app-private-key-path", value_name = "FILE", requires = "github_app_id")]
    pub github_app_key: Option<PathBuf>,
    /// URL of the API of GitHub Enterprise
    #[arg(long, alias = "github-app-enterprise-base-url", value_name = "URL", requires = "github_app_id")]
    pub github_app_base_url: Option<String>,
    /// File with a TLS client certificate
    #[arg(long, alias = "tls-client-cert-path", value_name = "FILE", requires = "tls_client_key")]
    pub tls_client_cert: Option<PathBuf>,
    /// File with its key
    #[arg(long, alias = "tls-client-cert-key-path", value_name = "FILE", requires = "tls_client_cert")]
    pub tls_client_key: Option<PathBuf>,
}

/// Fields of a Secret with what must not be shown.
pub(super) type Fields = Vec<(&'static str, SecretText)>;

impl LoginArgs {
    /// Reads what is given; asks for a password when there is a user name and a terminal.
    pub(super) fn read(&self) -> Result<Fields, Failure> {
        let mut fields = Fields::new();
        let plain = |text: &str| SecretText::new(text.to_owned());
        fields.extend(self.username.as_deref().map(|name| ("username", plain(name))));
        fields.extend(self.password()?.map(|password| ("password", password)));
        let files = [
            ("bearerToken", &self.bearer_token_file),
            ("sshPrivateKey", &self.ssh_key),
            ("githubAppPrivateKey", &self.github_app_key),
            ("tlsClientCertData", &self.tls_client_cert),
            ("tlsClientCertKey", &self.tls_client_key),
        ];
        for (field, file) in files {
            fields.extend(file.as_deref().map(|file| Ok::<_, Failure>((field, from_file(file)?))).transpose()?);
        }
        let numbers = [("githubAppID", self.github_app_id), ("githubAppInstallationID", self.github_app_installation_id)];
        fields.extend(numbers.into_iter().filter_map(|(field, number)| Some((field, plain(&number?.to_string())))));
        fields.extend(self.github_app_base_url.as_deref().map(|url| ("githubAppEnterpriseBaseUrl", plain(url))));
        Ok(fields)
    }

    fn password(&self) -> Result<Option<SecretText>, Failure> {
        if self.password_stdin {
            return from_file(Path::new(files::STDIN)).map(Some);
        }
        if let Some(file) = &self.password_file {
            return from_file(file).map(Some);
        }
        if self.username.is_none() {
            return Ok(None);
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(Failure::new("--username needs a password")
                .with_hint("pipe it in with --password-stdin, or --password-file FILE"));
        }
        let typed = rpassword::prompt_password("Password or token: ");
        Ok(Some(SecretText::new(typed.map_err(|error| Failure::new("cannot read the password").with_cause(&error))?)))
    }
}

/// The text of a file without its last line end.
fn from_file(file: &Path) -> Result<SecretText, Failure> {
    let text = files::read_text(file)?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if text.trim().is_empty() {
        return Err(Failure::new(format!("{} is empty", files::describe(file))));
    }
    Ok(SecretText::new(text.to_owned()))
}
