//! Opening a backup: with an identity, shares of one, or a passphrase; or as it is, when somebody made it without encryption.

use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use super::lock::{PassphraseArgs, unlock};
use crate::cli::Failure;
use crate::keys::KeySecret;
use crate::keys::backup::{self, BackupError, MAX_BACKUP_BYTES, Unlock};
use crate::keys::shares::{self, Share};

/// What opens a backup.
#[derive(Debug, Args)]
pub struct OpeningArgs {
    /// age identity file that opens the backup
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["passphrase", "passphrase_file", "shares"])]
    identity: Option<PathBuf>,
    /// File with a share of the backup's key; given once for each share
    #[arg(long = "share", value_name = "FILE", conflicts_with_all = ["passphrase", "passphrase_file"])]
    shares: Vec<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// An opened backup.
pub struct Opened {
    /// Its key Secrets.
    pub secrets: Vec<KeySecret>,
    /// Digest of the file.
    pub fingerprint: String,
    /// Whether the file was encrypted.
    pub encrypted: bool,
}

impl OpeningArgs {
    /// Reads and opens a backup. Blocks: a passphrase is asked for, and costs about a second.
    ///
    /// # Errors
    /// When the file cannot be read, or what was given does not open it.
    pub fn open(&self, file: &Path) -> Result<Opened, Failure> {
        let content = read(file)?;
        let fingerprint = backup::fingerprint(&content);
        if !backup::is_age(&content) {
            let secrets = plain(&content).map_err(|error| named(file, error))?;
            return Ok(Opened { secrets, fingerprint, encrypted: false });
        }
        let text = backup::decrypt(&content, self.unlock()?)?;
        Ok(Opened { secrets: backup::from_list(&text)?, fingerprint, encrypted: true })
    }

    /// What was given: shares, an identity file, or a passphrase that is asked for now.
    ///
    /// # Errors
    /// When a file cannot be read, the shares are too few, or there is no terminal to ask.
    pub fn unlock(&self) -> Result<Unlock, Failure> {
        if self.shares.is_empty() {
            return unlock(self.identity.as_deref(), &self.passphrase);
        }
        combine(&self.shares).map(Unlock::Identities)
    }
}

/// Puts the shares in these files together: the text of an age identity.
pub fn combine(files: &[PathBuf]) -> Result<Zeroizing<String>, Failure> {
    Ok(shares::combine(&files.iter().map(|file| read_share(file)).collect::<Result<Vec<_>, _>>()?)?)
}

fn read_share(file: &Path) -> Result<Share, Failure> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|error| Failure::new(format!("cannot read {}", file.display())).with_cause(&error))?;
    Share::parse(&text).map_err(|error| named(file, error))
}

fn named(file: &Path, error: impl crate::advice::Advice + 'static) -> Failure {
    let mut failure = Failure::from(error);
    failure.what = format!("{}: {}", file.display(), failure.what);
    failure
}

/// What `kubectl get secrets -o yaml` writes, and the runbook of Sealed Secrets with it.
fn plain(content: &[u8]) -> Result<Vec<KeySecret>, BackupError> {
    match std::str::from_utf8(content) {
        Ok(text) if text.contains("kind") => backup::from_list(text),
        _ => Err(BackupError::NotAge),
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot read {}", path.display())).with_cause(&error);
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_BACKUP_BYTES {
        return Err(Failure::new(format!("{} is too large to be a backup of keys", path.display())));
    }
    std::fs::read(path).map(Zeroizing::new).map_err(failed)
}
