//! How URLs of repositories are compared.

/// The form in which URLs are compared: case, a trailing `.git` and the spelling of SSH URLs do not matter.
///
/// `git@host:path`, `ssh://git@host/path` and `git@host/path` are the same; so are `oci://host/path` and `host/path`, which are
/// two spellings of one chart registry.
///
/// Source: Argo CD 3.5, normalisation of Git URLs; leaving `oci://` out goes beyond it. Fixtures `credentials/*`.
#[must_use]
pub fn normalise(url: &str) -> String {
    let lower = url.trim().to_lowercase();
    let named = if is_scp_form(&lower) { lower.replacen(':', "/", 1) } else { lower };
    let named = named.strip_suffix(".git").unwrap_or(&named);
    let named = ["ssh://", "oci://"].iter().find_map(|scheme| named.strip_prefix(scheme)).unwrap_or(named);
    named.to_owned()
}

/// True when two URLs name the same repository. Trailing slashes do not matter.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    let comparable = |url: &str| normalise(url.trim().trim_end_matches('/'));
    comparable(a) == comparable(b)
}

/// Length of the part of `url` that a credential template is for, or `None` when it is for something else.
///
/// Plain text: `https://host/org` is also for `https://host/organisation/x`, as in the original.
pub(super) fn covered(template: &str, url: &str) -> Option<usize> {
    let prefix = normalise(template);
    normalise(url).starts_with(&prefix).then_some(prefix.len())
}

/// True for a URL that is reached by SSH.
pub(super) fn is_ssh(url: &str) -> bool {
    let lower = url.trim().to_lowercase();
    lower.starts_with("ssh://") || (!lower.contains("://") && is_scp_form(&lower))
}

/// `user@host:path`, the form of `scp`.
fn is_scp_form(url: &str) -> bool {
    let Some((user, rest)) = url.split_once('@') else { return false };
    !user.contains(['/', ':']) && !rest.contains('@')
}

/// The host of a URL in lower case, without user and port; empty when there is none.
pub(in crate::source) fn host(url: &str) -> String {
    let url = url.trim();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host.to_lowercase()
}
