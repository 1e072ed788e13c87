//! The server is killed and started again.

use std::collections::HashSet;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use heirloom::remote::engine::{Answer, Fault, Settlement};
use heirloom_nats::Storage;

use crate::common::LONG;
use crate::common::end::{End, LEASE, limits, text};
use crate::common::server::Server;

#[test]
fn a_lost_server_gives_each_answer_at_once_as_away() {
    let Some(mut server) = Server::plain() else { return };
    let (end, origin) = (End::open(&server.url()), End::open(&server.url()));
    origin.declare("q", limits(1, None)).unwrap();
    let (sender, receiver) = mpsc::channel();
    let answer = Answer::new(move |outcome| drop(sender.send(outcome)));
    end.engine.request(&origin.me, "silence".into(), LONG, answer);
    // The request has left when a later one is answered.
    end.request(&origin.me, "hello", LONG).unwrap();
    server.kill();
    let start = Instant::now();
    assert_eq!(receiver.recv_timeout(LONG).unwrap(), Err(Fault::Away));
    end.wait_connected(false);
    assert!(!end.engine.is_connected());
    assert_eq!(end.publish("q", &end.job("x")), Err(Fault::Away));
    assert_eq!(end.request(&end.me, "x", LONG), Err(Fault::Away));
    assert_eq!(end.declare("q", limits(1, None)), Err(Fault::Away));
    assert_eq!(end.depth("q").err(), Some(Fault::Away));
    assert!(start.elapsed() < LONG / 4, "none of them waits for its time");
}

#[test]
fn a_queue_in_memory_is_there_again_before_the_inbox_is_told_and_open_pulls_go_on() {
    let Some(mut server) = Server::plain() else { return };
    let (origin, worker) = (End::open(&server.url()), End::open(&server.url()));
    origin.declare("q", limits(4, None)).unwrap();
    worker.declare("q", None).unwrap();
    worker.engine.pull("q", 2);
    for round in 0..3 {
        server.kill();
        server.start();
        origin.wait_connected(true);
        let sent = format!("after {round}");
        let receipt = origin.send("q", &sent);
        let delivery = worker.delivery();
        assert_eq!((text(&delivery), delivery.receipt), (sent, receipt));
        worker.done(&delivery);
        worker.engine.pull("q", 1);
        origin.wait_depth("q", |depth| depth.running == 0);
    }
}

#[test]
fn a_receipt_of_a_lost_stream_names_no_message_of_the_next() {
    let Some(mut server) = Server::plain() else { return };
    let end = End::open(&server.url());
    end.declare("q", limits(4, None)).unwrap();
    let mut receipts = HashSet::new();
    for _ in 0..3 {
        let old = end.send("q", "job");
        assert!(receipts.insert(old), "a receipt has come twice");
        server.kill();
        server.start();
        end.wait_connected(true);
        assert!(receipts.insert(end.send("q", "new")));
        end.engine.withdraw("q", 1, Some(old));
        end.wait_depth("q", |depth| depth.queued == 1);
        end.engine.pull("q", 1);
        let delivery = end.delivery();
        end.done(&delivery);
        end.wait_depth("q", |depth| depth.running == 0);
    }
}

#[test]
fn a_job_of_a_lost_stream_that_is_settled_late_takes_no_new_job_away() {
    let Some(mut server) = Server::plain() else { return };
    let end = End::open(&server.url());
    end.declare("q", limits(4, None)).unwrap();
    for how in [Settlement::Done, Settlement::GiveBack] {
        end.engine.pull("q", 2);
        end.send("q", "old 1");
        end.send("q", "old 2");
        let (one, two) = (end.delivery(), end.delivery());
        server.kill();
        end.wait_connected(false);
        end.engine.settle(one.id, how);
        server.start();
        end.wait_connected(true);
        end.send("q", "new 1");
        end.send("q", "new 2");
        end.engine.settle(two.id, how);
        end.wait_depth("q", |depth| depth.queued == 2);
        end.engine.pull("q", 2);
        for _ in 0..2 {
            let new = end.delivery();
            assert!(text(&new).starts_with("new"));
            end.done(&new);
        }
        end.wait_depth("q", |depth| depth.running == 0);
    }
}

#[test]
fn a_queue_in_files_keeps_its_jobs_and_a_job_is_settled_over_the_outage() {
    let Some(mut server) = Server::plain() else { return };
    let end = End::of(heirloom_nats::connect(server.url()).storage(Storage::File));
    end.declare("q", limits(4, None)).unwrap();
    end.engine.pull("q", 1);
    end.send("q", "first");
    let kept = end.send("q", "second");
    let first = end.delivery();
    server.kill();
    end.wait_connected(false);
    end.done(&first);
    server.start();
    end.wait_connected(true);
    end.wait_depth("q", |depth| depth.running == 0);
    // A server that was killed may deliver the first one again: it forgets what it had not written.
    let second = loop {
        end.engine.pull("q", 1);
        let next = end.delivery();
        if next.receipt == kept {
            break next;
        }
        assert_eq!(next.receipt, first.receipt);
        end.done(&next);
    };
    assert_eq!(text(&second), "second");
    end.wait_depth("q", |depth| depth.running == 1);
    end.done(&second);
}

#[test]
fn a_stream_that_an_operator_deletes_is_made_again_and_told_as_a_lost_connection() {
    let Some(server) = Server::plain() else { return };
    // It is noticed at the next look, a lease later.
    let [origin, worker] = [(); 2].map(|()| End::leased(&server.url(), LEASE));
    origin.declare("q", limits(4, None)).unwrap();
    worker.declare("q", None).unwrap();
    worker.engine.pull("q", 1);
    let old = origin.send("q", "job");
    let delivery = worker.delivery();
    assert_eq!(delivery.receipt, old);
    server.delete_stream("hl=shop=q");
    origin.wait_connected(false);
    origin.wait_connected(true);
    worker.engine.pull("q", 1);
    origin.send("q", "again");
    assert_eq!(text(&worker.delivery()), "again");
}

#[test]
fn a_queue_that_an_operator_deletes_is_absent_until_it_is_made_again() {
    let Some(server) = Server::plain() else { return };
    let worker = End::leased(&server.url(), LEASE);
    // The operator's process has ended, and would make the queue again.
    End::open(&server.url()).declare("q", limits(4, None)).unwrap();
    worker.declare("q", None).unwrap();
    for _ in 0..2 {
        server.delete_stream("hl=shop=q");
        assert_eq!(worker.absent_within(LONG).as_deref(), Some("q"));
        let (sender, found) = mpsc::channel();
        worker.engine.declare("q", None, Answer::new(move |outcome| drop(sender.send(outcome))));
        assert!(found.recv_timeout(LEASE / 3).is_err(), "the answer comes when the queue is there");
        End::open(&server.url()).declare("q", limits(4, None)).unwrap();
        assert_eq!(found.recv_timeout(LONG), Ok(Ok(())));
    }
    assert_eq!(worker.absent_within(Duration::ZERO), None, "once for each loss");
}

#[test]
fn a_server_that_stops_for_a_while_loses_no_job() {
    let Some(server) = Server::plain() else { return };
    let end = End::leased(&server.url(), LEASE);
    end.declare("q", limits(4, None)).unwrap();
    end.send("q", "before");
    server.pause();
    let (sender, receiver) = mpsc::channel();
    let answer = Answer::new(move |outcome| drop(sender.send(outcome)));
    end.engine.publish("q", &end.job("during"), answer);
    std::thread::sleep(LEASE * 3);
    server.go_on();
    let outcome = receiver.recv_timeout(LONG).unwrap();
    assert!(matches!(outcome, Ok(_) | Err(Fault::Away)), "{outcome:?}");
    let until = Instant::now() + LONG;
    while !end.engine.is_connected() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(5));
    }
    end.engine.pull("q", 2);
    assert_eq!(text(&end.delivery()), "before");
}
