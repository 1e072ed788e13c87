//! `start` of a pool with `warm(n)` returns when `n` of its threads are initialised, a few at a time, or with the first
//! failure or at the end of its time; then nothing half-started stays.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use heirloom::{PoolConfig, Scope, StartErrorKind};

use crate::common::pools::{Crowd, block_on, started};
use crate::common::{BOUND, bounded, eventually};

type Never = std::convert::Infallible;

/// An initialiser that returns when it is told to.
fn gated() -> (mpsc::Sender<()>, mpsc::Receiver<()>, PoolConfig) {
    let (open, gate) = mpsc::channel::<()>();
    let (says, begun) = mpsc::channel();
    let gate = Mutex::new(gate);
    let config = PoolConfig::dedicated(1).on_worker_start(move |_| {
        let _ = says.send(());
        let _ = gate.lock().expect("not poisoned").recv();
        Ok::<(), Never>(())
    });
    (open, begun, config)
}

#[test]
fn it_returns_after_all_of_them_are_ready() {
    bounded(|| {
        let scope = Scope::new("test");
        let ready = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&ready);
        let config = PoolConfig::dedicated(8).warm(7).on_worker_start(move |_| {
            std::thread::yield_now();
            counts.fetch_add(1, Ordering::SeqCst);
            Ok::<(), Never>(())
        });
        let pool = started(&scope, "work", config);
        assert_eq!(ready.load(Ordering::SeqCst), 7);
        // An eighth comes when it is needed.
        let together = Arc::new(std::sync::Barrier::new(8));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let together = Arc::clone(&together);
                pool.submit(move || together.wait().is_leader()).expect("accepted")
            })
            .collect();
        assert_eq!(tasks.into_iter().filter_map(|task| task.join().ok()).count(), 8);
        assert_eq!(ready.load(Ordering::SeqCst), 8);
    });
}

fn most_at_once(config: PoolConfig) -> usize {
    let scope = Scope::new("test");
    let crowd = Arc::new(Crowd::default());
    let inside = Arc::clone(&crowd);
    let config = config.on_worker_start(move |_| {
        inside.visit();
        Ok::<(), Never>(())
    });
    started(&scope, "work", config);
    crowd.most()
}

#[test]
fn at_most_four_are_initialised_at_once_or_as_many_as_asked() {
    bounded(|| {
        for _ in 0..20 {
            assert!(most_at_once(PoolConfig::dedicated(16).warm(16)) <= 4);
            assert_eq!(most_at_once(PoolConfig::dedicated(16).warm(16).warm_concurrency(1)), 1);
        }
    });
}

#[test]
fn several_are_initialised_side_by_side() {
    bounded(|| {
        let scope = Scope::new("test");
        let together = std::sync::Barrier::new(4);
        let config = PoolConfig::dedicated(4).warm(4).on_worker_start(move |_| {
            together.wait();
            Ok::<(), Never>(())
        });
        started(&scope, "work", config);
    });
}

#[test]
fn the_first_failure_is_its_error_and_nothing_stays() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let config = PoolConfig::dedicated(8).warm(8).on_worker_start(|worker| match worker.index() {
            2 => Err(std::io::Error::other("no licence")),
            _ => Ok(()),
        });
        let error = pool.start(config).expect_err("one fails");
        let Some(StartErrorKind::WorkerInit { error: cause, .. }) = error.as_start().map(|it| it.kind()) else {
            panic!("{error}")
        };
        assert_eq!(error.namespace(), Some(pool.namespace()));
        assert!(cause.downcast_ref::<std::io::Error>().is_some_and(|cause| cause.to_string() == "no licence"));
        assert!(error.to_string().contains("work") && error.to_string().contains("no licence"), "{error}");
        assert!(!pool.is_running());
        let report = pool.stop().expect("from outside");
        assert!(report.is_complete());
        pool.start(PoolConfig::dedicated(8).warm(8)).expect("it can be started again");
        assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
    });
}

#[test]
fn a_panic_is_a_failure_with_its_text() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let config = PoolConfig::dedicated(1).warm(1).on_worker_start(|_| -> Result<(), Never> { panic!("no camera") });
        let error = pool.start(config).expect_err("it panics");
        assert!(matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::WorkerInit { .. })), "{error}");
        assert!(error.to_string().contains("no camera"), "{error}");
    });
}

#[test]
fn a_slow_one_ends_the_start_at_its_time_and_the_next_start_replaces_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let timed = Duration::from_millis(20);
        let open = loop {
            let (open, begun, config) = gated();
            let error = pool.start(config.warm(1).warm_timeout(timed)).expect_err("it takes too long");
            let Some(&StartErrorKind::WarmTimeout { ready, wanted, after }) = error.as_start().map(|it| it.kind())
            else {
                panic!("{error}")
            };
            assert_eq!((ready, wanted, after), (0, 1, timed));
            // On a busy machine it may not have begun in that time, and never does then.
            if pool.stop().expect("from outside").abandoned == 1 {
                begun.recv().expect("it had begun");
                break open;
            }
        };
        pool.start(PoolConfig::dedicated(1).warm(1)).expect("another one");
        assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
        drop(open);
    });
}

#[test]
fn tasks_submitted_meanwhile_run_when_a_worker_is_ready() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let (open, begun, config) = gated();
        let starter = {
            let pool = pool.clone();
            std::thread::spawn(move || pool.start(config.warm(1)))
        };
        begun.recv().expect("it begins");
        let task = pool.submit(|| 7).expect("accepted");
        open.send(()).expect("listens");
        starter.join().expect("no panic").expect("starts");
        assert_eq!(task.join().expect("runs"), 7);
    });
}

#[test]
fn tasks_submitted_meanwhile_end_with_the_failure() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let (goes, gate) = mpsc::channel::<()>();
        let (says, begun) = mpsc::channel();
        let gate = Mutex::new(gate);
        let config = PoolConfig::dedicated(1).warm(1).on_worker_start(move |_| {
            let _ = says.send(());
            let _ = gate.lock().expect("not poisoned").recv();
            Err::<(), _>("no licence")
        });
        let starter = {
            let pool = pool.clone();
            std::thread::spawn(move || pool.start(config))
        };
        begun.recv().expect("it begins");
        let task = pool.submit(|| 7).expect("accepted");
        goes.send(()).expect("listens");
        assert!(
            matches!(starter.join().expect("no panic"), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::WorkerInit { .. })))
        );
        let error = task.join().expect_err("nobody can run it");
        assert!(error.kind() == heirloom::ErrorKind::WorkerInit, "{error}");
        let source = std::error::Error::source(&error).expect("the initialiser's error");
        assert_eq!(source.to_string(), "no licence");
    });
}

#[test]
fn an_end_of_the_pool_meanwhile_ends_the_start() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let (open, begun, config) = gated();
        let starter = {
            let pool = pool.clone();
            std::thread::spawn(move || pool.start(config.warm(1).warm_timeout(Duration::MAX)))
        };
        begun.recv().expect("it begins");
        let report = pool.stop().expect("from outside");
        assert_eq!((report.is_complete(), report.abandoned), (true, 1));
        assert!(
            matches!(starter.join().expect("no panic"), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::Ended)))
        );
        drop(open);
    });
}

#[test]
fn a_second_starter_waits_for_the_first_ones_workers() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let (open, begun, config) = gated();
        let config = config.warm(1);
        let first = {
            let (pool, config) = (pool.clone(), config.clone());
            std::thread::spawn(move || pool.ensure_started(config))
        };
        begun.recv().expect("it begins");
        let opened = Arc::new(AtomicBool::new(false));
        let second = {
            let (pool, opened) = (pool.clone(), Arc::clone(&opened));
            std::thread::spawn(move || {
                pool.ensure_started(config).expect("the same settings");
                opened.load(Ordering::SeqCst)
            })
        };
        assert!(
            matches!(pool.start(PoolConfig::leased(1)), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::AlreadyRunning)))
        );
        opened.store(true, Ordering::SeqCst);
        open.send(()).expect("listens");
        first.join().expect("no panic").expect("starts");
        assert!(second.join().expect("no panic"), "it came back before the workers were ready");
    });
}

#[test]
fn a_start_from_a_task_gives_its_place_away() {
    bounded(|| {
        let scope = Scope::new("test");
        let outer = started(&scope, "outer", PoolConfig::leased(1));
        let (open, begun, config) = gated();
        let starts = scope
            .run(|| outer.submit(move || heirloom::create("inner").start(config.warm(1).warm_timeout(BOUND)).is_ok()));
        let starts = starts.expect("accepted");
        begun.recv().expect("it begins");
        // The only place is free for this one, which lets the other go on.
        outer.submit(move || open.send(())).expect("accepted").join().expect("runs").expect("listens");
        assert!(starts.join().expect("runs"));
    });
}

#[test]
fn the_async_start_waits_without_blocking_and_has_the_same_errors() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let (open, begun, config) = gated();
        let starter = {
            let pool = pool.clone();
            std::thread::spawn(move || block_on(pool.start_async(config.warm(1))))
        };
        begun.recv().expect("it begins");
        open.send(()).expect("listens");
        starter.join().expect("no panic").expect("starts");
        assert!(pool.stop().expect("from outside").is_complete());

        let fails = PoolConfig::dedicated(1).warm(1).on_worker_start(|_| Err::<(), _>("no licence"));
        assert!(
            matches!(block_on(pool.start_async(fails)), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::WorkerInit { .. })))
        );

        let (_open, _begun, slow) = gated();
        let slow = slow.warm(1).warm_timeout(Duration::from_millis(20));
        assert!(
            matches!(block_on(pool.start_async(slow)), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::WarmTimeout { .. })))
        );
        pool.start(PoolConfig::leased(1)).expect("it can be started again");
    });
}

#[test]
fn a_start_whose_future_is_dropped_goes_on_and_can_be_ended() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let (open, begun, config) = gated();
        {
            let mut start = Box::pin(pool.start_async(config.warm(1)));
            let waker = std::task::Waker::noop();
            assert!(start.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        }
        begun.recv().expect("it goes on");
        open.send(()).expect("listens");
        assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
        assert!(pool.stop().expect("from outside").is_complete());

        // Abandoned where it stands: the stop does not wait.
        let (open, begun, config) = gated();
        {
            let mut start = Box::pin(pool.start_async(config.warm(1).warm_timeout(Duration::MAX)));
            let waker = std::task::Waker::noop();
            assert!(start.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        }
        begun.recv().expect("it begins");
        assert_eq!(pool.stop().expect("from outside").abandoned, 1);
        open.send(()).expect("listens");
        eventually("it has returned", || pool.stop().expect("from outside").abandoned == 0);
    });
}

#[test]
fn the_same_settings_are_the_same_whatever_the_initialiser() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let config = |text: &'static str| {
            PoolConfig::dedicated(2).warm(1).on_worker_start(move |_| {
                let _ = text;
                Ok::<(), Never>(())
            })
        };
        assert_eq!(config("a"), config("b"));
        pool.ensure_started(config("a")).expect("starts");
        pool.ensure_started(config("b")).expect("hooks are not compared");
        let other = pool.ensure_started(config("a").warm(2));
        assert!(
            matches!(other, Err(ref error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::ConfigMismatch { .. })))
        );
    });
}

#[test]
fn settings_that_cannot_be_are_named() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let impossible = [
            ("warm", PoolConfig::dedicated(2).warm(3)),
            ("warm", PoolConfig::leased(2).warm(1)),
            ("warm_concurrency", PoolConfig::dedicated(2).warm(2).warm_concurrency(0)),
            ("warm_concurrency", PoolConfig::leased(2).warm_concurrency(2)),
            ("warm_timeout", PoolConfig::leased(2).warm_timeout(BOUND)),
            ("on_worker_start", PoolConfig::leased(2).on_worker_start(|_| Ok::<(), Never>(()))),
        ];
        for (named, config) in impossible {
            match pool.start(config).as_ref().map_err(|it| it.as_start().expect("it did not start").kind()) {
                Err(StartErrorKind::Invalid { setting, .. }) => assert_eq!(*setting, named),
                other => panic!("an impossible {named}: {other:?}"),
            }
        }
    });
}
