//! What kubectl expects of a program named `kubectl_complete-gitops`: the words after `gitops`, the last one perhaps empty, are its
//! arguments; it answers `value<TAB>help` a line, and last `:` with a number whose bits say what the shell may do besides.
//!
//! kubectl filters nothing, shows no error output and waits as long as it takes.
//!
//! Source: kubectl 1.26 and later, `kubectl help plugin`; the numbers are those of the Cobra library.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap_complete::CompletionCandidate;

use super::names::World;
use crate::ui::stream;

/// The name that kubectl runs.
const NAME: &str = "kubectl_complete-gitops";
/// The shell may complete file names.
const FILES: u8 = 0;
/// The shell must not.
const NO_FILES: u8 = 4;

/// Whether this program was called as the completer.
#[must_use]
pub fn is_called(program: Option<&OsStr>) -> bool {
    program.is_some_and(|program| Path::new(program).file_stem().is_some_and(|stem| stem == NAME))
}

/// Answers kubectl.
pub fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().skip(1).collect();
    let world = World::of(&typed);
    let found = complete(&typed, &world);
    stream::out(&answer(&found, typed.last().map(OsString::as_os_str).unwrap_or_default(), world.was_asked()));
    ExitCode::SUCCESS
}

fn complete(typed: &[OsString], world: &World) -> Vec<CompletionCandidate> {
    let mut words = vec![OsString::from("kubectl gitops")];
    words.extend(typed.iter().cloned());
    if typed.is_empty() {
        words.push(OsString::new());
    }
    let last = words.len() - 1;
    // Without a folder the engine offers no files: the shell is better at that.
    clap_complete::engine::complete(&mut super::command(world), words, last, None).unwrap_or_default()
}

/// The lines for kubectl. Flags are offered to whoever has begun one.
fn answer(found: &[CompletionCandidate], last: &OsStr, is_complete: bool) -> String {
    let last = last.to_string_lossy();
    let wants_flag = last.starts_with('-');
    // Of `--flag=value` the shells replace what is behind the sign.
    let flag = last.split_once('=').filter(|_| wants_flag).map(|(flag, _)| format!("{flag}="));
    let mut lines = String::new();
    for candidate in found.iter().filter(|candidate| !candidate.is_hide_set()) {
        let value = candidate.get_value().to_string_lossy();
        if value.starts_with('-') && !wants_flag {
            continue;
        }
        let value = flag.as_deref().and_then(|flag| value.strip_prefix(flag)).unwrap_or(&value);
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.lines().next().unwrap_or_default().replace('\t', " ");
        lines.push_str(&if help.is_empty() { format!("{value}\n") } else { format!("{value}\t{help}\n") });
    }
    let directive = if lines.is_empty() && !is_complete { FILES } else { NO_FILES };
    format!("{lines}:{directive}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> String {
        let typed: Vec<OsString> = words.iter().map(OsString::from).collect();
        let found = complete(&typed, &World::default());
        answer(&found, typed.last().map(OsString::as_os_str).unwrap_or_default(), false)
    }

    #[test]
    fn only_the_completer_is_the_completer() {
        assert!(is_called(Some(OsStr::new("/home/ann/.krew/bin/kubectl_complete-gitops"))));
        assert!(is_called(Some(OsStr::new("kubectl_complete-gitops.exe"))));
        assert!(!is_called(Some(OsStr::new("kubectl-gitops"))) && !is_called(None));
    }

    #[test]
    fn commands_are_offered_with_their_help_and_without_flags() {
        let text = asked(&[""]);
        assert!(text.contains("sync\tSync Applications"), "{text}");
        assert!(text.ends_with("\n:4\n") && !text.contains("\n-") && !text.contains("\nlogin"), "{text}");
        assert!(asked(&["app", "ge"]).starts_with("get\t"), "{}", asked(&["app", "ge"]));
    }

    #[test]
    fn flags_are_offered_when_one_is_begun() {
        assert!(asked(&["sync", "--pr"]).contains("--prune\t"), "{}", asked(&["sync", "--pr"]));
        assert!(asked(&["wait", "--"]).contains("--controller-namespace\tNamespace of the controller"));
    }

    #[test]
    fn values_of_flags_come_without_the_flag() {
        assert!(asked(&["install", "--profile", ""]).starts_with("full\t"), "{}", asked(&["install", "--profile", ""]));
        assert!(asked(&["install", "--profile=se"]).starts_with("seal-only\t"), "{}", asked(&["install", "--profile=se"]));
    }

    #[test]
    fn where_a_file_is_meant_the_shell_completes() {
        assert_eq!(asked(&["seal", "--cert", ""]), ":0\n");
    }
}
