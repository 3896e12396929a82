//! Opens what keys were backed up in: our age files (by identity, shares or passphrase), the plain lists of Sealed Secrets' runbook,
//! bare PEM keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::files;
use crate::cli::Failure;
use crate::cli::keys::opening::OpeningArgs;
use crate::keys::backup::{MAX_BACKUP_BYTES, decrypt, from_list, is_age};
use crate::sealing::{Keyring, PrivateKey, SealingKey, pem};
use crate::ui::stream;

/// How an offline command gets at the sealing keys.
#[derive(Debug, Args)]
pub struct RecoveryArgs {
    /// Backup of the sealing keys: an age file, a list of key Secrets, or a PEM key; `-` reads it from standard input
    #[arg(long = "key", visible_alias = "recovery-private-key", value_name = "BACKUP", value_delimiter = ',')]
    pub keys: Vec<PathBuf>,
    #[command(flatten)]
    opening: OpeningArgs,
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

    fn open(&self, file: &Path) -> Result<Vec<Arc<SealingKey>>, Failure> {
        let name = files::describe(file);
        let bytes = files::read_bytes(file)?;
        if bytes.len() as u64 > MAX_BACKUP_BYTES {
            return Err(Failure::new(format!("{name} is too large to be a backup of keys")));
        }
        let text = if is_age(&bytes) {
            decrypt(&bytes, self.opening.unlock()?).map_err(|error| Failure::from(error).at(&name))?
        } else {
            files::text_of(&name, &bytes)?
        };
        if pem::blocks(&text).iter().any(|block| block.label.ends_with("PRIVATE KEY")) {
            let key = PrivateKey::from_pem(&text).and_then(SealingKey::without_certificate);
            return Ok(vec![Arc::new(key.map_err(|error| Failure::from(error).at(&name))?)]);
        }
        let mut keys = Vec::new();
        for secret in from_list(&text).map_err(|error| Failure::from(error).at(&name))? {
            match secret.recover() {
                Ok(key) => {
                    if let Err(problem) = secret.read().key {
                        stream::say(&format!("warning: {name}: key {}: {problem}; only its private key is used", secret.name()));
                    }
                    keys.push(Arc::new(key));
                }
                Err(broken) => stream::say(&format!("warning: {name}: key {} is left out: {broken}", secret.name())),
            }
        }
        Ok(keys)
    }
}
