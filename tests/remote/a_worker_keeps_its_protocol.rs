//! A worker's protocol, with the engine and the origin played by the test.

use std::time::Duration;

use heirloom::remote::engine::{self, Answer, Bytes, Fault, Settlement};
use heirloom::remote::{self, Serving};
use heirloom::{PoolConfig, Scope};
use serde::{Deserialize, Serialize};

use crate::common::{bounded, eventually};
use crate::puppet::{Ask, LEASE, Outcome, Puppet, Reply, bytes, signed};
use crate::world::{Double, Held, Key, Repeatable};

/// An output that does not fit into a message.
#[derive(Serialize, Deserialize)]
struct Large;

impl remote::Job for Large {
    const NAME: &'static str = "large";
    type Output = String;

    fn run(self) -> String {
        "x".repeat(5000)
    }
}

pub(crate) fn worker(n: usize) -> (Puppet, Scope, Serving) {
    worker_in(PoolConfig::leased(n))
}

fn worker_in(config: PoolConfig) -> (Puppet, Scope, Serving) {
    let puppet = Puppet::default();
    let (apart, serving) = worker_of(&puppet, config);
    (puppet, apart, serving)
}

pub(crate) fn worker_of(puppet: &Puppet, config: PoolConfig) -> (Scope, Serving) {
    let apart = Scope::new("worker");
    let here = apart.create("here");
    here.start(config).expect("starts");
    let queue = engine::open(Box::new(puppet.clone())).queue("work");
    let serve = remote::serve(queue, &here).job::<Double>().job::<Held>().job::<Repeatable>().job::<Large>();
    (apart, serve.start().expect("starts"))
}

pub(crate) fn grant(answer: Answer<Bytes>) {
    answer.give(Ok(bytes(&Reply::Begin { attempt: 1 })));
}

/// Delivers the first message of a job, grants its begin, and waits until it runs.
fn begin(puppet: &Puppet, key: Key) {
    puppet.deliver(1, 11, &key.job());
    grant(puppet.next().1);
    key.has_begun(1);
}

pub(crate) fn confirm(answer: Answer<Bytes>) {
    answer.give(Ok(bytes(&Reply::Confirmed { first: true })));
}

#[test]
fn it_pulls_as_many_as_its_pool_has_permits_and_none_ahead() {
    bounded(|| {
        let (puppet, _apart, _serving) = worker(3);
        assert_eq!(puppet.change(|state| state.pulls), 3);
        puppet.deliver(1, 11, &Double(4));
        grant(puppet.next().1);
        let (ended, answer) = puppet.next();
        assert!(matches!(ended, Ask::Ended { .. }));
        // The permit is free when the task has ended, before the origin knows.
        assert_eq!(puppet.wait(|state| (state.pulls == 4).then_some(state.pulls)), 4);
        confirm(answer);
        puppet.is_settled(1, Settlement::Done);
    });
}

#[test]
fn a_job_begins_after_the_grant_alone() {
    bounded(|| {
        let (puppet, _apart, _serving) = worker(1);
        let key = Key::new();
        key.open();
        puppet.deliver(1, 11, &key.job());
        let (first, unanswered) = puppet.next();
        unanswered.give(Err(Fault::NoAnswer(Duration::ZERO)));
        // The repeated request has the same number, so a lost answer is given again.
        let (again, answer) = puppet.next();
        assert_eq!(first, again);
        assert!(matches!(again, Ask::Begin { job: 7, receipt: 11, again: false, .. }), "{again:?}");
        assert_eq!(key.begins(), 0);
        grant(answer);
        key.has_begun(1);
        confirm(puppet.next().1);
    });
}

#[test]
fn a_job_that_is_over_never_begins() {
    bounded(|| {
        let (puppet, _apart, _serving) = worker(1);
        let key = Key::new();
        puppet.deliver(1, 11, &key.job());
        puppet.next().1.give(Ok(bytes(&Reply::Over)));
        puppet.is_settled(1, Settlement::Done);
        assert_eq!(key.begins(), 0);
    });
}

#[test]
fn a_repeatable_job_begins_at_once_and_the_answer_may_stop_it() {
    bounded(|| {
        let (puppet, _apart, _serving) = worker(1);
        let key = Key::new();
        puppet.deliver(1, 11, &key.repeatable());
        key.has_begun(1);
        puppet.next().1.give(Ok(bytes(&Reply::Over)));
        key.was_cancelled();
        puppet.is_settled(1, Settlement::Done);
    });
}

#[test]
fn a_repeatable_job_that_ends_at_once_tells_its_end_alone() {
    bounded(|| {
        let (puppet, _apart, _serving) = worker(1);
        let key = Key::new();
        key.open();
        let mut asked = 0;
        for id in 1..=50 {
            puppet.deliver(id, 10 + id, &key.repeatable());
            let (mut ask, mut answer) = puppet.next();
            // The machine may be slow.
            if matches!(ask, Ask::Begin { .. }) {
                asked += 1;
                grant(answer);
                (ask, answer) = puppet.next();
            }
            assert!(matches!(ask, Ask::Ended { outcome: Outcome::Value(_), .. }), "{ask:?}");
            confirm(answer);
            puppet.is_settled(id, Settlement::Done);
        }
        assert!(asked < 50);
    });
}

#[test]
fn a_result_is_told_until_it_is_confirmed_and_only_then_settled() {
    bounded(|| {
        let (puppet, _apart, serving) = worker(1);
        puppet.deliver(1, 11, &Double(21));
        grant(puppet.next().1);
        for fault in [Fault::NoAnswer(Duration::ZERO), Fault::Away, Fault::Gone, Fault::NoAnswer(Duration::ZERO)] {
            let (ended, answer) = puppet.next();
            let outcome = Outcome::Value(bytes(&42_u64));
            assert_eq!(ended, Ask::Ended { job: 7, attempt: 1, outcome });
            assert_eq!(puppet.settlements(), 0);
            answer.give(Err(fault));
        }
        confirm(puppet.next().1);
        puppet.is_settled(1, Settlement::Done);
        let report = serving.stop().expect("stops");
        assert_eq!((report.stats.done, report.stats.duplicates), (1, 0), "{report}");
    });
}

#[test]
fn an_origin_that_is_gone_for_a_lease_is_dead() {
    bounded(|| {
        let (puppet, _apart, _serving) = worker(1);
        let key = Key::new();
        puppet.deliver(1, 11, &key.job());
        // A third of a lease apart: an origin that connects again meanwhile is not dead.
        for _ in 0..3 {
            puppet.next().1.give(Err(Fault::Gone));
            assert_eq!(puppet.settlements(), 0);
        }
        puppet.next().1.give(Err(Fault::Gone));
        puppet.is_settled(1, Settlement::Done);
        assert_eq!(key.begins(), 0);
    });
}

#[test]
fn a_second_message_of_a_running_job_runs_nothing_and_is_settled_with_it() {
    bounded(|| {
        let (puppet, _apart, _serving) = worker(2);
        let key = Key::new();
        begin(&puppet, key);
        // A copy, after the broker has lost its memory.
        puppet.deliver(2, 12, &key.job());
        puppet.is_settled(1, Settlement::Done);
        let (begin, answer) = puppet.next();
        assert!(matches!(begin, Ask::Begin { receipt: 12, .. }), "the origin learns the new receipt: {begin:?}");
        grant(answer);
        key.open();
        confirm(puppet.next().1);
        puppet.is_settled(2, Settlement::Done);
        assert_eq!(key.begins(), 1);
    });
}

#[test]
fn what_it_does_not_understand_is_told_once_and_settled() {
    bounded(|| {
        let (puppet, _apart, serving) = worker(1);
        let text = |ask: Ask| match ask {
            Ask::Ended { outcome: Outcome::NotUnderstood(text) | Outcome::NoOutput(text), .. } => text,
            other => panic!("{other:?}"),
        };
        // Headers of a later version.
        let headers = [("Hl-Version", "9"), ("Hl-Id", "web-1-abc.7")];
        let headers = headers.map(|(key, value)| (key.to_string(), value.to_string())).to_vec();
        puppet.deliver_raw(1, 11, headers, Bytes::new());
        let (told, answer) = puppet.next();
        assert!(text(told).contains("version 9"));
        confirm(answer);
        puppet.is_settled(1, Settlement::Done);
        // A delivery without an origin.
        puppet.deliver_raw(2, 12, vec![], Bytes::new());
        puppet.is_settled(2, Settlement::Done);
        // A body that does not decode.
        let headers = [
            ("Hl-Version", "1"),
            ("Hl-Job", "double"),
            ("Hl-Id", "web-1-abc.8"),
            ("Hl-Path", "web-1-abc:"),
            ("Hl-Attempt", "1"),
        ];
        let headers = headers.map(|(key, value)| (key.to_string(), value.to_string())).to_vec();
        puppet.deliver_raw(3, 13, headers, Bytes::from_static(&[0, 0, 0, 0, 0xC1]));
        grant(puppet.next().1);
        let (told, answer) = puppet.next();
        assert!(text(told).contains("`double` does not decode"));
        confirm(answer);
        puppet.is_settled(3, Settlement::Done);
        // An output that is too large.
        puppet.deliver(4, 14, &Large);
        grant(puppet.next().1);
        let (told, answer) = puppet.next();
        assert!(text(told).contains("4096"));
        confirm(answer);
        puppet.is_settled(4, Settlement::Done);
        assert_eq!(serving.stop().expect("stops").stats.not_understood, 4);
    });
}

#[test]
fn a_sign_names_the_running_jobs_and_its_answer_stops_them() {
    bounded(|| {
        let (puppet, _apart, _serving) = worker(2);
        let key = Key::new();
        begin(&puppet, key);
        let answer = puppet.wait(|state| match state.requests.pop_front()? {
            (Ask::Sign { jobs, scopes }, answer) if jobs == [7] => {
                assert_eq!(scopes, [3]);
                Some(answer)
            }
            // A sign from before the grant.
            (_, early) => {
                early.give(Err(Fault::Away));
                None
            }
        });
        answer.give(Ok(bytes(&Reply::Signed { stop: vec![7], unknown: vec![], ended: vec![] })));
        key.was_cancelled();
        let (ended, answer) = puppet.next();
        assert_eq!(ended, Ask::Ended { job: 7, attempt: 1, outcome: Outcome::Value(bytes(&false)) });
        confirm(answer);
        puppet.is_settled(1, Settlement::Done);
    });
}

#[test]
fn three_missed_signs_cancel_the_jobs_of_the_origin() {
    bounded(|| {
        let (puppet, _apart, _serving) = worker(2);
        let key = Key::new();
        begin(&puppet, key);
        for _ in 0..3 {
            let (_, answer) = puppet.wait(|state| state.requests.pop_front());
            answer.give(Err(Fault::NoAnswer(LEASE)));
        }
        key.was_cancelled();
        // Its result goes nowhere.
        puppet.is_settled(1, Settlement::Done);
    });
}

#[test]
fn the_next_message_of_a_job_whose_end_is_told_goes_back() {
    bounded(|| {
        let (puppet, apart, _serving) = worker_in(PoolConfig::leased(2).queue_limit(1));
        let here = apart.lineage().get("here").expect("started");
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
        let wait = || {
            let gate = std::sync::Arc::clone(&gate);
            here.submit(move || gate.lock().expect("no panic under it").recv()).expect("accepted")
        };
        let running = [1, 2].map(|busy| {
            let task = wait();
            eventually("it runs", || here.stats().running == busy);
            task
        });
        let queued = wait();
        // Its pool is full, so the job is told as not run.
        puppet.deliver(1, 11, &Double(4));
        grant(puppet.next().1);
        let (ended, answer) = puppet.next();
        assert!(matches!(ended, Ask::Ended { outcome: Outcome::NotRun, .. }), "{ended:?}");
        // The origin has published the job again, and the answer is on its way.
        puppet.deliver(2, 12, &Double(4));
        puppet.is_settled(2, Settlement::GiveBack);
        assert_eq!(puppet.settlements(), 1);
        confirm(answer);
        puppet.is_settled(1, Settlement::Done);
        drop(open);
        assert!(running.into_iter().chain([queued]).all(|task| task.join().is_ok()));
    });
}

#[test]
fn a_job_of_a_silent_origin_goes_back_after_two_leases() {
    bounded(|| {
        let (puppet, _apart, _serving) = worker(1);
        let key = Key::new();
        let began = std::time::Instant::now();
        puppet.deliver(1, 11, &key.job());
        // The origin has the job, and decides later. Another worker asks then.
        loop {
            let next = puppet.wait(|state| match state.settled.first() {
                Some(settled) => Some(Err(*settled)),
                None => state.requests.pop_front().map(Ok),
            });
            match next {
                // A process that answers signs is not dead.
                Ok((Ask::Sign { .. }, answer)) => signed(answer),
                Ok((_, answer)) => answer.give(Err(Fault::NoAnswer(Duration::ZERO))),
                Err(settled) => break assert_eq!(settled, (1, Settlement::GiveBack)),
            }
        }
        assert!(began.elapsed() >= LEASE * 2);
        assert_eq!(key.begins(), 0);
    });
}

#[test]
fn the_origin_hears_of_a_repeatable_job_that_goes_back_before_the_engine_does() {
    bounded(|| {
        let (puppet, _apart, serving) = worker(1);
        serving.close();
        let key = Key::new();
        puppet.deliver(1, 11, &key.repeatable());
        let (told, answer) = puppet.next();
        assert_eq!(told, Ask::GaveBack { job: 7, receipt: 11, count: 1 });
        assert_eq!(puppet.settlements(), 0);
        confirm(answer);
        puppet.is_settled(1, Settlement::GiveBack);
        // Without an answer it goes back too.
        puppet.deliver(2, 12, &key.repeatable());
        puppet.next().1.give(Err(Fault::Gone));
        puppet.is_settled(2, Settlement::GiveBack);
        // A job that never begins without a grant needs no word.
        puppet.deliver(3, 13, &key.job());
        puppet.is_settled(3, Settlement::GiveBack);
        assert_eq!(key.begins(), 0);
    });
}

#[test]
fn a_job_that_was_not_asked_for_goes_back() {
    bounded(|| {
        let (puppet, _apart, serving) = worker(1);
        let key = Key::new();
        begin(&puppet, key);
        puppet.deliver(2, 12, &Double(1));
        puppet.is_settled(2, Settlement::GiveBack);
        assert!(!serving.is_closed());
        key.open();
        confirm(puppet.next().1);
        puppet.is_settled(1, Settlement::Done);
    });
}
