//! Bounds: running jobs, queued jobs, bytes.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use heirloom::remote::engine::{Fault, Settlement};

use crate::common::LONG;
use crate::common::end::{End, LEASE, limits, text};
use crate::common::server::{Server, Setup};

#[test]
fn the_limit_of_running_jobs_is_exact_over_three_connections() {
    let Some(server) = Server::plain() else { return };
    let ends = [(); 3].map(|()| End::open(&server.url()));
    ends[0].declare("q", limits(5, None)).unwrap();
    for end in &ends {
        end.declare("q", None).unwrap();
        end.engine.pull("q", 4);
    }
    for number in 0..60 {
        ends[0].send("q", &number.to_string());
    }
    let (mut running, mut most, mut seen) = (Vec::new(), 0, HashSet::new());
    let until = Instant::now() + LONG;
    while seen.len() < 60 {
        assert!(Instant::now() < until, "{} of 60 jobs came", seen.len());
        for (index, end) in ends.iter().enumerate() {
            if let Some(delivery) = end.delivery_within(Duration::from_millis(2)) {
                assert!(seen.insert(text(&delivery)), "a job came twice");
                running.push((index, delivery));
            }
        }
        most = most.max(running.len());
        if running.len() == 5 || seen.len() == 60 {
            // A sixth one would have come by now.
            assert!(ends.iter().all(|end| end.delivery_within(Duration::from_millis(5)).is_none()));
            for (index, delivery) in running.drain(..) {
                ends[index].done(&delivery);
                ends[index].engine.pull("q", 1);
            }
        }
    }
    assert_eq!(most, 5);
}

#[test]
fn a_full_queue_refuses_a_job_and_takes_one_when_there_is_capacity() {
    let Some(server) = Server::plain() else { return };
    let end = End::open(&server.url());
    end.declare("q", limits(1, Some(2))).unwrap();
    for _ in 0..3 {
        end.send("q", "job");
    }
    assert_eq!(end.publish("q", &end.job("no")), Err(Fault::Full));
    end.engine.pull("q", 1);
    let delivery = end.delivery();
    end.done(&delivery);
    end.wait_depth("q", |depth| depth.running == 0);
    end.send("q", "yes");
}

#[test]
fn limits_that_are_declared_anew_hold_from_then_on() {
    let Some(server) = Server::plain() else { return };
    let end = End::open(&server.url());
    end.declare("q", limits(1, Some(1))).unwrap();
    end.engine.pull("q", 3);
    end.send("q", "a");
    end.send("q", "b");
    let first = end.delivery();
    assert!(end.delivery_within(LEASE / 3).is_none());
    end.declare("q", limits(3, Some(9))).unwrap();
    let second = end.delivery();
    for _ in 0..5 {
        end.send("q", "c");
    }
    end.done(&first);
    end.done(&second);
}

#[test]
fn the_last_declaration_of_a_limit_holds_over_the_looks_of_the_first() {
    let Some(server) = Server::plain() else { return };
    let [first, last] = [(); 2].map(|()| End::leased(&server.url(), LEASE));
    first.declare("q", limits(1, Some(1))).unwrap();
    last.declare("q", limits(1, Some(9))).unwrap();
    // The first one has looked at the queue in the meantime.
    std::thread::sleep(LEASE * 3);
    for _ in 0..9 {
        last.send("q", "job");
    }
}

#[test]
fn a_job_that_is_too_large_is_refused_and_the_largest_one_arrives() {
    let Some(server) = Setup::default().config("max_payload: 20000").start() else { return };
    let end = End::open(&server.url());
    end.declare("q", limits(1, None)).unwrap();
    let most = end.engine.most_bytes();
    assert!(most < 20_000);
    match end.publish("q", &end.job(&"x".repeat(20_000))) {
        Err(Fault::TooLarge { bytes, most: 20_000 }) => assert!(bytes > 20_000),
        other => panic!("{other:?}"),
    }
    let asked = end.request(&end.me, &"x".repeat(20_000), LEASE);
    assert!(matches!(asked, Err(Fault::TooLarge { .. })), "{asked:?}");
    end.send("q", &"x".repeat(most));
    end.engine.pull("q", 1);
    let delivery = end.delivery();
    assert_eq!(delivery.body.len(), most);
    end.engine.settle(delivery.id, Settlement::Done);
}
