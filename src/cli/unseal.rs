//! `unseal`: from SealedSecrets back to Secrets, with a backup of the keys and without a cluster.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use zeroize::Zeroizing;

use super::seal::Format;
use super::secrets::files::{self, Mode};
use super::secrets::recovery::RecoveryArgs;
use super::secrets::sealed::{self, Found};
use super::{CommandResult, Context, Exit, Failure};
use crate::resource::yaml;
use crate::sealing::{Keyring, SecretManifest, Target, Templates, Trial, UnsealError, unseal_as};
use crate::ui::stream;
use crate::world::ThisMachine;

/// Open SealedSecrets with a backup of the keys, for recovery.
///
/// Works offline and asks no cluster: a controller has no way to give out values, on purpose. Prints every Secret of the input, ready
/// for `kubectl apply`. On a terminal the values are masked unless --show is given.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kubectl gitops unseal -f db-sealed.yaml --key backup.age --identity identity.txt | kubectl apply -f -"
)]
pub struct UnsealArgs {
    /// Files or folders with SealedSecrets; standard input when there is none, or for `-`
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A file or folder with SealedSecrets; may be given several times
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    filenames: Vec<PathBuf>,
    #[command(flatten)]
    recovery: RecoveryArgs,
    /// Write each Secret to NAMESPACE.NAME.yaml in this folder, readable by its owner only
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the values even on a terminal
    #[arg(long)]
    show: bool,
    /// Output format: yaml or json
    #[arg(short, long, alias = "format", value_name = "FORMAT", value_parser = Format::parse)]
    output: Option<Format>,
    /// Namespace and name that the object was sealed for, if it has others now
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = super::seal::parse_final)]
    as_name: Option<(String, String)>,
}

/// Unseals.
///
/// # Errors
/// When anything of the input does not open; then nothing is printed or written.
pub fn run(args: &UnsealArgs, _: &Context) -> CommandResult {
    if !args.recovery.is_given() {
        return Err(Failure::new("unseal needs a backup of the sealing keys")
            .with_hint("--key BACKUP; with access to the cluster: kubectl get secret NAME -o yaml"));
    }
    let mut paths: Vec<PathBuf> = args.files.iter().chain(&args.filenames).cloned().collect();
    if paths.is_empty() {
        paths.push(files::STDIN.into());
    }
    let from_stdin = |paths: &[PathBuf]| paths.iter().any(|path| path.as_os_str() == files::STDIN);
    if from_stdin(&paths) && from_stdin(&args.recovery.keys) {
        return Err(Failure::new("standard input cannot be both the backup and the SealedSecrets").with_hint("-f FILE"));
    }
    let keys = args.recovery.keyring()?;
    let mut secrets = Vec::new();
    let mut json = false;
    for (index, path) in files::manifests(&paths)?.iter().enumerate() {
        let text = files::read_text(path)?;
        json |= index == 0 && text.trim_start().starts_with('{');
        let name = files::describe(path);
        let documents = sealed::documents(&name, &text)?;
        for found in sealed::find(&name, &documents)? {
            secrets.push(open(&name, &found, &keys, args.as_name.as_ref())?);
        }
    }
    if secrets.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| files::describe(path)).collect();
        return Err(Failure::new(format!("there is no SealedSecret in {}", names.join(", "))));
    }
    let format = args.output.unwrap_or(if json { Format::Json } else { Format::Yaml });
    match &args.out {
        Some(folder) => write_files(folder, &secrets, format)?,
        None => print(&secrets, format, std::io::stdout().is_terminal() && !args.show),
    }
    Ok(Exit::Done)
}

fn open(file: &str, found: &Found, keys: &Keyring, as_name: Option<&(String, String)>) -> Result<SecretManifest, Failure> {
    let own = Target::of(&found.sealed.metadata);
    let target = as_name.map_or_else(|| own.clone(), |(namespace, name)| Target::new(namespace, name, own.scope));
    let opened = unseal_as(&found.sealed, &target, keys, &mut Trial::default(), Templates::Render(&mut ThisMachine));
    let mut opened = opened.map_err(|error| explain(file, found, &target, keys, error))?;
    // It names the uid of an object in another cluster, and the API server would refuse or collect the Secret.
    opened.metadata.remove("ownerReferences");
    Ok(opened.manifest())
}

fn explain(file: &str, found: &Found, target: &Target, keys: &Keyring, error: UnsealError) -> Failure {
    let mut failure = Failure::from(error);
    let count = keys.keys().len();
    failure.what = format!(
        "{file}:{} {}: {} (tried {count} key{} as {target})",
        found.line,
        found.name(),
        failure.what.replace('\n', "; "),
        if count == 1 { "" } else { "s" }
    );
    failure.hint = Some(
        "renamed since? --as-name OLD_NAMESPACE/OLD_NAME; or an older backup; kubectl gitops explain FILE --key BACKUP says more"
            .to_owned(),
    );
    failure
}

fn render(secret: &SecretManifest, format: Format, masked: bool) -> Zeroizing<String> {
    let mut value = secret.to_value();
    if masked && let Some(Value::Object(data)) = value.get_mut("data") {
        for item in data.values_mut() {
            crate::sealing::wipe(item);
            *item = "(masked; --show prints it)".into();
        }
    }
    let text = Zeroizing::new(match format {
        Format::Yaml => yaml::to_yaml(&value),
        Format::Json => serde_json::to_string_pretty(&value).unwrap_or_default() + "\n",
    });
    crate::sealing::wipe(&mut value);
    text
}

fn print(secrets: &[SecretManifest], format: Format, masked: bool) {
    for (index, secret) in secrets.iter().enumerate() {
        if index > 0 && format == Format::Yaml {
            stream::out("---\n");
        }
        stream::out(&render(secret, format, masked));
    }
}

fn write_files(folder: &std::path::Path, secrets: &[SecretManifest], format: Format) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::new(format!("cannot make {}", folder.display())).with_cause(&error))?;
    for secret in secrets {
        let extension = if format == Format::Yaml { "yaml" } else { "json" };
        let name =
            [secret.namespace(), secret.name()].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(".");
        if name.contains(['/', '\\']) {
            return Err(Failure::new(format!("{name:?} cannot be a file name")));
        }
        let path = folder.join(format!("{name}.{extension}"));
        files::replace(&path, render(secret, format, false).as_bytes(), Mode::Private)?;
        stream::say(&format!("wrote {}", path.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::resource::Object;

    #[test]
    fn on_a_terminal_no_value_is_shown_and_every_key_is() {
        let value = serde_json::json!({"kind": "Secret", "metadata": {"name": "db"}, "data": {"a": "bWFya2Vy", "b": ""}});
        let secret = SecretManifest::new(Object::from_value(value).unwrap());
        for format in [Format::Yaml, Format::Json] {
            let masked = render(&secret, format, true);
            assert!(!masked.contains("bWFya2Vy"), "{}", *masked);
            assert_eq!(masked.matches("(masked; --show prints it)").count(), 2);
            assert!(render(&secret, format, false).contains("bWFya2Vy"));
        }
    }
}
