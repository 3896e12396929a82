//! `completion install`: the link by which kubectl finds the completer.
//!
//! Krew links one file for each plugin, so it does not install a completer. The link stands beside the one that Krew made and leads to
//! it, not into Krew's store, where an upgrade would leave it dangling.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{CommandResult, Exit, Failure};
use crate::ui::symbols::Symbols;
use crate::ui::{paint, stream};

const COMPLETER: &str = if cfg!(windows) { "kubectl_complete-gitops.exe" } else { "kubectl_complete-gitops" };
const PLUGIN: &str = if cfg!(windows) { "kubectl-gitops.exe" } else { "kubectl-gitops" };

/// Let kubectl's own completion complete `kubectl gitops`.
///
/// Makes the link kubectl_complete-gitops beside the kubectl-gitops that is on the PATH. kubectl 1.26 or later asks it, in every shell
/// that its completion is set up in.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kubectl gitops completion install")]
pub struct InstallArgs {
    /// Folder on the PATH for the link, instead of the one that holds kubectl-gitops
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Makes the link.
pub fn run(args: &InstallArgs) -> CommandResult {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => beside_the_plugin()?,
    };
    let link = folder.join(COMPLETER);
    let made = make(&folder, &link);
    let is_new = made.map_err(|error| {
        Failure::new(format!("cannot make {}", link.display()))
            .with_cause(&error)
            .with_hint("--folder FOLDER names another one that is on the PATH")
    })?;
    let done = paint::good(Symbols::get().done);
    let what = if is_new { "made" } else { "is there already" };
    stream::out(&format!("{done} {} {what}\n", link.display()));
    stream::say("kubectl's own completion must be set up: kubectl completion --help");
    Ok(Exit::Done)
}

fn beside_the_plugin() -> Result<PathBuf, Failure> {
    let folders = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    folders.into_iter().find(|folder| folder.join(PLUGIN).is_file()).ok_or_else(|| {
        Failure::new(format!("{PLUGIN} is not on the PATH, so kubectl would not find a completer either"))
            .with_hint("put it on the PATH, or name a folder: --folder FOLDER")
    })
}

/// True when there was none that works.
fn make(folder: &Path, link: &Path) -> std::io::Result<bool> {
    // Relative, so that it follows when the link beside it changes; from elsewhere it leads to this very program.
    let target = if folder.join(PLUGIN).is_file() { PathBuf::from(PLUGIN) } else { std::env::current_exe()? };
    if fs::read_link(link).is_ok_and(|present| present == target) && link.exists() {
        return Ok(false);
    }
    if link.symlink_metadata().is_ok_and(|present| present.is_symlink()) {
        fs::remove_file(link)?;
    }
    place(&target, folder, link)?;
    Ok(true)
}

#[cfg(unix)]
fn place(target: &Path, _: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Links take a privilege on Windows, so the program is copied.
#[cfg(not(unix))]
fn place(target: &Path, folder: &Path, link: &Path) -> std::io::Result<()> {
    fs::copy(folder.join(target), link).map(drop)
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_link_leads_to_its_neighbour_and_survives_an_upgrade_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let (store, link) = (folder.path().join("v1"), folder.path().join(COMPLETER));
        fs::write(&store, "old").unwrap();
        std::os::unix::fs::symlink("v1", folder.path().join(PLUGIN)).unwrap();
        assert!(make(folder.path(), &link).unwrap() && !make(folder.path(), &link).unwrap());

        fs::write(folder.path().join("v2"), "new").unwrap();
        fs::remove_file(folder.path().join(PLUGIN)).unwrap();
        std::os::unix::fs::symlink("v2", folder.path().join(PLUGIN)).unwrap();
        fs::remove_file(store).unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "new");
    }

    #[test]
    fn a_file_of_somebody_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join(COMPLETER);
        fs::write(folder.path().join(PLUGIN), "").unwrap();
        fs::write(&link, "theirs").unwrap();
        assert!(make(folder.path(), &link).is_err());
        assert_eq!(fs::read_to_string(&link).unwrap(), "theirs");
    }
}
