//! A small HTTP/1.1 client: one connection that is kept, one request at a time.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub(super) struct Client {
    address: SocketAddr,
    /// None before the first request, and after an answer that was the connection's last.
    connection: Option<BufReader<TcpStream>>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A text is whole by its length; a page also says so itself.
    pub(super) fn is_whole(&self) -> bool {
        let body = self.body.trim_ascii_end();
        self.status == 200 && !body.is_empty() && (!body.starts_with(b"<") || body.ends_with(b"</html>"))
    }
}

/// How a body's end is marked.
enum Length {
    Known(u64),
    Chunked,
    UntilClosed,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Client {
        Client { address, connection: None }
    }

    pub(super) async fn get(&mut self, target: &str) -> Result<Answer> {
        let mut connection = self.ask(target).await?;
        let (answer, kept) = read_answer(&mut connection).await?;
        if kept {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    /// Sends a request, and hangs up after a while, with or without an answer.
    pub(super) async fn hang_up(&mut self, target: &str, after: Duration) -> Result<()> {
        let connection = self.ask(target).await?;
        tokio::time::sleep(after).await;
        drop(connection);
        Ok(())
    }

    async fn ask(&mut self, target: &str) -> Result<BufReader<TcpStream>> {
        // Taken out: after an error, the rest on this connection belongs to no request.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(TcpStream::connect(self.address).await?),
        };
        let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n\r\n", self.address);
        connection.write_all(request.as_bytes()).await?;
        Ok(connection)
    }
}

async fn read_answer(from: &mut BufReader<TcpStream>) -> Result<(Answer, bool)> {
    let first = read_line(from).await?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| malformed("status line"))?;
    let mut length = Length::UntilClosed;
    let mut kept = true;
    loop {
        let line = read_line(from).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            length = Length::Chunked;
        } else if name.eq_ignore_ascii_case("content-length") && !matches!(length, Length::Chunked) {
            length = Length::Known(value.parse().map_err(|_| malformed("content length"))?);
        } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            kept = false;
        }
    }
    let mut body = Vec::new();
    match length {
        Length::Known(bytes) => read_exactly(from, bytes, &mut body).await?,
        Length::Chunked => read_chunks(from, &mut body).await?,
        Length::UntilClosed => {
            from.read_to_end(&mut body).await?;
            kept = false;
        }
    }
    Ok((Answer { status, body }, kept))
}

async fn read_chunks(from: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> Result<()> {
    loop {
        let line = read_line(from).await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| malformed("chunk size"))?;
        if size == 0 {
            // Trailers, up to an empty line.
            while !read_line(from).await?.is_empty() {}
            return Ok(());
        }
        read_exactly(from, size, body).await?;
        if !read_line(from).await?.is_empty() {
            return Err(malformed("end of a chunk"));
        }
    }
}

async fn read_exactly(from: &mut BufReader<TcpStream>, bytes: u64, body: &mut Vec<u8>) -> Result<()> {
    let read = from.take(bytes).read_to_end(body).await?;
    if read as u64 == bytes { Ok(()) } else { Err(Error::new(ErrorKind::UnexpectedEof, "the body ends early")) }
}

/// A line without its end.
async fn read_line(from: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    from.read_line(&mut line).await?;
    if !line.ends_with('\n') {
        return Err(Error::new(ErrorKind::UnexpectedEof, "the connection was closed"));
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the answer has a malformed {what}"))
}
