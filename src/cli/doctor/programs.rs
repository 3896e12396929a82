//! Programs on the `PATH`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// A program that does not answer in this time counts as one without a version.
const PATIENCE: Duration = Duration::from_secs(5);

/// The folders of the `PATH`, in its order.
pub fn folders() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// The first program of this name.
pub fn find(name: &str) -> Option<PathBuf> {
    let file = if cfg!(windows) { format!("{name}.exe") } else { name.to_owned() };
    folders().into_iter().map(|folder| folder.join(&file)).find(|path| path.is_file())
}

/// Every file in the folders whose name begins so.
pub fn beginning_with(prefix: &str, folders: &[PathBuf]) -> Vec<PathBuf> {
    let begins = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    let mut found: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| begins(path) && path.is_file())
        .collect();
    found.sort();
    found
}

/// The first line of what the program says about its version.
pub async fn version(program: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn files_that_would_take_the_place_of_a_command_are_found() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["kubectl-gitops", "kubectl-gitops-seal", "kubectl-other"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = beginning_with("kubectl-gitops-", &[folder.path().to_owned(), "/nonexistent".into()]);
        assert_eq!(found, [folder.path().join("kubectl-gitops-seal")]);
    }
}
