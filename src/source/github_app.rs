//! GitHub Apps: a signed claim is traded for a token that is good for an hour, once for all repositories of an installation.
//!
//! ```text
//!  key, id, time ──claim──> JWT ──POST app/installations/N/access_tokens──> token, kept until shortly before it expires
//! ```
//!
//! Source: GitHub's REST API for Apps; Argo CD 3.5 for what its Secrets say (reference 8.3).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::SourceError;
use super::client::ClientParts;
use super::credentials::{Access, GithubApp, SecretText};
use crate::resource::{pem, pkcs8};

/// Where the API of github.com is.
const PUBLIC_API: &str = "https://api.github.com";
/// A claim is good for at most ten minutes; clocks differ.
const CLAIM: (i64, i64) = (-60, 540);
/// Time left below which a token is traded anew: longer than a fetch takes.
const RENEW_BEFORE: i64 = 300;
/// Limit of one request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Installations on one page, the most there can be, and pages that are looked at.
const PAGE: usize = 100;
const MAX_PAGES: usize = 50;
/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 8 << 20;

#[derive(Clone)]
struct Token {
    text: SecretText,
    expires: Timestamp,
}

/// The place of one installation's token; held while it is traded, so that many repositories trade once.
type Place = Arc<tokio::sync::Mutex<Option<Token>>>;

/// Tokens of installations.
#[derive(Default)]
pub(super) struct GithubTokens {
    places: Mutex<BTreeMap<String, Place>>,
}

impl GithubTokens {
    /// A token for a repository.
    ///
    /// # Errors
    /// The key cannot be read, GitHub is away, or it refuses the app.
    pub(super) async fn token(&self, url: &str, app: &GithubApp, access: &Access) -> Result<SecretText, SourceError> {
        let owner = owner_of(url);
        let place = self.place(app, &owner);
        let mut kept = place.lock().await;
        let now = Timestamp::now();
        if let Some(token) = kept.as_ref().filter(|token| token.expires.as_second() - now.as_second() > RENEW_BEFORE) {
            return Ok(token.text.clone());
        }
        let exchange =
            Exchange { url, app, client: client(url, access)?, claim: claim(app, now).map_err(|problem| bad(url, problem))? };
        let installation = match app.installation_id {
            Some(id) => id,
            None => exchange.installation_of(&owner).await?,
        };
        let token = exchange.trade(installation).await?;
        let text = token.text.clone();
        *kept = Some(token);
        Ok(text)
    }

    fn place(&self, app: &GithubApp, owner: &str) -> Place {
        let installation = app.installation_id.map_or_else(|| owner.to_owned(), |id| id.to_string());
        let secret = hex::encode(Sha256::digest(app.private_key.reveal()));
        let key = format!("{} {installation} {} {secret}", app.id, app.base_url.as_deref().unwrap_or_default());
        self.places.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
    }
}

struct Exchange<'a> {
    url: &'a str,
    app: &'a GithubApp,
    client: reqwest::Client,
    claim: SecretText,
}

impl Exchange<'_> {
    async fn trade(&self, installation: i64) -> Result<Token, SourceError> {
        let answer = self.ask(reqwest::Method::POST, &format!("app/installations/{installation}/access_tokens")).await?;
        let odd = || self.unreachable("the answer about a token is not what GitHub's API says");
        let text = answer["token"].as_str().ok_or_else(odd)?.to_owned();
        let expires = answer["expires_at"].as_str().and_then(|text| text.parse().ok()).ok_or_else(odd)?;
        Ok(Token { text: SecretText::new(text), expires })
    }

    /// The installation for the owner of the repository.
    async fn installation_of(&self, owner: &str) -> Result<i64, SourceError> {
        for page in 1..=MAX_PAGES {
            let answer = self.ask(reqwest::Method::GET, &format!("app/installations?per_page={PAGE}&page={page}")).await?;
            let installations = answer.as_array().map_or(&[][..], Vec::as_slice);
            let of_owner = |one: &&Value| one["account"]["login"].as_str().is_some_and(|login| login.eq_ignore_ascii_case(owner));
            if let Some(id) = installations.iter().find(of_owner).and_then(|one| one["id"].as_i64()) {
                return Ok(id);
            }
            if installations.len() < PAGE {
                break;
            }
        }
        Err(self.denied(&format!("GitHub App {} is not installed for `{owner}`", self.app.id)))
    }

    async fn ask(&self, method: reqwest::Method, path: &str) -> Result<Value, SourceError> {
        let base = self.app.base_url.as_deref().unwrap_or(PUBLIC_API).trim_end_matches('/');
        let request = self
            .client
            .request(method, format!("{base}/{path}"))
            .header("Accept", "application/vnd.github+json")
            .header("User-Agent", concat!("kubectl-gitops/", env!("CARGO_PKG_VERSION")))
            .header("Authorization", format!("Bearer {}", self.claim.reveal()));
        let away = |error: reqwest::Error| {
            self.unreachable(&crate::advice::causes(&error).pop().unwrap_or_else(|| error.without_url().to_string()))
        };
        let mut answer = request.send().await.map_err(away)?;
        let status = answer.status();
        if status.is_client_error() && status != reqwest::StatusCode::TOO_MANY_REQUESTS {
            return Err(self.denied(&format!("GitHub answers {} to App {}", status.as_u16(), self.app.id)));
        }
        if !status.is_success() {
            return Err(self.unreachable(&format!("GitHub's API answers {}", status.as_u16())));
        }
        let mut body = zeroize::Zeroizing::new(Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(&error.without_url().to_string()))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(self.unreachable("the answer of GitHub's API is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|_| self.unreachable("the answer of GitHub's API is no JSON"))
    }

    fn unreachable(&self, problem: &str) -> SourceError {
        SourceError::Unreachable { url: self.url.to_owned(), problem: problem.to_owned() }
    }

    fn denied(&self, problem: &str) -> SourceError {
        SourceError::AccessDenied { url: self.url.to_owned(), problem: problem.to_owned() }
    }
}

fn client(url: &str, access: &Access) -> Result<reqwest::Client, SourceError> {
    let builder = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    let built = ClientParts::new(url, access)?.configure(builder).build();
    built.map_err(|_| bad(url, "its certificates or its proxy cannot be used"))
}

fn bad(url: &str, problem: &str) -> SourceError {
    let hint = "set githubAppPrivateKey to the RSA key in PEM that GitHub made for the app".into();
    SourceError::BadAccess { url: url.to_owned(), problem: problem.to_owned(), hint }
}

/// The first part of the path, which is the user or organisation.
fn owner_of(url: &str) -> String {
    let normal = super::credentials::normalise(url);
    let path = normal.split_once("://").map_or(normal.as_str(), |(_, rest)| rest);
    path.split('/').nth(1).unwrap_or_default().to_owned()
}

/// A claim to be the app, signed by its key.
fn claim(app: &GithubApp, now: Timestamp) -> Result<SecretText, &'static str> {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (from, until) = (now.as_second() + CLAIM.0, now.as_second() + CLAIM.1);
    let head = part(json!({ "alg": "RS256", "typ": "JWT" }));
    let signed = format!("{head}.{}", part(json!({ "iat": from, "exp": until, "iss": app.id.to_string() })));
    let key = key_pair(app).ok_or("its githubAppPrivateKey is no RSA key in PEM")?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "its githubAppPrivateKey cannot sign")?;
    Ok(SecretText::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

/// GitHub hands out PKCS#1; PKCS#8 is fine as well.
fn key_pair(app: &GithubApp) -> Option<KeyPair> {
    let block = pem::blocks(app.private_key.reveal()).into_iter().next()?;
    match block.label.as_str() {
        "RSA PRIVATE KEY" => KeyPair::from_pkcs8(&pkcs8::from_pkcs1(&block.content).ok()?).ok(),
        "PRIVATE KEY" => KeyPair::from_pkcs8(&block.content).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::super::testing::Answers;
    use super::*;

    fn app(base_url: Option<String>, installation_id: Option<i64>) -> GithubApp {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let private_key = SecretText::new(pem::encode("PRIVATE KEY", der.as_ref()).as_str().to_owned());
        GithubApp { id: 7, installation_id, private_key, base_url }
    }

    #[test]
    fn a_claim_is_signed_and_short_lived() {
        let app = app(None, None);
        let claim = claim(&app, Timestamp::from_second(1_800_000_000).unwrap()).unwrap();
        let (signed, signature) = claim.reveal().rsplit_once('.').unwrap();
        let pair = key_pair(&app).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
        public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let (head, body) = signed.split_once('.').unwrap();
        let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(read(head)["alg"], "RS256");
        assert_eq!(read(body), json!({ "iat": 1_799_999_940, "exp": 1_800_000_540, "iss": "7" }));
    }

    #[test]
    fn owners_of_repositories() {
        for url in ["https://github.com/Org/repo.git", "git@github.com:org/repo", "https://ghe.example:8443/org/repo"] {
            assert_eq!(owner_of(url), "org", "{url}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_token_serves_until_shortly_before_it_expires() {
        let in_an_hour = Timestamp::now().checked_add(jiff::SignedDuration::from_secs(3600)).unwrap();
        let soon = Timestamp::now().checked_add(jiff::SignedDuration::from_secs(RENEW_BEFORE - 10)).unwrap();
        let installations = json!([{ "id": 3, "account": { "login": "other" } }, { "id": 5, "account": { "login": "Org" } }]);
        let token = |text: &str, until: Timestamp| (201, json!({ "token": text, "expires_at": until.to_string() }));
        let server = Answers::new([
            ("GET /api/v3/app/installations", vec![(200, installations)]),
            ("POST /api/v3/app/installations/5/access_tokens", vec![token("one", soon), token("two", in_an_hour)]),
        ]);
        let app = app(Some(format!("http://{}/api/v3/", server.address)), None);
        let (tokens, access) = (GithubTokens::default(), Access::default());
        let get = async |url: &str| tokens.token(url, &app, &access).await.unwrap().reveal().to_owned();
        assert_eq!(get("https://github.com/org/a").await, "one");
        assert_eq!(get("https://github.com/org/b").await, "two", "the first is about to expire");
        assert_eq!(get("https://github.com/ORG/c.git").await, "two");
        assert_eq!(server.count("POST "), 2);
        let error = tokens.token("https://github.com/stranger/a", &app, &access).await.unwrap_err();
        assert!(matches!(&error, SourceError::AccessDenied { problem, .. } if problem.contains("stranger")), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn refusals_and_bad_keys_say_so_and_show_nothing() {
        let server = Answers::new([("POST ", vec![(401, json!({ "message": "bad credentials" }))])]);
        let app = app(Some(format!("http://{}", server.address)), Some(9));
        let access = Access::default();
        let error = GithubTokens::default().token("https://github.com/org/a", &app, &access).await.unwrap_err();
        assert!(matches!(error, SourceError::AccessDenied { .. }), "{error}");
        let broken = GithubApp { private_key: SecretText::new("marker-key".into()), ..app };
        let error = GithubTokens::default().token("https://github.com/org/a", &broken, &access).await.unwrap_err();
        assert!(matches!(&error, SourceError::BadAccess { .. }) && !format!("{error:?}").contains("marker"), "{error}");
    }
}
