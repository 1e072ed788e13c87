//! A task's panic is caught, counted, and handed to whoever waits, with its payload; the worker lives on, whatever else
//! of the task panics: a result's drop, a closure's, a payload's, a waker.

use std::future::Future;
use std::panic::{panic_any, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope};

use crate::common::{BOUND, bounded};

/// Both kinds, of one thread, so that a lost worker shows.
fn each_pool(test: fn(&PoolManager)) {
    bounded(move || {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let scope = Scope::new("test");
            let pool = scope.create("work");
            pool.start(config.log_panics(false)).expect("starts");
            test(&pool);
            assert_lives_on(&pool);
            let report = pool.stop().expect("not from an own task");
            assert!(report.is_complete(), "{report}");
        }
    });
}

fn assert_lives_on(pool: &PoolManager) {
    for n in 0..3 {
        let task = pool.submit(move || n).expect("accepted");
        let joined = task.join_timeout(BOUND / 4).expect("the worker lives on");
        assert_eq!(joined.expect("ends"), n);
    }
    assert!(pool.wait_idle_timeout(BOUND / 4).expect("not from an own task"), "something was never counted out");
}

/// Panics when dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a bomb");
        }
    }
}

#[test]
fn the_text_comes_over() {
    each_pool(|pool| {
        let literal = pool.submit(|| -> u8 { panic!("literal") }).expect("accepted").join().expect_err("panics");
        assert!(literal.is_panic() && !literal.is_cancelled());
        assert_eq!(literal.panic_message(), Some("literal"));
        let text = literal.to_string();
        assert!(text.contains("work") && text.contains("literal"), "{text}");
        let n = 7;
        let formatted = pool.submit(move || -> u8 { panic!("n is {n}") }).expect("accepted").join();
        assert_eq!(formatted.expect_err("panics").panic_message(), Some("n is 7"));
        assert_eq!(pool.stats().panicked, 2);
    });
}

#[test]
fn the_payload_itself_comes_over() {
    #[derive(Debug, PartialEq)]
    struct Own(Arc<u32>);
    each_pool(|pool| {
        let shared = Arc::new(7);
        let thrown = Arc::clone(&shared);
        let task = pool.submit(move || panic_any(Own(thrown))).expect("accepted");
        let error = task.join().map(|(): ()| ()).expect_err("panics");
        assert_eq!(error.panic_message(), None);
        let payload = error.into_panic().expect("it was a panic");
        assert_eq!(payload.downcast_ref(), Some(&Own(Arc::clone(&shared))));
        drop(payload);
        assert_eq!(Arc::strong_count(&shared), 1);
    });
}

#[test]
fn the_waiter_may_resume_it() {
    each_pool(|pool| {
        let error = pool.submit(|| -> u8 { panic!("on") }).expect("accepted").join().expect_err("panics");
        let payload = error.into_panic().expect("it was a panic");
        let again = pool.submit(move || resume_unwind(payload)).expect("accepted");
        assert_eq!(again.join().map(|(): ()| ()).expect_err("panics").panic_message(), Some("on"));
    });
}

#[test]
fn a_panic_nobody_looks_at_is_dropped_in_peace() {
    each_pool(|pool| {
        let payload = Arc::new(());
        for _ in 0..20 {
            let thrown = Arc::clone(&payload);
            drop(pool.submit(move || panic_any(thrown)).map(|task: heirloom::TaskHandle<()>| task));
        }
        assert!(pool.wait_idle_timeout(BOUND / 4).expect("not from an own task"));
        assert_eq!(Arc::strong_count(&payload), 1, "no payload is kept");
        assert_eq!(pool.stats().panicked, 20);
    });
}

#[test]
fn a_panic_within_an_inlined_join_reaches_only_its_joiner() {
    each_pool(|pool| {
        let this = pool.clone();
        let outer = pool.submit(move || {
            let inner = this.submit(|| -> u8 { panic!("inner") }).expect("accepted");
            inner.join().expect_err("panics").panic_message().map(String::from)
        });
        assert_eq!(outer.expect("accepted").join().expect("ends").as_deref(), Some("inner"));
    });
}

#[test]
fn an_unclaimed_result_whose_drop_panics_costs_no_worker() {
    each_pool(|pool| {
        for _ in 0..5 {
            let (go, gate) = mpsc::channel::<()>();
            drop(pool.submit(move || {
                let _ = gate.recv();
                Bomb
            }));
            drop(go);
        }
    });
}

#[test]
fn a_result_whose_drop_panics_with_its_handle_costs_no_worker() {
    each_pool(|pool| {
        let task = pool.submit(|| Bomb).expect("accepted");
        assert!(pool.wait_idle_timeout(BOUND / 4).expect("not from an own task"));
        drop(task);
    });
}

#[test]
fn a_closure_whose_captures_panic_when_dropped_costs_no_worker() {
    each_pool(|pool| {
        let bomb = Bomb;
        let task = pool.submit(move || {
            let _bomb = bomb;
            7
        });
        let error = task.expect("accepted").join().expect_err("its end panicked");
        assert_eq!(error.panic_message(), Some("a bomb"));
    });
}

#[test]
fn a_cancelled_closure_whose_drop_panics_costs_no_worker() {
    each_pool(|pool| {
        let (go, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        let first = pool.submit(move || {
            let _ = started.send(());
            let _ = gate.recv();
        });
        running.recv().expect("runs");
        let bomb = Bomb;
        let queued = pool.submit(move || drop(bomb)).expect("accepted");
        queued.cancel();
        assert!(queued.join().expect_err("never ran").is_cancelled());
        drop(go);
        first.expect("accepted").join().expect("ends");
    });
}

#[test]
fn closures_whose_drop_panics_in_a_cancelled_pool_cost_no_worker() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        drop(pool.submit(move || {
            let _ = started.send(());
            let _ = gate.recv();
        }));
        running.recv().expect("runs");
        let queued: Vec<_> = (0..10)
            .map(|_| {
                let bomb = Bomb;
                pool.submit(move || drop(bomb)).expect("accepted")
            })
            .collect();
        pool.cancel();
        for task in queued {
            assert!(task.join().expect_err("never ran").is_cancelled());
        }
        drop(go);
        assert!(pool.stop().expect("not from an own task").is_complete());
    });
}

#[test]
fn a_payload_whose_drop_panics_costs_no_worker() {
    each_pool(|pool| {
        for _ in 0..5 {
            drop(pool.submit(|| panic_any(Bomb)).map(|task: heirloom::TaskHandle<()>| task));
        }
        assert!(pool.wait_idle_timeout(BOUND / 4).expect("not from an own task"));
        assert_eq!(pool.stats().panicked, 5);
    });
}

/// A handle whose waker does `wake` when the task ends.
fn with_waker<W: Wake + Send + Sync + 'static>(pool: &PoolManager, waker: W) {
    let (go, gate) = mpsc::channel::<()>();
    let mut task = pool
        .submit(move || {
            let _ = gate.recv();
            7
        })
        .expect("accepted");
    let waker = Waker::from(Arc::new(waker));
    assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    drop(go);
    assert_eq!(task.join_timeout(BOUND / 4).expect("it ends").expect("ends"), 7);
}

#[test]
fn a_waker_that_panics_costs_no_worker() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker");
        }
    }
    each_pool(|pool| with_waker(pool, Panics));
}

#[test]
fn a_waker_whose_panics_payload_panics_costs_no_worker() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic_any(Bomb);
        }
    }
    each_pool(|pool| {
        let (go, gate) = mpsc::channel::<()>();
        let mut task = pool.submit(move || gate.recv().is_ok()).expect("accepted");
        let waker = Waker::from(Arc::new(Panics));
        assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(go);
        drop(task);
    });
}

#[test]
fn a_waker_whose_drop_panics_costs_no_worker() {
    struct Quiet(#[allow(dead_code, reason = "it is there to be dropped")] Bomb);
    impl Wake for Quiet {
        fn wake(self: Arc<Self>) {}
    }
    each_pool(|pool| {
        let (go, gate) = mpsc::channel::<()>();
        let mut task = pool.submit(move || gate.recv().is_ok()).expect("accepted");
        {
            let waker = Waker::from(Arc::new(Quiet(Bomb)));
            assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        // The task's cell is now the last to hold the waker, and goes with the worker.
        drop(task);
        drop(go);
    });
}

#[test]
fn a_task_that_panics_holds_up_none_behind_it() {
    each_pool(|pool| {
        let tasks: Vec<_> = (0..100)
            .map(|n| pool.submit(move || if n % 3 == 0 { panic!("{n}") } else { n }).expect("accepted"))
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            match task.join_timeout(Duration::from_secs(20)).expect("it ends") {
                Ok(value) => assert!(value == n && n % 3 != 0),
                Err(error) => assert_eq!(error.panic_message(), Some(&*n.to_string())),
            }
        }
    });
}

#[test]
fn a_run_in_place_hands_its_panic_over_too() {
    each_pool(|pool| {
        let error = pool.run(|| -> u8 { panic!("in place") }).expect_err("panics");
        assert_eq!(error.panic_message(), Some("in place"));
    });
}
