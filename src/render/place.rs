//! The private folder in which a child process renders: a checkout, and a home beside it.
//!
//! One per render: what one application changes in its checkout must never be met by another one.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::source::SourceTree;

use super::{Options, RenderError, blocking};

/// Checks out these paths, or everything, and has the files of the render itself written; those get checkout and home.
pub(super) async fn check_out(
    tree: &SourceTree,
    only: Option<Vec<String>>,
    options: &Options,
    write: impl FnOnce(&Path, &Path) -> std::io::Result<()> + Send + 'static,
) -> Result<TempDir, RenderError> {
    let temp_dir = options.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let tree = tree.clone();
    blocking(move || {
        // It lies in the cache, which may be lost at any time.
        // The names of temporary folders must stay out of errors: a new text in every attempt is a new status in every attempt.
        let failed = |error: std::io::Error| RenderError::machine(format!("{}: {}", temp_dir.display(), error.kind()));
        std::fs::create_dir_all(&temp_dir).map_err(failed)?;
        let place = tempfile::Builder::new().prefix("gitops-render-").tempdir_in(&temp_dir).map_err(failed)?;
        let (checkout, home) = (checkout(&place), home(&place));
        std::fs::create_dir_all(&home).map_err(RenderError::machine)?;
        std::fs::create_dir_all(&checkout).map_err(RenderError::machine)?;
        let only: Option<Vec<&str>> = only.as_ref().map(|paths| paths.iter().map(String::as_str).collect());
        tree.materialise(&checkout, only.as_deref())?;
        write(&checkout, &home).map_err(RenderError::machine)?;
        Ok(place)
    })
    .await
}

pub(super) fn checkout(place: &TempDir) -> PathBuf {
    place.path().join("checkout")
}

pub(super) fn home(place: &TempDir) -> PathBuf {
    place.path().join("home")
}
