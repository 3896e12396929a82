//! The git program with nothing of the user's configuration.

use std::path::Path;
use std::process::Command;

/// Runs git and returns what it printed, without the final newline.
///
/// # Panics
/// When git fails.
pub fn git(dir: &Path, args: &[&str]) -> String {
    let output = command(dir).args(args).output().unwrap_or_else(|cause| panic!("cannot run git: {cause}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`git {}` failed in {}: {said}", args.join(" "), dir.display());
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// A git command that reads no configuration from outside and never asks for anything.
pub fn command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "test")
        .env("GIT_AUTHOR_EMAIL", "test@localhost")
        .env("GIT_COMMITTER_NAME", "test")
        .env("GIT_COMMITTER_EMAIL", "test@localhost");
    command
}
