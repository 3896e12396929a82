//! Passphrases: from a file, or typed at the terminal. Never from an argument, which other users of the machine can read.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use age::secrecy::{ExposeSecret as _, SecretString};
use clap::Args;
use zeroize::Zeroizing;

use crate::cli::Failure;
use crate::keys::backup::Unlock;

/// How a passphrase is given.
#[derive(Debug, Args)]
pub struct PassphraseArgs {
    /// Use a passphrase, typed at the terminal
    #[arg(long)]
    pub passphrase: bool,
    /// Use the passphrase in this file, without its last line end
    #[arg(long, value_name = "FILE", env = "GITOPS_BACKUP_PASSPHRASE_FILE", hide_env_values = true)]
    pub passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The passphrase of a new backup, asked for twice; none if none is wanted.
    pub fn for_new_backup(&self) -> Result<Option<SecretString>, Failure> {
        if let Some(file) = &self.passphrase_file {
            return read_file(file).map(Some);
        }
        if !self.passphrase {
            return Ok(None);
        }
        let first = ask("Passphrase for the backup: ")?;
        let again = ask("Again: ")?;
        if first.expose_secret() != again.expose_secret() {
            return Err(Failure::new("the two passphrases differ"));
        }
        Ok(Some(first))
    }

    /// The passphrase of an existing backup.
    pub fn for_present_backup(&self) -> Result<SecretString, Failure> {
        match &self.passphrase_file {
            Some(file) => read_file(file),
            None => ask("Passphrase of the backup: "),
        }
    }
}

/// An identity file if one is given, the passphrase otherwise.
pub fn unlock(identity: Option<&Path>, passphrase: &PassphraseArgs) -> Result<Unlock, Failure> {
    match identity {
        Some(file) => std::fs::read_to_string(file)
            .map(|text| Unlock::Identities(Zeroizing::new(text)))
            .map_err(|error| Failure::new(format!("cannot read {}", file.display())).with_cause(&error)),
        None => passphrase.for_present_backup().map(Unlock::Passphrase),
    }
}

fn read_file(file: &Path) -> Result<SecretString, Failure> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|error| Failure::new(format!("cannot read {}", file.display())).with_cause(&error))?;
    let passphrase = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if passphrase.is_empty() {
        return Err(Failure::new(format!("the passphrase in {} is empty", file.display())));
    }
    Ok(SecretString::from(passphrase.to_owned()))
}

fn ask(prompt: &str) -> Result<SecretString, Failure> {
    if !std::io::stderr().is_terminal() {
        return Err(Failure::new("no terminal to ask for a passphrase")
            .with_hint("--passphrase-file FILE; or public keys: --recipient when backing up, --identity when opening"));
    }
    let typed = rpassword::prompt_password(prompt);
    let typed = typed.map_err(|error| Failure::new("cannot read the passphrase").with_cause(&error))?;
    if typed.is_empty() { Err(Failure::new("the passphrase is empty")) } else { Ok(SecretString::from(typed)) }
}
