//! The origin's half against workers that a test plays by hand: who may begin, and which end counts.

use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use heirloom::remote::engine::{Fault, Receipt};
use heirloom::{ErrorKind, TaskHandle};

use crate::broker::{GRANTED, Origin, Reply, sent, value};
use crate::common::{bounded, eventually};
use crate::puppet::{Outcome, bytes};
use crate::world::{Double, Key, Repeatable};

#[test]
fn one_worker_gets_a_grant_and_again_when_it_repeats_its_request() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(origin.begin("w-2-b", job, 2, 1), Reply::Over, "a copy");
        assert_eq!(origin.ended("w-1-a", job, value(42)), Reply::Confirmed { first: true });
        assert_eq!(origin.ended("w-1-a", job, value(42)), Reply::Confirmed { first: false });
        assert_eq!(task.join().expect("a value"), 42);
    });
}

#[test]
fn a_later_delivery_proves_the_death_of_the_worker() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(origin.begin("w-2-b", job, 1, 2), Reply::Over);
        assert_eq!(task.join().expect_err("it may have run").kind(), ErrorKind::WorkerLost);
    });
}

#[test]
fn a_stale_request_kills_no_successor() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        // The first worker was cut off before it asked; the second one got the message then.
        assert_eq!(origin.begin("w-2-b", job, 1, 2), GRANTED);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), Reply::Stale);
        assert_eq!(origin.ended("w-2-b", job, value(42)), Reply::Confirmed { first: true });
        assert_eq!(task.join().expect("the second worker's"), 42);
    });
}

#[test]
fn a_repeated_end_without_a_run_takes_no_successors_grant() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(origin.ended("w-1-a", job, Outcome::NotRun), Reply::Confirmed { first: true });
        assert_eq!(origin.published().len(), 2, "it goes elsewhere");
        assert_eq!(origin.begin("w-2-b", job, 2, 1), GRANTED);
        assert_eq!(origin.ended("w-1-a", job, Outcome::NotRun), Reply::Confirmed { first: false });
        assert_eq!(origin.published().len(), 2);
        assert_eq!(origin.begin("w-3-c", job, 3, 1), Reply::Over);
        assert_eq!(origin.ended("w-2-b", job, value(42)), Reply::Confirmed { first: true });
        assert_eq!(task.join().expect("the second worker's"), 42);
    });
}

#[test]
fn a_worker_of_another_version_ends_no_job_that_runs() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        let unknown = Outcome::NotUnderstood("no such job".into());
        assert_eq!(origin.ended("w-2-b", job, unknown), Reply::Confirmed { first: false });
        assert_eq!(origin.ended("w-1-a", job, value(42)), Reply::Confirmed { first: true });
        assert_eq!(task.join().expect("a value"), 42);
    });
}

#[test]
fn a_repeatable_job_gets_a_number_of_its_own_for_each_begin() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = repeatable(&origin);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(origin.begin("w-2-b", job, 1, 2), Reply::Begin { attempt: 2 });
        assert_eq!(origin.begin("w-3-c", job, 1, 3), Reply::Begin { attempt: 3 });
        assert_eq!(origin.begin("w-4-d", job, 1, 4), Reply::Over);
        assert_eq!(task.join().expect_err("three attempts were allowed").kind(), ErrorKind::WorkerLost);
    });
}

#[test]
fn after_a_connect_the_lost_jobs_alone_are_published_again_in_their_order() {
    bounded(|| {
        let origin = Origin::new();
        let sent: Vec<_> = (0..8).map(|_| sent(&origin)).collect();
        let numbers: Vec<u64> = sent.iter().map(|(_, job)| *job).collect();
        let list = origin.reconnect();
        assert_eq!(origin.published().len(), 8, "the engine may have all of them");
        list.give(Ok(numbers[..4].to_vec()));
        assert_eq!(origin.published()[8..], numbers[4..]);
        origin.reconnect().give(Ok(numbers));
        assert_eq!(origin.published().len(), 12);
    });
}

#[test]
fn an_async_send_is_ready_when_the_job_is_seen_whose_acknowledgement_was_lost() {
    bounded(|| {
        let origin = Origin::new();
        let seen: [fn(&Origin, u64); 2] = [
            |origin, job| origin.reconnect().give(Ok(vec![job])),
            |origin, job| assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED),
        ];
        for see in seen {
            origin.refuses(Some(Fault::Away));
            let mut sends = pin!(origin.pool.send_async(Double(21)));
            assert!(sends.as_mut().now_or_never().is_none(), "the engine's word is missing");
            origin.refuses(None);
            let job = *origin.published().last().expect("it was sent");
            see(&origin, job);
            let task = sends.now_or_never().expect("ready").expect("no fault");
            assert_eq!(origin.published().iter().filter(|sent| **sent == job).count(), 1, "and it is not sent again");
            drop(task);
        }
    });
}

#[test]
fn a_cancelled_job_is_withdrawn_with_its_receipt_or_by_its_number() {
    bounded(|| {
        let origin = Origin::new();
        let (task, known) = sent(&origin);
        task.cancel();
        assert_eq!(origin.withdrawn(), [(known, Some(Receipt(1)))]);
        origin.refuses(Some(Fault::Away));
        let (task, found) = sent(&origin);
        origin.reconnect().give(Ok(vec![found]));
        task.cancel();
        assert_eq!(origin.withdrawn()[1..], [(found, None)], "its acknowledgement was lost, and a list has found it");
    });
}

#[test]
fn a_list_from_before_a_connect_tells_nothing() {
    bounded(|| {
        let origin = Origin::new();
        let (_task, job) = sent(&origin);
        let (old, new) = (origin.reconnect(), origin.reconnect());
        old.give(Ok(vec![]));
        assert_eq!(origin.published().len(), 1);
        new.give(Ok(vec![job]));
        assert_eq!(origin.published().len(), 1);
        let (old, new) = (origin.reconnect(), origin.reconnect());
        old.give(Ok(vec![job]));
        new.give(Ok(vec![]));
        assert_eq!(origin.published().len(), 2, "the earlier list does not hide the loss");
    });
}

#[test]
fn a_job_that_was_granted_since_the_look_is_not_published_again() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        let list = origin.reconnect();
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        list.give(Ok(vec![]));
        assert_eq!(origin.published().len(), 1);
        assert_eq!(origin.ended("w-1-a", job, value(42)), Reply::Confirmed { first: true });
        assert_eq!(task.join().expect("a value"), 42);
    });
}

#[test]
fn a_fault_of_a_further_message_ends_no_job_that_was_accepted() {
    bounded(|| {
        let origin = Origin::with_lease(Duration::from_millis(300));
        for fault in [Fault::Full, Fault::NotAllowed("publish".into()), Fault::Broken("a fault".into()), Fault::Away] {
            let (task, job) = sent(&origin);
            let first = origin.published().len() as u64;
            assert_eq!(origin.begin("w-1-a", job, first, 1), GRANTED);
            origin.refuses(Some(fault.clone()));
            assert_eq!(origin.ended("w-1-a", job, Outcome::NotRun), Reply::Confirmed { first: true });
            assert!(!task.is_finished(), "{fault:?}");
            origin.refuses(None);
            if fault == Fault::Away {
                origin.reconnect().give(Ok(vec![]));
            }
            // Each third of a lease, without a further event.
            eventually("the engine has it", || origin.published().len() as u64 > first + 1);
            let newest = origin.published().len() as u64;
            assert_eq!(origin.begin("w-2-b", job, newest, 1), GRANTED);
            assert_eq!(origin.ended("w-2-b", job, value(42)), Reply::Confirmed { first: true });
            assert_eq!(task.join().expect("the second worker's"), 42);
        }
    });
}

#[test]
fn a_first_message_that_the_engine_refuses_is_the_handles_error() {
    bounded(|| {
        let origin = Origin::new();
        let kinds = [
            (Fault::Full, ErrorKind::QueueFull),
            (Fault::NotAllowed("publish".into()), ErrorKind::NotAllowed),
            (Fault::Broken("a fault".into()), ErrorKind::EngineFailed),
        ];
        for (fault, kind) in kinds {
            origin.refuses(Some(fault));
            assert_eq!(sent(&origin).0.join().expect_err("refused").kind(), kind);
        }
    });
}

#[test]
fn a_silent_worker_is_lost_without_any_event_of_the_connection() {
    bounded(|| {
        // The connection was there before the origin was: the origin never hears of a connect.
        let origin = Origin::with_lease(Duration::from_millis(60));
        let (task, job) = sent(&origin);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(task.join().expect_err("no sign comes").kind(), ErrorKind::WorkerLost);
    });
}

fn repeatable(origin: &Origin) -> (TaskHandle<bool>, u64) {
    let task: TaskHandle<bool> = origin.pool.send::<Repeatable>(Key::new().repeatable()).expect("accepted");
    let id = task.id().as_u64();
    (task, id)
}

#[test]
fn a_repeated_loss_counts_one_attempt_and_takes_no_successors_grant() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = repeatable(&origin);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(origin.ended("w-1-a", job, Outcome::Lost), Reply::Confirmed { first: true });
        assert_eq!(origin.ended("w-1-a", job, Outcome::Lost), Reply::Confirmed { first: false });
        assert_eq!(origin.published().len(), 2);
        assert_eq!(origin.begin("w-2-b", job, 2, 1), Reply::Begin { attempt: 2 });
        assert_eq!(origin.ended("w-1-a", job, Outcome::Lost), Reply::Confirmed { first: false });
        assert_eq!(origin.published().len(), 2);
        assert_eq!(origin.ended("w-2-b", job, Outcome::Value(bytes(&true))), Reply::Confirmed { first: true });
        assert!(task.join().expect("the second worker's"));
    });
}

#[test]
fn a_death_before_the_grant_is_an_attempt_of_a_repeatable_job() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = repeatable(&origin);
        // The first worker began at once, and died before it asked.
        assert_eq!(origin.begin("w-2-b", job, 1, 2), Reply::Begin { attempt: 2 });
        assert_eq!(origin.begin("w-3-c", job, 1, 3), Reply::Begin { attempt: 3 });
        assert_eq!(origin.begin("w-4-d", job, 1, 4), Reply::Over);
        assert_eq!(task.join().expect_err("three attempts were allowed").kind(), ErrorKind::WorkerLost);
    });
}

#[test]
fn a_message_of_an_earlier_attempt_counts_no_second_time() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = repeatable(&origin);
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        assert_eq!(origin.ended("w-1-a", job, Outcome::Lost), Reply::Confirmed { first: true });
        // The first worker is cut off before it settles the message, which is counted already.
        for count in 2..9 {
            assert_eq!(origin.begin("w-2-b", job, 1, count), Reply::Over);
        }
        assert_eq!(origin.begin("w-3-c", job, 2, 1), Reply::Begin { attempt: 2 });
        assert_eq!(origin.ended("w-3-c", job, Outcome::Value(bytes(&true))), Reply::Confirmed { first: true });
        assert!(task.join().expect("the third worker's"));
    });
}

#[test]
fn a_delivery_that_is_given_back_costs_a_repeatable_job_no_attempt() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = repeatable(&origin);
        for count in 1..20 {
            origin.gave_back("w-1-a", job, 1, count);
        }
        assert_eq!(origin.begin("w-2-b", job, 1, 20), GRANTED);
        // Of the deliveries 20 to 22 each worker dies in the job.
        assert_eq!(origin.begin("w-3-c", job, 1, 21), Reply::Begin { attempt: 2 });
        assert_eq!(origin.begin("w-4-d", job, 1, 22), Reply::Begin { attempt: 3 });
        assert_eq!(origin.begin("w-5-e", job, 1, 23), Reply::Over);
        assert_eq!(task.join().expect_err("three attempts were allowed").kind(), ErrorKind::WorkerLost);
    });
}

#[test]
fn a_death_between_deliveries_that_are_given_back_is_an_attempt() {
    bounded(|| {
        let origin = Origin::new();
        let (_task, job) = repeatable(&origin);
        origin.gave_back("w-1-a", job, 1, 1);
        origin.gave_back("w-3-c", job, 1, 3);
        assert_eq!(origin.begin("w-4-d", job, 1, 4), Reply::Begin { attempt: 2 });
    });
}

#[test]
fn a_worker_that_gives_back_a_job_of_whose_grant_it_never_heard_does_not_lose_it() {
    bounded(|| {
        let origin = Origin::new();
        let (task, job) = sent(&origin);
        // The answer is lost on its way.
        assert_eq!(origin.begin("w-1-a", job, 1, 1), GRANTED);
        origin.gave_back("w-1-a", job, 1, 1);
        assert_eq!(origin.begin("w-2-b", job, 1, 2), GRANTED);
        // A repeated word of the first one is not about this grant.
        origin.gave_back("w-1-a", job, 1, 1);
        assert_eq!(origin.begin("w-3-c", job, 2, 1), Reply::Over, "a copy");
        assert_eq!(origin.ended("w-2-b", job, value(42)), Reply::Confirmed { first: true });
        assert_eq!(task.join().expect("the second worker's"), 42);
    });
}
