//! The certificate to seal with: a file, a URL, or the cluster's.

use std::path::Path;

use http::Request;
use jiff::Timestamp;

use super::files;
use super::options::Options;
use crate::cli::keys::certificate::from_cluster;
use crate::cli::{Context, Failure};
use crate::sealing::Certificate;
use crate::ui::age;

/// The text as it was received.
pub async fn text(options: &Options, cx: &Context) -> Result<String, Failure> {
    match options.cert.as_deref() {
        None => from_cluster(&options.controller_name, cx).await,
        Some(address) => match address.split_once("://") {
            Some(("http" | "https", _)) => download(address).await,
            Some(("file", path)) => Ok(files::read_text(Path::new(path))?.to_string()),
            _ => Ok(files::read_text(Path::new(address))?.to_string()),
        },
    }
}

/// A certificate that may still be sealed with.
pub async fn obtain(options: &Options, cx: &Context) -> Result<Certificate, Failure> {
    let certificate = Certificate::from_pem(&text(options, cx).await?)?;
    refuse_expired(&certificate, age::now())?;
    Ok(certificate)
}

fn refuse_expired(certificate: &Certificate, now: Timestamp) -> Result<(), Failure> {
    if certificate.is_expired(now) {
        let day = certificate.not_after.strftime("%B %-d, %Y");
        return Err(Failure::new(format!("failed to encrypt using an expired certificate on {day}")));
    }
    Ok(())
}

/// Fetches a public file with the client that we have for API servers, without any credential.
async fn download(address: &str) -> Result<String, Failure> {
    let cannot = |problem: &dyn std::error::Error| Failure::new(format!("cannot fetch {address:?}")).with_cause(problem);
    let uri: http::Uri = address.parse().map_err(|error| cannot(&error))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let mut root = uri.clone().into_parts();
    root.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    let root = http::Uri::from_parts(root).map_err(|error| cannot(&error))?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = kube::Client::try_from(kube::Config::new(root)).map_err(|error| cannot(&error))?;
    let request = Request::get(path).body(Vec::new()).map_err(|error| cannot(&error))?;
    client.request_text(request).await.map_err(|error| match error {
        kube::Error::Api(status) => Failure::new(format!("cannot fetch {address:?}: {}", status.code)),
        other => cannot(&other),
    })
}
