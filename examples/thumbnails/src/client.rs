//! One request of HTTP/1.1 over a connection of its own.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Returns a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| line.split_once(':').is_some_and(|(is, _)| is.eq_ignore_ascii_case(name));
        let line = self.head.lines().find(|line| of(line))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }
}

/// Sends a request. A drop of the connection hangs up.
pub(crate) async fn send(to: SocketAddr, path: &str, headers: &[(&str, &str)]) -> io::Result<TcpStream> {
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let mut connection = TcpStream::connect(to).await?;
    connection.write_all(request.as_bytes()).await?;
    Ok(connection)
}

/// Reads an answer to its end, which a server marks by its length, and by the end of the connection.
pub(crate) async fn read(mut connection: TcpStream) -> io::Result<Answer> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the answer is cut off");
    let mut text = Vec::new();
    connection.read_to_end(&mut text).await?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
    let answer = Answer { status, head: head.to_string(), body: body.to_string() };
    let whole = answer.header("content-length").is_none_or(|bytes| bytes.parse() == Ok(answer.body.len()));
    if whole { Ok(answer) } else { Err(malformed()) }
}
