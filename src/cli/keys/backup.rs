//! `keys backup`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use kube::Client;
use zeroize::Zeroizing;

use super::files::{NewFile, refuse_present, write_all};
use super::lock::PassphraseArgs;
use super::place::{PlaceArgs, count};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::keys::backup::{Lock, encrypt, fingerprint, is_age, recipients, to_list};
use crate::keys::shares::{self, Scheme};
use crate::keys::stored_backup::{self, HeldKey};
use crate::keys::{Standing, inventory, store};
use crate::ui::{age, stream};

/// Back up the sealing keys, encrypted.
///
/// Writes an age file and notes its date and fingerprint on the key Secrets. Without this program it is restored by
/// `age -d backup.age | kubectl apply -f -`. Back up again after every new key. With --shares the backup opens for several people
/// together: each gets a file, and a number of them is needed. With --from-cluster it fetches the encrypted backup that the controller
/// keeps when it was started with --backup-recipient: for that nobody needs the right to read keys.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples (the first asks for the passphrase):\n  kubectl gitops keys backup --to backup.age --passphrase\n  kubectl gitops keys backup --to backup.age --from-cluster"
)]
pub struct BackupArgs {
    /// File to write, `-` for standard output
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// age public key of who may open the backup; may be given several times
    #[arg(short, long = "recipient", value_name = "AGE1...", conflicts_with_all = ["passphrase", "passphrase_file"])]
    recipients: Vec<String>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Divide the backup's key: 3/5 writes 5 files, any 3 of which open the backup
    #[arg(long, value_name = "K/N", value_parser = Scheme::parse, conflicts_with_all = ["passphrase", "passphrase_file"])]
    shares: Option<Scheme>,
    /// Folder for the shares, instead of the backup's own
    #[arg(long, value_name = "DIR", requires = "shares")]
    shares_to: Option<PathBuf>,
    /// Fetch the backup that the controller keeps in the cluster, encrypted for its own recipients
    #[arg(long, conflicts_with_all = ["recipients", "passphrase", "passphrase_file", "shares", "armor"])]
    from_cluster: bool,
    #[command(flatten)]
    place: PlaceArgs,
    /// Write ASCII instead of binary
    #[arg(long)]
    armor: bool,
    /// Replace files that exist
    #[arg(long)]
    overwrite: bool,
}

/// Writes the backup.
///
/// # Errors
/// When it would not be encrypted, the file exists, the keys cannot be read, or there are none.
pub async fn run(args: BackupArgs, cx: &Context) -> CommandResult {
    check_target(&args)?;
    if args.from_cluster {
        return fetch(&args, cx).await;
    }
    let share_paths = share_paths(&args)?;
    let (lock, shares) = lock(&args)?;
    let client = cx.client().await?;
    let secrets = args.place.keys(cx).await?.secrets;
    for (secret, problem) in secrets.iter().filter_map(|secret| Some((secret, secret.read().key.err()?))) {
        stream::say(&format!("warning: Secret {} is in the backup, but broken: {problem}", secret.name()));
    }
    let armored = args.armor;
    let text = to_list(&secrets);
    let file = tokio::task::spawn_blocking(move || encrypt(&text, lock, armored)).await;
    let file = file.map_err(|error| Failure::new("cannot encrypt the backup").with_cause(&error))??;
    put(&args, &share_paths, &shares, &file)?;
    let held: Vec<HeldKey> = secrets.iter().map(|secret| HeldKey::of(&secret.metadata)).collect();
    stream::say(&format!("backed up {}; the file is {}", count(held.len(), "key"), fingerprint(&file)));
    record(&client, &held, &fingerprint(&file), cx).await;
    tell_about_shares(&args, &share_paths);
    stream::say("next: prove it with kubectl gitops keys verify-backup BACKUP --repo DIR --record");
    Ok(Exit::Done)
}

fn to_stdout(args: &BackupArgs) -> bool {
    args.to.as_os_str() == "-"
}

fn check_target(args: &BackupArgs) -> Result<(), Failure> {
    if to_stdout(args) {
        if std::io::stdout().is_terminal() && !args.armor && !args.from_cluster {
            return Err(Failure::new("refusing to write a binary backup to the terminal").with_hint("--armor, or --to FILE"));
        }
        return Ok(());
    }
    if args.overwrite { Ok(()) } else { refuse_present([args.to.as_path()], "--to") }
}

/// Beside the backup, and named like it.
fn share_paths(args: &BackupArgs) -> Result<Vec<PathBuf>, Failure> {
    let Some(scheme) = args.shares else { return Ok(Vec::new()) };
    let folder = match (&args.shares_to, args.to.parent()) {
        (Some(folder), _) => folder.clone(),
        (None, _) if to_stdout(args) => {
            return Err(Failure::new("there is no folder for the shares").with_hint("--shares-to DIR"));
        }
        (None, folder) => folder.map(Path::to_owned).unwrap_or_default(),
    };
    let name = if to_stdout(args) { "backup".into() } else { args.to.file_name().unwrap_or_default().to_string_lossy() };
    let path = |index: u8| folder.join(format!("{name}.share-{index}-of-{}", scheme.total));
    let paths: Vec<PathBuf> = (1..=scheme.total).map(path).collect();
    if !args.overwrite {
        refuse_present(paths.iter().map(PathBuf::as_path), "--shares-to")?;
    }
    Ok(paths)
}

fn lock(args: &BackupArgs) -> Result<(Lock, Vec<Zeroizing<String>>), Failure> {
    let mut recipients = recipients(&args.recipients)?;
    if let Some(scheme) = args.shares {
        let (recipient, shares) = shares::deal(scheme);
        recipients.push(recipient);
        return Ok((Lock::Recipients(recipients), shares));
    }
    if !recipients.is_empty() {
        return Ok((Lock::Recipients(recipients), Vec::new()));
    }
    match args.passphrase.for_new_backup()? {
        Some(passphrase) => Ok((Lock::Passphrase(passphrase), Vec::new())),
        None => Err(Failure::new("refusing to write an unencrypted backup: whoever reads it can open every SealedSecret")
            .with_hint("--recipient AGE1... (make one with age-keygen), --shares 3/5, or --passphrase")),
    }
}

fn put(args: &BackupArgs, share_paths: &[PathBuf], shares: &[Zeroizing<String>], file: &[u8]) -> Result<(), Failure> {
    let shares = share_paths.iter().zip(shares);
    let mut files: Vec<NewFile<'_>> =
        shares.map(|(path, share)| NewFile { path: path.clone(), content: share.as_bytes() }).collect();
    if !to_stdout(args) {
        files.push(NewFile { path: args.to.clone(), content: file });
    }
    write_all(&files, args.overwrite)?;
    if to_stdout(args) {
        stream::out_bytes(file);
    }
    Ok(())
}

fn tell_about_shares(args: &BackupArgs, paths: &[PathBuf]) {
    let Some(scheme) = args.shares else { return };
    paths.iter().for_each(|path| stream::say(&format!("share: {}", path.display())));
    stream::say(&format!(
        "any {} of the {} shares open the backup: give each to another person, and delete them here",
        scheme.threshold, scheme.total
    ));
}

/// Fetches what the controller keeps. It counts as a backup from now on: before, it would have been lost with the cluster.
async fn fetch(args: &BackupArgs, cx: &Context) -> CommandResult {
    let client = cx.client().await?;
    let namespace = &cx.flags.controller_namespace;
    let stored = stored_backup::read(&client, namespace).await;
    let stored = stored.map_err(|error| cx.explain(&error, &format!("read Secret {namespace}/{}", stored_backup::NAME)))?;
    let stored = stored.ok_or_else(|| {
        Failure::new(format!("no backup is kept in {namespace:?}"))
            .with_hint("start the controller with --backup-recipient AGE1..., or back up here: --to FILE --recipient AGE1...")
    })?;
    if !is_age(&stored.file) {
        return Err(Failure::new(format!("what is kept in Secret {namespace}/{} is no age file", stored_backup::NAME))
            .with_hint("delete the Secret: the controller writes it again at its next start"));
    }
    put(args, &[], &[], &stored.file)?;
    let fingerprint = fingerprint(&stored.file);
    let made = stored.made_at.as_deref().unwrap_or("an unknown time");
    stream::say(&format!("fetched the backup of {made} with {}; the file is {fingerprint}", count(stored.keys.len(), "key")));
    stored.recipients.iter().for_each(|recipient| stream::say(&format!("opens for {recipient}")));
    record(&client, &stored.keys, &fingerprint, cx).await;
    warn_about_newer_keys(args, &client, &stored.keys, cx).await;
    stream::say("next: prove it with kubectl gitops keys verify-backup BACKUP --repo DIR --record");
    Ok(Exit::Done)
}

/// Only for who may list the keys.
async fn warn_about_newer_keys(args: &BackupArgs, client: &Client, held: &[HeldKey], cx: &Context) {
    for namespace in args.place.namespaces(cx) {
        let Ok(notes) = inventory::list_notes(client, &namespace).await else { continue };
        let missing = notes.iter().filter(|note| Standing::of(&note.metadata) == Standing::Counts).map(|note| {
            let found = HeldKey::of(&note.metadata);
            HeldKey { namespace: namespace.clone(), ..found }
        });
        for key in missing.filter(|key| !held.contains(key)) {
            stream::say(&format!(
                "warning: key {}/{} is not in it; fetch it again when the controller has added it",
                key.namespace, key.name
            ));
        }
    }
}

/// The backup is good without the note, so a failure is told and does not fail the command.
async fn record(client: &Client, held: &[HeldKey], fingerprint: &str, cx: &Context) {
    let now = age::now();
    let mut refusal = None;
    for key in held {
        if let Err(error) = store::record_backup(client, key, now, fingerprint).await {
            refusal = Some(error);
        }
    }
    match refusal {
        None => stream::say("noted on the key Secrets; `kubectl gitops keys list` shows it"),
        Some(error) => {
            let failure = cx.explain(&error, "note the backup on the key Secrets");
            stream::say(&format!("warning: {}: {}", failure.what, failure.causes.join(": ")));
        }
    }
}
