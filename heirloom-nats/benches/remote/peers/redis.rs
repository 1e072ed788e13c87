//! [`Redis`]: a `redis-server` on a free port, which keeps all in memory.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::server::lasting_port;

/// A running server. A drop kills it.
pub(super) struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    /// Starts the server, and waits until it answers.
    pub(super) fn start() -> Result<Self, String> {
        let port = lasting_port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let child = child.map_err(|error| match error.kind() {
            ErrorKind::NotFound => "no redis-server; install it".to_string(),
            _ => format!("redis-server does not start: {error}"),
        })?;
        let server = Self { child, port };
        let until = Instant::now() + Duration::from_secs(10);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        while TcpStream::connect_timeout(&address, Duration::from_millis(100)).is_err() {
            if Instant::now() > until {
                return Err("redis-server does not answer".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
