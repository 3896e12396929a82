//! Completion as kubectl and the shells ask for it.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "support/tools.rs"]
#[allow(dead_code, clippy::panic, reason = "other tests use the rest")]
mod tools;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

const PLUGIN: &str = env!("CARGO_BIN_EXE_kubectl-gitops");

/// A folder on the `PATH` with the plugin and its completer, as Krew and `completion install` leave it.
fn installed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    symlink(PLUGIN, folder.path().join("kubectl-gitops")).unwrap();
    let output = command(folder.path(), PLUGIN).args(["completion", "install"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_link(folder.path().join("kubectl_complete-gitops")).unwrap(), Path::new("kubectl-gitops"));
    fs::write(
        folder.path().join("config"),
        "apiVersion: v1\nkind: Config\ncurrent-context: dev\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n\
         contexts: [{name: dev, context: {cluster: c, user: u}}, {name: prod-eu, context: {cluster: c, user: u}}]\n",
    )
    .unwrap();
    folder
}

fn command(folder: &Path, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    let path = format!("{}:{}:/usr/bin:/bin", folder.display(), tools::tools().bin().display());
    command.env_clear().env("PATH", path).env("HOME", folder).env("KUBECONFIG", folder.join("config"));
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What kubectl's own completion is told, by the real kubectl.
#[test]
fn kubectl_completes_commands_flags_and_names() {
    let folder = installed();
    let ask = |words: &[&str]| {
        let mut kubectl = command(folder.path(), tools::tools().kubectl());
        text(&kubectl.args(["__complete", "gitops"]).args(words).output().unwrap())
    };
    assert!(ask(&["sy"]).starts_with("sync\tSync Applications"), "{}", ask(&["sy"]));
    assert!(ask(&["app", ""]).contains("\nhistory\t") && ask(&["app", ""]).trim_end().ends_with(":4"), "{}", ask(&["app", ""]));
    assert!(ask(&["sync", "--pru"]).starts_with("--prune\t"), "{}", ask(&["sync", "--pru"]));
    assert!(ask(&["status", "--context", ""]).starts_with("dev\nprod-eu\n:4"), "{}", ask(&["status", "--context", ""]));
    // A cluster that does not answer is no reason to offer files.
    assert_eq!(ask(&["sync", ""]).trim(), ":4");
    assert_eq!(ask(&["seal", "--cert", ""]).trim(), ":0");
}

/// The scripts for `kubectl-gitops` itself: what each makes the shell ask, and bash also asks for itself.
#[test]
fn shells_ask_through_their_scripts() {
    let folder = installed();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = command(folder.path(), PLUGIN).args(["completion", shell]).output().unwrap();
        assert!(script.status.success() && text(&script).contains("KUBECTL_GITOPS_COMPLETE"), "{shell}: {}", text(&script));
    }
    for shell in ["zsh", "fish"] {
        let mut program = command(folder.path(), PLUGIN);
        program.env("KUBECTL_GITOPS_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", "1").env("_CLAP_IFS", "\n");
        let answer = program.args(["--", "kubectl-gitops", "sy"]).output().unwrap();
        assert!(text(&answer).starts_with("sync"), "{shell}: {}", text(&answer));
    }
    let script = "source <(kubectl-gitops completion bash)
        function=$(complete -p kubectl-gitops | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        COMP_WORDS=(kubectl-gitops drif) COMP_CWORD=1 COMP_TYPE=9 COMP_LINE='kubectl-gitops drif' COMP_POINT=19
        $function kubectl-gitops drif kubectl-gitops
        echo \"${COMPREPLY[@]}\"";
    let answer = command(folder.path(), "bash").args(["-c", script]).output().unwrap();
    assert_eq!(text(&answer).trim(), "drift", "{}", String::from_utf8_lossy(&answer.stderr));
}
