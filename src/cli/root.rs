//! The program: parse, build the context, run one command, print its error, give back its exit code.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Command as Clap, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::ui::{problem, stream};

use super::{
    Color, CommandResult, Context, Exit, Failure, GlobalFlags, app, appset, check, completion, doctor, explain, install, keys,
    kubeseal, project, render, repo, reseal, reserved, seal, unseal, verify, version,
};

/// GitOps for Kubernetes: see, diff and sync Argo CD Applications, and seal Secrets for Git.
///
/// Works with your kubeconfig and your rights; there is no login and no server of its own.
#[derive(Debug, Parser)]
#[command(
    name = "gitops",
    bin_name = "kubectl gitops",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Root {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: GlobalFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(visible_alias = "top")]
    Status(app::status::StatusArgs),
    Diff(app::diff::DiffArgs),
    Drift(app::drift::DriftArgs),
    #[command(alias = "capture")]
    Adopt(app::adopt::AdoptArgs),
    #[command(alias = "reconcile")]
    Sync(Box<app::sync::SyncArgs>),
    Wait(app::wait::WaitArgs),
    History(app::history::HistoryArgs),
    Refresh(app::refresh::RefreshArgs),
    #[command(alias = "build")]
    Render(Box<render::RenderArgs>),
    Rollback(app::rollback::RollbackArgs),
    Pause(app::pause::PauseArgs),
    Resume(app::pause::ResumeArgs),
    /// Work with Applications
    #[command(subcommand, visible_alias = "apps")]
    App(app::AppCommand),
    /// Work with ApplicationSets
    #[command(subcommand, visible_alias = "appsets")]
    Appset(appset::AppsetCommand),
    /// Work with AppProjects
    #[command(subcommand, visible_aliases = ["proj", "projects"])]
    Project(project::ProjectCommand),
    /// Ask the controller's rules about objects in files
    #[command(subcommand)]
    Check(check::CheckCommand),
    Seal(Box<seal::SealArgs>),
    Unseal(Box<unseal::UnsealArgs>),
    Reseal(Box<reseal::ResealArgs>),
    Verify(Box<verify::VerifyArgs>),
    Explain(Box<explain::ExplainArgs>),
    /// Register repositories and their logins
    #[command(subcommand)]
    Repo(repo::RepoCommand),
    /// Look after the sealing keys
    #[command(subcommand, visible_alias = "key")]
    Keys(keys::KeysCommand),
    Install(install::InstallArgs),
    Uninstall(install::UninstallArgs),
    Doctor(doctor::DoctorArgs),
    Completion(completion::CompletionArgs),
    Version(version::VersionArgs),
}

async fn dispatch(command: Command, cx: &Context) -> CommandResult {
    match command {
        Command::Status(args) => app::status::run(args, cx).await,
        Command::Diff(args) => app::diff::run(args, cx).await,
        Command::Drift(args) => app::drift::run(args, cx).await,
        Command::Adopt(args) => app::adopt::run(args, cx).await,
        Command::Sync(args) => app::sync::run(*args, cx).await,
        Command::Wait(args) => app::wait::run(args, cx).await,
        Command::History(args) => app::history::run(args, cx).await,
        Command::Refresh(args) => app::refresh::run(args, cx).await,
        Command::Render(args) => render::run(*args, cx).await,
        Command::Rollback(args) => app::rollback::run(args, cx).await,
        Command::Pause(args) => app::pause::pause(args, cx).await,
        Command::Resume(args) => app::pause::resume(args, cx).await,
        Command::App(command) => app::run(command, cx).await,
        Command::Appset(command) => appset::run(command, cx).await,
        Command::Project(command) => project::run(command, cx).await,
        Command::Check(command) => check::run(command, cx).await,
        Command::Seal(args) => seal::run(*args, cx).await,
        Command::Unseal(args) => unseal::run(&args, cx),
        Command::Reseal(args) => reseal::run(*args, cx).await,
        Command::Verify(args) => verify::run(*args, cx).await,
        Command::Explain(args) => explain::run(*args, cx).await,
        Command::Repo(command) => repo::run(command, cx).await,
        Command::Keys(command) => keys::run(command, cx).await,
        Command::Install(args) => install::run(args, cx).await,
        Command::Uninstall(args) => install::uninstall(args, cx).await,
        Command::Doctor(args) => doctor::run(args, cx).await,
        Command::Completion(args) => completion::run(&args),
        Command::Version(args) => version::run(args, cx).await,
    }
}

/// The whole command line as clap knows it, with the reserved words.
#[must_use]
pub fn command() -> Clap {
    let root = Root::command();
    let of_app: Vec<Clap> = app_words(&root).map(placeholder).collect();
    root.subcommands(reserved::words().map(placeholder)).mut_subcommand("app", |app| app.subcommands(of_app))
}

/// The reserved words after `app` that are no commands: those become commands one by one.
fn app_words(root: &Clap) -> impl Iterator<Item = &'static str> {
    let app = root.find_subcommand("app");
    reserved::app_words().filter(move |word| app.is_none_or(|app| app.find_subcommand(word).is_none()))
}

/// Takes whatever follows, so that the word itself can be explained.
fn placeholder(word: &'static str) -> Clap {
    let rest = clap::Arg::new("rest").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true).hide(true);
    Clap::new(word).hide(true).disable_help_flag(true).arg(rest)
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    if kubeseal::is_called(std::env::args_os().next().as_deref()) {
        return kubeseal::main();
    }
    if completion::is_called(std::env::args_os().next().as_deref()) {
        return completion::main();
    }
    if completion::answer_script() {
        return ExitCode::SUCCESS;
    }
    let exit = match parse() {
        Ok(root) => run(root),
        Err(exit) => exit,
    };
    ExitCode::from(exit as u8)
}

fn parse() -> Result<Root, Exit> {
    let matches = command().try_get_matches().map_err(|error| report_usage(&error))?;
    let reserved = match matches.subcommand() {
        Some(("app", below)) => {
            let word = below.subcommand_name().filter(|word| app_words(&Root::command()).any(|known| known == *word));
            word.and_then(reserved::explain_app)
        }
        Some((word, _)) => reserved::explain(word),
        None => None,
    };
    if let Some(failure) = reserved {
        return Err(report(&failure));
    }
    Root::from_arg_matches(&matches).map_err(|error| report_usage(&error))
}

/// Help and version are answers; everything else is a usage error.
fn report_usage(error: &clap::Error) -> Exit {
    let text = error.render().ansi().to_string();
    match error.kind() {
        ErrorKind::DisplayVersion => stream::out(&version::client_line()),
        ErrorKind::DisplayHelp => stream::out(&text),
        _ => {
            stream::say(text.trim_end());
            return Exit::CouldNotRun;
        }
    }
    Exit::Done
}

fn report(failure: &Failure) -> Exit {
    stream::say(&problem::render(&failure.what, &failure.causes, failure.hint.as_deref()));
    failure.exit
}

fn run(root: Root) -> Exit {
    choose_color(root.flags.color);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::new("cannot start").with_cause(&error)),
    };
    let cx = Context::new(root.flags);
    let exit = runtime.block_on(async {
        tokio::select! {
            result = dispatch(root.command, &cx) => {
                let result = result.and_then(|exit| cx.check_warnings().map(|()| exit));
                result.unwrap_or_else(|failure| report(&failure))
            }
            _ = tokio::signal::ctrl_c() => interrupted(&cx),
        }
    });
    // A credential plugin or a lookup may still be blocked; nobody waits for it any more.
    runtime.shutdown_background();
    exit
}

fn interrupted(cx: &Context) -> Exit {
    if let Some(note) = cx.take_interrupt_note() {
        stream::say(&format!("\n{note}"));
    }
    Exit::Interrupted
}

/// `--color` beats the environment, which anstream reads by itself, for each stream.
fn choose_color(color: Color) {
    match color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_and_flag_has_a_help_text() {
        fn walk(command: &Clap, path: &str) {
            for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
                let path = format!("{path} {}", sub.get_name());
                assert!(sub.get_about().is_some(), "{path} has no help");
                for arg in sub.get_arguments().filter(|arg| !arg.is_hide_set()) {
                    assert!(arg.get_help().is_some(), "{path} {} has no help", arg.get_id());
                }
                if !sub.has_subcommands() {
                    let example = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                    let shown = example.contains("kubectl gitops ") && example.contains(sub.get_name());
                    assert!(shown, "{path} has no example");
                }
                walk(sub, &path);
            }
        }
        walk(&command(), "kubectl gitops");
    }

    #[test]
    fn reserved_words_are_not_commands() {
        for word in reserved::words() {
            assert!(Root::command().find_subcommand(word).is_none(), "{word} exists and is reserved");
        }
    }
}
