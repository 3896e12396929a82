//! Flags of kubeseal that are commands of their own here: whoever types them out of habit is told which.

use clap::Args;

use crate::cli::Failure;

/// Accepted only to be answered.
#[derive(Debug, Args)]
pub struct Elsewhere {
    #[arg(long, hide = true)]
    validate: bool,
    #[arg(long, hide = true, alias = "rotate")]
    re_encrypt: bool,
    #[arg(long, hide = true)]
    recovery_unseal: bool,
}

impl Elsewhere {
    /// Names the command that does what was asked for.
    pub fn refuse(&self) -> Result<(), Failure> {
        let asked = [
            (self.validate, "--validate", "kubectl gitops verify FILE --online"),
            (self.re_encrypt, "--re-encrypt", "kubectl gitops reseal FILE"),
            (self.recovery_unseal, "--recovery-unseal", "kubectl gitops unseal FILE --key BACKUP"),
        ];
        match asked.into_iter().find(|(is_asked, ..)| *is_asked) {
            Some((_, flag, command)) => {
                Err(Failure::new(format!("{flag} of kubeseal is a command of its own here")).with_hint(command))
            }
            None => Ok(()),
        }
    }
}
