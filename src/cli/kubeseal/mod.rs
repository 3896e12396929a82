//! The program under the name `kubeseal`: a drop-in for scripts that call the original.
//!
//! ```text
//! flags (what pflag reads) ──> options (mode and its precedence) ──> seal | raw | merge-into | recover | validate, re-encrypt
//! ```
//!
//! Standard input to standard output, JSON by default, `error:` on standard error, exit 1 for every error and 2 for wrong flags.
//! Where the original loses data, hangs or succeeds without having done anything, this one fails; each such place is a row in
//! docs/compat/kubeseal.md and a case in tests/fixtures/kubeseal. Sealing itself is that of `kubectl gitops seal`.
//!
//! Source: kubeseal 0.36.6, whose answers the cases hold.

mod certificate;
mod files;
mod flags;
mod input;
mod merge;
mod options;
mod recover;
mod remote;
mod seal;

use std::path::Path;
use std::process::ExitCode;

use self::options::{Mode, Options};
use super::{Context, Failure};
use crate::ui::{problem, stream};

/// The version that scripts may rely on having.
const VERSION: &str = "0.36.6";

/// Why the program ends without having done its work.
enum Problem {
    /// The flags are wrong: exit 2.
    Flags(String),
    /// Anything else: exit 1.
    Failed(Failure),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Whether the program was started under the name `kubeseal`.
#[must_use]
pub fn is_called(program: Option<&std::ffi::OsStr>) -> bool {
    program.and_then(|program| Path::new(program).file_stem()).is_some_and(|name| name == "kubeseal")
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Problem::Failed(failure)) => {
            // One line as the original writes it; the hint is ours.
            let what = [&[failure.what], failure.causes.as_slice()].concat().join(": ");
            stream::say(&problem::render(&what, &[], failure.hint.as_deref()));
            ExitCode::from(1)
        }
        Err(Problem::Flags(message)) => {
            stream::say(&format!("{}{message}", flags::usage()));
            ExitCode::from(2)
        }
    }
}

fn start() -> Result<(), Problem> {
    let args: Vec<String> = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let given = flags::parse(&args, |name| std::env::var(name).ok()).map_err(Problem::Flags)?;
    if given.is_on("help") {
        stream::out(&flags::usage());
        return Ok(());
    }
    if given.is_on("version") {
        stream::out(&format!("kubeseal version: {VERSION} (kubectl-gitops {})\n", env!("CARGO_PKG_VERSION")));
        return Ok(());
    }
    if given.is_on("rotate") {
        stream::say("Flag --rotate has been deprecated, please use --re-encrypt instead");
    }
    let options = options::read(&given)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new("cannot start").with_cause(&error))?;
    let done = runtime.block_on(run(&options));
    // A credential plugin or a lookup may still be blocked; nobody waits for it any more.
    runtime.shutdown_background();
    Ok(done?)
}

async fn run(options: &Options) -> Result<(), Failure> {
    let cx = Context::new(options.cluster.clone());
    match &options.mode {
        Mode::Recover { keys } => recover::run(keys, options),
        Mode::Validate => remote::validate(options, &cx).await,
        Mode::Reencrypt => remote::reencrypt(options, &cx).await,
        Mode::FetchCertificate => files::put(options.output.as_deref(), &certificate::text(options, &cx).await?),
        Mode::MergeInto(file) => merge::run(file, options, &cx).await,
        Mode::Raw { files } => seal::raw(files, options, &cx).await,
        Mode::Seal => seal::run(options, &cx).await,
    }
}

#[cfg(test)]
mod tests {
    use super::is_called;

    #[test]
    fn the_name_decides() {
        for name in ["kubeseal", "/usr/local/bin/kubeseal", "kubeseal.exe"] {
            assert!(is_called(Some(name.as_ref())), "{name}");
        }
        for name in ["kubectl-gitops", "kubeseal-old", "/kubeseal/kubectl-gitops"] {
            assert!(!is_called(Some(name.as_ref())), "{name}");
        }
        assert!(!is_called(None));
    }
}
