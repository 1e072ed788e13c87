//! The program `heirloom-nats`.

#[allow(dead_code, unreachable_pub, reason = "each test program uses a part of the helpers")]
#[path = "common/mod.rs"]
mod common;

use std::process::Command;

use common::end::{End, LEASE, limits};
use common::server::{Server, Setup};

/// Runs the program, and returns whether it has succeeded, and all that it has printed.
fn run(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heirloom-nats"));
    let output = command.args(arguments).env("NATS_PASSWORD", "secret").output().expect("the program runs");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn setup_makes_a_queue_that_an_app_uses_without_an_operators_rights() {
    let users = "authorization { users = [ { user: op, password: secret }, { user: app, password: secret, permissions: {
        publish: { deny: [\"$JS.API.STREAM.CREATE.>\", \"$JS.API.STREAM.UPDATE.>\", \"$JS.API.CONSUMER.DURABLE.>\"] } } } ] }";
    let Some(server) = Setup::default().config(users).start() else { return };
    let url = server.url();
    let setup = ["setup", "--server", &url, "--user", "op", "--app", "shop", "--queue", "thumbs", "--lease", "0.6"];
    let (done, text) = run(&[&setup[..], &["--running", "4", "--queued=10", "--storage", "file"]].concat());
    assert!(done && text.contains("4 jobs at a time"), "{text}");
    let end = End::with_lease(heirloom_nats::connect(&url).user("app", "secret"), LEASE);
    end.declare("thumbs", limits(4, Some(10))).unwrap();
    end.send("thumbs", "job");
    let depth = ["depth", "--server", &url, "--user", "op", "--app", "shop", "--queue", "thumbs"];
    assert_eq!(run(&depth), (true, "thumbs: 1 wait, 0 run, 0 requests of workers\n".into()));
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    let Some(server) = Server::plain() else { return };
    let url = server.url();
    let (done, text) = run(&[]);
    assert!(done && text.contains("usage:"));
    for (arguments, words) in [
        (&["make"][..], "\"make\" is no command"),
        (&["setup", "--server", &url, "--app", "a"], "--queue is missing"),
        (&["setup", "--queue", "q", "--running", "many"], "\"many\" is no number"),
        (&["setup", "--queue", "q", "--running", "0"], "--running is missing, or 0"),
        (&["setup", "--speed", "9"], "--speed is no option"),
        (&["setup", "--queue"], "--queue needs a value"),
        (&["setup", "--server", &url, "--app", "a b", "--queue", "q", "--running", "1"], "no name of an app"),
        (&["setup", "--server", "nats://127.0.0.1:1", "--app", "a", "--queue", "q", "--running", "1"], "127.0.0.1:1"),
    ] {
        let (done, text) = run(arguments);
        assert!(!done && text.contains(words), "{arguments:?}: {text}");
    }
}
