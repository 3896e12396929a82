//! What the flags mean.

use std::path::PathBuf;

use super::Problem;
use super::flags::Given;
use crate::cli::flags::Hidden;
use crate::cli::seal::Format;
use crate::cli::{Failure, GlobalFlags, duration};
use crate::keys::store::SERVICE;
use crate::sealing::Scope;

/// Namespace in which the original looks for its controller.
const NAMESPACE: &str = "kube-system";
/// What the original acts on and we cannot.
const UNSUPPORTED: [(&str, &str); 3] = [
    ("proxy-url", "set proxy-url in the kubeconfig's cluster"),
    ("username", "no API server since Kubernetes 1.19 takes a password; use a token"),
    ("password", "no API server since Kubernetes 1.19 takes a password; use a token"),
];

/// What to do.
pub struct Options {
    pub mode: Mode,
    pub cert: Option<String>,
    pub controller_name: String,
    pub format: Format,
    pub input: Option<PathBuf>,
    pub output: Option<PathBuf>,
    pub name: Option<String>,
    pub scope: Scope,
    pub scope_is_given: bool,
    pub allow_empty: bool,
    pub cluster: GlobalFlags,
}

/// The modes, strongest first.
#[derive(Debug, PartialEq, Eq)]
pub enum Mode {
    Recover { keys: Vec<String> },
    Validate,
    Reencrypt,
    FetchCertificate,
    MergeInto(PathBuf),
    Raw { files: Vec<String> },
    Seal,
}

/// Reads the options.
///
/// # Errors
/// When a value means nothing, or two flags do not go together.
pub fn read(given: &Given) -> Result<Options, Problem> {
    let scope = given.value("scope").map(str::parse::<Scope>).transpose();
    let scope = scope.map_err(|problem| {
        Problem::Flags(format!("invalid argument {:?} for \"--scope\" flag: {problem}", given.value("scope").unwrap_or_default()))
    })?;
    if !given.list("from-file").is_empty() && !given.is_on("raw") {
        return Err(Failure::new("--from-file requires --raw").into());
    }
    for (flag, hint) in UNSUPPORTED {
        if given.value(flag).is_some() {
            return Err(Failure::new(format!("--{flag} is not supported")).with_hint(hint).into());
        }
    }
    let path = |name: &str| given.value(name).map(PathBuf::from);
    let output = path("sealed-secret-file");
    Ok(Options {
        mode: mode(given),
        cert: given.value("cert").map(str::to_owned),
        controller_name: given.value("controller-name").unwrap_or(SERVICE).to_owned(),
        format: format(given, output.as_deref())?,
        input: path("secret-file"),
        output,
        name: given.value("name").map(str::to_owned),
        scope: scope.unwrap_or_default(),
        scope_is_given: scope.is_some(),
        allow_empty: given.is_on("allow-empty-data"),
        cluster: cluster(given)?,
    })
}

fn mode(given: &Given) -> Mode {
    if given.is_on("recovery-unseal") {
        Mode::Recover { keys: given.list("recovery-private-key") }
    } else if given.is_on("validate") {
        Mode::Validate
    } else if given.is_on("re-encrypt") || given.is_on("rotate") {
        Mode::Reencrypt
    } else if given.is_on("fetch-cert") {
        Mode::FetchCertificate
    } else if let Some(file) = given.value("merge-into") {
        Mode::MergeInto(file.into())
    } else if given.is_on("raw") {
        Mode::Raw { files: given.list("from-file") }
    } else {
        Mode::Seal
    }
}

/// The extension of the output file beats `-o`, but only towards YAML.
fn format(given: &Given, output: Option<&std::path::Path>) -> Result<Format, Failure> {
    if output.and_then(Format::of_file) == Some(Format::Yaml) {
        return Ok(Format::Yaml);
    }
    given.value("format").map_or(Ok(Format::Json), |text| {
        Format::parse(text).map_err(|_| Failure::new(format!("unsupported output format: {text}")))
    })
}

fn cluster(given: &Given) -> Result<GlobalFlags, Problem> {
    let text = |name: &str| given.value(name).map(str::to_owned);
    let path = |name: &str| given.value(name).map(PathBuf::from);
    let request_timeout = given.value("request-timeout").map(duration::parse).transpose();
    Ok(GlobalFlags {
        namespace: text("namespace"),
        context: text("context"),
        kubeconfig: path("kubeconfig"),
        cluster: text("cluster"),
        user: text("user"),
        server: text("server"),
        token: text("token").map(Hidden),
        impersonate: text("as"),
        impersonate_groups: given.list("as-group"),
        impersonate_uid: text("as-uid"),
        certificate_authority: path("certificate-authority"),
        client_certificate: path("client-certificate"),
        client_key: path("client-key"),
        tls_server_name: text("tls-server-name"),
        insecure_skip_tls_verify: given.value("insecure-skip-tls-verify").map(|value| value == "true"),
        request_timeout: request_timeout
            .map_err(|problem| Problem::Flags(format!("invalid argument for \"--request-timeout\" flag: {problem}")))?,
        controller_namespace: text("controller-namespace").unwrap_or_else(|| NAMESPACE.to_owned()),
        ..GlobalFlags::default()
    })
}
