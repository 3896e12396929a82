//! Requests to the API of a provider: login, pages, and what an answer that is no answer means.
//!
//! Whatever is not a complete answer is an error: half a list would delete the Applications of the other half.

use reqwest::{StatusCode, Url};
use serde_json::Value as Json;
use zeroize::Zeroizing;

use crate::controller::applicationset::http::body;

/// Longest answer that is read.
const MAX_ANSWER: usize = 32 << 20;
/// Pages that are read of one list.
const MAX_PAGES: usize = 1000;

/// How requests log in.
#[derive(Default)]
pub enum Login {
    /// Not at all.
    #[default]
    None,
    /// `Authorization: Bearer TOKEN`, or another word than Bearer.
    Token(&'static str, Zeroizing<String>),
    /// A header of the provider's own.
    Header(&'static str, Zeroizing<String>),
    /// User and password.
    Basic(String, Zeroizing<String>),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// The provider says that there is no such thing.
    NotFound(String),
    /// Everything else.
    Failed(String),
}

impl From<ApiError> for String {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::NotFound(text) | ApiError::Failed(text) => text,
        }
    }
}

impl From<String> for ApiError {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

/// One answer.
pub struct Reply {
    /// The body; null when it is empty.
    pub json: Json,
    /// The URL of the next page in a `Link` header.
    pub next: Option<String>,
    /// The number of the next page in GitLab's header.
    pub next_page: Option<String>,
}

/// The API of one provider.
pub struct Api {
    http: reqwest::Client,
    base: Url,
    login: Login,
}

impl Api {
    /// Makes the API below a URL.
    ///
    /// # Errors
    /// The URL cannot be read, or is neither http nor https.
    pub fn new(http: reqwest::Client, base: &str, login: Login) -> Result<Self, String> {
        let with_slash = format!("{}/", base.trim_end_matches('/'));
        let base = Url::parse(&with_slash).map_err(|error| format!("api {base:?} is no URL: {error}"))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(format!("api {base} must begin with https://"));
        }
        Ok(Self { http, base, login })
    }

    /// Asks for a path below the API's URL, or for a whole URL of the same server.
    ///
    /// # Errors
    /// [`ApiError::NotFound`] for 404; everything else that is no success.
    pub async fn get(&self, path: &str) -> Result<Reply, ApiError> {
        self.send(reqwest::Method::GET, path).await
    }

    /// As [`Self::get`], posting nothing.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, path: &str) -> Result<Reply, ApiError> {
        self.send(reqwest::Method::POST, path).await
    }

    async fn send(&self, method: reqwest::Method, path: &str) -> Result<Reply, ApiError> {
        let url = self.url(path)?;
        let mut request = self.http.request(method, url.clone()).header("accept", "application/json");
        request = match &self.login {
            Login::None => request,
            Login::Token(word, token) => request.header("authorization", format!("{word} {}", token.as_str())),
            Login::Header(name, token) => request.header(*name, token.as_str()),
            Login::Basic(user, password) => request.basic_auth(user, Some(password.as_str())),
        };
        let shown = shown(&url);
        let reply = request.send().await.map_err(|error| format!("{shown} does not answer: {}", error.without_url()))?;
        let status = reply.status();
        if !status.is_success() {
            return Err(refusal(&shown, status, reply.headers()));
        }
        let text = |name: &str| reply.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let next = text("link").and_then(|links| next_link(&links));
        let next_page = text("x-next-page").filter(|page| !page.is_empty());
        let bytes = body(reply, MAX_ANSWER).await.map_err(|error| format!("{shown}: {error}"))?;
        // Azure answers a login page with 203 when the token is wrong.
        let json = if bytes.is_empty() {
            Json::Null
        } else {
            serde_json::from_slice(&bytes)
                .map_err(|_| format!("{shown} answered {status} without JSON (hint: check api and token)"))?
        };
        Ok(Reply { json, next, next_page })
    }

    /// All items of all pages.
    ///
    /// `items` finds the list in an answer, `next` says where the next page is.
    ///
    /// # Errors
    /// As [`Self::get`]; an answer without a list.
    pub async fn all(
        &self,
        first: String,
        items: fn(&Json) -> Option<&Vec<Json>>,
        next: impl Fn(&str, &Reply) -> Option<String>,
    ) -> Result<Vec<Json>, ApiError> {
        let (mut found, mut path) = (Vec::new(), first);
        for _ in 0..MAX_PAGES {
            let reply = self.get(&path).await?;
            let page = items(&reply.json).ok_or_else(|| format!("{} answered without a list", shown_path(&path)))?;
            found.extend(page.iter().cloned());
            match next(&path, &reply) {
                Some(more) => path = more,
                None => return Ok(found),
            }
        }
        Err(ApiError::Failed(format!("{} has more than {MAX_PAGES} pages", shown_path(&path))))
    }

    /// The login must not go to another server, whatever an answer says.
    fn url(&self, path: &str) -> Result<Url, String> {
        let url = self.base.join(path).map_err(|error| format!("{path:?} is no URL: {error}"))?;
        if url.origin() == self.base.origin() {
            return Ok(url);
        }
        Err(format!("the provider at {} points to another server: {}", self.base, shown(&url)))
    }
}

/// The answer itself is the list.
pub fn whole(json: &Json) -> Option<&Vec<Json>> {
    json.as_array()
}

/// The list is in `value` (Azure) or `values` (Bitbucket).
pub fn inside(json: &Json) -> Option<&Vec<Json>> {
    json.get("values").or_else(|| json.get("value"))?.as_array()
}

/// Pages by `Link` headers.
pub fn by_link(_: &str, reply: &Reply) -> Option<String> {
    reply.next.clone()
}

fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn shown_path(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

fn refusal(shown: &str, status: StatusCode, headers: &reqwest::header::HeaderMap) -> ApiError {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let exhausted = text("x-ratelimit-remaining") == "0" || text("ratelimit-remaining") == "0";
    let limited = status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::FORBIDDEN && exhausted);
    if limited {
        let after = [text("retry-after"), text("x-ratelimit-reset"), text("ratelimit-reset")];
        let after = after.into_iter().find(|text| !text.is_empty()).map(|text| format!(", until {text}")).unwrap_or_default();
        return ApiError::Failed(format!("{shown} refuses more requests: the rate limit is reached{after}"));
    }
    match status {
        StatusCode::NOT_FOUND => ApiError::NotFound(format!("{shown} answered 404 Not Found")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ApiError::Failed(format!("{shown} answered {status} (hint: check the token and its rights)"))
        }
        status => ApiError::Failed(format!("{shown} answered {status}")),
    }
}

/// The URL with `rel="next"`.
fn next_link(links: &str) -> Option<String> {
    links.split(',').find_map(|link| {
        let (url, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        rest.split(';').any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next")).then(|| url.to_owned())
    })
}

/// A path segment or query value, percent-encoded.
#[must_use]
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A path with its slashes, percent-encoded.
#[must_use]
pub fn encoded_path(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

/// A text of an answer, empty when it is not there.
#[must_use]
pub fn text(json: &Json, pointer: &str) -> String {
    json.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_and_names_are_encoded() {
        let links = "<https://api/x?page=1>; rel=\"prev\", <https://api/x?page=3>; rel=\"next\"";
        assert_eq!(next_link(links).as_deref(), Some("https://api/x?page=3"));
        assert_eq!(next_link("<https://api/x?page=1>; rel=\"last\""), None);
        assert_eq!((encoded("group/sub"), encoded_path("a b/c")), ("group%2Fsub".into(), "a%20b/c".into()));
    }

    #[test]
    fn a_login_stays_at_its_server() {
        let api = Api::new(reqwest::Client::new(), "https://git.example/api/v3", Login::None).ok();
        let url = |path: &str| api.as_ref().and_then(|api| api.url(path).ok()).map(String::from);
        assert_eq!(url("repos/x").as_deref(), Some("https://git.example/api/v3/repos/x"));
        assert_eq!(url("https://git.example/other").as_deref(), Some("https://git.example/other"));
        assert_eq!(url("https://evil.example/x"), None);
    }
}
