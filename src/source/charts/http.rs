//! Downloads an index or an archive over HTTP, with a limit of time and size.

use std::time::Duration;

use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::{StatusCode, Url, redirect};

use super::super::classify::{CONNECT_TIMEOUT, certificate_problem};
use super::super::client::ClientParts;
use super::super::credentials::Access;
use super::super::{SourceError, address};

/// Redirects that are followed one after the other.
const MAX_REDIRECTS: usize = 10;
/// What the TLS library puts in front of its complaint.
const BAD_CERTIFICATE: &str = "invalid peer certificate: ";

/// The answer to a download.
#[derive(Debug)]
pub(super) enum Got {
    /// The other side still has what it had.
    Unchanged,
    /// The content, and the mark by which to ask whether it changed.
    New { content: Vec<u8>, etag: Option<String> },
}

/// Gets a URL. `etag` is that of the content that is known already.
pub(super) async fn get(
    url: &Url,
    access: &Access,
    etag: Option<&str>,
    max_bytes: usize,
    limit: Duration,
) -> Result<Got, SourceError> {
    let shown = shown(url);
    let answer = async {
        let failed = |error: reqwest::Error| classify(&shown, limit, &error);
        let mut request = client(&shown, access, limit)?.get(url.clone());
        if !access.bearer_token.is_empty() {
            request = request.bearer_auth(access.bearer_token.reveal());
        } else if let Ok(Some((user, password))) = access.registry_login() {
            request = request.basic_auth(user, Some(password.reveal()));
        }
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(failed)?;
        match response.status() {
            StatusCode::NOT_MODIFIED if etag.is_some() => return Ok(Got::Unchanged),
            status if status.is_success() => {}
            status => return Err(refused(&shown, status)),
        }
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut content = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if content.len() + chunk.len() > max_bytes {
                let problem = format!("it is larger than {max_bytes} bytes");
                return Err(SourceError::BadArchive { url: shown.clone(), problem });
            }
            content.extend_from_slice(&chunk);
        }
        Ok(Got::New { content, etag })
    };
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(SourceError::Timeout { url: shown.clone(), limit }),
    }
}

/// A URL without user, password and query, which may be a signature.
pub(super) fn shown(url: &Url) -> String {
    let text = address::mask(url.as_str());
    text.split(['?', '#']).next().unwrap_or_default().to_owned()
}

fn client(url: &str, access: &Access, limit: Duration) -> Result<reqwest::Client, SourceError> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("kubectl-gitops/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limit.min(CONNECT_TIMEOUT))
        .redirect(redirect::Policy::custom(|attempt| {
            let secure = |url: &Url| url.scheme() == "https";
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("redirected too often")
            } else if attempt.previous().iter().any(secure) && !secure(attempt.url()) {
                attempt.error("redirected from https to http")
            } else {
                attempt.follow()
            }
        }));
    let builder = ClientParts::new(url, access)?.configure(builder);
    builder.build().map_err(|error| SourceError::Unreachable { url: url.to_owned(), problem: causes(&error) })
}

fn refused(url: &str, status: StatusCode) -> SourceError {
    let (url, problem) = (url.to_owned(), format!("the server answered {status}"));
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => SourceError::AccessDenied { url, problem },
        StatusCode::NOT_FOUND | StatusCode::GONE => SourceError::NotFound { url },
        _ => SourceError::Unreachable { url, problem },
    }
}

/// Says what happened to the user when a request failed.
pub(super) fn classify(url: &str, limit: Duration, error: &reqwest::Error) -> SourceError {
    let (url, problem) = (url.to_owned(), causes(error));
    if let Some((_, complaint)) = problem.split_once(BAD_CERTIFICATE) {
        let host = error.url().and_then(Url::host_str).unwrap_or(&url).to_owned();
        return SourceError::UntrustedCertificate { host, problem: certificate_problem(complaint) };
    }
    if error.is_timeout() {
        return SourceError::Timeout { url, limit };
    }
    if error.is_redirect() {
        return SourceError::RedirectRefused { url, problem };
    }
    SourceError::Unreachable { url, problem }
}

/// The causes of an error without its URL, which may hold a signature.
fn causes(error: &reqwest::Error) -> String {
    let mut lines = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        lines.push(inner.to_string());
        cause = inner.source();
    }
    if lines.is_empty() { "the request could not be made".to_owned() } else { lines.join(": ") }
}
