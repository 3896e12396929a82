//! Completion: for `kubectl gitops` through kubectl, for `kubectl-gitops` through a script of the shell.
//!
//! ```text
//! kubectl ──runs──> kubectl_complete-gitops (a link to this program) ──> protocol ──┐
//! shell ──script──> KUBECTL_GITOPS_COMPLETE=bash kubectl-gitops -- words ──────────>├──> clap's engine, on the command line
//!                                                                                  │    with what `names` knows added
//! ```
//!
//! clap's engine is marked unstable, so nothing outside this folder uses it.

mod install;
mod names;
mod protocol;

use std::ffi::OsString;

use clap::{Args, Command, Subcommand};
use clap_complete::CompleteEnv;
use clap_complete::env::{EnvCompleter, Shells};

use super::{CommandResult, Exit, Failure, root};
use crate::ui::stream;

pub(super) use self::protocol::{is_called, main};

/// The variable by which the scripts ask this program for words.
const VARIABLE: &str = "KUBECTL_GITOPS_COMPLETE";
const PROGRAM: &str = "kubectl-gitops";

/// Complete commands, flags and names by the Tab key.
///
/// `install` is for `kubectl gitops`: kubectl's own completion asks this program, in every shell that kubectl completes in. The scripts
/// are for typing `kubectl-gitops`. Names of Applications, namespaces and projects come from the cluster, within one second.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    #[command(subcommand)]
    command: CompletionCommand,
}

#[derive(Debug, Subcommand)]
enum CompletionCommand {
    Install(install::InstallArgs),
    /// Print the script for bash
    #[command(after_help = "Example:\n  source <(kubectl gitops completion bash)")]
    Bash,
    /// Print the script for zsh
    #[command(after_help = "Example:\n  source <(kubectl gitops completion zsh)")]
    Zsh,
    /// Print the script for fish
    #[command(after_help = "Example:\n  kubectl gitops completion fish | source")]
    Fish,
    /// Print the script for PowerShell
    #[command(after_help = "Example:\n  kubectl gitops completion powershell | Out-String | Invoke-Expression")]
    Powershell,
}

/// Runs one of them.
///
/// # Errors
/// When the link cannot be made, or the script cannot be written.
pub fn run(args: &CompletionArgs) -> CommandResult {
    let shell: &dyn EnvCompleter = match &args.command {
        CompletionCommand::Install(args) => return install::run(args),
        CompletionCommand::Bash => &clap_complete::env::Bash,
        CompletionCommand::Zsh => &clap_complete::env::Zsh,
        CompletionCommand::Fish => &clap_complete::env::Fish,
        CompletionCommand::Powershell => &clap_complete::env::Powershell,
    };
    let mut script = Vec::new();
    let written = shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script);
    written.map_err(|error| Failure::new("cannot write the script").with_cause(&error))?;
    stream::out_bytes(&script);
    Ok(Exit::Done)
}

/// Answers the script of a shell; false when none asks.
pub(super) fn answer_script() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let words: Vec<OsString> = std::env::args_os().collect();
    // Program, `--`, program, then what was typed.
    let typed = words.iter().skip(3).cloned().collect::<Vec<_>>();
    let shells: [&dyn EnvCompleter; 4] =
        [&clap_complete::env::Bash, &clap_complete::env::Zsh, &clap_complete::env::Fish, &clap_complete::env::Powershell];
    let completer = CompleteEnv::with_factory(|| names::attach(root::command(), &names::World::of(&typed)));
    let folder = std::env::current_dir().ok();
    completer.var(VARIABLE).shells(Shells(&shells)).try_complete(words, folder.as_deref()).unwrap_or(true)
}

/// The command line of the completer: its flags must not be offered where a name is meant.
fn command(world: &names::World) -> Command {
    names::attach(root::command(), world)
}
