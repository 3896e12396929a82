//! `keys backup`.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use kube::Client;

use super::lock::PassphraseArgs;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::keys::backup::{Lock, encrypt, fingerprint, recipients, to_list};
use crate::keys::{KeySecret, store};
use crate::ui::{age, stream};

/// Back up the sealing keys, encrypted.
///
/// Writes an age file and notes its date and fingerprint on the key Secrets. Without this program it is restored by
/// `age -d backup.age | kubectl apply -f -`. Back up again after every new key.
#[derive(Debug, Args)]
#[command(after_help = "Example (asks for the passphrase):\n  kubectl gitops keys backup --to backup.age --passphrase")]
pub struct BackupArgs {
    /// File to write, `-` for standard output
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// age public key of who may open the backup; may be given several times
    #[arg(short, long = "recipient", value_name = "AGE1...", conflicts_with_all = ["passphrase", "passphrase_file"])]
    recipients: Vec<String>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Write ASCII instead of binary
    #[arg(long)]
    armor: bool,
    /// Replace the file if it exists
    #[arg(long)]
    overwrite: bool,
}

/// Writes the backup.
///
/// # Errors
/// When it would not be encrypted, the file exists, the keys cannot be read, or there are none.
pub async fn run(args: BackupArgs, cx: &Context) -> CommandResult {
    check_target(&args)?;
    let lock = lock(&args)?;
    let client = cx.client().await?;
    let namespace = &cx.flags.controller_namespace;
    let secrets = store::list_keys(&client, namespace).await;
    let secrets = secrets.map_err(|error| cx.explain(&error, &format!("read the sealing keys in {namespace:?}")))?;
    if secrets.is_empty() {
        return Err(
            Failure::new(format!("there is no sealing key in {namespace:?}")).with_hint("--controller-namespace NAMESPACE")
        );
    }
    for (secret, problem) in secrets.iter().filter_map(|secret| Some((secret, secret.read().key.err()?))) {
        stream::say(&format!("warning: Secret {} is in the backup, but broken: {problem}", secret.name()));
    }
    let armored = args.armor;
    let text = to_list(&secrets);
    let file = tokio::task::spawn_blocking(move || encrypt(&text, lock, armored)).await;
    let file = file.map_err(|error| Failure::new("cannot encrypt the backup").with_cause(&error))??;
    put(&args.to, args.overwrite, &file)?;
    record(&client, &secrets, &fingerprint(&file), cx).await;
    Ok(Exit::Done)
}

fn check_target(args: &BackupArgs) -> Result<(), Failure> {
    if args.to.as_os_str() == "-" {
        if std::io::stdout().is_terminal() && !args.armor {
            return Err(Failure::new("refusing to write a binary backup to the terminal").with_hint("--armor, or --to FILE"));
        }
    } else if args.to.exists() && !args.overwrite {
        return Err(Failure::new(format!("{} exists already", args.to.display())).with_hint("another --to, or --overwrite"));
    }
    Ok(())
}

fn lock(args: &BackupArgs) -> Result<Lock, Failure> {
    if !args.recipients.is_empty() {
        return Ok(Lock::Recipients(recipients(&args.recipients)?));
    }
    match args.passphrase.for_new_backup()? {
        Some(passphrase) => Ok(Lock::Passphrase(passphrase)),
        None => Err(Failure::new("refusing to write an unencrypted backup: whoever reads it can open every SealedSecret")
            .with_hint("--recipient AGE1... (make one with age-keygen), or --passphrase")),
    }
}

fn put(path: &Path, overwrite: bool, file: &[u8]) -> Result<(), Failure> {
    if path.as_os_str() == "-" {
        stream::out_bytes(file);
        return Ok(());
    }
    replace(path, overwrite, file).map_err(|error| Failure::new(format!("cannot write {}", path.display())).with_cause(&error))
}

/// In one step, and readable by the owner only, as temporary files are.
fn replace(path: &Path, overwrite: bool, content: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".backup-").tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    if overwrite { file.persist(path) } else { file.persist_noclobber(path) }?;
    Ok(())
}

/// The backup is good without the note, so a failure is told and does not fail the command.
async fn record(client: &Client, secrets: &[KeySecret], fingerprint: &str, cx: &Context) {
    let now = age::now();
    let mut refusal = None;
    for secret in secrets {
        if let Err(error) = store::record_backup(client, secret, now, fingerprint).await {
            refusal = Some(error);
        }
    }
    let keys = if secrets.len() == 1 { "1 key".to_owned() } else { format!("{} keys", secrets.len()) };
    stream::say(&format!("backed up {keys}; the file is {fingerprint}"));
    match refusal {
        None => stream::say("noted on the key Secrets; `kubectl gitops keys list` shows it"),
        Some(error) => {
            let failure = cx.explain(&error, "note the backup on the key Secrets");
            stream::say(&format!("warning: {}: {}", failure.what, failure.causes.join(": ")));
        }
    }
    stream::say("next: prove it with kubectl gitops keys verify-backup BACKUP --repo DIR");
}
