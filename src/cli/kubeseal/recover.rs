//! Opening offline, with private keys from files.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::options::Options;
use super::{files, input};
use crate::cli::Failure;
use crate::cli::seal::Format;
use crate::keys::backup;
use crate::resource::yaml;
use crate::sealing::{Keyring, PrivateKey, SecretManifest, Trial, pem, unseal_rendering};
use crate::world::ThisMachine;

/// Opens the one SealedSecret of the input and prints the Secret.
pub fn run(key_files: &[String], options: &Options) -> Result<(), Failure> {
    let bytes = files::read_input(options.input.as_deref(), "json/yaml k8s resource")?;
    if key_files.is_empty() {
        return Err(
            Failure::new("no key could decrypt secret: no private key was given").with_hint("--recovery-private-key FILE")
        );
    }
    let mut keys = Vec::new();
    for file in key_files {
        keys.extend(private_keys(Path::new(file))?);
    }
    let keys = Keyring::default().with_private_keys(keys.into_iter().map(Arc::new));
    let sealed = input::sealed_secrets(&bytes)?;
    let [sealed] = sealed.as_slice() else {
        return Err(Failure::new(format!("the input holds {} SealedSecrets; give one at a time", sealed.len())));
    };
    let opened = unseal_rendering(sealed, &keys, &mut Trial::default(), &mut ThisMachine)?.manifest();
    files::put_plaintext(options.output.as_deref(), &render(&opened, options.format))
}

/// The only place where plaintext is printed, which is what it is for. The text is wiped.
fn render(secret: &SecretManifest, format: Format) -> Zeroizing<String> {
    Zeroizing::new(match format {
        Format::Json => serde_json::to_string_pretty(&**secret).unwrap_or_default() + "\n",
        Format::Yaml => {
            let mut value = secret.to_value();
            let text = format!("---\n{}", yaml::to_yaml(&value));
            crate::sealing::wipe(&mut value);
            text
        }
    })
}

/// The keys of a PEM file or of a backup of key Secrets: a list, single documents, or both. A file without any is an error.
fn private_keys(file: &Path) -> Result<Vec<PrivateKey>, Failure> {
    let text = files::read_text(file)?;
    let broken = |problem: String| Failure::new(format!("{}: {problem}", file.display()));
    if !pem::blocks(&text).is_empty() {
        return Ok(vec![PrivateKey::from_pem(&text).map_err(|error| broken(error.to_string()))?]);
    }
    let secrets = backup::from_list(&text).map_err(|error| broken(error.to_string()))?;
    let keys = secrets
        .iter()
        .map(|secret| secret.private_key().map_err(|problem| broken(format!("Secret {:?}: {problem}", secret.name()))));
    keys.collect()
}
