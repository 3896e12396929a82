//! A Helm repository over HTTP: files in memory, an index with digests, ETags, and a login on demand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use super::server::{Answer, Request, serve};

/// The repository; what is put into it is served at once.
#[derive(Clone)]
pub struct ChartServer {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    /// Name, version, URL and digest.
    charts: Vec<[String; 4]>,
    /// The value of the header `Authorization` without which it refuses.
    login: Option<String>,
    requests: Vec<(Request, u16)>,
    down: bool,
}

impl ChartServer {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let address = serve(move |request| {
            let mut state = shared.lock().unwrap();
            let answer = state.answer(request);
            state.requests.push((request.clone(), answer.status));
            answer
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}/charts", self.address)
    }

    /// Wants this value of the header `Authorization`.
    pub fn login(self, header: &str) -> Self {
        self.state.lock().unwrap().login = Some(header.to_owned());
        self
    }

    /// Answers 503, or no longer.
    pub fn set_down(&self, down: bool) {
        self.state.lock().unwrap().down = down;
    }

    /// Serves a file at a path.
    pub fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.state.lock().unwrap().files.insert(path.to_owned(), content.into());
    }

    /// Publishes a version of a chart.
    pub fn publish(&self, name: &str, version: &str, archive: Vec<u8>) {
        let file = format!("{name}-{version}.tgz");
        let digest = hex::encode(Sha256::digest(&archive));
        self.put(&format!("/charts/{file}"), archive);
        self.list(name, version, &file, &digest);
    }

    /// Lists a version of a chart, whether it is there or not.
    pub fn list(&self, name: &str, version: &str, url: &str, digest: &str) {
        let mut state = self.state.lock().unwrap();
        state.charts.retain(|[known, other, ..]| known != name || other != version);
        state.charts.push([name, version, url, digest].map(str::to_owned));
        let index = state.index();
        state.files.insert("/charts/index.yaml".into(), index.into_bytes());
    }

    /// How often a path was asked for and answered with this status.
    pub fn count(&self, path: &str, status: u16) -> usize {
        self.state
            .lock()
            .unwrap()
            .requests
            .iter()
            .filter(|(request, answered)| request.path == path && *answered == status)
            .count()
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.iter().map(|(request, _)| request.clone()).collect()
    }
}

impl State {
    fn answer(&self, request: &Request) -> Answer {
        if self.down {
            return Answer::new(503, "");
        }
        if self.login.as_deref().is_some_and(|login| request.header("authorization") != login) {
            return Answer::new(401, "").with("WWW-Authenticate", "Basic realm=charts");
        }
        let Some(content) = self.files.get(&request.path) else { return Answer::new(404, "") };
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(content)[..8]));
        if request.header("if-none-match") == etag {
            return Answer::new(304, "").with("ETag", etag);
        }
        Answer::new(200, content.clone()).with("ETag", etag)
    }

    fn index(&self) -> String {
        let mut text = "apiVersion: v1\nentries:\n".to_owned();
        let names: std::collections::BTreeSet<&String> = self.charts.iter().map(|[name, ..]| name).collect();
        for name in names {
            text.push_str(&format!("  {name}:\n"));
            for [_, version, url, digest] in self.charts.iter().filter(|[other, ..]| other == name) {
                text.push_str(&format!("  - {{name: {name}, version: '{version}', digest: '{digest}', urls: ['{url}']}}\n"));
            }
        }
        text
    }
}
