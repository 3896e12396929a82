//! The smallest HTTP client that can read a probe or a metrics page, and deliver a webhook.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Gets a path from `host:port` and returns the status code and the body.
///
/// # Errors
/// When nobody listens there or the answer is not HTTP.
pub async fn get(address: &str, path: &str) -> io::Result<(u16, String)> {
    ask(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")).await
}

/// Posts a text and returns the status code and the body.
///
/// # Errors
/// As [`get`].
pub async fn post(address: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<(u16, String)> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    ask(address, &format!("POST {path} HTTP/1.0\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")).await
}

async fn ask(address: &str, request: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0: no chunks, and the server closes the connection at the end.
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.map(|code| (code, body.to_owned())).ok_or_else(|| io::Error::other(format!("not an HTTP answer: {head}")))
}
