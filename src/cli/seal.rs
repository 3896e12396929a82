//! `seal`: from Secrets to SealedSecrets.

mod elsewhere;
mod input;
mod job;
mod known;
mod kustomization;
mod merge;
mod onto;
mod place;
mod raw;
mod report;
mod text;
mod tree;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

pub(super) use self::input::Format;
pub(super) use self::onto::sealed_for;
pub(super) use self::place::parse_final;

use self::input::{Others, Source};
use self::job::Job;
use self::place::Place;
use super::keys::{self, certificate};
use super::output::Output;
use super::secrets::files;
use super::{CommandResult, Context, Exit, Failure};
use crate::resource::Object;
use crate::sealing::{Certificate, Plaintext, Scope, SealSecretError, SecretManifest, SessionKey, seal_secret, secret_values};
use crate::ui::{age, stream};

/// Longest key of a value that the API server takes.
const MAX_KEY_BYTES: usize = 253;

/// Seal Secrets for Git: only the cluster can open them again.
///
/// Reads Secrets from files or standard input and writes SealedSecrets; the Secrets themselves are sent nowhere. The cluster is asked
/// for its certificate, and with --cert not even for that. A sealed value opens only in the namespace and under the name it was
/// sealed for, unless --scope widens that. Where a sealed file exists, values that did not change keep their ciphertext: --key
/// tells which, or the live Secrets as far as you may read them.
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
    /// Output format: yaml or json. Of the sealed objects on standard output; where files are written, of a report about them
    #[arg(short, long, value_name = "FORMAT", value_parser = Format::parse)]
    output: Option<Format>,
    /// Format of the sealed objects: yaml or json; without it the extension of the output file decides, then the input
    #[arg(long, value_name = "FORMAT", value_parser = Format::parse)]
    format: Option<Format>,
    /// Replace the Secrets in their own files; other objects and the comments around them stay
    #[arg(long, conflicts_with_all = ["write", "raw", "merge_into", "set", "out_dir", "as_name", "format"])]
    in_place: bool,
    /// Seal every Secret of the input and leave other objects out, instead of refusing them
    #[arg(long)]
    all: bool,
    /// Delete the files with the Secrets when everything was written; with -w or -R
    #[arg(long, conflicts_with_all = ["in_place", "raw", "merge_into", "set", "check"])]
    delete_source: bool,
    /// Print the cluster's certificate, and seal nothing
    #[arg(long, conflicts_with_all = ["files", "filenames", "write", "cert", "raw", "merge_into", "set", "recursive", "in_place"])]
    fetch_cert: bool,
    #[command(flatten)]
    elsewhere: elsewhere::Elsewhere,
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
    #[arg(short = 'R', long, conflicts_with_all = ["write", "raw", "merge_into", "set", "name", "as_name"])]
    recursive: bool,
    /// Folder for the files that -R writes, instead of those they come from
    #[arg(long, value_name = "DIR", requires = "recursive")]
    out_dir: Option<PathBuf>,
    /// Seal one value, from --from-file or standard input, and print the item alone
    #[arg(long, conflicts_with_all = ["write", "output", "format", "merge_into", "set"])]
    raw: bool,
    /// File with the value for --raw
    #[arg(long, value_name = "FILE", requires = "raw")]
    from_file: Vec<String>,
    /// Seal the values of the input into this SealedSecret, for the place and scope it has; its other lines stay as they are
    #[arg(long, value_name = "FILE", conflicts_with_all = ["write", "format", "set", "scope", "name", "as_name"])]
    merge_into: Option<PathBuf>,
    /// Set one key of a sealed file; the value is typed without echo, or piped in
    #[arg(long, value_name = "KEY", conflicts_with_all = ["write", "format", "scope", "name", "as_name"])]
    set: Option<String>,
    /// Change nothing, and end with 1 if something would change; not for standard output
    #[arg(long)]
    check: bool,
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
    args.elsewhere.refuse()?;
    match (&args.merge_into, &args.set) {
        _ if args.fetch_cert => return keys::cert::print(&args.controller_name, cx).await,
        (Some(file), _) => return merge::merge_into(file, &args, cx).await,
        (_, Some(key)) => return merge::set(key, &args, cx).await,
        _ if args.raw => return raw::run(&args, cx).await,
        _ if args.recursive => return job::run(&tree::jobs(&args)?, &args, cx).await,
        _ => {}
    }
    // Before any client exists: a credential plugin must never see what comes through standard input.
    let sources = input::read(args.files.iter().chain(&args.filenames), args.others())?;
    let jobs = match &args.write {
        Some(out) => vec![Job { sources, out: out.clone() }],
        None if args.in_place => in_place(sources)?,
        None if args.check || args.delete_source => {
            return Err(Failure::new("nothing is written to a file").with_hint("-w FILE, --in-place, -R, --merge-into or --set"));
        }
        None => return print(&sources, &args, cx).await,
    };
    job::run(&jobs, &args, cx).await
}

fn in_place(sources: Vec<Source>) -> Result<Vec<Job>, Failure> {
    let job = |source: Source| match source.file.as_os_str() == files::STDIN {
        true => Err(Failure::new("--in-place needs files").with_hint("kubectl gitops seal --in-place FILE")),
        false => Ok(Job { out: source.file.clone(), sources: vec![source] }),
    };
    sources.into_iter().filter(|source| !source.secrets.is_empty()).map(job).collect()
}

/// Prints the sealed objects; nothing is printed when one cannot be sealed.
async fn print(sources: &[Source], args: &SealArgs, cx: &Context) -> CommandResult {
    let secrets: Vec<(String, &SecretManifest)> =
        sources.iter().flat_map(|source| source.secrets.iter().map(|plain| (source.place_of(plain), &plain.secret))).collect();
    let places = secrets.iter().map(|(at, secret)| place::decide(secret, args, cx).map_err(|failure| failure.at(at)));
    let places = places.collect::<Result<Vec<_>, _>>()?;
    if let ([source], None) = (sources, &args.as_name) {
        let file = Some(source.file.as_path()).filter(|file| file.as_os_str() != files::STDIN);
        places.iter().try_for_each(|place| kustomization::check(file, &place.sealed_for.target))?;
    }
    let certificate = certificate::obtain(args.cert.as_deref(), &args.controller_name, cx).await?;
    certificate::refuse_expired(&certificate, age::now())?;
    let sealed = secrets.iter().zip(&places).map(|((at, secret), place)| {
        let object = seal(secret, place, &certificate, args.allow_empty_data).map_err(|failure| failure.at(at))?;
        Ok(object.to_value())
    });
    let sealed = sealed.collect::<Result<Vec<_>, Failure>>()?;
    places.iter().for_each(|place| stream::say(&place.describe(&certificate)));
    let format = args.format.or(args.output).or_else(|| sources.first().map(Source::format)).unwrap_or(Format::Yaml);
    stream::out(&text::render(&sealed, format));
    Ok(Exit::Done)
}

impl SealArgs {
    /// What is done about objects that are no Secrets.
    const fn others(&self) -> Others {
        if self.all || self.in_place { Others::Leave } else { Others::Refuse }
    }

    /// The report that was asked for, where files are written.
    fn report(&self) -> Option<Output> {
        self.output.map(|format| if format == Format::Json { Output::Json } else { Output::Yaml })
    }
}

/// The values of a Secret, when there are any and the API server would take their keys.
fn checked_values(secret: &SecretManifest, allow_empty: bool) -> Result<BTreeMap<String, Plaintext>, Failure> {
    let values = secret_values(secret)?;
    if values.is_empty() && !allow_empty {
        return Err(SealSecretError::Empty { name: secret.name().to_owned() }.into());
    }
    values.keys().try_for_each(|key| refuse_bad_key(key))?;
    Ok(values)
}

/// Refuses what the API server would refuse as the key of a value, long after it was sealed.
fn refuse_bad_key(key: &str) -> Result<(), Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=MAX_KEY_BYTES).contains(&key.len()) && key.chars().all(is_plain) && key != "." && !key.starts_with("..") {
        return Ok(());
    }
    Err(Failure::new(format!("{key:?} cannot be the key of a value in a Secret"))
        .with_hint("letters, digits, `-`, `_` and `.`, at most 253 of them, not beginning with `..`"))
}

fn seal(secret: &SecretManifest, place: &Place, certificate: &Certificate, allow_empty: bool) -> Result<Object, Failure> {
    checked_values(secret, allow_empty)?;
    Ok(seal_secret(secret, &place.sealed_for, certificate, &mut || SessionKey::new(rand::random()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_the_api_server_would_refuse_is_not_sealed() {
        for key in ["tls.crt", ".hidden", "A_b-9", &"x".repeat(253)] {
            assert!(refuse_bad_key(key).is_ok(), "{key}");
        }
        for key in ["", ".", "..", "..data", "no/slash", "no space", "umläut", &"x".repeat(254)] {
            assert!(refuse_bad_key(key).is_err(), "{key}");
        }
    }
}
