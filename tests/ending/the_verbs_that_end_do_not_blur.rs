//! close, stop, cancel and wait_idle, for joining and for daemon pools: what each refuses, runs, cancels and waits for
//! is as the table in the design says; each is idempotent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use heirloom::{PoolConfig, PoolManager, Scope, StartErrorKind, SubmitErrorKind, TaskHandle};

use crate::common::{BOUND, bounded, eventually};

/// A manager with a task that runs until `go` is dropped, and three queued ones.
struct Busy {
    pool: PoolManager,
    go: Option<mpsc::Sender<()>>,
    running: TaskHandle<i32>,
    queued: Vec<TaskHandle<usize>>,
    _scope: Scope,
}

impl Busy {
    fn new(config: PoolConfig) -> Self {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(config).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let (started, runs) = mpsc::channel();
        let running = pool.submit(move || {
            let _ = started.send(());
            let _ = gate.recv();
            7
        });
        runs.recv().expect("runs");
        let queued = (0..3).map(|n| pool.submit(move || n).expect("accepted")).collect();
        Self { pool, go: Some(go), running: running.expect("accepted"), queued, _scope: scope }
    }

    fn release(&mut self) {
        drop(self.go.take());
    }

    fn refuses(&self) {
        assert!(
            matches!(self.pool.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. })))
        );
        assert!(!self.pool.is_running());
    }

    fn all_run(self) {
        assert_eq!(self.running.join().expect("it ran"), 7);
        for (n, task) in self.queued.into_iter().enumerate() {
            assert_eq!(task.join().expect("it was accepted"), n);
        }
    }

    /// What was queued ends before what runs does.
    fn queued_are_cancelled(mut self) {
        for task in std::mem::take(&mut self.queued) {
            assert!(task.join().expect_err("never started").is_cancelled());
        }
        self.release();
        assert_eq!(self.running.join().expect("it goes on to its end"), 7);
    }
}

fn joining() -> [PoolConfig; 2] {
    [PoolConfig::leased(1), PoolConfig::dedicated(1)]
}

fn daemon() -> [PoolConfig; 2] {
    joining().map(PoolConfig::daemon)
}

#[test]
fn close_lets_a_joining_pool_run_what_it_accepted() {
    bounded(|| {
        for config in joining() {
            let mut busy = Busy::new(config);
            busy.pool.close();
            busy.pool.close();
            busy.refuses();
            busy.release();
            busy.all_run();
        }
    });
}

#[test]
fn close_cancels_what_a_daemon_pool_has_queued() {
    bounded(|| {
        for config in daemon() {
            let busy = Busy::new(config);
            busy.pool.close();
            busy.pool.close();
            busy.refuses();
            busy.queued_are_cancelled();
        }
    });
}

#[test]
fn stop_waits_for_a_joining_pool() {
    bounded(|| {
        for config in joining() {
            let mut busy = Busy::new(config);
            let pool = busy.pool.clone();
            let (begins, begun) = mpsc::channel();
            let (ended, end) = mpsc::channel();
            let stopper = std::thread::spawn(move || {
                let _ = begins.send(());
                let report = pool.stop().expect("not from an own task");
                let _ = ended.send(());
                report
            });
            begun.recv().expect("begins");
            eventually("the pool is closed", || !busy.pool.is_running());
            assert_eq!(end.try_recv(), Err(mpsc::TryRecvError::Empty), "its task still runs");
            busy.release();
            let report = stopper.join().expect("stops");
            assert_eq!((report.completed, report.remaining, report.is_complete()), (4, 0, true), "{report}");
            busy.refuses();
            assert_eq!(busy.pool.stop().expect("again"), report);
            busy.all_run();
        }
    });
}

#[test]
fn stop_does_not_wait_for_a_daemon_pool() {
    bounded(|| {
        for config in daemon() {
            let busy = Busy::new(config);
            let report = busy.pool.stop().expect("not from an own task");
            assert_eq!((report.cancelled, report.remaining, report.is_complete()), (3, 1, false), "{report}");
            assert_eq!(report.still_running.len(), 1);
            assert_eq!(report.still_running[0].id, busy.running.id());
            busy.refuses();
            busy.queued_are_cancelled();
        }
    });
}

#[test]
fn a_bounded_stop_ends_in_time_and_the_pool_stays_closed() {
    bounded(|| {
        for config in joining() {
            let mut busy = Busy::new(config);
            let begun = Instant::now();
            let report = busy.pool.stop_timeout(Duration::from_millis(50)).expect("not from an own task");
            assert!(begun.elapsed() >= Duration::from_millis(50));
            assert_eq!((report.remaining, report.is_complete()), (4, false), "{report}");
            busy.refuses();
            busy.release();
            let report = busy.pool.stop_timeout(BOUND).expect("not from an own task");
            assert!(report.is_complete(), "{report}");
            busy.all_run();
        }
    });
}

#[test]
fn an_async_stop_closes_when_it_is_polled_and_waits() {
    bounded(|| {
        for config in joining() {
            let mut busy = Busy::new(config);
            let pool = busy.pool.clone();
            let mut stops = Box::pin(pool.stop_async());
            assert!(busy.pool.is_running(), "a future does nothing before it is polled");
            let waker = std::task::Waker::noop();
            assert!(stops.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
            busy.refuses();
            busy.release();
            let report = futures::executor::block_on(stops).expect("not from an own task");
            assert!(report.is_complete(), "{report}");
            busy.all_run();
        }
    });
}

#[test]
fn an_async_stop_that_is_dropped_stops_only_the_waiting() {
    bounded(|| {
        let mut busy = Busy::new(PoolConfig::leased(1));
        let pool = busy.pool.clone();
        {
            let mut stops = Box::pin(pool.stop_async());
            let waker = std::task::Waker::noop();
            assert!(stops.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        }
        busy.refuses();
        busy.release();
        busy.all_run();
    });
}

#[test]
fn an_async_stop_does_not_wait_for_a_daemon_pool() {
    bounded(|| {
        let busy = Busy::new(PoolConfig::leased(1).daemon());
        let report = futures::executor::block_on(busy.pool.stop_async()).expect("not from an own task");
        assert_eq!(report.remaining, 1);
        busy.queued_are_cancelled();
    });
}

#[test]
fn cancel_ends_what_is_queued_and_waits_for_nothing() {
    bounded(|| {
        for config in joining().into_iter().chain(daemon()) {
            let busy = Busy::new(config);
            busy.pool.cancel();
            busy.pool.cancel();
            busy.refuses();
            busy.queued_are_cancelled();
        }
    });
}

#[test]
fn cancel_after_close_still_cancels() {
    bounded(|| {
        let busy = Busy::new(PoolConfig::leased(1));
        busy.pool.close();
        busy.pool.cancel();
        busy.queued_are_cancelled();
    });
}

#[test]
fn wait_idle_waits_for_all_and_leaves_the_pool_open() {
    bounded(|| {
        for config in joining().into_iter().chain(daemon()) {
            let mut busy = Busy::new(config);
            assert!(!busy.pool.wait_idle_timeout(Duration::from_millis(20)).expect("not from an own task"));
            let pool = busy.pool.clone();
            let waiter = std::thread::spawn(move || pool.wait_idle());
            assert!(busy.pool.is_running());
            busy.release();
            waiter.join().expect("waits").expect("not from an own task");
            assert_eq!(busy.pool.stats().completed, 4);
            assert_eq!(busy.pool.submit(|| 1).expect("it is open").join().expect("ends"), 1);
            assert!(busy.pool.wait_idle_timeout(BOUND).expect("not from an own task"));
            busy.all_run();
        }
    });
}

#[test]
fn many_waiters_all_see_the_end() {
    bounded(|| {
        for round in 0..100 {
            let scope = Scope::new("test");
            let pool = scope.create("work");
            pool.start(PoolConfig::leased(2)).expect("starts");
            let waiters: Vec<_> = (0..4)
                .map(|n| {
                    let pool = pool.clone();
                    std::thread::spawn(move || match (n + round) % 4 {
                        0 => assert!(pool.stop().expect("outside").is_complete()),
                        1 => pool.wait_idle().expect("outside"),
                        2 => assert!(futures::executor::block_on(pool.stop_async()).expect("outside").is_complete()),
                        _ => assert!(pool.stop_timeout(BOUND).expect("outside").is_complete()),
                    })
                })
                .collect();
            for _ in 0..20 {
                drop(pool.submit(std::thread::yield_now));
            }
            pool.close();
            for waiter in waiters {
                waiter.join().expect("sees it");
            }
        }
    });
}

#[test]
fn each_verb_on_a_manager_that_never_started_does_nothing() {
    bounded(|| {
        let pool = Scope::new("test").create("idle");
        pool.close();
        pool.cancel();
        pool.wait_idle().expect("nothing to wait for");
        assert!(pool.wait_idle_timeout(Duration::ZERO).expect("nothing to wait for"));
        assert!(pool.stop().expect("nothing to stop").is_complete());
        assert!(futures::executor::block_on(pool.stop_async()).expect("nothing to stop").is_complete());
    });
}

#[test]
fn a_stopped_pool_starts_again_with_any_settings_and_a_fresh_state() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let configs = [
            PoolConfig::leased(1),
            PoolConfig::dedicated(2).thread_name_prefix("second"),
            PoolConfig::leased(3).daemon().task_type("third"),
            PoolConfig::leased(1).queue_limit(1),
        ];
        for config in configs {
            pool.start(config).expect("a stopped manager starts again");
            let task = pool.submit_as("third", || 7).expect("accepted");
            assert_eq!(task.join().expect("ends"), 7);
            assert_eq!(pool.stats().completed, 1, "counted anew");
            pool.wait_idle().expect("not from an own task");
            let report = pool.stop().expect("not from an own task");
            assert_eq!((report.completed, report.is_complete()), (1, true));
        }
    });
}

#[test]
fn a_pool_whose_old_tasks_run_does_not_start_again() {
    bounded(|| {
        let mut busy = Busy::new(PoolConfig::leased(1).daemon());
        let _ = busy.pool.stop().expect("not from an own task");
        let refused = busy.pool.start(PoolConfig::leased(1)).expect_err("one still runs");
        assert!(
            matches!(refused.as_start().map(|it| it.kind()), Some(StartErrorKind::StillStopping { remaining: 1, .. })),
            "{refused:?}"
        );
        busy.release();
        busy.pool.wait_idle().expect("not from an own task");
        eventually("the thread lets go", || busy.pool.start(PoolConfig::leased(1)).is_ok());
        assert_eq!(busy.pool.submit(|| 1).expect("it runs").join().expect("ends"), 1);
    });
}

#[test]
fn dropping_the_last_handle_closes_without_blocking_and_joining_tasks_run() {
    bounded(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let (go, gate) = mpsc::channel::<()>();
        let last = {
            let scope = Scope::new("gone");
            let pool = scope.create("work");
            pool.start(PoolConfig::leased(1)).expect("starts");
            drop(pool.submit(move || gate.recv().is_ok()));
            for _ in 0..5 {
                let ran = Arc::clone(&ran);
                drop(pool.submit(move || ran.fetch_add(1, Ordering::SeqCst)));
            }
            let last = pool.submit(|| ()).expect("accepted");
            scope.finish();
            last
        };
        drop(go);
        last.join().expect("it was accepted");
        assert_eq!(ran.load(Ordering::SeqCst), 5);
    });
}

#[test]
fn dropping_the_last_handle_cancels_what_a_daemon_pool_has_queued() {
    bounded(|| {
        let (go, gate) = mpsc::channel::<()>();
        let queued = {
            let scope = Scope::new("gone");
            let pool = scope.create("work");
            pool.start(PoolConfig::leased(1).daemon()).expect("starts");
            let (started, runs) = mpsc::channel();
            drop(pool.submit(move || {
                let _ = started.send(());
                let _ = gate.recv();
            }));
            runs.recv().expect("runs");
            let queued = pool.submit(|| ()).expect("accepted");
            let removed = scope.remove("work").expect("it is there");
            drop((removed, pool));
            scope.finish();
            queued
        };
        assert!(queued.join().expect_err("never started").is_cancelled());
        drop(go);
    });
}
