//! Where the certificate to seal with comes from: a file, the published ConfigMap, or a controller's own API.

use std::path::Path;

use jiff::Timestamp;

use crate::cli::{Context, Failure};
use crate::keys::store;
use crate::sealing::Certificate;
use crate::ui::age;

/// Namespace in which Sealed Secrets is installed by default.
const SEALED_SECRETS_NAMESPACE: &str = "kube-system";

/// Reads the file if one is given, and asks the cluster otherwise.
pub async fn obtain(file: Option<&Path>, service: &str, cx: &Context) -> Result<Certificate, Failure> {
    match file {
        Some(file) => from_file(file),
        None => Ok(Certificate::from_pem(&from_cluster(service, cx).await?)?),
    }
}

pub fn from_file(file: &Path) -> Result<Certificate, Failure> {
    let name = file.display().to_string();
    if name.contains("://") {
        return Err(Failure::new(format!("cannot read {name}: only files are supported"))
            .with_hint(format!("curl -fsS {name} > cert.pem, then --cert cert.pem")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| Failure::new(format!("cannot read {name}")).with_cause(&error))?;
    Certificate::from_pem(&text).map_err(|error| {
        let mut failure = Failure::from(error);
        failure.what = format!("{name}: {}", failure.what);
        failure
    })
}

/// The published certificate, else that of a controller here or where Sealed Secrets lives.
pub async fn from_cluster(service: &str, cx: &Context) -> Result<String, Failure> {
    let client = cx.client().await?;
    let namespace = cx.flags.controller_namespace.as_str();
    match store::published_certificate(&client, namespace).await {
        Ok(Some(pem)) => return Ok(pem),
        // Who may not read the ConfigMap may still reach the Service.
        Ok(None) => {}
        Err(kube::Error::Api(status)) if status.code == 403 => {}
        Err(error) => return Err(cx.explain(&error, "read the published sealing certificate")),
    }
    let mut refusal = None;
    for namespace in [namespace, SEALED_SECRETS_NAMESPACE] {
        match store::fetch_certificate(&client, namespace, service).await {
            Ok(pem) => return Ok(pem),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error @ kube::Error::Api(_)) => refusal = Some(error),
            Err(error) => return Err(cx.explain(&error, "fetch the sealing certificate")),
        }
    }
    match refusal {
        Some(error) => Err(cx.explain(&error, "fetch the sealing certificate")),
        None => Err(Failure::new(format!("no sealing controller in {namespace:?} or {SEALED_SECRETS_NAMESPACE:?}"))
            .with_hint("--controller-namespace/--controller-name, or offline with --cert")),
    }
}

/// What an expired certificate seals can be opened, but its owner wanted an end: the same rule as kubeseal's.
pub fn refuse_expired(certificate: &Certificate, now: Timestamp) -> Result<(), Failure> {
    if !certificate.is_expired(now) {
        return Ok(());
    }
    let since = age::human(now.as_second() - certificate.not_after.as_second());
    let what = format!("the certificate expired {since} ago ({})", certificate.not_after.strftime("%Y-%m-%d"));
    Err(Failure::new(what).with_hint("get the present one: kubectl gitops keys cert > cert.pem"))
}
