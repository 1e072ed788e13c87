//! With the feature `inspector`: it shows a withdrawn cancel, and stalled readers hold up no other reader.
//!
//! A burst of short-lived nodes leaves nothing behind, and the page is found wherever it is mounted.

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::Router;
use heirloom::inspector::Inspector;
use heirloom::{CancelOutcome, Lineage, PoolConfig, Registry, Scope};
use serde_json::Value;

use crate::common::bounded;
use crate::served::{self, Events, Server, get};

/// Returns the node in a message; `None` where the message does not have it.
fn of(message: &Value, at: &Lineage) -> Option<Value> {
    message["nodes"].as_array()?.iter().find(|node| node["id"] == at.id().as_u64()).cloned()
}

fn is_cancelled(message: &Value, at: &Lineage) -> Option<bool> {
    of(message, at)?["cancelled"].as_bool()
}

#[test]
fn a_request_to_stop_that_is_declined_is_shown_to_be_taken_back() {
    bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "request 7");
        let work = scope.create("work");
        work.start(PoolConfig::leased(1)).expect("starts");
        let server = Server::start(Inspector::new(&family).router());
        let mut events = Events::of(server.address);
        events.next().expect("everything");
        // A task that acknowledges each cancel, and its child.
        let code = |stands: mpsc::Sender<Lineage>, declines: mpsc::Receiver<()>, declined: mpsc::Sender<bool>| {
            move || {
                let _ = stands.send(heirloom::current());
                let child = Scope::new("below");
                let _ = stands.send(child.lineage().clone());
                while declines.recv().is_ok() {
                    let _ = declined.send(heirloom::acknowledge_cancel());
                }
            }
        };
        for of_thread in [false, true] {
            let (stands, stood) = mpsc::channel();
            let (decline, declines) = mpsc::channel();
            let (declined, was_declined) = mpsc::channel();
            let code = code(stands, declines, declined);
            let join: Box<dyn FnOnce()> = if of_thread {
                let thread = scope.run(|| heirloom::thread::spawn(code).expect("a thread starts"));
                Box::new(move || assert!(thread.join().is_ok()))
            } else {
                let task = scope.run(|| work.submit(code)).expect("open");
                Box::new(move || assert!(task.join().is_ok()))
            };
            let (place, child) = (stood.recv().expect("it runs"), stood.recv().expect("it runs"));
            for _ in 0..2 {
                assert_eq!(place.cancel(), CancelOutcome::Requested);
                let (mut here, mut below) = (false, false);
                events.until("both are shown as asked", |_, seen| {
                    here |= is_cancelled(seen, &place) == Some(true);
                    below |= is_cancelled(seen, &child) == Some(true);
                    here && below
                });
                decline.send(()).expect("it runs");
                assert_eq!(was_declined.recv(), Ok(true));
                events.until("both are shown as not asked", |_, seen| {
                    here &= is_cancelled(seen, &place) != Some(false);
                    below &= is_cancelled(seen, &child) != Some(false);
                    !here && !below
                });
            }
            drop(decline);
            join();
        }
    });
}

#[test]
fn a_scopes_request_stays_and_is_shown_to_stay() {
    bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "request 7");
        let server = Server::start(Inspector::new(&family).router());
        let mut events = Events::of(server.address);
        events.next().expect("everything");
        scope.lineage().cancel();
        events.until("it is asked", |_, seen| is_cancelled(seen, scope.lineage()) == Some(true));
        assert!(!scope.run(heirloom::acknowledge_cancel), "it is not the code's own");
        let seen = served::json(server.address, "/snapshot");
        assert_eq!(is_cancelled(&seen, scope.lineage()), Some(true));
        assert!(scope.lineage().is_cancelled());
    });
}

/// Sends a request, and never reads.
fn listens_only(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).expect("somebody listens");
    write!(stream, "GET /events HTTP/1.1\r\nHost: test\r\n\r\n").expect("it listens");
    stream
}

#[test]
fn readers_that_do_not_read_hold_nobody_up() {
    bounded(|| {
        let family = Registry::new();
        let scopes: Vec<Scope> =
            (0..1_500).map(|i| Scope::new_in(&family.root(), format!("{i} {}", "x".repeat(150)))).collect();
        let server = Server::start(Inspector::new(&family).router());
        let silent: Vec<TcpStream> = (0..50).map(|_| listens_only(&server)).collect();
        let mut events = Events::of(server.address);
        events.next().expect("everything");
        let mut took = Vec::new();
        // Each change concerns every node, so that no buffer holds the messages to these readers.
        for round in 0..6_u64 {
            let managers: Vec<_> = scopes.iter().map(|scope| scope.create(round)).collect();
            let began = Instant::now();
            events.until("what changed", |_, seen| seen["totals"]["managers"] == managers.len());
            took.push(began.elapsed());
            for scope in &scopes {
                scope.lineage().remove(round);
            }
        }
        took.sort_unstable();
        assert!(took[2] < Duration::from_secs(5), "half of them come soon: {took:?}");
        drop(silent);
        let _new = Scope::new_in(&family.root(), "new");
        events.until("it goes on", |_, seen| served::named(seen, "new").is_some());
    });
}

#[test]
fn a_burst_of_short_lived_nodes_between_two_looks_leaves_nothing() {
    bounded(|| {
        let family = Registry::new();
        let stays = Scope::new_in(&family.root(), "stays");
        let server = Server::start(Inspector::new(&family).router());
        let mut events = Events::of(server.address);
        let (_, full) = events.next().expect("everything");
        let mut known: std::collections::HashSet<u64> = std::collections::HashSet::new();
        let mut take = |seen: &Value| {
            known.extend(seen["nodes"].as_array().into_iter().flatten().filter_map(|node| node["id"].as_u64()));
            for gone in seen["gone"].as_array().into_iter().flatten() {
                assert!(gone.as_u64().is_some_and(|gone| known.remove(&gone)), "{gone} was never told of");
            }
            known.len()
        };
        take(&full);
        let root = family.root();
        let burst = std::thread::spawn(move || {
            for i in 0..100_000_u32 {
                drop(Scope::new_in(&root, format!("short {i}")));
            }
        });
        assert!(burst.join().is_ok());
        let last = Scope::new_in(&family.root(), "last");
        events.until("only what lives is left", |_, seen| take(seen) == 3 && of(seen, last.lineage()).is_some());
        drop((stays, last));
    });
}

#[test]
fn the_page_is_found_wherever_it_is_mounted() {
    bounded(|| {
        let at = |path: &str, app: Router| {
            let server = Server::start(app);
            get(server.address, path).head[0].clone()
        };
        let router = || Inspector::new(&Registry::new()).router();
        let nested = || Router::new().nest("/deep/family", router());
        let service = || Router::new().nest_service("/deep/family", router());
        for (path, app) in [
            ("/", router()),
            ("/deep/family", nested()),
            ("/deep/family", service()),
            ("/deep/family/", service()),
            ("/deep/family/snapshot", nested()),
            ("/deep/family/snapshot", service()),
            ("/other", Router::new().route("/other", axum::routing::get(|| async { "" })).merge(router())),
        ] {
            assert!(at(path, app).contains(" 200 "), "{path}");
        }
    });
}

#[test]
fn a_snapshot_is_no_older_than_the_pace_also_when_a_look_takes_longer() {
    bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let crowd: Vec<Scope> = (0..150_000).map(|_| Scope::new_in(&root, "crowd")).collect();
        let server = Server::start(Inspector::new(&family).router());
        // A look begins, and later changes are not in it.
        let _listens = listens_only(&server);
        std::thread::sleep(Duration::from_millis(100));
        let late = Scope::new_in(&root, "late");
        late.create("busy").start(PoolConfig::leased(1)).expect("starts");
        std::thread::sleep(Duration::from_millis(260));
        let seen = served::json(server.address, "/snapshot");
        assert_eq!(seen["totals"]["managers"], 1, "it was there before anybody asked");
        drop(crowd);
    });
}
