//! Commands about sealing keys.
//!
//! Where keys live is asked of [`crate::keys::inventory`]; what opens a backup, of `opening`; which key is meant, of `choose`.

mod backup;
pub(super) mod cert;
pub(super) mod certificate;
mod choose;
mod combine_shares;
mod files;
mod hops;
mod list;
pub(super) mod lock;
mod new_key;
pub(super) mod opening;
mod place;
mod restore;
mod retire;
mod rotate;
mod sealed;
mod verify_backup;

use clap::Subcommand;

use super::{CommandResult, Context};

/// The commands about sealing keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    Cert(cert::CertArgs),
    Backup(backup::BackupArgs),
    VerifyBackup(verify_backup::VerifyBackupArgs),
    Restore(restore::RestoreArgs),
    Rotate(rotate::RotateArgs),
    Retire(retire::RetireArgs),
    CombineShares(combine_shares::CombineSharesArgs),
}

/// Runs one of them.
///
/// # Errors
/// As the command says.
pub(super) async fn run(command: KeysCommand, cx: &Context) -> CommandResult {
    match command {
        KeysCommand::List(args) => list::run(args, cx).await,
        KeysCommand::Cert(args) => cert::run(args, cx).await,
        KeysCommand::Backup(args) => backup::run(args, cx).await,
        KeysCommand::VerifyBackup(args) => verify_backup::run(args, cx).await,
        KeysCommand::Restore(args) => restore::run(args, cx).await,
        KeysCommand::Rotate(args) => rotate::run(args, cx).await,
        KeysCommand::Retire(args) => retire::run(args, cx).await,
        KeysCommand::CombineShares(args) => combine_shares::run(args, cx).await,
    }
}
