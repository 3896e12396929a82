//! Logging in as a GitHub App: a claim signed with its key is exchanged for a token of an hour.
//!
//! Source: GitHub's documentation of apps, "Generating a JSON Web Token" and "installation access token".

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use super::api::{Api, ApiError, Login, encoded, text};
use crate::resource::pem;

/// How long a claim counts, in seconds; GitHub permits ten minutes.
const VALID: i64 = 540;
/// Clocks differ: the claim was made a minute ago.
const SKEW: i64 = 60;

/// The credentials of an app.
pub struct GitHubApp {
    /// Number of the app.
    pub id: String,
    /// Number of its installation; looked up by the owner when it is empty.
    pub installation: String,
    /// Its private key, PEM.
    pub private_key: Zeroizing<String>,
}

/// Exchanges the credentials for a token.
///
/// # Errors
/// The key cannot be read, or GitHub refuses.
pub async fn log_in(app: &GitHubApp, owner: &str, http: &reqwest::Client, base: &str) -> Result<Login, String> {
    let claim = claim(app, Timestamp::now().as_second())?;
    let api = Api::new(http.clone(), base, Login::Token("Bearer", claim))?;
    let installation = if app.installation.is_empty() { installation_of(owner, &api).await? } else { app.installation.clone() };
    let reply = api.post(&format!("app/installations/{}/access_tokens", encoded(&installation))).await?;
    let token = Zeroizing::new(text(&reply.json, "/token"));
    if token.is_empty() {
        return Err("GitHub gave no token for the app".into());
    }
    Ok(Login::Token("Bearer", token))
}

/// The app is installed for an organization or for a person.
async fn installation_of(owner: &str, api: &Api) -> Result<String, String> {
    let found = match api.get(&format!("orgs/{}/installation", encoded(owner))).await {
        Err(ApiError::NotFound(_)) => api.get(&format!("users/{}/installation", encoded(owner))).await,
        answer => answer,
    };
    let id = found?.json["id"].as_i64();
    id.map(|id| id.to_string()).ok_or_else(|| format!("the GitHub App is not installed for {owner}"))
}

/// The signed claim, a JSON web token.
fn claim(app: &GitHubApp, now: i64) -> Result<Zeroizing<String>, String> {
    let unreadable = || "githubAppPrivateKey is no RSA key in PEM".to_owned();
    let block = pem::blocks(&app.private_key).into_iter().next().ok_or_else(unreadable)?;
    let key = KeyPair::from_der(&block.content).or_else(|_| KeyPair::from_pkcs8(&block.content)).map_err(|_| unreadable())?;
    let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "RS256", "typ": "JWT" }).to_string());
    let body = URL_SAFE_NO_PAD.encode(json!({ "iat": now - SKEW, "exp": now + VALID, "iss": app.id }).to_string());
    let signed = format!("{header}.{body}");
    let mut signature = vec![0; key.public_modulus_len()];
    let done = key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature);
    done.map_err(|_| "the claim of the GitHub App cannot be signed".to_owned())?;
    Ok(Zeroizing::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_app_logs_in_with_a_signed_claim() {
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().unwrap();
        let private_key = pem::encode("PRIVATE KEY", der.as_ref());
        let app = GitHubApp { id: "42".into(), installation: String::new(), private_key };
        let claim = claim(&app, 1_000_000).unwrap();
        let (signed, signature) = claim.rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
        public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let body = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({ "iat": 999_940, "exp": 1_000_540, "iss": "42" }));
        let broken = GitHubApp { private_key: Zeroizing::new("marker-3d9e".into()), ..app };
        assert!(!super::claim(&broken, 0).unwrap_err().contains("marker-3d9e"));
    }
}
