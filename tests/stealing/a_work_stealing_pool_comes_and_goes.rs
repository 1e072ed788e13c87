//! The rayon pool behind a work-stealing pool comes with work and goes when there is none, or at the pool's end;
//! nothing that was accepted is left behind, and `stop` returns when the threads have gone back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use heirloom::{PoolConfig, Scope, threads};

use crate::common::{alone, bounded, eventually};

#[test]
fn work_that_comes_as_the_threads_leave_is_not_left_behind() {
    bounded(|| {
        let scope = Scope::new("test");
        let sum = Arc::new(AtomicUsize::new(0));
        let submitters: Vec<_> = [1, 1, 2, 3]
            .into_iter()
            .enumerate()
            .map(|(i, n)| {
                let pool = scope.create(i as u64);
                pool.start(PoolConfig::work_stealing(n)).expect("starts");
                let sum = Arc::clone(&sum);
                std::thread::spawn(move || {
                    for round in 0..60u64 {
                        let add = || sum.fetch_add(1, Ordering::Relaxed);
                        pool.install(|| rayon::join(add, add)).expect("runs");
                        // About as long as the threads stay.
                        let until = Instant::now() + Duration::from_micros(9_700 + 10 * round);
                        while Instant::now() < until {
                            std::thread::sleep(Duration::from_micros(50));
                        }
                    }
                    assert_eq!(pool.stop().expect("not from within").completed, 60);
                })
            })
            .collect();
        for submitter in submitters {
            submitter.join().expect("all of it ran");
        }
        assert_eq!(sum.load(Ordering::Relaxed), 4 * 60 * 2);
    });
}

#[test]
fn a_pool_for_each_request_ends_with_it() {
    bounded(|| {
        let requests: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    for n in 0..200u64 {
                        let pair = Scope::run("request", |request| {
                            let pool = request.create("math");
                            pool.start(PoolConfig::work_stealing(2)).expect("starts");
                            pool.install(|| rayon::join(|| n, || 1)).expect("runs")
                        });
                        assert_eq!(pair, (n, 1));
                    }
                })
            })
            .collect();
        for request in requests {
            request.join().expect("all answered");
        }
    });
}

#[test]
fn tasks_whose_submitters_race_the_end_are_refused_or_end() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("math");
        for round in 0..200 {
            let config = PoolConfig::work_stealing(2);
            pool.start(if round % 2 == 0 { config } else { config.daemon() }).expect("starts");
            let ran = AtomicUsize::new(0);
            let install = || (0..20).filter(|_| pool.install(|| ran.fetch_add(1, Ordering::Relaxed)).is_ok()).count();
            let accepted = std::thread::scope(|threads| {
                let submitters: Vec<_> = (0..3).map(|_| threads.spawn(install)).collect();
                let report = pool.stop().expect("not from within");
                assert!(report.is_complete() || round % 2 == 1);
                submitters.into_iter().map(|one| one.join().expect("answered")).sum::<usize>()
            });
            assert_eq!(accepted, ran.load(Ordering::Relaxed));
            pool.wait_idle().expect("not from within");
        }
    });
}

#[test]
fn stop_waits_for_jobs_that_outlive_their_task() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("math");
        pool.start(PoolConfig::work_stealing(2)).expect("starts");
        let (open, gate) = mpsc::channel::<()>();
        let done = Arc::new(AtomicUsize::new(0));
        let job = Arc::clone(&done);
        let detached = move || {
            let _ = gate.recv();
            job.store(1, Ordering::SeqCst);
        };
        pool.install(|| rayon::spawn(detached)).expect("runs");
        assert!(pool.stop_timeout(Duration::from_millis(20)).expect("not from within").is_complete());
        drop(open);
        let _ = pool.stop().expect("not from within");
        assert_eq!(done.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_daemon_does_not_run_what_was_queued_at_its_end() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("math");
        pool.start(PoolConfig::work_stealing(1).daemon()).expect("starts");
        let (open, gate) = mpsc::channel::<()>();
        let (starts, started) = mpsc::channel();
        let runs = pool
            .submit(move || {
                starts.send(()).expect("somebody listens");
                let _ = gate.recv();
            })
            .expect("accepted");
        started.recv().expect("runs");
        let queued = pool.submit(|| ()).expect("accepted");
        let report = pool.stop().expect("not from within");
        assert_eq!((report.cancelled, report.still_running.len()), (1, 1));
        assert!(queued.join().is_err_and(|error| error.is_cancelled()));
        drop(open);
        runs.join().expect("runs");
    });
}

#[test]
fn its_scopes_end_waits_for_what_was_submitted() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("math");
        pool.start(PoolConfig::work_stealing(2)).expect("starts");
        let count = Arc::new(AtomicUsize::new(0));
        for _ in 0..50 {
            let count = Arc::clone(&count);
            drop(pool.submit(move || rayon::join(|| (), || count.fetch_add(1, Ordering::Relaxed))));
        }
        assert!(scope.stop().expect("not from within").is_complete());
        assert_eq!(count.load(Ordering::Relaxed), 50);
        assert!(pool.install(|| ()).is_err());
    });
}

#[test]
fn a_last_task_on_top_of_another_piece_of_work_leaves_no_thread() {
    alone(|| {
        let scope = Scope::new("test");
        let pool = scope.create("math");
        pool.start(PoolConfig::work_stealing(2)).expect("starts");
        let (begins, begun) = mpsc::channel();
        let (ends, ended) = mpsc::channel::<()>();
        let (done, is_done) = mpsc::channel();
        let own = pool.clone();
        // Outlives the task that gave it to rayon, on the other thread; while the first one lingers it runs the pool's
        // last task.
        let job = move || {
            begins.send(()).expect("somebody listens");
            ended.recv().expect_err("it is dropped");
            let install = || {
                let task = own.submit(|| ()).expect("accepted");
                while !task.is_finished() {
                    rayon::yield_now();
                }
            };
            own.install(install).expect("runs");
            done.send(()).expect("somebody listens");
        };
        pool.install(move || {
            rayon::spawn(job);
            begun.recv().expect("the other thread has it");
            drop(ends);
        })
        .expect("runs");
        is_done.recv().expect("it ended");
        eventually("no thread is the pool's", || threads::stats().waiting == 0);
        assert!(pool.is_running());
    });
}

#[test]
fn a_thread_that_was_rayons_serves_other_pools() {
    alone(|| {
        let scope = Scope::new("test");
        let (math, io) = (scope.create("math"), scope.create("io"));
        io.start(PoolConfig::leased(2)).expect("starts");
        for _ in 0..20 {
            math.start(PoolConfig::work_stealing(2)).expect("starts");
            math.install(|| rayon::join(|| (), || ())).expect("runs");
            let _ = math.stop().expect("not from within");
            // On a thread that is still rayon's it would have a worker's index, and no id.
            let task = io.submit(|| (rayon::current_thread_index(), heirloom::task_id().is_some())).expect("accepted");
            assert_eq!(task.join().expect("runs"), (None, true));
        }
        eventually("no thread is wanted", || threads::stats().wanted == 0);
    });
}
