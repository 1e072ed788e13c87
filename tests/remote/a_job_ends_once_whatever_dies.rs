//! The semantics of a remote pool, on the loopback engine: each sent job ends once, and begins at most once unless it is
//! repeatable.

use std::time::Duration;

use heirloom::{ErrorKind, PoolConfig, TaskType};

use crate::common::{bounded, eventually};
use crate::world::{Double, Key, Unknown, World};

#[test]
fn an_output_comes_back() {
    bounded(|| {
        let world = World::new();
        let (pool, _worker) = (world.pool(4), world.worker(2));
        let sent: Vec<_> = (0..100).map(|n| pool.send(Double(n)).expect("accepted")).collect();
        assert!(sent.into_iter().zip(0..).all(|(task, n)| task.join().expect("runs") == 2 * n));
        assert!(pool.stop().expect("stops").is_complete());
    });
}

#[test]
fn jobs_wait_for_the_first_worker() {
    bounded(|| {
        let world = World::new();
        let pool = world.pool(4);
        let task = pool.send(Double(21)).expect("accepted");
        assert_eq!(pool.stats().queued, 1);
        let _worker = world.worker(1);
        assert_eq!(task.join().expect("runs"), 42);
    });
}

#[test]
fn at_most_n_run_over_all_workers() {
    bounded(|| {
        let world = World::new();
        let pool = world.pool(3);
        let _workers = [(); 3].map(|()| world.worker(4));
        let key = Key::new();
        let tasks: Vec<_> = (0..12).map(|_| pool.send(key.job()).expect("accepted")).collect();
        key.has_begun(3);
        // A fourth would begin within the time of some round trips.
        let others: Vec<_> = (0..20).map(|n| pool.send(Double(n)).expect("accepted")).collect();
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(key.begins(), 3);
        key.open();
        assert!(tasks.into_iter().all(|task| task.join().expect("runs")));
        assert!(others.into_iter().all(|task| task.join().is_ok()));
    });
}

#[test]
fn a_worker_that_dies_before_the_begin_costs_nothing() {
    bounded(|| {
        let world = World::leased();
        let pool = world.pool(1);
        let (busy, key) = (Key::new(), Key::new());
        let first = world.worker(1);
        let running = pool.send(busy.job()).expect("accepted");
        busy.has_begun(1);
        let queued = pool.send(key.job()).expect("accepted");
        first.end.kill();
        let _second = world.worker(1);
        key.open();
        assert!(queued.join().expect("runs at the second worker"));
        busy.open();
        assert_eq!(running.join().expect_err("its worker died").kind(), ErrorKind::WorkerLost);
        assert_eq!(key.attempts(), [1]);
    });
}

#[test]
fn a_job_whose_worker_dies_is_lost_and_may_have_run() {
    bounded(|| {
        let world = World::leased();
        let (pool, key) = (world.pool(1), Key::new());
        let worker = world.worker(1);
        let task = key.begun(&pool);
        worker.end.kill();
        let error = task.join().expect_err("its worker died");
        assert_eq!(error.kind(), ErrorKind::WorkerLost);
        assert!(error.as_task().is_some_and(|error| error.maybe_ran()));
        assert!(error.to_string().contains("REPEATABLE"), "{error}");
        let _next = world.worker(1);
        key.open();
        assert_eq!(pool.send(Double(1)).expect("accepted").join().expect("runs"), 2);
        assert_eq!(key.begins(), 1);
    });
}

#[test]
fn a_repeatable_job_begins_again_with_the_next_attempt() {
    bounded(|| {
        let world = World::leased();
        let (pool, key) = (world.pool(1), Key::new());
        let first = world.worker(1);
        let task = pool.send(key.repeatable()).expect("accepted");
        key.has_begun(1);
        eventually("the origin knows of the begin", || pool.stats().running == 1);
        first.end.kill();
        let _second = world.worker(1);
        key.has_begun(2);
        key.open();
        assert!(task.join().expect("runs again"));
        assert_eq!(key.attempts()[..2], [1, 2]);
    });
}

#[test]
fn a_repeatable_job_is_lost_after_its_last_attempt() {
    bounded(|| {
        let world = World::leased();
        let pool = world.pool_with(PoolConfig::remote(1, world.origin.queue("work")).attempts(2));
        let key = Key::new();
        let task = pool.send(key.repeatable()).expect("accepted");
        for attempt in 1..=2 {
            let worker = world.worker(1);
            key.has_begun(attempt);
            // The second attempt begins after the grant.
            eventually("the origin knows of the begin", || pool.stats().running == 1);
            worker.end.kill();
        }
        let _third = world.worker(1);
        assert_eq!(task.join().expect_err("two attempts were allowed").kind(), ErrorKind::WorkerLost);
        assert_eq!(key.begins(), 2);
        key.open();
    });
}

#[test]
fn of_a_paused_worker_and_its_successor_the_first_result_counts() {
    bounded(|| {
        let world = World::leased();
        let (pool, key) = (world.pool(1), Key::new());
        let first = world.worker(1);
        let task = pool.send(key.repeatable()).expect("accepted");
        key.has_begun(1);
        eventually("the origin knows of the begin", || pool.stats().running == 1);
        first.end.pause();
        let _second = world.worker(1);
        key.has_begun(2);
        key.open();
        assert!(task.join().expect("one of the two ran"));
        // An origin that is asked first would say that the job is over, and there would be no other result.
        eventually("the paused worker's job has ended", || first.here.stats().completed == 1);
        first.end.resume();
        // A result that is told twice is counted twice.
        eventually("the other result is counted", || world.origin.queue("work").duplicates() >= 1);
        let again = pool.send(Double(1)).expect("accepted");
        assert_eq!(again.join().expect("runs"), 2);
        assert_eq!(pool.stats().completed, 2);
    });
}

#[test]
fn a_broker_that_forgets_all_loses_no_job() {
    bounded(|| {
        let world = World::new();
        let pool = world.pool(2);
        let (key, _worker) = (Key::new(), world.worker(2));
        let running: Vec<_> = (0..2).map(|_| pool.send(key.job()).expect("accepted")).collect();
        key.has_begun(2);
        let queued: Vec<_> = (0..50).map(|n| pool.send(Double(n)).expect("accepted")).collect();
        for _ in 0..5 {
            world.origin.restart_broker();
        }
        key.open();
        assert!(running.into_iter().all(|task| task.join().expect("runs on")));
        assert!(queued.into_iter().zip(0..).all(|(task, n)| task.join().expect("runs") == 2 * n));
        assert_eq!(key.begins(), 2);
    });
}

#[test]
fn a_flapping_connection_adds_no_copies() {
    bounded(|| {
        let world = World::new();
        let (pool, key) = (world.pool(4), Key::new());
        let tasks: Vec<_> = (0..10).map(|_| pool.send(key.job()).expect("accepted")).collect();
        let queued = || futures::executor::block_on(world.origin.queue("work").depth()).expect("connected").queued;
        for _ in 0..20 {
            world.origin.disconnect();
            world.origin.reconnect();
        }
        // The answer to a list, and what the origin does then, come before that of the second call.
        assert_eq!([queued(), queued()], [10, 10]);
        let _worker = world.worker(4);
        key.open();
        assert!(tasks.into_iter().all(|task| task.join().expect("runs")));
        assert_eq!(key.begins(), 10);
    });
}

#[test]
fn jobs_keep_their_order_when_the_broker_has_lost_them() {
    bounded(|| {
        let world = World::new();
        let (pool, keys) = (world.pool(1), [(); 20].map(|()| Key::new()));
        let tasks: Vec<_> = keys.iter().map(|key| pool.send(key.job()).expect("accepted")).collect();
        world.origin.restart_broker();
        let _worker = world.worker(1);
        for (at, key) in keys.iter().enumerate() {
            key.has_begun(1);
            assert!(keys[at + 1..].iter().all(|later| later.begins() == 0), "job {at}");
            key.open();
        }
        assert!(tasks.into_iter().all(|task| task.join().expect("runs")));
    });
}

#[test]
fn jobs_that_are_sent_without_a_connection_run_after_it() {
    bounded(|| {
        let world = World::new();
        let (pool, _worker) = (world.pool(2), world.worker(1));
        world.origin.disconnect();
        let task = pool.send(Double(4)).expect("accepted");
        world.origin.reconnect();
        assert_eq!(task.join().expect("runs"), 8);
    });
}

#[test]
fn the_queue_limit_holds_without_a_connection() {
    bounded(|| {
        let world = World::new();
        let pool = world.pool_with(PoolConfig::remote(1, world.origin.queue("work")).queue_limit(2));
        world.origin.disconnect();
        let _two = [1, 2].map(|n| pool.send(Double(n)).expect("accepted"));
        let refused = pool.send(Double(3)).expect_err("two wait");
        assert_eq!(refused.kind(), ErrorKind::QueueFull);
    });
}

#[test]
fn a_panic_comes_back_as_its_text() {
    use heirloom::remote::{Job, serve};
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Fails;
    impl Job for Fails {
        const NAME: &'static str = "fails";
        type Output = ();

        fn run(self) {
            panic!("no such page");
        }
    }

    bounded(|| {
        let world = World::new();
        let (pool, here) = (world.pool(1), world.scope.create("here"));
        here.start(PoolConfig::leased(1).log_panics(false)).expect("starts");
        let _serving = serve(world.origin.another().queue("work"), &here).job::<Fails>().start().expect("starts");
        let error = pool.send(Fails).expect("accepted").join().expect_err("it panics");
        assert_eq!(error.panic_message(), Some("no such page"), "{error}");
    });
}

#[test]
fn a_job_that_no_worker_knows_is_not_tried_again() {
    bounded(|| {
        let world = World::new();
        let (pool, worker) = (world.pool(1), world.worker(1));
        let error = pool.send(Unknown).expect("accepted").join().expect_err("no worker knows it");
        assert_eq!(error.kind(), ErrorKind::NotUnderstood);
        assert!(error.as_task().is_some_and(|error| !error.maybe_ran()));
        let text = error.to_string();
        assert!(text.contains("unknown") && text.contains(worker.end.process().as_str()), "{text}");
    });
}

#[test]
fn a_closure_is_refused_with_the_remedy() {
    let world = World::new();
    let pool = world.pool(1);
    let refused = pool.submit(|| ()).expect_err("a closure cannot travel");
    assert_eq!(refused.kind(), ErrorKind::NeedsJob);
    assert!(refused.to_string().contains("`send`"), "{refused}");
    assert_eq!(pool.run(|| ()).expect_err("nor a borrowing one").kind(), ErrorKind::NeedsJob);
}

#[test]
fn its_settings_are_refused_for_another_kind() {
    let world = World::new();
    let pool = world.scope.create("here");
    for config in [PoolConfig::leased(1).outlives_origin(), PoolConfig::dedicated(1).attempts(2)] {
        let refused = pool.start(config).expect_err("no remote pool");
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains("`PoolConfig::remote`"), "{refused}");
    }
}

#[test]
fn a_typed_pool_takes_its_own_job_alone() {
    let world = World::new();
    let config = PoolConfig::remote(1, world.origin.queue("work")).task_type(TaskType::job::<Double>());
    let pool = world.pool_with(config);
    assert_eq!(pool.send(Key::new().job()).expect_err("another type").kind(), ErrorKind::WrongType);
    assert!(pool.send(Double(1)).is_ok());
}

#[test]
fn send_runs_the_job_here_in_a_pool_of_this_process() {
    bounded(|| {
        let world = World::new();
        let configs = [
            PoolConfig::leased(1),
            PoolConfig::dedicated(1),
            #[cfg(feature = "rayon")]
            PoolConfig::work_stealing(1),
        ];
        for (n, config) in configs.into_iter().enumerate() {
            let pool = world.scope.create(n as u64);
            pool.start(config).expect("starts");
            assert_eq!(pool.send(Double(21)).expect("accepted").join().expect("runs"), 42);
        }
    });
}

#[test]
fn a_worker_that_stops_gives_back_what_it_has_not_begun() {
    bounded(|| {
        let world = World::new();
        let (pool, key) = (world.pool(1), Key::new());
        let first = world.worker(1);
        let running = key.begun(&pool);
        let queued: Vec<_> = (0..20).map(|n| pool.send(Double(n)).expect("accepted")).collect();
        first.serving.close();
        let _second = world.worker(1);
        key.open();
        assert!(running.join().expect("runs to its end"));
        assert!(queued.into_iter().all(|task| task.join().is_ok()));
        assert!(first.serving.stop().expect("stops").is_complete());
        eventually("the pool of the worker is idle", || first.here.stats().running == 0);
    });
}

#[test]
fn a_closed_engine_ends_its_jobs() {
    bounded(|| {
        let world = World::leased();
        let (pool, key, _worker) = (world.pool(1), Key::new(), world.worker(1));
        let running = key.begun(&pool);
        let queued = pool.send(Double(1)).expect("accepted");
        world.origin.kill();
        assert_eq!(running.join().expect_err("no word of it comes").kind(), ErrorKind::WorkerLost);
        assert_eq!(queued.join().expect_err("it was not begun").kind(), ErrorKind::EngineFailed);
        let late = pool.send(Double(2)).expect("accepted");
        assert_eq!(late.join().expect_err("nor was this").kind(), ErrorKind::EngineFailed);
        key.open();
    });
}
