//! Who sent a delivery, and whether it is genuine. Pure; every comparison with a secret takes the same time whatever is sent.
//!
//! Source: Argo CD 3.5 (fleet reference 4.1): order of the hosts and their headers; an empty secret means no check.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};

use super::secrets::Secrets;
use crate::resource::base64;

/// Hosts whose deliveries are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    AzureDevOps,
    /// Gogs, Gitea and Forgejo.
    Gogs,
    Github,
    /// The registry of GitHub.
    Ghcr,
    Gitlab,
    BitbucketCloud,
    BitbucketServer,
    /// Anybody who signs as we ask for.
    Generic,
}

/// Why a delivery is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody that we know sends such headers.
    UnknownHost,
    /// The signature, token or password is missing or wrong.
    NotGenuine(Host),
    /// The body cannot be read.
    Unreadable(Host),
}

/// Reads a header by its name in lower case; empty when it is not there.
pub trait Headers {
    /// The value, empty when it is missing or no text.
    fn get_text(&self, name: &str) -> &str;
}

impl Headers for axum::http::HeaderMap {
    fn get_text(&self, name: &str) -> &str {
        self.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Which host claims a delivery. Gogs and its relatives send GitHub's header as well, so they come first.
///
/// # Errors
/// [`Refusal::UnknownHost`].
pub fn claim(headers: &impl Headers) -> Result<Host, Refusal> {
    let has = |name: &str| !headers.get_text(name).is_empty();
    Ok(match () {
        () if has("x-vss-activityid") => Host::AzureDevOps,
        () if has("x-gogs-event") || has("x-gitea-event") || has("x-forgejo-event") => Host::Gogs,
        () if headers.get_text("x-github-event") == "package" => Host::Ghcr,
        () if has("x-github-event") => Host::Github,
        () if has("x-gitlab-event") => Host::Gitlab,
        () if has("x-hook-uuid") => Host::BitbucketCloud,
        () if has("x-event-key") => Host::BitbucketServer,
        () if has("x-gitops-signature-256") => Host::Generic,
        () => return Err(Refusal::UnknownHost),
    })
}

/// Checks that a delivery comes from who knows the secret.
///
/// # Errors
/// [`Refusal::NotGenuine`].
pub fn verify(host: Host, headers: &impl Headers, body: &[u8], secrets: &Secrets) -> Result<(), Refusal> {
    let signed = |secret: &[u8], header: &str| is_signed(secret, headers.get_text(header), body);
    let genuine = match host {
        Host::AzureDevOps => {
            let (user, password) = (secrets.azure_username.reveal(), secrets.azure_password.reveal());
            (user.is_empty() && password.is_empty())
                || equal(&basic_login(headers.get_text("authorization")), format!("{user}:{password}").as_bytes())
        }
        Host::Gogs => {
            let secret = secrets.gogs.reveal().as_bytes();
            let header = ["x-gogs-signature", "x-gitea-signature", "x-forgejo-signature"];
            secret.is_empty() || header.into_iter().any(|header| signed(secret, header))
        }
        Host::Github | Host::Ghcr => {
            let secret = secrets.github.reveal().as_bytes();
            secret.is_empty() || signed(secret, "x-hub-signature-256")
        }
        Host::Gitlab => {
            let secret = secrets.gitlab.reveal();
            secret.is_empty() || equal(headers.get_text("x-gitlab-token").as_bytes(), secret.as_bytes())
        }
        Host::BitbucketCloud => {
            let secret = secrets.bitbucket_uuid.reveal();
            secret.is_empty() || equal(headers.get_text("x-hook-uuid").as_bytes(), secret.as_bytes())
        }
        Host::BitbucketServer => {
            let secret = secrets.bitbucket_server.reveal().as_bytes();
            secret.is_empty() || signed(secret, "x-hub-signature")
        }
        // Ours alone: nobody relies on it being open, so without a secret it is closed.
        Host::Generic => {
            let secret = secrets.generic.reveal().as_bytes();
            !secret.is_empty() && signed(secret, "x-gitops-signature-256")
        }
    };
    if genuine { Ok(()) } else { Err(Refusal::NotGenuine(host)) }
}

/// HMAC with SHA-256 of the body in hexadecimal, with or without `sha256=` in front.
fn is_signed(secret: &[u8], signature: &str, body: &[u8]) -> bool {
    let Ok(signature) = hex::decode(signature.strip_prefix("sha256=").unwrap_or(signature)) else { return false };
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), body, &signature).is_ok()
}

/// Compares hashes, so that not even the length is told by the time it takes.
fn equal(given: &[u8], expected: &[u8]) -> bool {
    let hash = |bytes: &[u8]| digest::digest(&digest::SHA256, bytes);
    verify_slices_are_equal(hash(given).as_ref(), hash(expected).as_ref()).is_ok()
}

fn basic_login(header: &str) -> zeroize::Zeroizing<Vec<u8>> {
    let login = header.strip_prefix("Basic ").and_then(|text| base64::decode(text.trim()).ok());
    zeroize::Zeroizing::new(login.unwrap_or_default())
}
