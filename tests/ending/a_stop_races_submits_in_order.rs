//! However submits race the end of a pool, a task is either refused or ends: nobody waits for ever, and what a stop
//! reports is all there ever was.

use std::sync::{Arc, Barrier};

use heirloom::{PoolConfig, Scope, SubmitErrorKind, TaskHandle};

use crate::common::{self, bounded};

fn raced(configs: &'static [fn() -> PoolConfig], rounds: usize, end: fn(&heirloom::PoolManager)) {
    bounded(move || {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        for round in 0..rounds {
            pool.start(configs[round % configs.len()]()).expect("a stopped manager starts again");
            let begin = Arc::new(Barrier::new(4));
            let submitters: Vec<_> = (0..3)
                .map(|_| {
                    let (pool, begin) = (pool.clone(), Arc::clone(&begin));
                    std::thread::spawn(move || {
                        begin.wait();
                        let mut accepted = 0_u64;
                        loop {
                            match pool.submit(|| ()) {
                                Ok(task) => {
                                    accepted += 1;
                                    // A handle that never resolved would hang here.
                                    if accepted.is_multiple_of(3) {
                                        let _ = task.join();
                                    }
                                }
                                Err(error)
                                    if matches!(
                                        error.as_submit().map(|it| it.kind()),
                                        Some(SubmitErrorKind::QueueFull { .. })
                                    ) =>
                                {
                                    std::thread::yield_now()
                                }
                                Err(error)
                                    if matches!(
                                        error.as_submit().map(|it| it.kind()),
                                        Some(SubmitErrorKind::Closed { .. })
                                    ) =>
                                {
                                    return accepted;
                                }
                                Err(other) => panic!("{other}"),
                            }
                        }
                    })
                })
                .collect();
            begin.wait();
            for _ in 0..round % 50 {
                std::thread::yield_now();
            }
            end(&pool);
            let accepted: u64 =
                submitters.into_iter().map(|submitter| submitter.join().expect("is refused at last")).sum();
            pool.wait_idle().expect("not from an own task");
            let report = pool.stop().expect("not from an own task");
            // A submit that counted itself in, found no room, and took it back shows as nothing.
            assert_eq!(report.completed + report.cancelled, accepted, "{report}");
            assert!(report.is_complete(), "{report}");
            common::eventually("a stopped manager is ready to start", || {
                !pool.is_running() && pool.stats().running == 0
            });
        }
    });
}

#[test]
fn submits_that_race_a_stop_are_refused_or_end() {
    raced(&[|| PoolConfig::leased(1), || PoolConfig::leased(3)], 150, |pool| {
        assert!(pool.stop().expect("not from an own task").is_complete());
    });
}

#[test]
fn submits_that_race_a_stop_of_dedicated_threads_are_refused_or_end() {
    raced(&[|| PoolConfig::dedicated(1), || PoolConfig::dedicated(2)], 100, |pool| {
        assert!(pool.stop().expect("not from an own task").is_complete());
    });
}

#[test]
fn submits_that_race_a_close_and_a_cancel_are_refused_or_end() {
    raced(&[|| PoolConfig::leased(2), || PoolConfig::leased(1).queue_limit(2)], 100, |pool| {
        pool.close();
        pool.cancel();
    });
}

#[test]
fn submits_that_race_a_daemon_pools_stop_are_refused_or_end() {
    bounded(|| {
        let scope = Scope::new("test");
        for _ in 0..150 {
            let pool = scope.create("work");
            pool.start(PoolConfig::leased(2).daemon()).expect("starts");
            let submitters: Vec<_> = (0..3)
                .map(|_| {
                    let pool = pool.clone();
                    std::thread::spawn(move || {
                        let mut accepted = Vec::new();
                        while let Ok(task) = pool.submit(|| ()) {
                            accepted.push(task);
                        }
                        accepted
                            .into_iter()
                            .map(TaskHandle::join)
                            .filter(|outcome| match outcome {
                                Ok(()) => false,
                                Err(error) => !error.is_cancelled(),
                            })
                            .count()
                    })
                })
                .collect();
            std::thread::yield_now();
            drop(pool.stop().expect("not from an own task"));
            for submitter in submitters {
                assert_eq!(submitter.join().expect("every handle resolves"), 0, "each ran or was cancelled");
            }
        }
    });
}
