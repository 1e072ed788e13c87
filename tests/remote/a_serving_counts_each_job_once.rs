//! The numbers of a serving: each job that it accepts has one end.

use std::time::Duration;

use heirloom::remote::ServingStats;
use heirloom::remote::engine::Settlement;

use crate::a_worker_keeps_its_protocol::{confirm, grant, worker};
use crate::common::{bounded, eventually};
use crate::puppet::{Reply, bytes};
use crate::world::{Double, Key, Unknown, World};

fn ends(stats: ServingStats) -> u64 {
    stats.done + stats.given_back + stats.lost + stats.not_understood + stats.cancelled
}

#[test]
fn accepted_jobs_are_the_sum_of_their_ends_under_load() {
    bounded(|| {
        let world = World::new();
        let pool = world.pool(6);
        let workers = [(); 2].map(|()| world.worker(3));
        let hold = |stats: ServingStats| assert_eq!(stats.accepted, stats.running as u64 + ends(stats), "{stats:?}");
        let (done, held) = (Key::new(), Key::new());
        done.open();
        let mut tasks = Vec::new();
        for round in 0..200 {
            // Cancelled at its begin, before or after it.
            let stopped = [held.repeatable(), done.repeatable()].map(|job| pool.send(job).expect("accepted"));
            let once = pool.send(held.job()).expect("accepted");
            tasks.push(pool.send(Double(round)).expect("accepted"));
            if round % 20 == 0 {
                drop(pool.send(Unknown).expect("accepted").join().expect_err("no worker knows it"));
            }
            if round % 50 == 0 {
                world.origin.restart_broker();
            }
            for task in stopped.iter().chain([&once]) {
                task.cancel();
            }
            workers.iter().for_each(|worker| hold(worker.serving.stats()));
        }
        // A busy machine may make a worker look dead.
        tasks.into_iter().for_each(|task| drop(task.join()));
        assert!(pool.stop().expect("stops").is_complete());
        for worker in workers {
            let report = worker.serving.stop().expect("stops");
            let stats = report.stats;
            assert!(report.is_complete(), "{report}");
            assert_eq!((stats.running, stats.telling, stats.accepted), (0, 0, ends(stats)), "{stats:?}");
        }
    });
}

#[test]
fn a_running_job_that_its_origin_has_ended_counts_as_cancelled() {
    bounded(|| {
        let (puppet, _apart, serving) = worker(1);
        let key = Key::new();
        puppet.deliver(1, 11, &key.repeatable());
        key.has_begun(1);
        puppet.next().1.give(Ok(bytes(&Reply::Over)));
        puppet.is_settled(1, Settlement::Done);
        key.was_cancelled();
        let stats = serving.stop().expect("stops").stats;
        assert_eq!((stats.accepted, stats.cancelled, stats.running, stats.done), (1, 1, 0, 0), "{stats:?}");
    });
}

#[test]
fn an_ended_job_counts_as_telling_until_its_origin_knows() {
    bounded(|| {
        let (puppet, _apart, serving) = worker(1);
        puppet.deliver(1, 11, &Double(1));
        assert_eq!(serving.stats().running, 1);
        grant(puppet.next().1);
        let (_, answer) = puppet.next();
        let stats = serving.stats();
        assert_eq!((stats.running, stats.telling, stats.done), (0, 1, 1), "{stats:?}");
        confirm(answer);
        eventually("the job is settled", || serving.stats().telling == 0);
    });
}

#[test]
fn a_second_delivery_of_a_job_counts_no_second_job() {
    bounded(|| {
        let (puppet, _apart, serving) = worker(2);
        let key = Key::new();
        puppet.deliver(1, 11, &key.job());
        grant(puppet.next().1);
        key.has_begun(1);
        puppet.deliver(2, 11, &key.job());
        grant(puppet.next().1);
        assert_eq!(serving.stats().accepted, 1);
        key.open();
        confirm(puppet.next().1);
        assert_eq!(serving.stop().expect("stops").stats.accepted, 1);
    });
}

#[test]
fn a_stop_waits_until_the_origin_of_an_unknown_job_knows() {
    bounded(|| {
        let (puppet, _apart, serving) = worker(1);
        puppet.deliver(1, 11, &Unknown);
        let (_, answer) = puppet.next();
        let stopper = std::thread::spawn(move || serving.stop());
        std::thread::sleep(Duration::from_millis(20));
        assert!(!stopper.is_finished());
        confirm(answer);
        let report = stopper.join().expect("no panic").expect("stops");
        assert_eq!((report.stats.not_understood, report.is_complete()), (1, true), "{report}");
    });
}
