//! Where the certificate to seal with comes from.
//!
//! ```text
//! --cert FILE, else the repository's .gitops/cert.pem, else the cluster:
//! published ConfigMap ──> Service proxy (ours, then upstream's names) ──> port-forward to a pod behind the Service
//! ```
//!
//! Each hop that fails leaves a line; when all have failed, all lines are shown, so that it is clear which right or route is missing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::hops;
use crate::cli::{Context, Failure};
use crate::sealing::Certificate;
use crate::ui::{age, stream};

/// The pinned certificate, in the repository's root or a folder above the current one.
const PINNED: &str = ".gitops/cert.pem";
/// How long a pinned certificate waits to be compared with the cluster's: sealing must not depend on the network then.
const COMPARE_WITHIN: Duration = Duration::from_secs(2);

/// Reads the file if one is given, then the pinned one, and asks the cluster otherwise.
pub async fn obtain(file: Option<&Path>, service: &str, cx: &Context) -> Result<Certificate, Failure> {
    if let Some(file) = file {
        return from_file(file);
    }
    let here = std::env::current_dir().unwrap_or_default();
    match pinned(&here) {
        Some(file) => from_pin(&file, service, cx).await,
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

/// The nearest pinned certificate, not looked for above the repository that `from` is in.
fn pinned(from: &Path) -> Option<PathBuf> {
    for folder in from.ancestors() {
        let file = folder.join(PINNED);
        if file.is_file() {
            return Some(file);
        }
        if folder.join(".git").exists() {
            return None;
        }
    }
    None
}

/// The pinned certificate is what the repository's owners chose, so it is used; that there is a newer one is said.
async fn from_pin(file: &Path, service: &str, cx: &Context) -> Result<Certificate, Failure> {
    let pinned = from_file(file)?;
    let refresh = format!("kubectl gitops keys cert > {}", file.display());
    refuse_expired(&pinned, age::now()).map_err(|failure| Failure {
        what: format!("{}: {}", file.display(), failure.what),
        hint: Some(refresh.clone()),
        ..failure
    })?;
    if let Ok(Ok(newest)) = timeout(COMPARE_WITHIN, from_cluster(service, cx)).await
        && let Ok(newest) = Certificate::from_pem(&newest)
        && is_newer(&newest, &pinned)
    {
        let note = crate::ui::problem::note(
            &format!("{} is not the cluster's newest certificate ({})", file.display(), newest.fingerprint),
            Some(&refresh),
        );
        stream::say(&note);
    }
    Ok(pinned)
}

fn is_newer(newest: &Certificate, pinned: &Certificate) -> bool {
    newest.key_id() != pinned.key_id() && newest.not_before > pinned.not_before
}

/// The cluster's certificate, by whichever way is open to this user.
///
/// # Errors
/// When none is; the causes say what each one failed of.
pub async fn from_cluster(service: &str, cx: &Context) -> Result<String, Failure> {
    let client = cx.client().await?;
    let mut failed = Vec::new();
    for hop in hops::plan(&cx.flags.controller_namespace, service) {
        match hop.ask(&client).await {
            Ok(pem) => return Ok(pem),
            // Nobody is there; the other ways would only say it again.
            Err(hops::HopError::Api(error)) if hops::is_unreachable(&error) => {
                return Err(cx.explain(&error, "fetch the sealing certificate"));
            }
            Err(error) => failed.push(format!("{hop}: {}", hops::why(&error))),
        }
    }
    let what = format!("no sealing certificate from {}", cx.describe_server());
    let hint = "--controller-namespace/--controller-name, or offline with --cert";
    Err(Failure { causes: failed, ..Failure::new(what).with_hint(hint) })
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sealing::fixtures::certificate;

    #[test]
    fn the_pin_is_found_up_to_the_repository_and_not_beyond() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for folder in ["repo/.git", "repo/apps/web", "repo/.gitops", ".gitops", "other/.git"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        for pin in [".gitops/cert.pem", "repo/.gitops/cert.pem"] {
            std::fs::write(path(pin), "").unwrap();
        }
        assert_eq!(pinned(&path("repo/apps/web")), Some(path("repo/.gitops/cert.pem")));
        assert_eq!(pinned(&path("other")), None, "the pin above belongs to somebody else");
    }

    #[test]
    fn only_a_later_key_is_newer() {
        let [old, new] = ["old", "new"].map(certificate);
        let later = if old.not_before < new.not_before { (&new, &old) } else { (&old, &new) };
        assert!(is_newer(later.0, later.1) && !is_newer(later.1, later.0) && !is_newer(&new, &new));
    }
}
