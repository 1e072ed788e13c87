//! Connections that are not opened.

use std::time::{Duration, Instant};

use heirloom_nats::{Connect, ConnectError, connect};

use crate::common::server::{Server, Setup};
use crate::common::{LONG, soon};

#[test]
fn an_address_without_a_server_is_an_error_within_seconds() {
    let start = Instant::now();
    let error = connect("nats://127.0.0.1:1").open().unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    let error = connect("tls://no-such-host.invalid").open().unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(start.elapsed() < LONG);
}

#[test]
fn a_server_that_says_nothing_is_an_error_after_the_timeout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let silent = || connect(&url).timeout(Duration::from_millis(300)).open();
    let error = soon(Duration::from_secs(3), silent).unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
}

#[test]
fn wrong_credentials_are_an_error_at_once_that_does_not_repeat_them() {
    let Some(server) = Setup::default().config("authorization { user: bob, password: right }").start() else { return };
    let wrong: [&dyn Fn() -> Connect; 3] =
        [&|| connect(server.url()), &|| connect(server.url()).user("bob", "wrong"), &|| {
            connect(server.url()).token("wrong")
        }];
    for connect in wrong {
        let error = soon(Duration::from_secs(1), || connect().open()).unwrap_err();
        assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("wrong"), "{error}");
    }
    connect(server.url()).user("bob", "right").open().unwrap();
}

#[test]
fn an_nkey_and_a_credentials_file_are_checked() {
    let (public, seed) = (
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
        "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
    );
    let users = format!("authorization {{ users = [ {{ nkey: {public} }} ] }}");
    let Some(server) = Setup::default().config(&users).start() else { return };
    connect(server.url()).nkey(seed).open().unwrap();
    let error = connect(server.url()).nkey("SUnonsense").open().unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    let error = connect(server.url()).credentials_file("/no/such/file.creds").open().unwrap_err();
    assert!(error.to_string().contains("/no/such/file.creds"), "{error}");
    let path = server.folder().join("bad.creds");
    std::fs::write(&path, "not credentials").unwrap();
    let error = connect(server.url()).credentials_file(&path).open().unwrap_err();
    assert!(matches!(error, ConnectError::File { .. }), "{error:?}");
}

#[test]
fn choices_that_cannot_be_used_are_errors() {
    let Some(server) = Server::plain() else { return };
    let invalid = |connect: heirloom_nats::Connect| {
        let error = connect.open().unwrap_err();
        assert!(matches!(error, ConnectError::Invalid(_)), "{error:?}");
    };
    invalid(connect(""));
    invalid(connect("http://127.0.0.1"));
    invalid(connect("nats://user:secret@127.0.0.1"));
    invalid(connect(server.url()).app("a.b"));
    invalid(connect(server.url()).app(""));
    invalid(connect(server.url()).inbox_prefix("_INBOX.>"));
    invalid(connect(server.url()).token("a").user("b", "c"));
}

#[test]
fn a_server_without_jetstream_says_so_when_a_queue_is_made() {
    let Some(server) = Setup::default().config("accounts { A { users = [ { user: a, password: a } ] } }").start()
    else {
        return;
    };
    let nats = connect(server.url()).user("a", "a").open().unwrap();
    let fault = nats.set_up("q", 1, None).unwrap_err();
    assert!(fault.to_string().contains("JetStream"), "{fault}");
}
