//! One folder of transcripts: how its commands are run, and how what they print is written down.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::api_server::ApiServer;

/// The moment at which all transcripts take place.
const NOW: &str = "2026-11-25T12:00:00Z";

/// A prepared case.
pub struct Case {
    transcript: String,
    home: tempfile::TempDir,
    kubeconfig: Option<PathBuf>,
    server: Option<ApiServer>,
}

impl Case {
    /// Starts what the case needs.
    pub async fn prepare(folder: &Path) -> Self {
        let home = tempfile::tempdir().unwrap();
        let cluster = folder.join("cluster");
        let server = if cluster.exists() { Some(ApiServer::start(&cluster).await) } else { None };
        let text = match &server {
            Some(server) => Some(kubeconfig(server.url())),
            None => fs::read_to_string(folder.join("kubeconfig")).ok(),
        };
        let kubeconfig = text.map(|text| {
            let path = home.path().join("kubeconfig");
            fs::write(&path, text).unwrap();
            path
        });
        Self { transcript: fs::read_to_string(folder.join("transcript")).unwrap(), home, kubeconfig, server }
    }

    /// What the transcript says.
    pub fn expected(&self) -> String {
        self.transcript.clone()
    }

    /// Runs the commands of the transcript and writes a new one; comments stay.
    pub async fn run(&self) -> String {
        let mut seen = String::new();
        for line in self.transcript.lines().filter(|line| line.starts_with("$ ") || line.starts_with("# ")) {
            let _ = writeln!(seen, "{line}");
            if let Some(command) = line.strip_prefix("$ ") {
                seen.push_str(&self.run_one(command).await);
            }
        }
        if let Some(server) = &self.server {
            seen.push_str(&server.log());
        }
        seen
    }

    async fn run_one(&self, line: &str) -> String {
        let mut words = split(line).into_iter().peekable();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"));
        command.env_clear().env("GITOPS_NOW", NOW).env("HOME", self.home.path()).env("LC_ALL", "C.UTF-8");
        if let Some(path) = &self.kubeconfig {
            command.env("KUBECONFIG", path);
        }
        while let Some((name, value)) =
            words.peek().and_then(|word| word.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned()))
        {
            command.env(name, value);
            words.next();
        }
        let prefix: Vec<String> = words.by_ref().take(2).collect();
        assert_eq!(prefix, ["kubectl", "gitops"], "a transcript runs only the program: {line}");
        let output = command.args(words).stdin(Stdio::null()).output().await.unwrap();
        let mut text = self.neutral(&String::from_utf8_lossy(&output.stdout));
        for line in self.neutral(&String::from_utf8_lossy(&output.stderr)).lines() {
            let _ = writeln!(text, "! {line}");
        }
        let _ = writeln!(text, "[exit {}]\n", output.status.code().unwrap_or(-1));
        text
    }

    /// Replaces what differs from run to run.
    fn neutral(&self, text: &str) -> String {
        let text = text.replace(&self.home.path().display().to_string(), "$TEST");
        match &self.server {
            Some(server) => text.replace(server.url(), "$SERVER"),
            None => text,
        }
    }
}

fn kubeconfig(server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n\
         clusters: [{{name: test, cluster: {{server: '{server}'}}}}]\nusers: [{{name: test, user: {{}}}}]\n"
    )
}

/// Splits a command line at spaces; single quotes keep words together.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
