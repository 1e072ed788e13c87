//! One request of HTTP/1.1 over a connection of its own.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answer::Answer;

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

/// Reads an answer to its end.
pub(crate) async fn read(mut connection: TcpStream) -> io::Result<Answer> {
    let mut text = String::new();
    connection.read_to_string(&mut text).await?;
    Answer::read(&text)
}
