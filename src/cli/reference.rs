//! `docs/reference/cli.md`, written from the command line itself, so that the two cannot differ.

use std::fmt::Write;

use clap::{Arg, Command};

use super::root::command;

const HEAD: &str = "\
# Command reference

Generated from the program by `make generate`; do not edit.

`kubectl gitops` and `kubectl-gitops` are the same program. Every command talks to the Kubernetes API with your kubeconfig and
your rights.

## Exit codes

| code | meaning |
|---|---|
| 0 | done, or no difference |
| 1 | ran fine and the answer is no: differs, unhealthy, check failed, sync failed |
| 2 | could not run: usage, file, access, not found, no cluster |
| 3 | timed out while waiting |
| 130 | interrupted |

The answer is on standard output; progress, notes, warnings and errors are on standard error.
";

/// Writes the reference of all commands as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut root = command();
    root.build();
    let mut page = HEAD.to_owned();
    let _ = write!(page, "\n## Options of every command\n\n{}", options(root.get_arguments().filter(|arg| arg.is_global_set())));
    for sub in visible(&root) {
        section(&mut page, sub);
    }
    page
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

fn section(page: &mut String, command: &Command) {
    let title = command.get_bin_name().unwrap_or(command.get_name());
    let _ = write!(page, "\n## {title}\n");
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        let _ = write!(page, "\n{about}\n");
    }
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    if !aliases.is_empty() {
        let _ = write!(page, "\nAlso: `{}`\n", aliases.join("`, `"));
    }
    if command.has_subcommands() {
        visible(command).for_each(|sub| section(page, sub));
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let _ = write!(page, "\n```\n{}\n```\n", usage.trim_start_matches("Usage: "));
    let own = options(command.get_arguments().filter(|arg| !arg.is_global_set() && arg.get_id() != "help"));
    if !own.is_empty() {
        let _ = write!(page, "\n{own}");
    }
    if let Some(example) = command.get_after_help() {
        let example = example.to_string();
        let _ = write!(page, "\nExample:\n\n```\n{}\n```\n", example.trim_start_matches("Example:").replace("\n  ", "\n").trim());
    }
}

fn options<'a>(args: impl Iterator<Item = &'a Arg>) -> String {
    let rows: String = args.filter(|arg| !arg.is_hide_set()).map(|arg| format!("| {} | {} |\n", name(arg), help(arg))).collect();
    if rows.is_empty() { rows } else { format!("| option | meaning |\n|---|---|\n{rows}") }
}

fn name(arg: &Arg) -> String {
    let value = arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
    if arg.is_positional() {
        return format!("`{value}`");
    }
    let takes_value = arg.get_action().takes_values();
    let optional = takes_value && arg.get_num_args().is_some_and(|number| number.min_values() == 0);
    let value = match (takes_value, optional) {
        (false, _) => String::new(),
        (true, true) => format!("[={value}]"),
        (true, false) => format!(" {value}"),
    };
    let short = arg.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let long = arg.get_long().map(|long| format!("`--{long}{value}`")).unwrap_or_default();
    format!("{short}{long}")
}

fn help(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('\n', " ").replace('|', "\\|");
    let possible: Vec<String> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if !possible.is_empty() && arg.get_action().takes_values() && !possible.contains(&"`true`".to_owned()) {
        let _ = write!(text, " ({})", possible.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, "; also `{}`", variable.to_string_lossy());
    }
    let default: Vec<String> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if !default.is_empty() && !arg.is_hide_default_value_set() && arg.get_action().takes_values() {
        let _ = write!(text, "; default `{}`", default.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::markdown;

    #[test]
    fn the_committed_reference_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/cli.md");
        let generated = markdown();
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            let written = std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference"))
                .and_then(|()| std::fs::write(path, &generated));
            assert!(written.is_ok(), "{written:?}");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == generated, "docs/reference/cli.md is out of date; run `make generate`");
    }
}
