//! Requests between two processes, and broadcasts.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use heirloom::remote::ProcessId;
use heirloom::remote::engine::{Answer, Bytes, Fault};

use crate::common::end::{End, LEASE, limits};
use crate::common::server::Server;
use crate::common::{LONG, soon};

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
fn each_of_many_requests_at_once_has_its_own_answer_and_time() {
    let Some(server) = Server::plain() else { return };
    let (origin, worker) = (End::open(&server.url()), End::open(&server.url()));
    origin.declare("q", limits(1, None)).unwrap();
    let within = Duration::from_millis(300);
    let (sender, answers) = mpsc::channel();
    let start = Instant::now();
    for number in 0..500_usize {
        // Small ones travel together, some have no answer, and some are too large to share a message.
        let text = match number % 10 {
            7 => "silence".to_string(),
            size => format!("{number}{}", "x".repeat(size * size * 100)),
        };
        let (sender, sent) = (sender.clone(), text.clone());
        let answer = Answer::new(move |outcome| drop(sender.send((sent, outcome, start.elapsed()))));
        worker.engine.request(&origin.me, text.into(), if number % 10 == 7 { within } else { LONG }, answer);
    }
    for _ in 0..500 {
        let (sent, outcome, after) = answers.recv_timeout(LONG).expect("each has an answer");
        if sent == "silence" {
            assert_eq!(outcome, Err(Fault::NoAnswer(within)));
            assert!(after >= within, "{after:?}");
        } else {
            assert_eq!(outcome.unwrap(), format!("{sent} of {}", worker.me).into_bytes());
        }
    }
}

#[test]
fn a_request_without_an_answer_holds_up_none_that_travels_with_it() {
    let Some(server) = Server::plain() else { return };
    let (origin, worker) = (End::open(&server.url()), End::open(&server.url()));
    origin.declare("q", limits(1, None)).unwrap();
    let (within, start) = (Duration::from_millis(400), Instant::now());
    let (sender, answers) = mpsc::channel();
    for text in ["a", "silence", "b", "silence", "c"] {
        let sender = sender.clone();
        let answer = Answer::new(move |outcome: Result<Bytes, Fault>| {
            let _ = sender.send(outcome.is_ok());
        });
        worker.engine.request(&origin.me, text.into(), within, answer);
    }
    let order: Vec<bool> = (0..5).map(|_| answers.recv_timeout(LONG).expect("each has an answer")).collect();
    assert_eq!(order, [true, true, true, false, false]);
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
    let outcome = soon(LEASE, || worker.request(&ProcessId::unique(), "hello", LONG));
    assert_eq!(outcome, Err(Fault::Gone));
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
    follower.declare("q", limits(1, None)).unwrap();
    origin.engine.broadcast(Bytes::from_static(b"stop"));
    assert_eq!(follower.broadcast_within(LONG), Some((origin.me.clone(), Bytes::from_static(b"stop"))));
    assert_eq!(follower.broadcast_within(LEASE / 3), None);
    assert_eq!(other.broadcast_within(Duration::ZERO), None);
    follower.engine.unfollow(&origin.me);
    // Ends in a task of its own.
    std::thread::sleep(LEASE / 3);
    origin.engine.broadcast(Bytes::from_static(b"stop"));
    assert_eq!(follower.broadcast_within(LEASE / 3), None);
}
