//! `seal`: from Secrets to SealedSecrets.

mod input;
mod kustomization;
mod merge;
mod output;
mod place;
mod raw;
mod tree;

use std::path::PathBuf;

use clap::Args;

pub(super) use self::input::Format;
pub(super) use self::place::parse_final;

use self::place::Place;
use super::keys::certificate;
use super::{CommandResult, Context, Exit, Failure};
use crate::resource::Object;
use crate::sealing::{Certificate, Scope, SecretManifest, SessionKey, seal_secret};
use crate::ui::{age, stream};

/// Seal Secrets for Git: only the cluster can open them again.
///
/// Reads Secrets from files or standard input and writes SealedSecrets; the Secrets themselves are sent nowhere. The cluster is asked
/// for its certificate only, and with --cert not even for that. A sealed value opens only in the namespace and under the
/// name it was sealed for, unless --scope widens that.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kubectl create secret generic db --from-literal=password=s3cr3t --dry-run=client -o yaml | kubectl gitops seal -n web \
                        -w db-sealed.yaml"
)]
pub struct SealArgs {
    /// Files with Secrets, YAML or JSON; standard input when there is none, or for `-`
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A file with Secrets; may be given several times
    #[arg(short = 'f', long = "filename", visible_alias = "secret-file", value_name = "FILE")]
    filenames: Vec<PathBuf>,
    /// Write to this file instead of standard output; it is replaced only when everything was sealed
    #[arg(short = 'w', long = "write", alias = "sealed-secret-file", value_name = "FILE")]
    write: Option<PathBuf>,
    /// Output format: yaml or json; without it the extension of the output file decides, then the input
    #[arg(short, long, alias = "format", value_name = "FORMAT", value_parser = Format::parse)]
    output: Option<Format>,
    /// How far the SealedSecret may be moved: strict, namespace-wide or cluster-wide
    #[arg(long, value_name = "SCOPE")]
    scope: Option<Scope>,
    /// File with the certificate to seal with, instead of asking the cluster
    #[arg(long, value_name = "FILE", env = "SEALED_SECRETS_CERT", hide_env_values = true)]
    cert: Option<PathBuf>,
    /// Name of the Secret and the SealedSecret, instead of the one in the input
    #[arg(long, value_name = "NAME", conflicts_with = "as_name")]
    name: Option<String>,
    /// Namespace and name that the object will finally have, when Kustomize renames or moves it; its file keeps the present ones
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = place::parse_final)]
    as_name: Option<(String, String)>,
    /// Seal every plain Secret below the given folders, `db.yaml` to `db.sealed.yaml`
    #[arg(short = 'R', long, conflicts_with_all = ["write", "output", "raw", "merge_into", "set", "name", "as_name"])]
    recursive: bool,
    /// Folder for the files that -R writes, instead of those they come from
    #[arg(long, value_name = "DIR", requires = "recursive")]
    out_dir: Option<PathBuf>,
    /// Seal one value, from --from-file or standard input, and print the item alone
    #[arg(long, conflicts_with_all = ["write", "output", "merge_into", "set"])]
    raw: bool,
    /// File with the value for --raw
    #[arg(long, value_name = "FILE", requires = "raw")]
    from_file: Vec<String>,
    /// Seal the values of the input into this SealedSecret, for the place and scope it has; its other lines stay as they are
    #[arg(long, value_name = "FILE", conflicts_with_all = ["write", "output", "set", "scope", "name", "as_name"])]
    merge_into: Option<PathBuf>,
    /// Set one key of a sealed file; the value is typed without echo, or piped in
    #[arg(long, value_name = "KEY", conflicts_with_all = ["write", "output", "scope", "name", "as_name"])]
    set: Option<String>,
    /// Change nothing, and end with 1 if something would change; with -R, --merge-into or --set
    #[arg(long)]
    check: bool,
    /// With --merge-into and --set: keys that hold the same value keep their ciphertext, as this backup shows
    #[command(flatten)]
    recovery: super::secrets::recovery::RecoveryArgs,
    /// Seal a Secret without any value
    #[arg(long)]
    allow_empty_data: bool,
    /// Name of the Service of a Sealed Secrets controller, asked when no certificate is published
    #[arg(long, value_name = "NAME", env = "SEALED_SECRETS_CONTROLLER_NAME", hide_env_values = true, default_value = crate::keys::store::SERVICE)]
    controller_name: String,
}

/// Seals.
///
/// # Errors
/// When the input holds something else than Secrets, a place is not known, or there is no usable certificate. Nothing is
/// written then.
pub async fn run(args: SealArgs, cx: &Context) -> CommandResult {
    match (&args.merge_into, &args.set) {
        (Some(file), _) => return merge::merge_into(file, &args, cx).await,
        (_, Some(key)) => return merge::set(key, &args, cx).await,
        _ if args.raw => return raw::run(&args, cx).await,
        _ if args.recursive => return tree::run(&args, cx).await,
        _ if args.check => return Err(Failure::new("--check needs -R, --merge-into or --set")),
        _ => {}
    }
    // Before any client exists: a credential plugin must never see what comes through standard input.
    let input = input::read(args.files.iter().chain(&args.filenames))?;
    let places = input.secrets.iter().map(|secret| place::decide(secret, &args, cx)).collect::<Result<Vec<_>, _>>()?;
    if args.as_name.is_none() {
        let file = args.write.as_deref().or_else(|| input.only_file());
        places.iter().try_for_each(|place| kustomization::check(file, &place.sealed_for.target))?;
    }
    let certificate = certificate::obtain(args.cert.as_deref(), &args.controller_name, cx).await?;
    certificate::refuse_expired(&certificate, age::now())?;
    let sealed =
        input.secrets.iter().zip(&places).map(|(secret, place)| seal(secret, place, &certificate, args.allow_empty_data));
    let sealed = sealed.collect::<Result<Vec<_>, _>>()?;
    places.iter().for_each(|place| stream::say(&place.describe(&certificate)));
    let format = args.output.or_else(|| args.write.as_deref().and_then(Format::of_file)).unwrap_or(input.format);
    output::put(args.write.as_deref(), &output::render(&sealed, format))?;
    Ok(Exit::Done)
}

fn seal(secret: &SecretManifest, place: &Place, certificate: &Certificate, allow_empty: bool) -> Result<Object, Failure> {
    let is_empty =
        |section: &str| secret.get(&[section]).and_then(serde_json::Value::as_object).is_none_or(serde_json::Map::is_empty);
    if !allow_empty && is_empty("data") && is_empty("stringData") {
        return Err(crate::sealing::SealSecretError::Empty { name: secret.name().to_owned() }.into());
    }
    Ok(seal_secret(secret, &place.sealed_for, certificate, &mut || SessionKey::new(rand::random()))?)
}
