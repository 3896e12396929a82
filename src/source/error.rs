//! What goes wrong with a source, named for what happened to the user.

use std::time::Duration;

use super::credentials::CredentialError;
use crate::advice::{Advice, Remedy};

/// Shortest sensible wait after the other side did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Why a source could not be read. URLs in it carry no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The URL has a form that is not understood.
    #[error("`{url}` is not a repository URL that is supported: {problem}")]
    UnsupportedUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No connection, or it broke.
    #[error("cannot reach {url}: {problem}")]
    Unreachable {
        /// The URL.
        url: String,
        /// What the connection said.
        problem: String,
    },
    /// The other side did not answer in time.
    #[error("{url} did not answer within {} s", limit.as_secs())]
    Timeout {
        /// The URL.
        url: String,
        /// The time limit.
        limit: Duration,
    },
    /// The other side wants a credential, or another one.
    #[error("access to {url} was denied: {problem}")]
    AccessDenied {
        /// The URL.
        url: String,
        /// What the other side said.
        problem: String,
    },
    /// The other side cannot prove who it is.
    #[error("the TLS certificate of {host} cannot be trusted: {problem}")]
    UntrustedCertificate {
        /// Host, with its port when that is not the usual one.
        host: String,
        /// What is wrong with the certificate.
        problem: String,
    },
    /// The other side sends us elsewhere, and following would give the credentials away or lead to another repository.
    #[error("a redirect of {url} was not followed: {problem}")]
    RedirectRefused {
        /// The URL.
        url: String,
        /// Why not.
        problem: String,
    },
    /// Something answers, but it is no Git repository.
    #[error("there is no Git repository at {url}: {problem}")]
    NotARepository {
        /// The URL.
        url: String,
        /// What the other side said.
        problem: String,
    },
    /// Something answers, but it is no repository of charts.
    #[error("there is no Helm repository at {url}: {problem}")]
    NotAChartRepository {
        /// The URL.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The repository has no chart of this name.
    #[error("{url} has no chart `{chart}`")]
    NoSuchChart {
        /// The URL.
        url: String,
        /// The chart asked for.
        chart: String,
    },
    /// No version of the chart is the one asked for, or satisfies the constraint.
    #[error("{url} has no version of `{chart}` for `{version}`")]
    NoSuchVersion {
        /// The URL.
        url: String,
        /// The chart or artifact asked for.
        chart: String,
        /// The version or constraint asked for.
        version: String,
    },
    /// There is nothing at this address.
    #[error("there is nothing at {url}")]
    NotFound {
        /// The URL.
        url: String,
    },
    /// A chart or artifact is damaged, too large, or not what it should be.
    #[error("the archive from {url} cannot be used: {problem}")]
    BadArchive {
        /// The URL.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No branch, tag or commit has this name.
    #[error("revision `{revision}` does not exist in {url}")]
    NoSuchRevision {
        /// The URL.
        url: String,
        /// The revision asked for.
        revision: String,
    },
    /// No tag satisfies a version constraint.
    #[error("no tag of {url} satisfies the version constraint `{revision}`")]
    NoMatchingTag {
        /// The URL.
        url: String,
        /// The revision asked for.
        revision: String,
    },
    /// An abbreviated commit id that several objects begin with.
    #[error("revision `{revision}` of {url} is ambiguous")]
    AmbiguousRevision {
        /// The URL.
        url: String,
        /// The revision asked for.
        revision: String,
    },
    /// The commit has no such file or folder.
    #[error("path `{path}` does not exist in commit {commit}")]
    PathMissing {
        /// The path asked for.
        path: String,
        /// The commit.
        commit: String,
    },
    /// A path that leaves the repository.
    #[error("path `{path}` leads out of the repository")]
    PathOutside {
        /// The path asked for.
        path: String,
    },
    /// A symbolic link that leaves the repository.
    #[error("symbolic link `{path}` leads out of the repository, to `{target}`")]
    SymlinkOutside {
        /// The link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// The repository is there and empty.
    #[error("{url} has no commits")]
    NoCommits {
        /// The URL.
        url: String,
    },
    /// What is registered about the repository cannot be used.
    #[error("{url} cannot be reached as it is registered: {problem}")]
    BadAccess {
        /// The URL.
        url: String,
        /// What cannot be used; nothing secret.
        problem: String,
        /// What to set.
        hint: String,
    },
    /// A submodule cannot be had.
    #[error("a submodule of {url} cannot be had: {problem}")]
    BadSubmodule {
        /// The URL of the outer repository.
        url: String,
        /// Which one, and why.
        problem: String,
    },
    /// The Secret for the repository cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The cache on disk is not readable or writable.
    #[error("the cache of {url} failed: {problem}")]
    CacheFailed {
        /// The URL.
        url: String,
        /// What failed.
        problem: String,
    },
}

impl SourceError {
    /// Says which login was refused.
    pub(super) fn with_origin(mut self, origin: &str) -> Self {
        if let Self::AccessDenied { problem, .. } = &mut self
            && !origin.is_empty()
        {
            problem.push_str("; ");
            problem.push_str(origin);
        }
        self
    }
}

impl Advice for SourceError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::UnsupportedUrl { .. }
            | Self::RedirectRefused { .. }
            | Self::NotARepository { .. }
            | Self::NotAChartRepository { .. }
            | Self::NoSuchChart { .. }
            | Self::NoSuchVersion { .. }
            | Self::NotFound { .. }
            | Self::BadArchive { .. }
            | Self::NoSuchRevision { .. }
            | Self::NoMatchingTag { .. }
            | Self::BadAccess { .. }
            | Self::AmbiguousRevision { .. }
            | Self::PathMissing { .. }
            | Self::PathOutside { .. }
            | Self::SymlinkOutside { .. } => Remedy::FixInput,
            Self::AccessDenied { .. } | Self::UntrustedCertificate { .. } => Remedy::GrantAccess,
            Self::Credentials(error) => error.remedy(),
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::CacheFailed { .. }
            | Self::NoCommits { .. }
            | Self::BadSubmodule { .. } => Remedy::WaitAndRetry { after: RETRY_AFTER },
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnsupportedUrl { .. } => "use https://, ssh://, git@host:path, file:// or oci:// in repoURL".into(),
            Self::Unreachable { .. } | Self::Timeout { .. } => {
                "check the host in repoURL, and that the network lets this program reach it".into()
            }
            Self::AccessDenied { .. } => {
                "check that the repository exists, and that a Secret for its URL (kubectl gitops repo list) has a valid login"
                    .into()
            }
            Self::UntrustedCertificate { problem, .. } => certificate_hint(problem).into(),
            Self::RedirectRefused { .. } => "set repoURL to the URL that the server redirects to".into(),
            Self::NotARepository { .. } => "check repoURL; `git ls-remote` with the same URL has to list references".into(),
            Self::NotAChartRepository { .. } => {
                "check repoURL; `helm repo add` with the same URL has to work. A registry needs oci:// or a URL without a scheme"
                    .into()
            }
            Self::NoSuchChart { .. } => "set chart to a chart of this repository; its index.yaml lists them".into(),
            Self::NoSuchVersion { .. } => {
                "set targetRevision to a version that exists, or to a constraint that one satisfies; pre-releases need `-0` in it"
                    .into()
            }
            Self::NotFound { .. } => "check repoURL, and that the repository still has what its index lists".into(),
            Self::BadArchive { .. } => "have it packed and published again, with `helm package` or `oras push`".into(),
            Self::NoSuchRevision { .. } => "set targetRevision to a branch, tag or full commit id of this repository".into(),
            Self::NoMatchingTag { .. } => {
                "set targetRevision to a constraint that a tag satisfies; pre-releases count only where it names one (`-0`)"
                    .into()
            }
            Self::BadSubmodule { .. } => {
                "check .gitmodules, and register a login for the submodule's URL if it is private; ARGOCD_GIT_MODULES_ENABLED=false leaves submodules out".into()
            }
            Self::NoCommits { .. } => "push a commit to the repository".into(),
            Self::BadAccess { hint, .. } => hint.clone(),
            Self::Credentials(error) => return error.hint(),
            Self::AmbiguousRevision { .. } => "give more digits of the commit id in targetRevision".into(),
            Self::PathMissing { .. } => "set path to a folder of the repository at this revision".into(),
            Self::PathOutside { .. } => "write the path relative to the root of the repository, without `..` above it".into(),
            Self::SymlinkOutside { .. } => "remove the link, or let it point to a file of the repository".into(),
            Self::CacheFailed { .. } => {
                "check free space and permissions of the cache folder; it may be deleted at any time".into()
            }
        })
    }
}

/// A name or a date is the server's to correct, an unknown authority is ours.
fn certificate_hint(problem: &str) -> &'static str {
    if problem.contains("expired") || problem.contains("valid yet") {
        "renew the certificate of the server, or correct the clock of this machine"
    } else if problem.contains("not valid for name") {
        "use a host name in repoURL that the certificate is for"
    } else {
        "put the authority that signed it into ConfigMap argocd-tls-certs-cm under the name of the host; for the command line, into a folder that SSL_CERT_DIR names"
    }
}
