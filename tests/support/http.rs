//! The smallest HTTP client that can read a probe or a metrics page.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Gets a path from `host:port` and returns the status code and the body.
///
/// # Errors
/// When nobody listens there or the answer is not HTTP.
pub async fn get(address: &str, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0: no chunks, and the server closes the connection at the end.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.map(|code| (code, body.to_owned())).ok_or_else(|| io::Error::other(format!("not an HTTP answer: {head}")))
}
