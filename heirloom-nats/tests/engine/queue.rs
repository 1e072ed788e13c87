//! Publish, deliver, settle, give back, withdraw.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use heirloom::remote::engine::{Answer, Fault, Receipt, Settlement};

use crate::common::LONG;
use crate::common::end::{CALM, End, LEASE, limits, text};
use crate::common::server::Server;

#[test]
fn a_published_job_is_delivered_with_its_headers_and_receipt() {
    let Some(server) = Server::plain() else { return };
    let [origin, worker] = [(); 2].map(|()| End::leased(&server.url(), LEASE));
    origin.declare("thumbs", limits(4, None)).unwrap();
    worker.declare("thumbs", None).unwrap();
    worker.engine.pull("thumbs", 1);
    let job = origin.job("one");
    let receipt = origin.publish("thumbs", &job).unwrap();
    let delivery = worker.delivery();
    assert_eq!((text(&delivery).as_str(), &*delivery.queue, delivery.receipt), ("one", "thumbs", receipt));
    for (name, value) in job.headers() {
        assert!(delivery.headers.contains(&(name.to_string(), value)), "{name}: {:?}", delivery.headers);
    }
    assert_eq!(delivery.count, 1);
    worker.done(&delivery);
    origin.wait_depth("thumbs", |depth| depth.running == 0 && depth.queued == 0);
    assert!(worker.delivery_within(LEASE * 2).is_none(), "a settled job is not delivered again");
}

#[test]
fn a_job_that_is_published_twice_is_added_once() {
    let Some(server) = Server::plain() else { return };
    let end = End::open(&server.url());
    end.declare("q", limits(4, None)).unwrap();
    let job = end.job("one");
    assert_eq!(end.publish("q", &job), end.publish("q", &job));
    end.wait_depth("q", |depth| depth.queued == 1);
}

#[test]
fn a_job_that_is_given_back_goes_to_another_worker_at_once_with_the_same_receipt() {
    let Some(server) = Server::plain() else { return };
    let (one, two) = (End::open(&server.url()), End::open(&server.url()));
    one.declare("q", limits(4, None)).unwrap();
    two.declare("q", None).unwrap();
    one.engine.pull("q", 1);
    let receipt = one.send("q", "job");
    let first = one.delivery();
    two.engine.pull("q", 1);
    one.engine.settle(first.id, Settlement::GiveBack);
    let second = two.delivery_within(CALM / 2).expect("it comes before the lease ends");
    assert_eq!((second.receipt, second.count), (receipt, 2));
    two.done(&second);
}

#[test]
fn a_withdrawn_job_is_not_delivered() {
    let Some(server) = Server::plain() else { return };
    let end = End::open(&server.url());
    end.declare("q", limits(4, None)).unwrap();
    let job = end.job("one");
    let receipt = end.publish("q", &job).unwrap();
    end.send("q", "two");
    end.engine.withdraw("q", job.id().number, Some(receipt));
    end.wait_depth("q", |depth| depth.queued == 1);
    end.engine.pull("q", 2);
    assert_eq!(text(&end.delivery()), "two");
    // A receipt of an unknown queue or of no message changes nothing.
    end.engine.withdraw("other", job.id().number, Some(receipt));
    end.engine.withdraw("q", job.id().number, Some(Receipt(u64::MAX)));
    end.engine.withdraw("q", job.id().number, Some(receipt));
    end.wait_depth("q", |depth| depth.running == 1);
}

#[test]
fn a_job_whose_receipt_is_not_known_is_withdrawn_by_its_number() {
    let Some(server) = Server::plain() else { return };
    let (end, other) = (End::open(&server.url()), End::open(&server.url()));
    end.declare("q", limits(4, None)).unwrap();
    other.declare("q", limits(4, None)).unwrap();
    let job = end.job("withdrawn");
    end.publish("q", &job).unwrap();
    end.send("q", "stays");
    // A number of no job, and one of another process's.
    end.engine.withdraw("q", u64::MAX, None);
    other.engine.withdraw("q", job.id().number, None);
    end.wait_depth("q", |depth| depth.queued == 2);
    end.engine.withdraw("q", job.id().number, None);
    end.wait_depth("q", |depth| depth.queued == 1);
    end.engine.pull("q", 1);
    assert_eq!(text(&end.delivery()), "stays");
}

#[test]
fn an_unsettled_delivery_stays_with_its_worker_for_many_leases() {
    let Some(server) = Server::plain() else { return };
    let [one, two] = [(); 2].map(|()| End::leased(&server.url(), LEASE));
    one.declare("q", limits(4, None)).unwrap();
    two.declare("q", None).unwrap();
    one.engine.pull("q", 1);
    one.send("q", "long");
    let long = one.delivery();
    two.engine.pull("q", 1);
    assert!(two.delivery_within(LEASE * 5).is_none());
    one.done(&long);
}

#[test]
fn a_worker_that_stops_pulling_leaves_later_jobs_to_others() {
    let Some(server) = Server::plain() else { return };
    let (one, two) = (End::open(&server.url()), End::open(&server.url()));
    one.declare("q", limits(9, None)).unwrap();
    two.declare("q", None).unwrap();
    one.engine.pull("q", 3);
    // One request for three jobs.
    one.wait_depth("q", |depth| depth.pulls == 1);
    one.engine.stop_pulling("q");
    two.engine.pull("q", 3);
    for text in ["a", "b", "c"] {
        two.send("q", text);
    }
    // The server has its requests still. The inbox gives back what comes all the same.
    while let Some(late) = one.delivery_within(LEASE / 2) {
        one.engine.settle(late.id, Settlement::GiveBack);
    }
    let mut got: Vec<String> =
        (0..3).map(|_| text(&two.delivery_within(CALM / 2).expect("it comes before a lease ends"))).collect();
    got.sort();
    assert_eq!(got, ["a", "b", "c"]);
    assert!(one.delivery_within(Duration::ZERO).is_none());
}

#[test]
fn as_many_jobs_come_as_were_pulled_and_none_ahead() {
    let Some(server) = Server::plain() else { return };
    let (origin, worker) = (End::open(&server.url()), End::open(&server.url()));
    origin.declare("q", limits(100, None)).unwrap();
    worker.declare("q", None).unwrap();
    let mut sent = 0;
    // One request has several jobs, and a few of them are left when more are wanted.
    for (pulled, jobs) in [(1, 1), (5, 2), (1, 3), (7, 8), (2, 2)] {
        worker.engine.pull("q", pulled);
        for _ in 0..jobs {
            origin.send("q", "job");
        }
        sent += jobs;
        (0..jobs).for_each(|_| worker.done(&worker.delivery()));
    }
    for _ in 0..9 {
        origin.send("q", "job");
    }
    assert_eq!(sent, 16);
    assert!(worker.delivery_within(LEASE / 2).is_none(), "16 were pulled, and have come");
    worker.engine.pull("q", 3);
    (0..3).for_each(|_| worker.done(&worker.delivery()));
    assert!(worker.delivery_within(LEASE / 2).is_none());
    origin.wait_depth("q", |depth| depth.queued == 6 && depth.running == 0);
}

#[test]
fn a_worker_may_wait_for_a_queue_that_is_made_later() {
    let Some(server) = Server::plain() else { return };
    let (origin, worker) = (End::open(&server.url()), End::open(&server.url()));
    let (sender, found) = mpsc::channel();
    worker.engine.declare("q", None, Answer::new(move |outcome| drop(sender.send(outcome))));
    worker.engine.pull("q", 1);
    assert!(found.recv_timeout(LEASE / 3).is_err(), "the answer comes when the queue is there");
    origin.declare("q", limits(1, None)).unwrap();
    assert_eq!(found.recv_timeout(LONG), Ok(Ok(())));
    origin.send("q", "job");
    assert_eq!(text(&worker.delivery()), "job");
}

#[test]
fn a_worker_that_starts_just_before_its_queue_finds_it_soon() {
    let Some(server) = Server::plain() else { return };
    let (origin, worker) = (End::open(&server.url()), End::open(&server.url()));
    // Of ten tries one is quick also on a busy machine. Each would take half a second if the second look did.
    let soonest = (0..10).map(|number| {
        let (queue, (sender, found)) = (format!("q{number}"), mpsc::channel());
        worker.engine.declare(&queue, None, Answer::new(move |outcome| drop(sender.send(outcome))));
        worker.engine.depth(&queue, Answer::ignored());
        origin.declare(&queue, limits(1, None)).unwrap();
        let made = Instant::now();
        assert_eq!(found.recv_timeout(LONG), Ok(Ok(())));
        made.elapsed()
    });
    assert!(soonest.min() < Some(Duration::from_millis(200)));
}

#[test]
fn a_name_that_is_no_queue_is_refused_by_each_call_with_an_answer() {
    let Some(server) = Server::plain() else { return };
    let end = End::open(&server.url());
    for name in ["", "a b", "a.b", "*", ">", "ä"] {
        assert!(matches!(end.declare(name, limits(1, None)), Err(Fault::Broken(_))), "{name:?}");
        assert!(matches!(end.publish(name, &end.job("x")), Err(Fault::Broken(_))), "{name:?}");
        assert!(matches!(end.depth(name), Err(Fault::Broken(_))), "{name:?}");
        end.engine.pull(name, 1);
        end.engine.stop_pulling(name);
        end.engine.withdraw(name, 1, Some(Receipt(1)));
        end.engine.withdraw(name, 1, None);
    }
}

#[test]
fn processes_that_make_a_queue_at_the_same_time_share_one() {
    let Some(server) = Server::plain() else { return };
    let ends: Vec<_> = (0..6).map(|_| End::open(&server.url())).collect();
    for round in 0..20 {
        let name = format!("q{round}");
        std::thread::scope(|scope| {
            for (index, end) in ends.iter().enumerate() {
                let name = &name;
                // Half of them want another limit.
                scope.spawn(move || end.declare(name, limits(4, Some(10 + index % 2))).unwrap());
            }
        });
        ends[0].engine.pull(&name, ends.len());
        let mut receipts: Vec<_> = ends.iter().map(|end| end.send(&name, "job").0).collect();
        let mut got = Vec::new();
        while got.len() < ends.len() {
            let delivery = ends[0].delivery();
            got.push(delivery.receipt.0);
            ends[0].done(&delivery);
        }
        receipts.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, receipts);
    }
}

#[test]
fn a_list_names_the_jobs_of_the_process_that_wait_or_are_delivered() {
    let Some(server) = Server::plain() else { return };
    let (end, other) = (End::open(&server.url()), End::open(&server.url()));
    assert_eq!(end.list("q"), Ok(vec![]), "the queue is not there");
    end.declare("q", limits(1, None)).unwrap();
    let jobs = ["delivered", "waits", "settled"].map(|text| end.job(text));
    let numbers = jobs.each_ref().map(|job| job.id().number);
    for job in [2, 0, 1] {
        end.publish("q", &jobs[job]).unwrap();
    }
    other.send("q", "of another process");
    end.engine.pull("q", 2);
    end.done(&end.delivery());
    assert_eq!(text(&end.delivery()), "delivered");
    let mut found = end.list("q").unwrap();
    found.sort_unstable();
    assert_eq!(found, numbers[..2]);
}
