//! A server for the inspector's tests that can be stopped and started again, and a client of its event stream.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use axum::Router;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::common::BOUND;

/// A server. Dropping it cuts its connections, as the end of a process does.
pub struct Server {
    runtime: Option<Runtime>,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(router: Router) -> Self {
        Self::at(router, (Ipv4Addr::LOCALHOST, 0).into())
    }

    pub fn at(router: Router, address: SocketAddr) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime starts");
        // Tokio's own binding allows an address that was in use a moment ago.
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).expect("the address is free");
        let address = listener.local_addr().expect("it is bound");
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { runtime: Some(runtime), address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

/// Returns a port that was free a moment ago.
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).expect("a port is free")
}

/// Returns the head and the body of an answer. In HTTP/1.0 the end of the connection ends the body.
pub struct Answer {
    pub head: Vec<String>,
    pub body: BufReader<TcpStream>,
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(BOUND / 2)).expect("a bound can be set");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("it listens");
    let mut body = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        body.read_line(&mut line).expect("it answers");
        match line.trim_end() {
            "" => return Answer { head, body },
            line => head.push(line.to_ascii_lowercase()),
        }
    }
}

pub fn text(address: SocketAddr, path: &str) -> String {
    let mut text = String::new();
    get(address, path).body.read_to_string(&mut text).expect("it answers in full");
    text
}

pub fn json(address: SocketAddr, path: &str) -> Value {
    serde_json::from_str(&text(address, path)).expect("it is JSON")
}

/// Reads server-sent events.
pub struct Events {
    body: BufReader<TcpStream>,
}

impl Events {
    pub fn of(address: SocketAddr) -> Self {
        let answer = get(address, "/events");
        assert!(answer.head.contains(&"content-type: text/event-stream".to_owned()), "{:?}", answer.head);
        Self { body: answer.body }
    }

    /// Returns the next event's name and data; `None` at the end.
    pub fn next(&mut self) -> Option<(String, Value)> {
        let (mut name, mut data) = (None, None);
        loop {
            let mut line = String::new();
            if self.body.read_line(&mut line).expect("something comes in time") == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", event)) => name = Some(event.to_owned()),
                Some(("data", json)) => data = Some(serde_json::from_str(json).expect("it is JSON")),
                _ => {
                    if let (Some(name), Some(data)) = (name.take(), data.take()) {
                        return Some((name, data));
                    }
                }
            }
        }
    }

    /// Reads events up to the wanted one.
    pub fn until(&mut self, what: &str, mut wanted: impl FnMut(&str, &Value) -> bool) -> Value {
        let until = Instant::now() + BOUND / 2;
        loop {
            let (name, data) = self.next().unwrap_or_else(|| panic!("it ended before: {what}"));
            if wanted(&name, &data) {
                return data;
            }
            assert!(Instant::now() < until, "never came: {what}");
        }
    }
}

/// Returns the node of that name in a message.
pub fn named<'a>(message: &'a Value, name: &str) -> Option<&'a Value> {
    message["nodes"].as_array()?.iter().find(|node| node["name"] == name)
}
