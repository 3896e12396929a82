//! An OCI registry that can be read: token authentication, tags in pages, manifests and blobs by digest.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::server::{Answer, Request, serve};

/// Media type of the content of a chart.
pub const CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// Media type of the content of an artifact.
pub const IMAGE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The registry; what is pushed to it is served at once.
#[derive(Clone)]
pub struct RegistryServer {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    address: String,
    blobs: BTreeMap<String, Vec<u8>>,
    /// Repository and tag to the digest of the manifest.
    tags: BTreeMap<(String, String), String>,
    /// `Authorization` that the token endpoint wants; anybody gets a token without it.
    login: Option<String>,
    /// Most tags of one page, whatever the client asks for.
    page: Option<usize>,
    requests: Vec<Request>,
}

impl RegistryServer {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let address = serve(move |request| {
            let mut state = shared.lock().unwrap();
            state.requests.push(request.clone());
            state.answer(request)
        });
        state.lock().unwrap().address = address.to_string();
        Self { address, state }
    }

    /// Gives tokens only for this value of the header `Authorization`.
    pub fn login(self, header: &str) -> Self {
        self.state.lock().unwrap().login = Some(header.to_owned());
        self
    }

    /// Lists this many tags at a time.
    pub fn page(self, tags: usize) -> Self {
        self.state.lock().unwrap().page = Some(tags);
        self
    }

    /// Pushes an artifact of layers (media type, content) under a tag. Gives the digest of its manifest.
    pub fn push(&self, repository: &str, tag: &str, layers: &[(&str, Vec<u8>)]) -> String {
        let mut state = self.state.lock().unwrap();
        let config = state.blob(b"{}".to_vec());
        let descriptor = |kind: &str, digest: &str, size: usize| json!({ "mediaType": kind, "digest": digest, "size": size });
        let layers: Vec<Value> = layers
            .iter()
            .map(|(kind, content)| {
                let digest = state.blob(content.clone());
                descriptor(kind, &digest, content.len())
            })
            .collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor("application/vnd.cncf.helm.config.v1+json", &config, 2), "layers": layers });
        let digest = state.blob(manifest.to_string().into_bytes());
        state.tags.insert((repository.to_owned(), tag.to_owned()), digest.clone());
        digest
    }

    /// Serves something else under a digest.
    pub fn corrupt(&self, content: &[u8]) {
        let digest = digest_of(content);
        self.state.lock().unwrap().blobs.insert(digest, b"something else".to_vec());
    }

    /// How many requests there were to paths that end so.
    pub fn count(&self, end: &str) -> usize {
        self.state.lock().unwrap().requests.iter().filter(|request| request.path.ends_with(end)).count()
    }
}

fn digest_of(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

fn error(status: u16, code: &str) -> Answer {
    Answer::new(status, json!({ "errors": [{ "code": code, "message": code.to_lowercase() }] }).to_string())
}

impl State {
    fn blob(&mut self, content: Vec<u8>) -> String {
        let digest = digest_of(&content);
        self.blobs.insert(digest.clone(), content);
        digest
    }

    fn answer(&self, request: &Request) -> Answer {
        if request.path == "/token" {
            let allowed = self.login.as_deref().is_none_or(|login| request.header("authorization") == login);
            return if allowed { Answer::new(200, json!({ "token": "t0ken" }).to_string()) } else { Answer::new(401, "") };
        }
        if request.header("authorization") != "Bearer t0ken" {
            let challenge = format!("Bearer realm=\"http://{}/token\",service=\"test\"", self.address);
            let mut refused = error(401, "UNAUTHORIZED");
            refused = refused.with("WWW-Authenticate", challenge);
            return refused;
        }
        let Some(path) = request.path.strip_prefix("/v2/") else { return error(404, "NOT_FOUND") };
        if path.is_empty() {
            return Answer::new(200, "{}");
        }
        if let Some(repository) = path.strip_suffix("/tags/list") {
            return self.tags(repository, request);
        }
        // A repository may itself be called `manifests`, so what stands last decides.
        if let Some((_, digest)) = path.rsplit_once("/blobs/").filter(|(_, digest)| !digest.contains('/')) {
            return self
                .blobs
                .get(digest)
                .map_or_else(|| error(404, "BLOB_UNKNOWN"), |content| Answer::new(200, content.clone()));
        }
        let Some((repository, reference)) = path.rsplit_once("/manifests/") else { return error(404, "NOT_FOUND") };
        let by_tag = self.tags.get(&(repository.to_owned(), reference.to_owned()));
        let digest = by_tag.map_or(reference, String::as_str);
        match self.blobs.get(digest) {
            Some(content) => {
                Answer::new(200, content.clone()).with("Content-Type", MANIFEST).with("Docker-Content-Digest", digest)
            }
            None => error(404, "MANIFEST_UNKNOWN"),
        }
    }

    fn tags(&self, repository: &str, request: &Request) -> Answer {
        let all: Vec<&String> = self.tags.keys().filter(|(known, _)| known == repository).map(|(_, tag)| tag).collect();
        if all.is_empty() {
            return error(404, "NAME_UNKNOWN");
        }
        let last = request.parameter("last").unwrap_or_default();
        let asked = request.parameter("n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
        let after: Vec<&String> = all.into_iter().filter(|tag| tag.as_str() > last).collect();
        let length = asked.min(self.page.unwrap_or(usize::MAX)).min(after.len());
        let answer = Answer::new(200, json!({ "name": repository, "tags": after[..length] }).to_string());
        if length == after.len() {
            return answer;
        }
        answer.with("Link", format!("</v2/{repository}/tags/list?n={length}&last={}>; rel=\"next\"", after[length - 1]))
    }
}
