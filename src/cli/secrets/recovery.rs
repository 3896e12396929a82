//! Opens what keys were backed up in: our age files, the plain lists of Sealed Secrets' runbook, bare PEM keys.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::files;
use crate::cli::Failure;
use crate::cli::keys::lock::{PassphraseArgs, unlock};
use crate::keys::backup::{MAX_BACKUP_BYTES, decrypt, from_list};
use crate::sealing::{Keyring, PrivateKey, SealingKey, pem};
use crate::ui::stream;

/// How an offline command gets at the sealing keys.
#[derive(Debug, Args)]
pub struct RecoveryArgs {
    /// Backup of the sealing keys: an age file, a list of key Secrets, or a PEM key; `-` reads it from standard input
    #[arg(long = "key", visible_alias = "recovery-private-key", value_name = "BACKUP", value_delimiter = ',')]
    pub keys: Vec<PathBuf>,
    /// age identity file that opens the backup
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["passphrase", "passphrase_file"])]
    pub identity: Option<PathBuf>,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

impl RecoveryArgs {
    /// Whether a backup was given.
    pub fn is_given(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Opens all backups. A key Secret that cannot be read is reported and left out.
    ///
    /// # Errors
    /// When a backup does not open, or there is no usable key in any.
    pub fn keyring(&self) -> Result<Keyring, Failure> {
        let mut keys = Vec::new();
        for file in &self.keys {
            keys.extend(self.open(file)?);
        }
        if keys.is_empty() {
            return Err(
                Failure::new("there is no usable key in the backup").with_hint("kubectl gitops keys verify-backup BACKUP")
            );
        }
        Ok(Keyring::new(keys))
    }

    fn open(&self, file: &PathBuf) -> Result<Vec<Arc<SealingKey>>, Failure> {
        let name = files::describe(file);
        let bytes = files::read_bytes(file)?;
        if bytes.len() as u64 > MAX_BACKUP_BYTES {
            return Err(Failure::new(format!("{name} is too large to be a backup of keys")));
        }
        let about = |failure: Failure| Failure { what: format!("{name}: {}", failure.what), ..failure };
        let text = if is_age(&bytes) {
            decrypt(&bytes, unlock(self.identity.as_deref(), &self.passphrase)?).map_err(|error| about(error.into()))?
        } else {
            files::text_of(&name, &bytes)?
        };
        if pem::blocks(&text).iter().any(|block| block.label.ends_with("PRIVATE KEY")) {
            let key = PrivateKey::from_pem(&text).and_then(SealingKey::without_certificate);
            return Ok(vec![Arc::new(key.map_err(|error| about(error.into()))?)]);
        }
        let mut keys = Vec::new();
        for secret in from_list(&text).map_err(|error| about(error.into()))? {
            match secret.recover() {
                Ok(key) => keys.push(Arc::new(key)),
                Err(broken) => stream::say(&format!("warning: {name}: key {} is left out: {broken}", secret.name())),
            }
        }
        Ok(keys)
    }
}

fn is_age(bytes: &[u8]) -> bool {
    bytes.starts_with(b"age-encryption.org/") || bytes.trim_ascii_start().starts_with(b"-----BEGIN AGE ENCRYPTED FILE")
}
