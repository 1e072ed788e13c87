//! Cancels of remote jobs: queued, running, of a scope, by a deadline, and by the death of their origin.

use std::time::{Duration, Instant};

use heirloom::{ErrorKind, PoolConfig, Scope};

use crate::common::{bounded, eventually};
use crate::puppet::LEASE;
use crate::world::{Double, Key, World};

#[test]
fn a_queued_job_ends_at_once_and_never_runs() {
    bounded(|| {
        let world = World::new();
        let (pool, key) = (world.pool(1), Key::new());
        let task = pool.send(key.job()).expect("accepted");
        task.cancel();
        assert_eq!(task.join().expect_err("cancelled").kind(), ErrorKind::Cancelled);
        let _worker = world.worker(1);
        assert_eq!(pool.send(Double(1)).expect("accepted").join().expect("runs"), 2);
        assert_eq!(key.begins(), 0);
    });
}

#[test]
fn a_handles_cancel_reaches_the_running_job() {
    bounded(|| {
        let world = World::new();
        let (pool, key, _worker) = (world.pool(1), Key::new(), world.worker(1));
        let task = key.begun(&pool);
        task.cancel();
        key.was_cancelled();
        assert!(!task.join().expect("the job decides on its end"));
    });
}

#[test]
fn a_dropped_scope_stops_its_jobs_on_each_worker() {
    bounded(|| {
        let world = World::new();
        let (pool, key) = (world.pool(8), Key::new());
        let _workers = [(); 2].map(|()| world.worker(2));
        let request = Scope::new_in(&world.scope, "request 7");
        let tasks: Vec<_> = (0..4).map(|_| request.run(|| pool.send(key.job())).expect("accepted")).collect();
        let other = Key::new();
        key.has_begun(4);
        drop(request);
        assert!(tasks.into_iter().all(|task| !task.join().expect("each was stopped")));
        let beside = pool.send(other.job()).expect("accepted");
        other.open();
        assert!(beside.join().expect("another scope's job runs"));
    });
}

#[test]
fn a_pools_cancel_reaches_running_and_queued_jobs() {
    bounded(|| {
        let world = World::new();
        let (pool, key, _worker) = (world.pool(2), Key::new(), world.worker(2));
        let running: Vec<_> = (0..2).map(|_| pool.send(key.job()).expect("accepted")).collect();
        key.has_begun(2);
        let queued = pool.send(key.job()).expect("accepted");
        pool.cancel();
        assert!(queued.join().expect_err("never began").as_task().is_some_and(|error| error.as_cancelled().is_some()));
        assert!(running.into_iter().all(|task| !task.join().expect("stopped")));
    });
}

#[test]
fn a_deadline_travels_along() {
    bounded(|| {
        let world = World::new();
        let (pool, _worker) = (world.pool(1), world.worker(1));
        // On a busy machine the job may not begin in time, and has more of it then.
        let mut times = (0..8).map(|tries| Duration::from_millis(100 << tries));
        let request = times.find_map(|time| {
            let (key, request) = (Key::new(), Scope::new_in(&world.scope, "request"));
            request.deadline(Instant::now() + time);
            let task = request.run(|| pool.send(key.job())).ok()?;
            let sees = task.join().is_ok_and(|opened| !opened);
            (sees && key.begins() == 1).then_some(request)
        });
        let request = request.expect("a job has begun, and has seen it");
        eventually("the scope's own deadline has fired", || request.lineage().is_cancelled());
        let late = request.run(|| pool.send(Key::new().job()));
        assert!(late.is_err_and(|error| error.kind() == ErrorKind::DeadlineExceeded));
    });
}

#[test]
fn a_dead_origins_jobs_are_cancelled() {
    bounded(|| {
        let world = World::leased();
        let (pool, key, worker) = (world.pool(1), Key::new(), world.worker(1));
        let _task = key.begun(&pool);
        world.origin.kill();
        key.was_cancelled();
        eventually("the worker has let go", || worker.here.stats().running == 0);
    });
}

#[test]
fn the_jobs_of_a_pool_that_outlives_its_origin_run_on() {
    bounded(|| {
        let world = World::leased();
        let pool = world.pool_with(PoolConfig::remote(1, world.origin.queue("work")).outlives_origin());
        let (key, worker) = (Key::new(), world.worker(1));
        let _task = key.begun(&pool);
        world.origin.kill();
        std::thread::sleep(LEASE * 2);
        key.open();
        eventually("it has run to its end", || worker.here.stats().completed == 1);
        assert_eq!(worker.here.stats().interrupted, 0);
    });
}

#[test]
fn a_stop_reaches_the_second_hop() {
    use heirloom::remote::{Job, serve};
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Forwards(super::world::Held);
    impl Job for Forwards {
        const NAME: &'static str = "forwards";
        type Output = bool;

        fn run(self) -> bool {
            let sent = heirloom::get("second").expect("the worker has it").send(self.0).expect("accepted");
            sent.join().expect("ends")
        }
    }

    bounded(|| {
        let world = World::new();
        let (pool, key) = (world.pool(1), Key::new());
        let middle = world.origin.another();
        let at_middle = Scope::new_in(&world.scope, "middle");
        let here = at_middle.create("here");
        here.start(PoolConfig::leased(1)).expect("starts");
        at_middle.create("second").start(PoolConfig::remote(1, middle.queue("deeper"))).expect("starts");
        let _serving = serve(middle.queue("work"), &here).job::<Forwards>().start().expect("starts");
        let last = world.origin.another();
        let there = world.scope.create("there");
        there.start(PoolConfig::leased(1)).expect("starts");
        let _last = serve(last.queue("deeper"), &there).job::<super::world::Held>().start().expect("starts");

        let request = Scope::new_in(&world.scope, "request");
        let task = request.run(|| pool.send(Forwards(key.job()))).expect("accepted");
        key.has_begun(1);
        drop(request);
        key.was_cancelled();
        assert!(!task.join().expect("ends"));
    });
}
