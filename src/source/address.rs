//! The URL of a Git repository: its forms, how two of them compare, and how it is shown without credentials.

use std::fmt;

use super::SourceError;
use super::credentials::SecretText;

/// Transport of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    Ssh,
    File,
}

/// A checked repository URL. `Display` and `Debug` leave credentials out.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    scheme: Scheme,
    /// As written, without `user:password@` for http and https.
    url: String,
    credentials: Option<Credentials>,
    /// What else must not be shown of texts from elsewhere.
    hidden: Vec<SecretText>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: zeroize::Zeroizing<String>,
}

impl Address {
    /// Checks a URL.
    ///
    /// A bare local path is refused: the controller would read its own file system for whoever may write an Application, and
    /// `./repo` means another folder in every process. `file://` is explicit about both.
    ///
    /// # Errors
    /// [`SourceError::UnsupportedUrl`].
    pub fn parse(url: &str) -> Result<Self, SourceError> {
        let url = url.trim();
        let unsupported = |problem: &str| SourceError::UnsupportedUrl { url: mask(url), problem: problem.into() };
        // A newline or a leading dash would be an argument or a header of its own further down.
        if url.is_empty() || url.starts_with('-') || url.chars().any(char::is_control) {
            return Err(unsupported("it is empty, starts with a dash or contains control characters"));
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return if is_scp_form(url) {
                Ok(Self::plain(Scheme::Ssh, url))
            } else {
                Err(unsupported("a local path needs file:// in front"))
            };
        };
        match scheme.to_ascii_lowercase().as_str() {
            "https" => Ok(Self::http(Scheme::Https, "https", rest)),
            "http" => Ok(Self::http(Scheme::Http, "http", rest)),
            "ssh" if rest.starts_with('-') => Err(unsupported("the host starts with a dash")),
            "ssh" => Ok(Self::plain(Scheme::Ssh, url)),
            "file" if rest.starts_with('/') => Ok(Self::plain(Scheme::File, url)),
            "file" => Err(unsupported("file:// needs an absolute path after it")),
            "oci" => Err(unsupported("OCI artifacts are not supported yet")),
            _ => Err(unsupported("unknown scheme")),
        }
    }

    fn plain(scheme: Scheme, url: &str) -> Self {
        Self { scheme, url: url.to_owned(), credentials: None, hidden: Vec::new() }
    }

    fn http(scheme: Scheme, name: &str, rest: &str) -> Self {
        let authority_end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        let (credentials, host) = match authority.rsplit_once('@') {
            None => (None, authority),
            Some((login, host)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                let credentials = Credentials { user: percent_decode(user), password: percent_decode(password).into() };
                (Some(credentials), host)
            }
        };
        Self { scheme, url: format!("{name}://{host}{path}"), credentials, hidden: Vec::new() }
    }

    /// Takes these out of every text as well.
    pub(super) fn hiding(mut self, secrets: impl IntoIterator<Item = SecretText>) -> Self {
        self.hidden.extend(secrets.into_iter().filter(|secret| !secret.is_empty()));
        self
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The URL without credentials.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The form in which two URLs are compared: case, a trailing `.git` or slash, and the two SSH spellings do not matter.
    ///
    /// Source: Argo CD 3.5, comparison of repository URLs.
    #[must_use]
    pub fn normalised(&self) -> String {
        let lower = self.url.to_lowercase();
        let trimmed = lower.trim_end_matches('/');
        let trimmed = trimmed.strip_suffix(".git").unwrap_or(trimmed);
        match trimmed.split_once(':') {
            Some((host, path)) if !trimmed.contains("://") => format!("ssh://{host}/{}", path.trim_start_matches('/')),
            _ => trimmed.to_owned(),
        }
    }

    /// Takes credentials out of a text that came from elsewhere.
    pub(super) fn without_secrets(&self, text: &str) -> String {
        let mut text = mask(text);
        if let Some(Credentials { password, .. }) = &self.credentials
            && !password.is_empty()
        {
            text = text.replace(password.as_str(), "***");
        }
        for secret in &self.hidden {
            text = text.replace(secret.reveal(), "***");
        }
        text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.url))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// `user@host:path`, the form of `scp`. Without a user it could be a Windows path or a typing error.
fn is_scp_form(url: &str) -> bool {
    let Some((login, path)) = url.split_once(':') else { return false };
    let Some((user, host)) = login.split_once('@') else { return false };
    !user.is_empty() && !host.is_empty() && !host.starts_with('-') && !login.contains('/') && !path.is_empty()
}

/// Replaces `user:password@` in every URL of a text.
pub(super) fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        masked.push_str(before);
        let authority_end = after.find(|c: char| matches!(c, '/' | '"' | '\'' | '`') || c.is_whitespace()).unwrap_or(after.len());
        let (authority, tail) = after.split_at(authority_end);
        match authority.rsplit_once('@') {
            Some((login, host)) if login.contains(':') || !before.ends_with("ssh://") => {
                masked.push_str("***@");
                masked.push_str(host);
            }
            _ => masked.push_str(authority),
        }
        rest = tail;
    }
    masked.push_str(rest);
    masked
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%').then(|| tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()?.parse_hex())).flatten();
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

trait ParseHex {
    fn parse_hex(&self) -> Option<u8>;
}

impl ParseHex for str {
    fn parse_hex(&self) -> Option<u8> {
        u8::from_str_radix(self, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn knows_the_forms_of_urls() {
        for url in ["https://h/a.git", "http://h:3000/a", "ssh://git@h:22/a", "git@h:a/b.git", "file:///srv/a", "HTTPS://h/a"] {
            assert!(Address::parse(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "/srv/a",
            "./a",
            "file://a",
            "oci://h/a",
            "ftp://h/a",
            "--upload-pack=x",
            "git@-oProxy:a",
            "ssh://-oProxy/a",
            "https://h/a\nb",
            "C:\\a",
        ] {
            assert!(matches!(Address::parse(url), Err(SourceError::UnsupportedUrl { .. })), "{url}");
        }
    }

    #[test]
    fn compares_as_the_original() {
        let same = |a: &str, b: &str| Address::parse(a).unwrap().normalised() == Address::parse(b).unwrap().normalised();
        assert!(same("https://Host/Org/Repo.git", "https://host/org/repo"));
        assert!(same("https://user:pass@host/a", "https://host/a/"));
        assert!(same("git@host:org/repo.git", "ssh://git@host/org/repo"));
        assert!(!same("https://host/a", "http://host/a"));
        assert!(!same("https://host/a", "https://host/b"));
    }

    #[test]
    fn credentials_are_taken_out_and_never_shown() {
        let address = Address::parse("https://us%40er:p%3Ass@host:8443/a@b.git").unwrap();
        let credentials = address.credentials().unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("us@er", "p:ss"));
        assert_eq!(address.as_str(), "https://host:8443/a@b.git");
        assert!(!format!("{address} {address:?}").contains("p:ss"));
        assert_eq!(
            address.without_secrets("cannot open \"https://x:p:ss@host/a\" with p:ss"),
            "cannot open \"https://***@host/a\" with ***"
        );
        let error = Address::parse("ftp://user:secret@host/a").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert_eq!(Address::parse("https://token@host/a").unwrap().credentials().unwrap().user, "token");
    }
}
