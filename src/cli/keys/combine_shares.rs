//! `keys combine-shares`.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroizing;

use super::files::{NewFile, refuse_present, write_all};
use super::opening::combine;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::ui::stream;

/// Put the shares of a backup's key together again, for plain age.
///
/// Writes the age identity that opens the backup. `keys restore` and `keys verify-backup` take shares themselves; this is for the day
/// on which only age and kubectl are at hand. Delete the identity afterwards.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kubectl gitops keys combine-shares keys.age.share-1-of-5 keys.age.share-4-of-5 keys.age.share-5-of-5 --to identity.txt"
)]
pub struct CombineSharesArgs {
    /// Files with the shares
    #[arg(value_name = "SHARE", required = true)]
    shares: Vec<PathBuf>,
    /// File to write, `-` for standard output
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Combines.
///
/// # Errors
/// When the shares are too few or not of one backup, or the file is there already.
pub async fn run(args: CombineSharesArgs, _: &Context) -> CommandResult {
    let identity = combine(&args.shares)?;
    let text = Zeroizing::new(format!("{}\n", identity.as_str()));
    if args.to.as_os_str() == "-" {
        if std::io::stdout().is_terminal() {
            return Err(Failure::new("refusing to show a private key on the terminal").with_hint("--to FILE"));
        }
        stream::out_bytes(text.as_bytes());
        return Ok(Exit::Done);
    }
    refuse_present([args.to.as_path()], "--to FILE").map_err(|failure| failure.with_hint("another --to FILE"))?;
    write_all(&[NewFile { path: args.to.clone(), content: text.as_bytes() }], false)?;
    stream::say(&format!("{} opens the backup alone now; delete it when you are done", args.to.display()));
    Ok(Exit::Done)
}
