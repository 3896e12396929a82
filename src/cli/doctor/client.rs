//! This machine: programs, other plugins that take our commands, kubeconfig, completion.

use std::path::PathBuf;

use super::{Check, programs};
use crate::cli::{Context, Failure, version};

/// kubectl runs this program to complete our command lines.
pub const COMPLETER: &str = "kubectl_complete-gitops";
/// kubectl prefers a program of this name to our command of the same name.
const HIJACKERS: &str = "kubectl-gitops-";

/// A program that some commands start.
struct Tool {
    name: &'static str,
    arguments: &'static [&'static str],
    /// What does not work without it.
    used_for: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { name: "git", arguments: &["--version"], used_for: "verify --staged and diff in a work tree need it" },
    Tool { name: "kustomize", arguments: &["version"], used_for: "diff renders Kustomize sources with it, or with kubectl" },
    Tool { name: "helm", arguments: &["version", "--short"], used_for: "diff renders Helm charts with it" },
    Tool { name: "kubectl", arguments: &["version", "--client"], used_for: "`kubectl gitops` is started by it" },
];

pub async fn check(cx: &Context) -> Vec<Check> {
    let mut checks = vec![Check::ok("plugin", version::client())];
    checks.push(hijackers(&programs::beginning_with(HIJACKERS, &programs::folders())));
    for tool in TOOLS {
        checks.push(tool_check(tool).await);
    }
    checks.push(match programs::find(COMPLETER) {
        Some(path) => Check::ok("completion", path.display().to_string()),
        None => Check::warn(
            "completion",
            format!("{COMPLETER} is not on the PATH, so kubectl cannot complete these commands"),
            "kubectl gitops completion install",
        ),
    });
    checks.push(kubeconfig(cx));
    checks
}

fn hijackers(found: &[PathBuf]) -> Check {
    match found.first() {
        None => Check::ok("plugins", "no other plugin takes one of these commands"),
        Some(first) => Check::fail(
            "plugins",
            format!("{} runs instead of the command of its name", first.display()),
            format!("remove it if it is not meant to: rm {}", first.display()),
        ),
    }
}

async fn tool_check(tool: &Tool) -> Check {
    let Some(path) = programs::find(tool.name) else {
        let message = format!("{} is not on the PATH: {}", tool.name, tool.used_for);
        return Check::warn(tool.name, message, format!("install {}", tool.name));
    };
    let version = programs::version(&path, tool.arguments).await;
    match version {
        Some(version) => Check::ok(tool.name, format!("{version} ({})", path.display())),
        None => {
            Check::warn(tool.name, format!("{} says no version", path.display()), format!("run it: {} --help", path.display()))
        }
    }
}

/// Whether a context can be used, and its credential program is there.
fn kubeconfig(cx: &Context) -> Check {
    match cx.credential_program() {
        Err(error) => Check::refused("kubeconfig", super::Status::Fail, &Failure::from(error)),
        Ok(Some(program)) if !is_there(&program) => Check::fail(
            "kubeconfig",
            format!("the credential program {program:?} of {} is not on the PATH", cx.describe_server()),
            format!("install {program}, or choose another --context"),
        ),
        Ok(_) => Check::ok("kubeconfig", cx.describe_server()),
    }
}

fn is_there(program: &str) -> bool {
    if program.contains('/') { PathBuf::from(program).is_file() } else { programs::find(program).is_some() }
}
