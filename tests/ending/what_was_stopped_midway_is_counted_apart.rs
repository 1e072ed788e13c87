//! `interrupted` in reports and looks: tasks that returned after heirloom had told them to stop. The others are
//! `completed`, and each task is counted once.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Gate, Heirloom, PoolConfig, PoolManager, Scope, TaskHandle};

use crate::common::pools::{block_on, started};
use crate::common::{bounded, busy_gate};

const LONG: Duration = Duration::from_secs(3600);

/// `[completed, interrupted, panicked, cancelled]`.
fn ends(pool: &PoolManager) -> [u64; 4] {
    let stats = pool.stats();
    [stats.completed, stats.interrupted, stats.panicked, stats.cancelled]
}

/// Runs `f` in a task of the pool, asks that task to stop when it runs, and lets it go on then.
fn asked<T: Send + 'static>(pool: &PoolManager, f: impl FnOnce() -> T + Send + 'static) -> T {
    let (runs, is_running) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    let task = pool.submit(move || {
        runs.send(()).expect("the test listens");
        goes.recv().expect("the test lets it go");
        f()
    });
    let task: TaskHandle<T> = task.expect("accepted");
    is_running.recv().expect("it runs");
    let _ = task.cancel();
    go.send(()).expect("it waits");
    task.join().expect("no panic")
}

/// What a task does that is asked to stop; it is interrupted by that.
type Way = (&'static str, fn());

static VALUE: Heirloom<u32> = Heirloom::new("value");

#[test]
fn a_task_that_was_told_is_interrupted_in_whatever_way_it_was_told() {
    let ways: [Way; 10] = [
        ("checkpoint", || assert!(heirloom::checkpoint().is_err())),
        ("is_cancelled", || assert!(heirloom::is_cancelled())),
        ("sleep", || assert!(heirloom::sleep(LONG).is_err())),
        ("cancelled", || block_on(heirloom::cancelled())),
        ("its own lineage", || assert!(heirloom::current().is_cancelled())),
        ("a hook", || drop(heirloom::on_cancel(|| ()))),
        ("a gate", || {
            let gate = std::sync::Arc::new(Gate::new("gate"));
            let (holds, is_held) = mpsc::channel();
            let (lets_go, may_go) = mpsc::channel::<()>();
            let held = std::sync::Arc::clone(&gate);
            let holder = std::thread::spawn(move || {
                let _in = held.enter().expect("free");
                holds.send(()).expect("the task listens");
                may_go.recv().is_ok()
            });
            is_held.recv().expect("it is held");
            assert!(gate.enter_timeout(LONG).is_err_and(|busy| busy_gate(&busy).cancelled.is_some()));
            lets_go.send(()).expect("the holder waits");
            assert!(holder.join().is_ok());
        }),
        ("a value", || {
            let (begins, has_begun) = mpsc::channel();
            let (lets_go, may_go) = mpsc::channel::<()>();
            let makes = std::thread::spawn(move || {
                VALUE.get_or_init(|| {
                    begins.send(()).expect("the task listens");
                    may_go.recv().expect("the task lets it go");
                    std::panic::resume_unwind(Box::new("nothing is bound"))
                })
            });
            has_begun.recv().expect("it begins");
            assert!(
                matches!(VALUE.get_or_init(|| 7), Err(ref it) if matches!(it.as_init(), Some(heirloom::InitError::Cancelled { .. })))
            );
            lets_go.send(()).expect("it waits");
            assert!(makes.join().is_err());
        }),
        ("a queued task's end", || {
            let pool = heirloom::get("inner").expect("bound above");
            let task = heirloom::current().run(|| pool.submit(|| ())).expect("accepted");
            assert!(task.join().is_err_and(|error| error.is_cancelled()));
        }),
        ("join_cancelling", || {
            let pool = heirloom::get("inner").expect("bound above");
            let task = pool.submit(|| heirloom::sleep(LONG).is_err()).expect("accepted");
            assert!(task.join_cancelling().is_err());
        }),
    ];
    bounded(move || {
        for (way, f) in ways {
            for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
                let scope = Scope::new("test");
                let _inner = started(&scope, "inner", PoolConfig::leased(1));
                let pool = started(&scope, "work", config);
                scope.run(|| asked(&pool, f));
                assert_eq!(ends(&pool), [0, 1, 0, 0], "told by {way}");
                let report = pool.stop().expect("from outside");
                assert_eq!((report.completed, report.interrupted), (0, 1), "told by {way}");
            }
        }
    });
}

#[test]
fn a_task_that_was_asked_and_finished_unaware_is_completed() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        asked(&pool, || ());
        // One that has looked before, one that looks at a place which is not above it, and one with a hook that it took
        // back in time.
        let (other, before) = (Scope::new("other"), heirloom::is_cancelled());
        other.cancel();
        let other = other.lineage().clone();
        asked(&pool, move || assert!(!before && other.is_cancelled()));
        pool.submit(|| drop(heirloom::on_cancel(|| ()))).expect("accepted").join().expect("runs");
        assert_eq!(ends(&pool), [3, 0, 0, 0]);
    });
}

#[test]
fn a_task_that_declined_is_completed_unless_it_is_told_again() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let declines = || {
            assert!(heirloom::checkpoint().is_err());
            assert!(heirloom::acknowledge_cancel());
            assert!(heirloom::checkpoint().is_ok());
        };
        asked(&pool, declines);
        assert_eq!(ends(&pool), [1, 0, 0, 0]);
        asked(&pool, move || {
            declines();
            let _ = heirloom::current().cancel();
            assert!(heirloom::checkpoint().is_err());
        });
        assert_eq!(ends(&pool), [1, 1, 0, 0]);
        // A scope's request is not the task's to decline.
        let (runs, is_running) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        let task = scope.run(|| {
            pool.submit(move || {
                runs.send(()).expect("the test listens");
                goes.recv().expect("the test lets it go");
                (heirloom::checkpoint().is_err(), heirloom::acknowledge_cancel())
            })
        });
        is_running.recv().expect("it runs");
        scope.cancel();
        go.send(()).expect("it waits");
        assert_eq!(task.expect("accepted").join().expect("runs"), (true, false));
        assert_eq!(ends(&pool), [1, 2, 0, 0]);
    });
}

#[test]
fn a_task_that_is_asked_and_joins_an_interrupted_one_is_interrupted() {
    bounded(|| {
        let scope = Scope::new("test");
        let (outer, inner) =
            (started(&scope, "outer", PoolConfig::leased(1)), started(&scope, "inner", PoolConfig::leased(1)));
        let request = Scope::new("request");
        let (runs, is_running) = mpsc::channel();
        let below = inner.clone();
        let joins = request.run(|| {
            outer.submit(move || {
                let sleeps = below.submit(move || {
                    runs.send(()).expect("the test listens");
                    heirloom::sleep(LONG).is_err()
                });
                sleeps.expect("accepted").join().expect("runs")
            })
        });
        is_running.recv().expect("it runs");
        request.cancel();
        assert!(joins.expect("accepted").join().expect("runs"));
        assert_eq!((ends(&outer), ends(&inner)), ([0, 1, 0, 0], [0, 1, 0, 0]));

        // One that is not asked itself has only stopped another.
        let below = inner.clone();
        let stops = outer.submit(move || asked(&below, || heirloom::checkpoint().is_err())).expect("accepted");
        assert!(stops.join().expect("runs"));
        assert_eq!((ends(&outer), ends(&inner)), ([1, 1, 0, 0], [0, 2, 0, 0]));
    });
}

#[test]
fn each_task_is_counted_once_however_it_ends() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1).log_panics(false));
        asked(&pool, || ());
        asked(&pool, || heirloom::checkpoint().is_err());
        let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            asked(&pool, || {
                assert!(heirloom::checkpoint().is_err());
                std::panic::resume_unwind(Box::new("told, and panicked"));
            })
        }));
        assert!(panics.is_err());
        let (go, goes) = mpsc::channel::<()>();
        let holds = pool.submit(move || goes.recv().is_ok()).expect("accepted");
        let queued = pool.submit(|| ()).expect("accepted");
        let _ = queued.cancel();
        go.send(()).expect("it waits");
        assert!(holds.join().expect("runs"));
        let report = pool.stop().expect("from outside");
        let counts = [report.completed, report.interrupted, report.panicked, report.cancelled];
        assert_eq!((counts, report.remaining), ([2, 1, 1, 1], 0), "{report}");
        assert_eq!(report.to_string(), "2 completed, 1 interrupted, 1 panicked, 1 cancelled, 0 remaining");
    });
}

#[cfg(feature = "rayon")]
#[test]
fn a_piece_that_was_told_interrupts_its_task_on_whatever_thread() {
    use rayon::prelude::*;

    bounded(|| {
        let server = Scope::new("server");
        let shared = started(&server, "loops", PoolConfig::work_stealing(2));
        for round in 0..20 {
            let request = Scope::new("request");
            let at = request.lineage().clone();
            let (runs, is_running) = mpsc::channel();
            let pool = shared.clone();
            let task = request.run(|| {
                pool.submit(move || {
                    runs.send(()).expect("the test listens");
                    // Each piece goes on until it is told; the task itself does not look.
                    (0..4).into_par_iter().try_for_each(at.carry(|_| {
                        loop {
                            heirloom::checkpoint()?;
                            std::thread::yield_now();
                        }
                    }))
                })
            });
            let task: TaskHandle<Result<(), heirloom::Error>> = task.expect("accepted");
            is_running.recv().expect("it runs");
            // Another's task goes on meanwhile, and is not told.
            let unaware = shared.submit(|| ()).expect("accepted");
            request.cancel();
            assert!(task.join().expect("runs").is_err());
            unaware.join().expect("runs");
            assert_eq!(ends(&shared), [round + 1, round + 1, 0, 0]);
        }
    });
}
