//! Keeps an encrypted backup of the keys in the cluster, for the recipients that were configured.
//!
//! It saves nobody from losing the cluster, so it counts as a backup only once it is fetched: `kubectl gitops keys backup
//! --from-cluster`. Until then it spares the one who fetches it the right to read the keys.

use jiff::Timestamp;

use super::SealingContext;
use super::key_making::present_keys;
use crate::advice;
use crate::keys::{backup, stored_backup};

/// Writes the backup if it does not hold exactly these keys. Says whether it does in the end, or none is wanted.
pub(super) async fn store(cx: &SealingContext) -> bool {
    if cx.options.backup_recipients.is_empty() {
        return true;
    }
    let Some(secrets) = present_keys(cx).await else { return false };
    let contents = stored_backup::Contents::of(&secrets, &cx.options.backup_recipients);
    match stored_backup::holds(&cx.client, &cx.control_namespace, &contents).await {
        Ok(true) => return true,
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(%error, "cannot read the stored key backup");
            return false;
        }
    }
    let encrypted = backup::recipients(&cx.options.backup_recipients)
        .and_then(|recipients| backup::encrypt(&backup::to_list(&secrets), backup::Lock::Recipients(recipients), true));
    let file = match encrypted {
        Ok(file) => file,
        Err(error) => {
            tracing::error!(error = advice::one_line(&error, &error), "cannot back up the sealing keys");
            return false;
        }
    };
    let written = stored_backup::write(&cx.client, &cx.control_namespace, &contents, &file, Timestamp::now()).await;
    match &written {
        Ok(()) => tracing::info!(keys = secrets.len(), secret = stored_backup::NAME, "sealing keys backed up in the cluster"),
        Err(error) => tracing::warn!(%error, "cannot store the backup of the sealing keys"),
    }
    written.is_ok()
}
