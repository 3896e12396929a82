//! Sealing whole Secrets and single values.

use std::path::Path;

use super::options::Options;
use super::{certificate, files, input};
use crate::cli::{Context, Failure, kubeconfig};
use crate::resource::Object;
use crate::sealing::{
    Certificate, Scope, SealedFor, SecretManifest, SessionKey, Target, encode_base64, seal, seal_secret as seal_object,
};

/// What the original says about a Secret without values.
const EMPTY: &str = "secret.data is empty in input Secret, assuming this is an error and aborting. To work with empty data, --allow-empty-data can be used";

/// Seals all Secrets of the input, or writes nothing.
pub async fn run(options: &Options, cx: &Context) -> Result<(), Failure> {
    let bytes = files::read_input(options.input.as_deref(), "json/yaml k8s resource")?;
    let certificate = certificate::obtain(options, cx).await?;
    let mut sealed = Vec::new();
    for secret in input::secrets(&bytes)? {
        refuse_empty(&secret, options)?;
        let target = target(&secret, options)?;
        sealed.push(seal_secret(&secret, target, &certificate)?.into_value());
    }
    files::put(options.output.as_deref(), &files::render(&sealed, options.format))
}

/// Seals one Secret for a place.
pub fn seal_secret(secret: &SecretManifest, target: Target, certificate: &Certificate) -> Result<Object, Failure> {
    Ok(seal_object(secret, &SealedFor::itself(target), certificate, &mut session_key)?)
}

/// Refuses a Secret without values, unless that is allowed.
pub fn refuse_empty(secret: &SecretManifest, options: &Options) -> Result<(), Failure> {
    let is_empty =
        |section: &str| secret.get(&[section]).and_then(serde_json::Value::as_object).is_none_or(serde_json::Map::is_empty);
    if !options.allow_empty && is_empty("data") && is_empty("stringData") { Err(Failure::new(EMPTY)) } else { Ok(()) }
}

/// The original's rules: a flag cannot bring a scope back to strict, the Secret's namespace beats the context's.
fn target(secret: &SecretManifest, options: &Options) -> Result<Target, Failure> {
    let name = options.name.as_deref().unwrap_or_else(|| secret.name());
    if name.is_empty() {
        return Err(Failure::new("missing metadata.name in input Secret"));
    }
    let annotated = Scope::from_annotations(|annotation| secret.annotation(annotation));
    let scope = if options.scope == Scope::Strict { annotated } else { options.scope };
    if scope == Scope::ClusterWide {
        return Ok(Target::new(secret.namespace(), name, scope));
    }
    refuse_mismatch(secret.namespace(), options)?;
    let namespace = match secret.namespace() {
        "" => namespace(options).map_err(|cause| Failure { what: "secret must declare a namespace".into(), ..cause })?,
        own => own.to_owned(),
    };
    Ok(Target::new(namespace, name, scope))
}

/// Refuses `-n` for another namespace than that of the object.
pub fn refuse_mismatch(own: &str, options: &Options) -> Result<(), Failure> {
    match options.cluster.namespace.as_deref() {
        Some(flag) if !own.is_empty() && flag != own => {
            Err(Failure::new(format!("namespace mismatch: input secret is in namespace {own:?} but {flag:?} was specified")))
        }
        _ => Ok(()),
    }
}

/// `-n`, else that of the kubeconfig's context, else `default`; an error without a kubeconfig.
fn namespace(options: &Options) -> Result<String, Failure> {
    if let Some(namespace) = &options.cluster.namespace {
        return Ok(namespace.clone());
    }
    let loaded = kubeconfig::load(&options.cluster)?;
    let selected = kubeconfig::select(&loaded, &options.cluster)?;
    Ok(selected.namespace.unwrap_or_else(|| "default".to_owned()))
}

/// Seals one value and prints it in base64, without a line end.
pub async fn raw(from: &[String], options: &Options, cx: &Context) -> Result<(), Failure> {
    let certificate = certificate::obtain(options, cx).await?;
    let target = raw_target(options)?;
    let value = match from {
        [] => files::read_input(None, "a secret to encrypt")?,
        [one] => files::read(Path::new(one.split_once('=').map_or(one.as_str(), |(_, path)| path)))?,
        _ => return Err(Failure::new("must provide only one --from-file when encrypting a single item with --raw")),
    };
    let sealed = seal(certificate.public_key(), &target.label(), &session_key(), &value)?;
    files::put(options.output.as_deref(), &encode_base64(&sealed))
}

fn raw_target(options: &Options) -> Result<Target, Failure> {
    let scope = options.scope;
    if scope == Scope::ClusterWide {
        return Ok(Target::new("", "", scope));
    }
    let namespace = namespace(options)?;
    match options.name.as_deref() {
        None if scope == Scope::Strict => Err(Failure::new("must provide the --name flag with --raw and --scope strict")),
        name => Ok(Target::new(namespace, name.unwrap_or_default(), scope)),
    }
}

fn session_key() -> SessionKey {
    SessionKey::new(rand::random())
}
