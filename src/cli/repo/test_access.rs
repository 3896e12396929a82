//! Asks a repository for its references, as the controller would.

use std::time::Duration;

use crate::advice::Advice as _;
use crate::cli::Failure;
use crate::source::credentials::{Access, Catalogue, Kind};
use crate::source::{self, Freshness, Repositories, SourceError};

/// How long a person waits.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tested {
    /// The repository answered.
    Reached,
    /// Not a Git repository, and those are not asked.
    NotGit,
}

/// Reaches a repository with what a catalogue says.
///
/// # Errors
/// Says why it cannot be reached.
pub(super) async fn test(url: &str, project: &str, catalogue: Catalogue) -> Result<Tested, Failure> {
    let access = catalogue.access(url, project)?;
    if is_registry(url, &access) {
        return Ok(Tested::NotGit);
    }
    let cannot = |error: std::io::Error| Failure::new("cannot make a temporary folder").with_cause(&error);
    let folder = tempfile::Builder::new().prefix("kubectl-gitops-").tempdir().map_err(cannot)?;
    // Only a second call in one process fails, and then a provider is installed, which is all we want.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let options =
        source::Options { timeout: TIMEOUT, poll_interval: Duration::ZERO, ..source::Options::new(folder.path().to_owned()) };
    let repositories = Repositories::new(options);
    repositories.register(catalogue);
    match repositories.of_project(project).resolve(url, "HEAD", Freshness::Now).await {
        // It answered, and may be filled later; or its default branch has another name than HEAD says.
        Ok(_) | Err(SourceError::NoCommits { .. } | SourceError::NoSuchRevision { .. }) => Ok(Tested::Reached),
        Err(error) => {
            let hint = error.hint();
            Err(Failure { hint, ..Failure::new(format!("cannot reach the repository {url}")).with_cause(&error) })
        }
    }
}

fn is_registry(url: &str, access: &Access) -> bool {
    matches!(access.kind, Some(Kind::Helm | Kind::Oci)) || access.enable_oci || url.starts_with("oci://")
}
