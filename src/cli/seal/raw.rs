//! `--raw`: one value, as it is, to one sealed item.

use std::path::Path;

use super::SealArgs;
use crate::cli::keys::certificate;
use crate::cli::secrets::files;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::sealing::{Scope, SessionKey, Target, encode_base64, seal};
use crate::ui::{age, stream};

/// Prints the item without a line end. The bytes are sealed as they are, a last line end among them.
pub async fn run(args: &SealArgs, cx: &Context) -> CommandResult {
    let scope = args.scope.unwrap_or_default();
    let missing = |flag: &str| Failure::new(format!("must provide the {flag} flag with --raw and --scope {scope}"));
    let namespace = match (scope, cx.flags.namespace.as_deref()) {
        (Scope::ClusterWide, namespace) => namespace.unwrap_or_default(),
        (_, Some(namespace)) => namespace,
        (_, None) => return Err(missing("--namespace")),
    };
    let name = match (scope, args.name.as_deref()) {
        (Scope::Strict, None) => return Err(missing("--name")),
        (_, name) => name.unwrap_or_default(),
    };
    let file = match args.from_file.as_slice() {
        [] => Path::new(files::STDIN),
        // `KEY=FILE` and `FILE`, as kubeseal takes it.
        [one] => Path::new(one.rsplit_once('=').map_or(one.as_str(), |(_, file)| file)),
        _ => return Err(Failure::new("must provide only one --from-file when encrypting a single item with --raw")),
    };
    let value = files::read_bytes(file)?;
    let certificate = certificate::obtain(args.cert.as_deref(), &args.controller_name, cx).await?;
    certificate::refuse_expired(&certificate, age::now())?;
    let target = Target::new(namespace, name, scope);
    let blob = seal(certificate.public_key(), &target.label(), &SessionKey::new(rand::random()), &value)?;
    stream::say(&format!("sealing a value for {target}, scope {scope}"));
    stream::out(&encode_base64(&blob));
    Ok(Exit::Done)
}
