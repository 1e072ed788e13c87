//! A server on a runtime of its own for tests, and a client that speaks HTTP/1.1 over a plain socket.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use axum::Router;
use heirloom::{NodeKind, Registry, Scope};
use tokio::runtime::Runtime;

use crate::common::{BOUND, eventually};

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) runtime: Runtime,
}

impl Server {
    pub(crate) fn start(app: Router) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = listener.local_addr().expect("bound");
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { address, runtime }
    }

    /// Sends a request, and returns the socket for the answer.
    pub(crate) fn ask(&self, method: &str, path: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.address).expect("the server listens");
        client.set_read_timeout(Some(BOUND)).expect("a bound");
        write!(client, "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("sent");
        client
    }

    /// Sends a request, and reads the whole answer.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut answer = String::new();
        self.ask("GET", path).read_to_string(&mut answer).expect("an answer");
        answer
    }
}

/// Reads until the text has arrived.
pub(crate) fn read_until(client: &mut TcpStream, text: &str) -> String {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !String::from_utf8_lossy(&seen).contains(text) {
        client.read_exact(&mut byte).expect("more of the answer");
        seen.extend(byte);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// Returns the number of scopes below the server's.
pub(crate) fn scopes_below(server: &Scope) -> usize {
    let nodes = Registry::global().snapshot().nodes;
    let below = |node: &&heirloom::NodeSnapshot| node.kind == NodeKind::Scope && node.parent == Some(server.id());
    nodes.iter().filter(below).count()
}

/// Waits until no request is left.
pub(crate) fn all_requests_are_gone(server: &Scope) {
    eventually("every request's scope is gone", || scopes_below(server) == 0 && server.pending() == 0);
}
