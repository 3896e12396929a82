//! Says what happened to the user when a request failed. The library reports most of it as text, so the text decides; URLs are
//! taken out before, because a port or a repository may be named like an error.

use std::time::Duration;

use super::SourceError;
use super::address::{Address, Scheme};

/// Time for a connection to come about; a host behind a firewall that drops packets must not take the whole limit.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// What the TLS library puts in front of its complaint.
const BAD_CERTIFICATE: &str = "invalid peer certificate: ";

/// No space left, read-only, over quota. For the transports without child processes also: permission denied.
const DISK_ERRORS: &[&str] = &["(os error 28)", "(os error 30)", "(os error 122)"];
const DISK_DENIED: &str = "(os error 13)";

/// Classifies the error of a listing or a fetch that had this much time.
pub(super) fn request_failed(address: &Address, limit: Duration, error: &gix::Error) -> SourceError {
    let text = chain(error);
    let problem = address.without_secrets(&text);
    let plain = without_urls(&text).to_ascii_lowercase();
    let url = address.to_string();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| plain.contains(phrase));
    let status = |codes: &[&str]| plain.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| codes.contains(&word));
    let over_http = matches!(address.scheme(), Scheme::Http | Scheme::Https);
    if let Some((_, complaint)) = problem.split_once(BAD_CERTIFICATE) {
        return SourceError::UntrustedCertificate { host: host_of(&text, address), problem: certificate_problem(complaint) };
    }
    if says(&["no ca certificates"]) {
        let problem = "this machine knows no certificate authorities".into();
        return SourceError::UntrustedCertificate { host: host_of(&text, address), problem };
    }
    if says(DISK_ERRORS) || (over_http && says(&[DISK_DENIED])) {
        return cache_failed(address, &text);
    }
    if over_http && says(&["timed out", "deadline has elapsed"]) {
        let limit = if says(&["(connect)"]) { limit.min(CONNECT_TIMEOUT) } else { limit };
        return SourceError::Timeout { url, limit };
    }
    if says(&["redirect"]) {
        return SourceError::RedirectRefused { url, problem };
    }
    if status(&["401", "403"])
        || says(&["authentication", "permission denied", "credentials", "access denied", "publickey", "host key verification"])
    {
        return SourceError::AccessDenied { url, problem };
    }
    // A name that is not found is a host that cannot be reached.
    let no_host = says(&["dns error"]);
    if !no_host
        && (status(&["404", "410"])
            || says(&[
                "not found",
                "is a valid git directory",
                "does not appear to be a git repository",
                "'smart' protocol",
                "no such file",
            ]))
    {
        return SourceError::NotARepository { url, problem };
    }
    SourceError::Unreachable { url, problem }
}

/// True when the other side said that it has no such commit.
pub(super) fn says_no_such_commit(error: &gix::Error) -> bool {
    let text = chain(error);
    text.contains("not our ref") || text.contains("missing object")
}

/// The error for a cache that cannot be read or written.
pub(super) fn cache_failed(address: &Address, text: &str) -> SourceError {
    SourceError::CacheFailed { url: address.to_string(), problem: without_temporary_paths(&address.without_secrets(text)) }
}

fn chain(error: &gix::Error) -> String {
    let mut lines: Vec<String> = Vec::new();
    for cause in error.iter_errors() {
        let text = cause.to_string();
        if !lines.iter().any(|line| line.contains(&text)) {
            lines.push(text);
        }
    }
    lines.join(": ")
}

/// Where a URL within a text ends.
fn ends_url(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | ')' | ',') || c.is_whitespace()
}

fn without_urls(text: &str) -> String {
    text.split_inclusive(ends_url).filter(|word| !word.contains("://")).collect()
}

/// The host that was talked to: the one in the text, since a redirect may have led elsewhere.
fn host_of(text: &str, address: &Address) -> String {
    let host = |url: &str| {
        let (_, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?']).next()?;
        authority.rsplit_once('@').map_or(Some(authority), |(_, host)| Some(host)).map(str::to_owned)
    };
    text.split(ends_url)
        .rfind(|word| word.contains("https://"))
        .and_then(host)
        .or_else(|| host(address.as_str()))
        .unwrap_or_else(|| address.to_string())
}

/// The complaint in words, without the times that the library adds to it: they differ in every try.
pub(super) fn certificate_problem(complaint: &str) -> String {
    if complaint.starts_with("UnknownIssuer") {
        "it is signed by an authority that is not trusted here".into()
    } else if complaint.starts_with("BadSignature") {
        "it is not signed by the authority of that name that is trusted here, which may have been made anew".into()
    } else if complaint.starts_with("certificate expired") {
        "it has expired".into()
    } else if complaint.starts_with("certificate not valid yet") {
        "it is not valid yet".into()
    } else {
        complaint.lines().next().unwrap_or_default().to_owned()
    }
}

/// Temporary files have random names, and the library of the names puts them last: `... at path "/cache/.tmpAb12Cd"`.
fn without_temporary_paths(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(" at path \"") {
        kept.push_str(before);
        rest = after.split_once('"').map_or("", |(_, behind)| behind);
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const LIMIT: Duration = Duration::from_secs(90);

    fn failed(url: &str, text: &str) -> SourceError {
        let error = gix::Error::from_error(std::io::Error::other(text.to_owned()));
        request_failed(&Address::parse(url).unwrap(), LIMIT, &error)
    }

    #[test]
    fn what_a_url_is_called_says_nothing() {
        for url in ["https://127.0.0.1:40100/401.git", "https://git.example:404/not-found/credentials.git"] {
            let text = format!("error sending request for url ({url}/info/refs): tcp connect error: Connection refused");
            assert!(matches!(failed(url, &text), SourceError::Unreachable { .. }), "{url}");
        }
    }

    #[test]
    fn texts_are_told_apart() {
        let kind = |text: &str| match failed("https://git.example/a.git", text) {
            SourceError::AccessDenied { .. } => "denied",
            SourceError::NotARepository { .. } => "no repository",
            SourceError::CacheFailed { .. } => "cache",
            SourceError::Timeout { limit, .. } => {
                if limit == LIMIT {
                    "timeout"
                } else {
                    "connect timeout"
                }
            }
            SourceError::UntrustedCertificate { .. } => "untrusted",
            SourceError::RedirectRefused { .. } => "redirect",
            SourceError::Unreachable { .. } => "unreachable",
            _ => "other",
        };
        assert_eq!(kind("Received HTTP status 403"), "denied");
        assert_eq!(kind("Received HTTP status 404"), "no repository");
        assert_eq!(kind("Received HTTP status 503"), "unreachable");
        assert_eq!(kind("dns error: name not found"), "unreachable");
        assert_eq!(kind("Permission denied (os error 13) at path \"/x\""), "cache");
        assert_eq!(kind("No space left on device (os error 28)"), "cache");
        assert_eq!(kind("error sending request: operation timed out"), "timeout");
        assert_eq!(kind("client error (Connect): operation timed out"), "connect timeout");
        assert_eq!(kind("invalid peer certificate: BadEncoding"), "untrusted");
        assert_eq!(kind("refusing to follow redirect after request headers were configured"), "redirect");
    }

    #[test]
    fn a_second_try_says_the_same() {
        let expired = |now: u64| {
            let times =
                format!("verification time {now} (UNIX), but certificate is not valid after 1700000000 ({now} seconds ago)");
            failed("https://git.example/a.git", &format!("invalid peer certificate: certificate expired: {times}"))
        };
        assert_eq!(expired(1_790_000_000), expired(1_790_000_007));
        let address = Address::parse("https://git.example/a.git").unwrap();
        let full = |name: &str| cache_failed(&address, &format!("no space (os error 28) at path \"/c/{name}\": while writing"));
        assert_eq!(full(".tmpAbCdEf"), full(".tmpXyZabc"));
        assert!(full(".tmpAbCdEf").to_string().ends_with("no space (os error 28): while writing"));
    }
}
