//! Where a chart or an artifact comes from: an index over HTTP, or a repository of an OCI registry. Pure.
//!
//! Source: Argo CD 3.5 (reference section 1.3): `oci://` is an artifact; else a `chart` comes from a Helm repository, which is
//! a registry when its URL has no scheme or its Secret says `enableOCI`; everything else is Git.

use std::fmt;

use super::super::address::{Address, mask};
use super::super::credentials::{Access, SecretText};
use super::super::{Layout, SourceError};
use crate::api::application::ApplicationSource;

/// A place that lists versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A Helm repository: `index.yaml` below a URL, which has no credentials and no slash at its end.
    Index(String),
    /// A repository of an OCI registry.
    Registry { host: String, repository: String },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(url) => f.write_str(url),
            Self::Registry { host, repository } => write!(f, "oci://{host}/{repository}"),
        }
    }
}

/// A chart or an artifact, without its version.
#[derive(Debug, Clone)]
pub struct Origin {
    pub(super) place: Place,
    /// Name of the chart; for people only when the place is a registry.
    pub(super) chart: String,
    pub(super) layout: Layout,
    /// The URL as it was written, which is how Applications are found again.
    pub(super) written: String,
    pub(super) access: Access,
    /// The login goes to every host that the index names, not only to its own.
    pub(super) pass_credentials: bool,
}

impl Origin {
    /// The origin of a source that is no repository of Git, and how it is reached.
    ///
    /// # Errors
    /// [`SourceError::UnsupportedUrl`].
    pub(super) fn of(source: &ApplicationSource, access: Access) -> Result<Self, SourceError> {
        let url = source.repo_url.trim();
        let pass_credentials = source.helm.as_ref().is_some_and(|helm| helm["passCredentials"] == true);
        let origin = match url.strip_prefix("oci://") {
            Some(rest) if source.chart.is_empty() => Self::in_registry(url, rest, "", Layout::Plain, access)?,
            _ => Self::of_chart(url, &source.chart, access)?,
        };
        Ok(Self { pass_credentials, ..origin })
    }

    /// The origin of a chart in the repository with this URL.
    ///
    /// # Errors
    /// [`SourceError::UnsupportedUrl`].
    pub(super) fn of_chart(url: &str, chart: &str, access: Access) -> Result<Self, SourceError> {
        match url.split_once("://") {
            None => Self::in_registry(url, url, chart, Layout::Chart, access),
            Some(("oci", rest)) => Self::in_registry(url, rest, chart, Layout::Chart, access),
            Some((_, rest)) if access.enable_oci => Self::in_registry(url, rest, chart, Layout::Chart, access),
            Some(("http" | "https", _)) => Self::in_index(url, chart, access),
            Some(_) => Err(unsupported(url, "a chart comes from https://, http:// or oci://")),
        }
    }

    /// Where it is, for people and for telling two origins apart.
    #[must_use]
    pub fn place(&self) -> String {
        self.place.to_string()
    }

    fn in_index(url: &str, chart: &str, mut access: Access) -> Result<Self, SourceError> {
        let address = Address::parse(url)?;
        if let Some(credentials) = address.credentials() {
            access.username.clone_from(&credentials.user);
            access.password = SecretText::new(credentials.password.as_str().to_owned());
        }
        let place = Place::Index(address.as_str().trim_end_matches('/').to_owned());
        Ok(Self {
            place,
            chart: chart.to_owned(),
            layout: Layout::Chart,
            written: url.to_owned(),
            access,
            pass_credentials: false,
        })
    }

    fn in_registry(written: &str, rest: &str, chart: &str, layout: Layout, access: Access) -> Result<Self, SourceError> {
        let path = [rest.trim_end_matches('/'), chart].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let (host, repository) =
            path.split_once('/').ok_or_else(|| unsupported(written, "it names no repository of the registry"))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/' | '[' | ']');
        if host.is_empty() || repository.is_empty() || !path.chars().all(plain) {
            return Err(unsupported(written, "it has to be oci://host/repository, without a tag and without credentials"));
        }
        let place = Place::Registry { host: host.to_owned(), repository: repository.to_owned() };
        let chart = if chart.is_empty() { repository } else { chart };
        Ok(Self { place, chart: chart.to_owned(), layout, written: written.to_owned(), access, pass_credentials: false })
    }

    /// True for a chart, which has versions; false for an artifact, which has digests.
    pub(super) fn is_chart(&self) -> bool {
        self.layout == Layout::Chart
    }

    /// The chart behind an `oci://host/repository:tag` of an index, and its tag.
    pub(super) fn of_chart_url(url: &reqwest::Url, access: Access) -> Result<(Self, String), SourceError> {
        let text = url.as_str();
        let (repository, tag) = text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((text, "latest"));
        Ok((Self::of_chart(repository, "", access)?, tag.to_owned()))
    }

    /// Credentials for a URL that the index of this origin names: they go to its own host only, unless the user says otherwise.
    pub(super) fn access_for(&self, url: &reqwest::Url) -> Access {
        let own = match &self.place {
            Place::Index(base) => reqwest::Url::parse(base).is_ok_and(|base| base.origin() == url.origin()),
            Place::Registry { .. } => true,
        };
        let mut access = self.access.clone();
        if !own && !self.pass_credentials {
            access.username.clear();
            access.password = SecretText::default();
            access.bearer_token = SecretText::default();
            access.client_certificate = None;
        }
        access
    }
}

/// True for what is talked to over plain HTTP without being told so: registries on this machine.
pub(super) fn is_local(host: &str) -> bool {
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn unsupported(url: &str, problem: &str) -> SourceError {
    SourceError::UnsupportedUrl { url: mask(url), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    #![expect(clippy::field_reassign_with_default, reason = "it has fields that are nobody else's")]
    use super::*;

    fn source(url: &str, chart: &str) -> ApplicationSource {
        ApplicationSource { repo_url: url.into(), chart: chart.into(), ..ApplicationSource::default() }
    }

    #[test]
    fn tells_where_a_source_comes_from() {
        let place = |url: &str, chart: &str, enable_oci: bool| {
            let mut access = Access::default();
            access.enable_oci = enable_oci;
            match Origin::of(&source(url, chart), access) {
                Ok(origin) => format!("{} {:?}", origin.place, origin.layout),
                Err(error) => error.to_string(),
            }
        };
        assert_eq!(place("https://charts.example/stable/", "web", false), "https://charts.example/stable Chart");
        assert_eq!(place("https://host/org", "web", true), "oci://host/org/web Chart");
        assert_eq!(place("registry.example:5000/org", "web", false), "oci://registry.example:5000/org/web Chart");
        assert_eq!(place("registry.example", "team/web", false), "oci://registry.example/team/web Chart");
        assert_eq!(place("oci://registry.example/org/web", "", false), "oci://registry.example/org/web Plain");
        assert_eq!(place("oci://registry.example/org", "web", false), "oci://registry.example/org/web Chart");
        assert!(place("ftp://host/org", "web", false).contains("a chart comes from"));
        assert!(place("oci://host", "", false).contains("names no repository"));
        assert!(place("oci://user:secret@host/a", "", false).contains("without credentials"));
        assert!(!place("oci://user:secret@host/a", "", false).contains("secret@"));
    }

    #[test]
    fn credentials_stay_with_their_host() {
        let origin = Origin::of_chart("https://us%40er:p%3Ass@charts.example/x", "web", Access::default()).unwrap();
        assert_eq!((origin.access.username.as_str(), origin.access.password.reveal()), ("us@er", "p:ss"));
        assert!(!format!("{origin:?}").replace(&origin.written, "").contains("p:ss"));
        let user = |url: &str| origin.access_for(&reqwest::Url::parse(url).unwrap()).username;
        assert_eq!(user("https://charts.example/y/web-1.tgz"), "us@er");
        for elsewhere in ["https://cdn.example/web-1.tgz", "http://charts.example/web-1.tgz", "https://charts.example:8443/x"] {
            assert_eq!(user(elsewhere), "", "{elsewhere}");
        }
        let mut access = Access::default();
        access.username = "me".into();
        let mut passing = source("https://charts.example", "web");
        passing.helm = Some(serde_json::json!({ "passCredentials": true }));
        let origin = Origin::of(&passing, access).unwrap();
        assert_eq!(origin.access_for(&reqwest::Url::parse("https://cdn.example/x").unwrap()).username, "me");
    }

    #[test]
    fn knows_this_machine() {
        assert!(["localhost", "localhost:5000", "127.0.0.1:80", "[::1]:5000"].into_iter().all(is_local));
        assert!(!["registry.example", "10.0.0.1:5000", "localhost.example"].into_iter().any(is_local));
    }
}
