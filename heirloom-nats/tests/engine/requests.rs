//! Requests between two processes, and broadcasts.

use std::time::{Duration, Instant};

use heirloom::remote::ProcessId;
use heirloom::remote::engine::{Bytes, Fault};

use crate::common::LONG;
use crate::common::end::{End, LEASE, limits};
use crate::common::server::Server;

#[test]
fn a_request_reaches_the_process_and_brings_its_answer() {
    let Some(server) = Server::plain() else { return };
    let (origin, worker) = (End::open(&server.url()), End::open(&server.url()));
    origin.declare("q", limits(1, None)).unwrap();
    let answer = worker.request(&origin.me, "hello", LONG).unwrap();
    assert_eq!(answer, format!("hello of {}", worker.me).into_bytes());
}

#[test]
fn a_request_to_a_silent_process_ends_after_its_time() {
    let Some(server) = Server::plain() else { return };
    let (origin, worker) = (End::open(&server.url()), End::open(&server.url()));
    origin.declare("q", limits(1, None)).unwrap();
    let within = Duration::from_millis(200);
    let start = Instant::now();
    assert_eq!(worker.request(&origin.me, "silence", within), Err(Fault::NoAnswer(within)));
    assert!(start.elapsed() >= within);
}

#[test]
fn a_process_that_has_ended_is_gone_at_once() {
    let Some(server) = Server::plain() else { return };
    let (origin, worker) = (End::open(&server.url()), End::open(&server.url()));
    origin.declare("q", limits(1, None)).unwrap();
    let gone = origin.me.clone();
    worker.request(&gone, "hello", LONG).unwrap();
    drop(origin);
    // A request that comes while the process ends has no answer.
    let within = LEASE / 6;
    let mut outcome = Err(Fault::NoAnswer(within));
    while outcome == Err(Fault::NoAnswer(within)) {
        outcome = worker.request(&gone, "hello", within);
    }
    assert_eq!(outcome, Err(Fault::Gone));
    let start = Instant::now();
    assert_eq!(worker.request(&ProcessId::unique(), "hello", LONG), Err(Fault::Gone));
    assert!(start.elapsed() < LEASE);
}

#[test]
fn a_broadcast_reaches_those_who_follow_once() {
    let Some(server) = Server::plain() else { return };
    let ends = [(); 3].map(|()| End::open(&server.url()));
    let [origin, follower, other] = &ends;
    follower.engine.follow(&origin.me);
    follower.engine.follow(&origin.me);
    other.engine.follow(&follower.me);
    // The server has the subscription when it has answered a later message of the same connection.
    follower.declare("q", None).unwrap();
    origin.engine.broadcast(Bytes::from_static(b"stop"));
    assert_eq!(follower.heard_within(LONG), Some((origin.me.clone(), Bytes::from_static(b"stop"))));
    assert_eq!(follower.heard_within(LEASE / 3), None);
    assert_eq!(other.heard_within(Duration::ZERO), None);
    follower.engine.unfollow(&origin.me);
    // Ends in a task of its own.
    std::thread::sleep(LEASE / 3);
    origin.engine.broadcast(Bytes::from_static(b"stop"));
    assert_eq!(follower.heard_within(LEASE / 3), None);
}
