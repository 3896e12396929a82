//! `git http-backend` behind a small HTTP server on 127.0.0.1.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;

use super::command::command;
use super::repo::GitRepo;

/// One request that reached the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitRequest {
    /// Name of the repository, without `.git`.
    pub repository: String,
    /// The rest of the path: `info/refs`, `git-upload-pack`.
    pub path: String,
    /// The command of protocol version 2: `ls-refs` or `fetch`.
    pub command: Option<String>,
    /// Status code of the answer.
    pub code: u16,
}

/// A Git server with repositories of its own. It runs on its own thread, so that a blocking git command may use it from an async test.
#[derive(Debug)]
pub struct GitServer {
    shared: Arc<Shared>,
    port: u16,
    serving: Option<Serving>,
    _root: TempDir,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    /// The value of the header that clients must send.
    authorization: Option<String>,
    requests: Mutex<Vec<GitRequest>>,
}

#[derive(Debug)]
struct Serving {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl GitServer {
    /// Starts a server that anyone may read from.
    pub fn start() -> Self {
        Self::launch(None)
    }

    /// Starts a server that wants a user and a password.
    pub fn start_private(user: &str, password: &str) -> Self {
        Self::launch(Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))))
    }

    fn launch(authorization: Option<String>) -> Self {
        let root = TempDir::with_prefix("git-server-").expect("a temporary folder can be made");
        let shared = Shared { root: root.path().to_owned(), authorization, requests: Mutex::default() };
        let mut server = Self { shared: Arc::new(shared), port: 0, serving: None, _root: root };
        server.resume();
        server
    }

    /// Makes an empty repository.
    pub fn repo(&self, name: &str) -> GitRepo {
        GitRepo::create(&self.shared.root, name, self.url(name))
    }

    /// The URL of a repository, whether it exists or not.
    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}.git", self.port)
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<GitRequest> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a repository was asked for its refs with protocol version 2: once per poll.
    pub fn ls_refs(&self, repository: &str) -> usize {
        self.count(repository, "ls-refs")
    }

    /// How often objects of a repository were fetched.
    pub fn fetches(&self, repository: &str) -> usize {
        self.count(repository, "fetch")
    }

    fn count(&self, repository: &str, command: &str) -> usize {
        let wanted = |request: &&GitRequest| request.repository == repository && request.command.as_deref() == Some(command);
        self.requests().iter().filter(wanted).count()
    }

    /// Goes away: connections are cut and new ones refused.
    pub fn stop(&mut self) {
        if let Some(Serving { stop, thread }) = self.serving.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }

    /// Comes back after [`stop`](Self::stop), on the same port.
    pub fn resume(&mut self) {
        if self.serving.is_some() {
            return;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).expect("the server's port is free");
        listener.set_nonblocking(true).expect("a socket can be switched to non-blocking");
        self.port = listener.local_addr().expect("a bound socket has an address").port();
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("the socket is non-blocking");
                let router = axum::Router::new().fallback(answer).with_state(shared);
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        });
        self.serving = Some(Serving { stop, thread });
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let path = head.uri.path().to_owned();
    let response = if shared.admits(&head.headers) {
        let call =
            Call { method: head.method.as_str(), path: &path, query: head.uri.query().unwrap_or(""), headers: &head.headers };
        call.run(&shared.root.join("served"), &body)
            .await
            .unwrap_or_else(|cause| (StatusCode::INTERNAL_SERVER_ERROR, cause.to_string()).into_response())
    } else {
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")]).into_response()
    };
    let (repository, rest) = path.trim_start_matches('/').split_once(".git/").unwrap_or((&path, ""));
    let entry = GitRequest {
        repository: repository.to_owned(),
        path: rest.to_owned(),
        command: protocol_command(&body),
        code: response.status().as_u16(),
    };
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    response
}

impl Shared {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.authorization.is_none() || self.authorization.as_deref() == given
    }
}

/// The first line of a version 2 request is `command=<name>` with a length of four hex digits before it. Only a fetch can be long
/// enough for git to compress it.
fn protocol_command(body: &Bytes) -> Option<String> {
    if body.starts_with(&[0x1f, 0x8b]) {
        return Some("fetch".to_owned());
    }
    let line = body.get(4..)?.split(|byte| matches!(byte, b'\n' | 0)).next()?;
    let name = line.strip_prefix(b"command=")?;
    // The line need not end with a newline; then the next length, which starts with a digit, follows at once.
    let end = name.iter().position(u8::is_ascii_digit).unwrap_or(name.len());
    Some(String::from_utf8_lossy(&name[..end]).into_owned())
}

/// One CGI call (RFC 3875).
struct Call<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
}

impl Call<'_> {
    async fn run(&self, root: &Path, body: &Bytes) -> io::Result<Response> {
        let header = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let mut backend = tokio::process::Command::from(command(root));
        let mut child = backend
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", self.method)
            .env("PATH_INFO", self.path)
            .env("QUERY_STRING", self.query)
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("HTTP_GIT_PROTOCOL", header("git-protocol"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut input = child.stdin.take().expect("stdin was asked for as a pipe");
        let write = async move {
            // git may answer before it has read everything.
            let _ = input.write_all(body).await;
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        response(&output?.stdout).ok_or_else(|| io::Error::other("git http-backend gave no CGI answer"))
    }
}

fn response(output: &[u8]) -> Option<Response> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&output[..end]).ok()?;
    let mut response = Response::new(Body::from(output[end + 4..].to_vec()));
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            *response.status_mut() = value.split(' ').next()?.parse().ok()?;
        } else {
            response.headers_mut().append(HeaderName::try_from(name).ok()?, HeaderValue::from_str(value).ok()?);
        }
    }
    Some(response)
}
