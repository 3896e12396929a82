//! Git repositories for tests.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

#[path = "../../tests/support/packages/mod.rs"]
pub mod packages;

pub use packages::{Packed, pack};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Commit, Freshness, Options, Repositories, SourceTree};

/// A repository in a temporary folder, made with the `git` program.
pub struct GitRepo {
    pub folder: tempfile::TempDir,
}

impl GitRepo {
    pub fn new() -> Self {
        let repo = Self { folder: tempfile::tempdir().unwrap() };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.folder.path().display())
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.folder.path())
            .args([
                "-c",
                "user.name=test",
                "-c",
                "user.email=test@example.com",
                "-c",
                "commit.gpgsign=false",
                "-c",
                "tag.gpgsign=false",
            ])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            // The same files give the same commit.
            .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
            .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn write(&self, path: &str, content: &str) -> &Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub fn link(&self, path: &str, target: &str) -> &Self {
        std::os::unix::fs::symlink(target, self.folder.path().join(path)).unwrap();
        self
    }

    pub fn commit(&self, message: &str) -> Commit {
        self.git(&["add", "--all", "--force"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        Commit::parse(&self.git(&["rev-parse", "HEAD"])).unwrap()
    }

    /// Copies a folder into the repository.
    pub fn copy(&self, from: &Path) -> &Self {
        let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(self.folder.path()).status().unwrap();
        assert!(status.success());
        self
    }
}

/// A registry with a cache of its own.
pub fn repositories(cache: &Path) -> Repositories {
    Repositories::new(Options::new(cache.to_owned()))
}

/// The files of the newest commit.
pub async fn head(repositories: &Repositories, repo: &GitRepo) -> SourceTree {
    let commit = repositories.resolve(&repo.url(), "HEAD", Freshness::Now).await.unwrap();
    repositories.tree(&repo.url(), &commit).await.unwrap()
}

/// Serves a folder with repositories over HTTP, through git's own `http-backend`, and remembers the requests.
pub struct GitHttp {
    pub address: SocketAddr,
    /// Method, path and body of every request.
    pub requests: Arc<Mutex<Vec<HttpRequest>>>,
}

#[derive(Debug, Clone, Default)]
pub struct HttpRequest {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl HttpRequest {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub fn body_contains(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.body).contains(text)
    }
}

/// How a server behaves.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// The value of the header `Authorization` without which it refuses.
    pub login: Option<&'static str>,
    /// Speaks TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// Paths that begin with the first go to the second, which may be a whole URL.
    pub redirect: Option<(&'static str, String)>,
}

impl GitHttp {
    /// Starts a server; with a login it refuses whoever does not send it.
    pub fn new(root: &Path, login: Option<&'static str>) -> Self {
        Self::with(root, Behaviour { login, ..Behaviour::default() })
    }

    pub fn with(root: &Path, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let (requests, root) = (server.requests.clone(), root.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (requests, root, behaviour) = (requests.clone(), root.clone(), behaviour.clone());
                std::thread::spawn(move || match &behaviour.tls {
                    None => serve(stream, &root, &behaviour, &requests),
                    Some(config) => {
                        let connection = ServerConnection::new(config.clone()).unwrap();
                        serve(StreamOwned::new(connection, stream), &root, &behaviour, &requests);
                    }
                });
            }
        });
        server
    }

    pub fn count(&self, matching: impl Fn(&HttpRequest) -> bool) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| matching(request)).count()
    }
}

fn serve(stream: impl Read + Write, root: &PathBuf, behaviour: &Behaviour, requests: &Mutex<Vec<HttpRequest>>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        requests.lock().unwrap().push(request.clone());
        let moved = behaviour.redirect.as_ref().and_then(|(from, to)| Some((request.target.strip_prefix(from)?, to)));
        let answer = if let Some((rest, to)) = moved {
            format!("HTTP/1.1 301 Moved Permanently\r\nLocation: {to}{rest}\r\nContent-Length: 0\r\n\r\n").into_bytes()
        } else if behaviour.login.is_some_and(|login| request.header("authorization") != login) {
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=git\r\nContent-Length: 0\r\n\r\n".to_vec()
        } else {
            backend(&request, root)
        };
        if reader.get_mut().write_all(&answer).and_then(|()| reader.get_mut().flush()).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<HttpRequest> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0).map(|_| line.trim_end().to_owned())
    };
    let start = line()?;
    let mut words = start.split(' ');
    let mut request = HttpRequest { method: words.next()?.into(), target: words.next()?.into(), ..Default::default() };
    while let Some(header) = line().filter(|header| !header.is_empty()) {
        let (name, value) = header.split_once(':')?;
        request.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    if request.header("transfer-encoding") == "chunked" {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                return Some(request);
            }
            request.body.extend_from_slice(&chunk[..size]);
        }
    }
    request.body = vec![0; request.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn backend(request: &HttpRequest, root: &PathBuf) -> Vec<u8> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
        .env("GIT_PROTOCOL", request.header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(&request.body);
    drop(stdin);
    let output = child.wait_with_output().unwrap().stdout;
    let split = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&output[..split]).into_owned();
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let headers: String = head.lines().filter(|line| !line.starts_with("Status:")).map(|line| format!("{line}\r\n")).collect();
    let body = &output[split + 4..];
    let mut answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// An HTTP server that answers what it is told, by how the request line begins; the last answer of each is repeated.
pub struct Answers {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Answers {
    pub fn new<const N: usize>(answers: [(&'static str, Vec<(u16, serde_json::Value)>); N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let requests = server.requests.clone();
        let mut answers: Vec<_> = answers.into();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let Some(request) = read_request(&mut reader) else { continue };
                let line = format!("{} {}", request.method, request.target);
                let found = answers.iter_mut().find(|(begins, _)| line.starts_with(begins));
                let (status, body) = found.map_or((404, serde_json::Value::Null), |(_, queue)| {
                    if queue.len() > 1 { queue.remove(0) } else { queue[0].clone() }
                });
                requests.lock().unwrap().push(line);
                let body = body.to_string();
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
                let _ = reader.get_mut().write_all(answer.as_bytes());
            }
        });
        server
    }

    pub fn count(&self, begins: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|line| line.starts_with(begins)).count()
    }
}
