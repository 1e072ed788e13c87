//! With the feature `inspector`: it answers to loopback names and to added names, and bounds its readers.
//!
//! Its headers keep its answers from other origins.

use std::io::{Read, Write};
use std::net::TcpStream;

use heirloom::Registry;
use heirloom::inspector::Inspector;

use crate::common::{BOUND, bounded, eventually};
use crate::served::{self, Events, Server};

/// Returns the answer to a request with these lines after its first.
fn ask(server: &Server, path: &str, lines: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(BOUND / 2)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n{lines}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn answers(server: &Server, host: &str) -> bool {
    let answer = ask(server, "/", &format!("Host: {host}\r\n"));
    let refused = answer.starts_with("HTTP/1.0 403") && answer.contains("allow_host");
    assert!(refused != answer.starts_with("HTTP/1.0 200"), "{answer}");
    !refused
}

#[test]
fn the_inspector_answers_to_loopback_names_and_refuses_others() {
    bounded(|| {
        let server = Server::start(Inspector::new(&Registry::new()).router());
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]",
            "[::1]:8080",
        ] {
            assert!(answers(&server, host), "{host}");
        }
        let others =
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.7", "[2001:db8::1]:80", ""];
        for host in others {
            assert!(!answers(&server, host), "{host}");
        }
        for path in ["/snapshot", "/events"] {
            assert!(ask(&server, path, "Host: evil.example\r\n").starts_with("HTTP/1.0 403"), "{path}");
        }
        assert!(ask(&server, "/", "").starts_with("HTTP/1.0 403"), "none is none of them");
        let two = "Host: localhost\r\nHost: evil.example\r\n";
        assert!(ask(&server, "/", two).starts_with("HTTP/1.0 403"), "each of them is looked at");
    });
}

#[test]
fn the_inspector_answers_to_names_that_were_added() {
    bounded(|| {
        let inspector = Inspector::new(&Registry::new());
        let inspector = inspector.allow_host("Ops.example.com").allow_host("https://desk.example.com:8443/family");
        let server = Server::start(inspector.router());
        assert!(answers(&server, "ops.example.com:9000") && answers(&server, "desk.example.com"));
        assert!(answers(&server, "localhost") && !answers(&server, "example.com"));
        let any = Server::start(Inspector::new(&Registry::new()).allow_any_host().router());
        assert!(answers(&any, "evil.example"));
    });
}

#[test]
fn each_answer_of_the_inspector_is_kept_from_other_origins() {
    bounded(|| {
        let server = Server::start(Inspector::new(&Registry::new()).router());
        for (path, host) in [("/", "localhost"), ("/snapshot", "localhost"), ("/", "evil.example")] {
            let answer = ask(&server, path, &format!("Host: {host}\r\n"));
            for line in [
                "cross-origin-resource-policy: same-origin",
                "x-content-type-options: nosniff",
                "frame-ancestors 'self'",
            ] {
                assert!(answer.contains(line), "{line} in {answer}");
            }
        }
    });
}

#[test]
fn a_reader_too_many_is_told_so_and_has_room_when_another_goes() {
    bounded(|| {
        let server = Server::start(Inspector::new(&Registry::new()).max_readers(2).router());
        let first = Events::of(server.address);
        let _second = Events::of(server.address);
        let refused = ask(&server, "/events", "Host: localhost\r\n");
        assert!(refused.starts_with("HTTP/1.0 503") && refused.contains("max_readers"), "{refused}");
        assert!(served::text(server.address, "/snapshot").starts_with('{'), "those who ask once are counted apart");
        drop(first);
        eventually("there is room", || served::get(server.address, "/events").head[0].contains("200"));
    });
}
